//! Strings and lets: from what stands between quotes to bytes, each with its place.
//!
//! A byte keeps whether it was escaped: only unescaped signs mean something in a pattern. `{name}` is replaced by the
//! `let` of that name, whose signs keep their meaning too.

use super::Table;
use super::numbers;
use super::sink::Sink;
use crate::check::Define;
use crate::diag::suggest::did_you_mean;
use crate::diag::{Code, Diagnostic};
use crate::source::{SourceMap, Span};
use crate::syntax::ast::{Ident, LetValue, Str};

/// How many bytes a string may have with its lets filled in.
pub(super) const MAX_BYTES: usize = 4096;

/// How many bytes all lets together may have.
const MAX_LET_BYTES: usize = 64 << 20;

/// A byte of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Byte {
    pub(super) value: u8,
    /// Written with a backslash: it stands for itself.
    pub(super) escaped: bool,
}

impl Byte {
    /// Whether it is the sign `sign`, with its meaning.
    pub(super) fn is(self, sign: u8) -> bool {
        self.value == sign && !self.escaped
    }
}

/// A string with its lets filled in, and where in the source each byte comes from.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    pub(super) bytes: Vec<Byte>,
    places: Vec<(u32, u32)>,
    /// The whole string, with its quotes.
    whole: Option<Span>,
}

impl Text {
    /// Where the string stands, with its quotes.
    pub(super) fn whole(&self) -> Span {
        self.whole.unwrap_or(Span { file: crate::source::FileId(0), start: 0, end: 0 })
    }

    /// Where the bytes `from..to` come from; where nothing is left, the closing quote.
    pub(super) fn place(&self, from: usize, to: usize) -> Span {
        let whole = self.whole();
        let end = whole.end.saturating_sub(1).max(whole.start);
        let places = self.places.get(from..to).unwrap_or_default();
        let first = places.first().or_else(|| self.places.get(from)).map_or(end, |place| place.0);
        let last = places.last().map_or(first, |place| place.1);
        Span { file: whole.file, start: first, end: last.max(first) }
    }

    fn push(&mut self, value: u8, escaped: bool, place: (u32, u32)) {
        self.bytes.push(Byte { value, escaped });
        self.places.push(place);
    }
}

/// The value of a `let`.
#[derive(Clone, Debug)]
enum Value {
    Text(Vec<Byte>),
    Number(u64),
    /// Its definition is wrong: told already.
    Broken,
}

/// The lets of a policy.
#[derive(Debug, Default)]
pub(super) struct Lets {
    values: Table<(Value, Span)>,
    bytes: usize,
    /// Names that were used before or without a definition.
    unknown: Vec<(String, Span)>,
    /// Values from outside that no definition has taken yet.
    defines: Table<Vec<u8>>,
}

impl Lets {
    /// No lets yet, and values from outside for those to come.
    pub(super) fn new(defines: &[Define]) -> Lets {
        let defines = defines.iter().map(|define| (define.name.clone(), define.value.clone())).collect();
        Lets { defines, ..Lets::default() }
    }

    /// Takes `let name = value;`.
    pub(super) fn define(&mut self, sources: &SourceMap, sink: &mut Sink, name: Ident, value: LetValue) {
        let defined = self.defines.remove(sources.text(name.0));
        let value = match (value, defined) {
            (LetValue::Text(_), Some(bytes)) => from_outside(sink, name, bytes),
            (LetValue::Number(_), Some(digits)) => match numbers::from_outside(&digits, name.0) {
                Ok(value) => Value::Number(value),
                Err(diagnostic) => {
                    sink.push(diagnostic);
                    Value::Broken
                }
            },
            (LetValue::Number(number), None) => match numbers::value(sources, number) {
                Ok(value) => Value::Number(value),
                Err(diagnostic) => {
                    sink.push(diagnostic);
                    Value::Broken
                }
            },
            (LetValue::Text(text), None) => {
                self.read(sources, sink, text).map_or(Value::Broken, |text| Value::Text(text.bytes))
            }
        };
        if let Value::Text(bytes) = &value {
            self.bytes += bytes.len();
            if self.bytes > MAX_LET_BYTES {
                let message = format!("all lets together are longer than {MAX_LET_BYTES} bytes");
                sink.push(Diagnostic::error(Code::StringTooLong, message).at(name.0, "with this one"));
                return;
            }
        }
        let text = sources.text(name.0);
        if let Some((_, first)) = self.values.get(text) {
            sink.push(
                Diagnostic::error(Code::RepeatedName, format!("`{text}` is defined twice"))
                    .at(name.0, "here again")
                    .at(*first, "first here")
                    .help("a let has one value in the whole policy; choose another name"),
            );
            return;
        }
        self.values.insert(text.to_owned(), (value, name.0));
    }

    /// Speaks of values from outside that no let has taken.
    pub(super) fn report_unused(&mut self, sink: &mut Sink) {
        for name in std::mem::take(&mut self.defines).into_keys() {
            if sink.has_syntax_errors() {
                return;
            }
            let help = did_you_mean(&name, self.values.keys().map(String::as_str)).unwrap_or_else(|| {
                format!("only a let of the policy can be given a value: add `let {name} = \"..\";`")
            });
            let message = format!("a value is given for `{name}`, and there is no such let");
            sink.push(Diagnostic::error(Code::UnusedDefine, message).help(help));
        }
    }

    /// The number that the let `name` stands for. `Ok(None)`: there is no such let; `Err`: told already.
    pub(super) fn number(&self, sink: &mut Sink, name: &str, span: Span) -> Result<Option<u64>, ()> {
        match self.values.get(name) {
            None => Ok(None),
            Some((Value::Number(value), _)) => Ok(Some(*value)),
            Some((Value::Broken, _)) => Err(()),
            Some((Value::Text(_), defined)) => {
                sink.push(
                    Diagnostic::error(Code::LetKind, format!("`{name}` is a string, not a number"))
                        .at(span, "a number belongs here")
                        .at(*defined, "defined here"),
                );
                Err(())
            }
        }
    }

    /// The names of all lets that are numbers.
    pub(super) fn number_names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().filter(|(_, (value, _))| matches!(value, Value::Number(_))).map(|(name, _)| name.as_str())
    }

    /// Reads a string: escapes, and lets.
    pub(super) fn read(&mut self, sources: &SourceMap, sink: &mut Sink, string: Str) -> Option<Text> {
        let quoted = sources.text(string.0);
        let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
        let mut text = Text { whole: Some(string.0), ..Text::default() };
        text.bytes.reserve_exact(inner.len());
        text.places.reserve_exact(inner.len());
        let base = string.0.start + 1;
        let mut good = true;
        let mut at = 0;
        while let Some(c) = inner[at..].chars().next() {
            let span =
                |len: usize| Span { file: string.0.file, start: base + at as u32, end: base + (at + len) as u32 };
            let rest = &inner[at..];
            let used = match c {
                '\\' => match escape(rest) {
                    Ok((value, used)) => {
                        let span = span(used);
                        if value == 0 || value == b'/' {
                            let what = if value == 0 { "NUL" } else { "`/`" };
                            sink.push(
                                Diagnostic::error(Code::BadByte, format!("no file name contains {what}"))
                                    .at(span, "by escape"),
                            );
                            good = false;
                        }
                        text.push(value, true, (span.start, span.end));
                        used
                    }
                    Err((message, used)) => {
                        sink.push(Diagnostic::error(Code::BadEscape, message).at(span(used), "").help(
                            "escapes are `\\xNN`, `\\n`, `\\t`, `\\r`, and `\\` before one of `\\ \" * ? [ ] { } , - ! ^`",
                        ));
                        good = false;
                        used
                    }
                },
                '{' if let_name(rest).is_some() => {
                    let name = let_name(rest).unwrap_or_default();
                    let used = name.len() + 2;
                    good &= self.fill_in(sink, &mut text, name, span(used));
                    used
                }
                '\0' => {
                    sink.push(Diagnostic::error(Code::BadByte, "no file name contains NUL").at(span(1), ""));
                    good = false;
                    1
                }
                c => {
                    let span = span(c.len_utf8());
                    for byte in &rest.as_bytes()[..c.len_utf8()] {
                        text.push(*byte, false, (span.start, span.end));
                    }
                    c.len_utf8()
                }
            };
            at += used;
            if text.bytes.len() > MAX_BYTES {
                sink.push(
                    Diagnostic::error(Code::StringTooLong, format!("this string is longer than {MAX_BYTES} bytes"))
                        .at(string.0, "with its lets filled in"),
                );
                return None;
            }
        }
        good.then_some(text)
    }

    /// Puts the value of the let `name` where `{name}` stands.
    fn fill_in(&mut self, sink: &mut Sink, text: &mut Text, name: &str, span: Span) -> bool {
        match self.values.get(name) {
            Some((Value::Text(bytes), _)) => {
                text.bytes.extend_from_slice(bytes);
                text.places.extend(std::iter::repeat_n((span.start, span.end), bytes.len()));
                true
            }
            Some((Value::Broken, _)) => false,
            Some((Value::Number(_), defined)) => {
                sink.push(
                    Diagnostic::error(Code::LetKind, format!("`{name}` is a number, not a string"))
                        .at(span, "a string belongs here")
                        .at(*defined, "defined here"),
                );
                false
            }
            None => {
                if sink.has_room() {
                    self.unknown.push((name.to_owned(), span));
                }
                false
            }
        }
    }

    /// Speaks of the lets that were used before or without a definition: only now is it known which.
    pub(super) fn report_unknown(&mut self, sink: &mut Sink) {
        for (name, span) in std::mem::take(&mut self.unknown) {
            if !sink.has_room() {
                break;
            }
            let diagnostic = match self.values.get(&name) {
                Some((_, defined)) => {
                    Diagnostic::error(Code::LetTooLate, format!("`{name}` is used before it is defined"))
                        .at(span, "used here")
                        .at(*defined, "defined only here")
                        .help("move the `let` up")
                }
                // A let that could not be read is missing here, and has been told.
                None if sink.has_syntax_errors() => continue,
                None => {
                    let known = self.values.keys().map(String::as_str);
                    let help = did_you_mean(&name, known).unwrap_or_else(|| {
                        format!("define it by `let {name} = \"..\";`; for one of several names write `{{a,b}}`; for a brace itself `\\{{`")
                    });
                    Diagnostic::error(Code::UnknownLet, format!("there is no let `{name}`")).at(span, "").help(help)
                }
            };
            sink.push(diagnostic);
        }
    }
}

/// The value of a string let from outside. Slashes keep their meaning, all other bytes stand for themselves.
fn from_outside(sink: &mut Sink, name: Ident, bytes: Vec<u8>) -> Value {
    let why = if bytes.len() > MAX_BYTES {
        Some((Code::StringTooLong, format!("the value given from outside is longer than {MAX_BYTES} bytes")))
    } else if bytes.contains(&0) {
        Some((Code::BadByte, "the value given from outside contains NUL".to_owned()))
    } else {
        None
    };
    if let Some((code, message)) = why {
        sink.push(Diagnostic::error(code, message).at(name.0, "for this let"));
        return Value::Broken;
    }
    Value::Text(bytes.into_iter().map(|value| Byte { value, escaped: value != b'/' }).collect())
}

/// The name in `{name}` that `rest` begins with. A comma makes it a choice instead.
fn let_name(rest: &str) -> Option<&str> {
    let inner = rest.strip_prefix('{')?;
    let (name, _) = inner.split_once('}')?;
    let mut bytes = name.bytes();
    let starts = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    (starts && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')).then_some(name)
}

/// The byte that the escape at the start of `rest` stands for, and the escape's length.
fn escape(rest: &str) -> Result<(u8, usize), (String, usize)> {
    let Some(c) = rest[1..].chars().next() else {
        return Err(("a backslash at the end of a string".into(), 1));
    };
    match c {
        'n' => Ok((b'\n', 2)),
        't' => Ok((b'\t', 2)),
        'r' => Ok((b'\r', 2)),
        '\\' | '"' | '*' | '?' | '[' | ']' | '{' | '}' | ',' | '-' | '!' | '^' => Ok((c as u8, 2)),
        'x' => match rest.get(2..4).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(hex) => u8::from_str_radix(hex, 16).map(|value| (value, 4)).map_err(|e| (e.to_string(), 4)),
            None => Err(("`\\x` needs two hexadecimal digits".into(), 2)),
        },
        c => Err((format!("`\\{}` is no escape", c.escape_debug()), 1 + c.len_utf8())),
    }
}
