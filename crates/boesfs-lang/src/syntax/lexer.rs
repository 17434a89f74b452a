//! Words: from text to tokens.
//!
//! Infallible: what is no token of the language becomes [`Kind::Error`] and a diagnostic, and the parser goes on
//! behind it. Comments are kept apart, for tools that show or rewrite a policy.

use std::fmt;

use logos::Logos;

use crate::diag::{Code, Diagnostic};
use crate::source::{FileId, Span};

/// The kind of a token.
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[logos(skip r"[ \t\r\n\f\u{feff}]+")]
#[expect(missing_docs, reason = "each is the word it is named after")]
pub enum Kind {
    #[token("policy")]
    Policy,
    #[token("default")]
    Default,
    #[token("let")]
    Let,
    #[token("include")]
    Include,
    #[token("role")]
    Role,
    #[token("user")]
    User,
    #[token("group")]
    Group,
    #[token("exe")]
    Exe,
    #[token("separate")]
    Separate,
    #[token("allow")]
    Allow,
    #[token("deny")]
    Deny,
    #[token("hide")]
    Hide,
    #[token("kill")]
    Kill,
    #[token("audit")]
    Audit,
    #[token("quiet")]
    Quiet,
    #[token("on")]
    On,
    #[token("except")]
    Except,
    #[token("when")]
    When,
    #[token("and")]
    And,
    #[token("or")]
    Or,
    #[token("not")]
    Not,

    #[token(";")]
    Semicolon,
    #[token(":")]
    Colon,
    #[token(",")]
    Comma,
    #[token("{")]
    OpenBrace,
    #[token("}")]
    CloseBrace,
    #[token("(")]
    OpenParen,
    #[token(")")]
    CloseParen,
    #[token("..")]
    Range,
    #[token("=")]
    Assign,
    #[token("&")]
    Ampersand,
    #[token("==")]
    Eq,
    #[token("!=")]
    Ne,
    #[token("<")]
    Lt,
    #[token("<=")]
    Le,
    #[token(">")]
    Gt,
    #[token(">=")]
    Ge,

    /// A name: letters, digits, `_` and `-`.
    #[regex(r"[A-Za-z_][A-Za-z0-9_-]*")]
    Ident,
    /// A number, with whatever letters follow it; checked later.
    #[regex(r"[0-9][0-9A-Za-z_]*")]
    Int,
    /// A string, with its quotes; its escapes are checked later.
    #[regex(r#""([^"\\\n]|\\[^\n])*""#)]
    Str,
    /// From `//` to the end of the line. Never reaches the parser.
    #[regex(r"//[^\n]*", allow_greedy = true)]
    Comment,
    /// A string that its line ends before.
    #[regex(r#""([^"\\\n]|\\[^\n])*\\?"#, priority = 1)]
    Unterminated,
    /// Signs that other languages have.
    #[regex(r"&&|\|\||!|\||#[^\n]*|/\*", allow_greedy = true)]
    Foreign,
    /// Anything else.
    Error,
}

impl Kind {
    /// The word or sign itself, if the kind has only one.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        Some(match self {
            Kind::Policy => "policy",
            Kind::Default => "default",
            Kind::Let => "let",
            Kind::Include => "include",
            Kind::Role => "role",
            Kind::User => "user",
            Kind::Group => "group",
            Kind::Exe => "exe",
            Kind::Separate => "separate",
            Kind::Allow => "allow",
            Kind::Deny => "deny",
            Kind::Hide => "hide",
            Kind::Kill => "kill",
            Kind::Audit => "audit",
            Kind::Quiet => "quiet",
            Kind::On => "on",
            Kind::Except => "except",
            Kind::When => "when",
            Kind::And => "and",
            Kind::Or => "or",
            Kind::Not => "not",
            Kind::Semicolon => ";",
            Kind::Colon => ":",
            Kind::Comma => ",",
            Kind::OpenBrace => "{",
            Kind::CloseBrace => "}",
            Kind::OpenParen => "(",
            Kind::CloseParen => ")",
            Kind::Range => "..",
            Kind::Assign => "=",
            Kind::Ampersand => "&",
            Kind::Eq => "==",
            Kind::Ne => "!=",
            Kind::Lt => "<",
            Kind::Le => "<=",
            Kind::Gt => ">",
            Kind::Ge => ">=",
            Kind::Ident | Kind::Int | Kind::Str | Kind::Comment | Kind::Unterminated | Kind::Foreign | Kind::Error => {
                return None;
            }
        })
    }

    /// Whether it is a word of the language, which cannot be a name.
    #[must_use]
    pub fn is_keyword(self) -> bool {
        self.word().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word().unwrap_or(match self {
            Kind::Ident => "a name",
            Kind::Int => "a number",
            Kind::Str | Kind::Unterminated => "a string",
            _ => "a stray character",
        }))
    }
}

/// A token: a kind, and the bytes of the text it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its kind.
    pub kind: Kind,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// The words of a text.
#[derive(Clone, Debug, Default)]
pub struct Lexed {
    /// The tokens, without comments.
    pub tokens: Vec<Token>,
    /// The comments, in order.
    pub comments: Vec<Span>,
    /// What is no word.
    pub diagnostics: Vec<Diagnostic>,
}

/// Splits `text`, which is file `file`, into tokens.
#[must_use]
pub fn lex(file: FileId, text: &str) -> Lexed {
    let mut lexed = Lexed::default();
    for (kind, range) in Kind::lexer(text).spanned() {
        let (start, end) = (range.start as u32, range.end as u32);
        let span = Span { file, start, end };
        let kind = match kind.unwrap_or(Kind::Error) {
            Kind::Comment => {
                lexed.comments.push(span);
                continue;
            }
            Kind::Unterminated => {
                lexed.diagnostics.push(
                    Diagnostic::error(Code::UnterminatedString, "this string is not closed")
                        .at(span, "the line ends before the closing `\"`")
                        .help("add the `\"`; a newline inside a string is written `\\n`"),
                );
                Kind::Error
            }
            Kind::Foreign => {
                lexed.diagnostics.push(foreign(span, &text[range]));
                Kind::Error
            }
            Kind::Error => {
                let again = lexed.tokens.last().is_some_and(|last| last.kind == Kind::Error && last.end == start);
                if !again {
                    let sign = text[range].escape_debug().to_string();
                    lexed.diagnostics.push(
                        Diagnostic::error(Code::UnexpectedByte, format!("`{sign}` means nothing here"))
                            .at(span, "not part of the language"),
                    );
                }
                Kind::Error
            }
            kind => kind,
        };
        lexed.tokens.push(Token { kind, start, end });
    }
    lexed
}

fn foreign(span: Span, text: &str) -> Diagnostic {
    let (what, help) = match text {
        "&&" => ("`&&`", "write `and`"),
        "||" => ("`||`", "write `or`"),
        "!" => ("`!`", "write `not`"),
        "|" => ("`|`", "conditions are joined by `or`; numbers cannot be combined by `|`"),
        "/*" => ("`/*`", "comments begin with `//` and end with the line"),
        _ => ("`#`", "comments begin with `//`"),
    };
    Diagnostic::error(Code::UnexpectedByte, format!("{what} is not part of the language")).at(span, "").help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        lex(FileId(0), text).tokens.iter().map(|token| token.kind).collect()
    }

    #[test]
    fn words_and_signs() {
        use Kind::*;
        assert_eq!(kinds("policy a-b; default"), [Policy, Ident, Semicolon, Default]);
        assert_eq!(kinds("1000..1999 : x"), [Int, Range, Int, Colon, Ident]);
        assert_eq!(kinds("mode & 0o6000 != 0"), [Ident, Ampersand, Int, Ne, Int]);
        assert_eq!(kinds("allowed android on-x"), [Ident, Ident, Ident]);
        assert_eq!(kinds(r#""a\"b" "c\\" x"#), [Str, Str, Ident]);
    }

    #[test]
    fn comments_are_kept_apart_also_200_000_of_them() {
        let text = "// a comment line\n".repeat(200_000) + "default deny; // end";
        let lexed = lex(FileId(0), &text);
        assert_eq!(lexed.tokens.len(), 3);
        assert_eq!(lexed.comments.len(), 200_001);
        assert!(lexed.diagnostics.is_empty());
    }

    #[test]
    fn a_long_string_is_one_token() {
        let text = format!("\"{}\"", "\\xff/".repeat(1_000_000));
        assert_eq!(kinds(&text), [Kind::Str]);
    }

    #[test]
    fn errors_are_tokens() {
        let lexed = lex(FileId(0), "allow §§ \"abc\nx && y");
        assert_eq!(lexed.diagnostics.len(), 3);
        assert_eq!(lexed.tokens.iter().filter(|token| token.kind == Kind::Error).count(), 4);
        assert_eq!(kinds("\"abc\\"), [Kind::Error]);
    }
}
