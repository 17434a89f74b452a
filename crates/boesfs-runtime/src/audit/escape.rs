//! Names as text that can neither end a line nor speak to a terminal.
//!
//! Printable UTF-8 stays as it is. A backslash becomes `\\`; every other byte (control characters, also those
//! encoded in UTF-8, line and direction marks, and bytes that are no UTF-8) becomes `\xHH`. So the text is one line, and
//! the bytes can be had back.

use std::fmt::{self, Write as _};

/// The escaped text of `bytes`.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                out.push_str("\\\\");
            } else if is_plain(c) {
                out.push(c);
            } else {
                push_hex(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        push_hex(&mut out, chunk.invalid());
    }
    out
}

/// The bytes that [`escape`] made `text` of; none if no bytes make it.
#[must_use]
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        match rest {
            [b'\\', tail @ ..] => {
                out.push(b'\\');
                rest = tail;
            }
            [b'x', high, low, tail @ ..] => {
                let digit = |c: u8| char::from(c).to_digit(16);
                out.push((digit(*high)? << 4 | digit(*low)?) as u8);
                rest = tail;
            }
            _ => return None,
        }
    }
    Some(out)
}

/// A name shown escaped.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(self.0))
    }
}

/// Whether `c` shows as itself and moves nothing else: no control, no line or paragraph separator, no mark that
/// changes direction or is invisible.
fn is_plain(c: char) -> bool {
    let invisible = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !invisible
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(out, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_terminals_and_directions_are_out_of_reach() {
        assert_eq!(escape(b"/a b/\xc3\xa9"), "/a b/é");
        assert_eq!(escape(b"/x\nboesfs: denied"), "/x\\x0aboesfs: denied");
        assert_eq!(escape(b"/\x1b[2J\r\x07"), "/\\x1b[2J\\x0d\\x07");
        assert_eq!(escape("/\u{85}\u{2028}\u{202e}".as_bytes()), "/\\xc2\\x85\\xe2\\x80\\xa8\\xe2\\x80\\xae");
        assert_eq!(escape(b"/\xff\\x41"), "/\\xff\\\\x41");
    }

    #[test]
    fn bytes_come_back() {
        let every: Vec<u8> = (0..=255).chain("é\u{202e}\\x".bytes()).collect();
        assert_eq!(unescape(&escape(&every)), Some(every));
        assert_eq!(unescape("\\q"), None);
    }
}
