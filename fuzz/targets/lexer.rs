//! Lexer: whatever the text is, it becomes tokens that lie in the text, in order.

#![no_main]

use boesfs_lang::source::FileId;
use boesfs_lang::syntax::lexer::lex;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let lexed = lex(FileId(0), &text);
    let mut end = 0;
    for token in &lexed.tokens {
        assert!(token.start >= end && token.end > token.start, "tokens out of order");
        end = token.end;
        assert!(text.get(token.start as usize..end as usize).is_some(), "a token cuts a character");
    }
});
