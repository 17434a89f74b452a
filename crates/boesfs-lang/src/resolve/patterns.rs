//! Patterns: from a string to components.
//!
//! Whatever could match nothing, or something else than it seems to, is an error with its exact place.

use super::text::{Byte, Text};
use crate::diag::{Code, Diagnostic};
use crate::pattern::{Component, Extent, Glob, GlobPart, NAME_MAX, Pattern};
use crate::source::Span;

/// How deep braces may nest.
const MAX_BRACES: u32 = 8;

/// The pattern that `text` says.
pub(super) fn pattern(text: &Text) -> Result<Pattern, Diagnostic> {
    let bytes = &text.bytes;
    let Some(first) = bytes.first() else {
        return Err(Diagnostic::error(Code::RelativePattern, "an empty pattern")
            .at(text.whole(), "")
            .help("a pattern is an absolute path, like `\"/srv/app/\"`"));
    };
    if !first.is(b'/') {
        let help = if first.is(b'~') {
            "`~` is the shell's: write the path, or `/home/*/`"
        } else {
            "a pattern is an absolute path; to match anywhere, begin with `/**/`"
        };
        return Err(Diagnostic::error(Code::RelativePattern, "this pattern does not begin with `/`")
            .at(text.place(0, 1), "begins here")
            .help(help));
    }
    let mut components = Vec::new();
    let mut from = 1;
    while from < bytes.len() {
        let to = bytes[from..].iter().position(|byte| byte.value == b'/').map_or(bytes.len(), |n| from + n);
        let component = component(text, from, to)?;
        // `**/**` is `**`: any number twice is any number.
        if !(component == Component::Any && components.last() == Some(&Component::Any)) {
            components.push(component);
        }
        from = to + 1;
    }
    let extent = if bytes.last().is_some_and(|last| last.is(b'/')) { Extent::Tree } else { Extent::Object };
    Ok(Pattern { components, extent })
}

/// The path of one object that `text` says: a pattern without any wildcard.
pub(super) fn literal_path(text: &Text) -> Result<Vec<Vec<u8>>, Diagnostic> {
    let pattern = pattern(text)?;
    let refuse = |why: &str| Err(Diagnostic::error(Code::NotOneFile, "this is not one file").at(text.whole(), why));
    if pattern.extent == Extent::Tree {
        return refuse("a folder with all below it; drop the `/` at the end");
    }
    let mut path = Vec::with_capacity(pattern.components.len());
    for component in pattern.components {
        match component {
            Component::Literal(name) => path.push(name),
            Component::Glob(_) | Component::Any => return refuse("no wildcards here: name each file"),
        }
    }
    Ok(path)
}

/// The component in bytes `from..to`.
fn component(text: &Text, from: usize, to: usize) -> Result<Component, Diagnostic> {
    let bytes = &text.bytes[from..to];
    let whole = text.place(from, to);
    if bytes.is_empty() {
        return Err(Diagnostic::error(Code::EmptyComponent, "an empty component")
            .at(text.place(from, from + 1), "two `/` in a row")
            .help("for all below a folder write `/folder/`; for any number of components `**`"));
    }
    if let [a, b] = bytes
        && a.is(b'*')
        && b.is(b'*')
    {
        return Ok(Component::Any);
    }
    if let Some(n) = bytes.windows(2).position(|pair| pair[0].is(b'*') && pair[1].is(b'*')) {
        return Err(Diagnostic::error(Code::GluedStars, "`**` must be a component of its own")
            .at(text.place(from + n, from + n + 2), "glued to something else")
            .help("inside a component, `*` is any text; to match at any depth write `/**/*.c`"));
    }
    let mut reader = Reader { text, at: from, to };
    let parts = reader.parts(0)?;
    let Some(name) = literal(&parts) else {
        return glob(parts, whole);
    };
    if name == b"." || name == b".." {
        return Err(Diagnostic::error(Code::DotComponent, "`.` and `..` never stand in a path that is asked about")
            .at(whole, "matches nothing")
            .help("the kernel resolves them first: write the path they lead to"));
    }
    if name.len() > NAME_MAX {
        return Err(too_long(whole, name.len()));
    }
    Ok(Component::Literal(name))
}

fn literal(parts: &[GlobPart]) -> Option<Vec<u8>> {
    let byte = |part: &GlobPart| if let GlobPart::Byte(byte) = part { Some(*byte) } else { None };
    parts.iter().map(byte).collect()
}

fn glob(parts: Vec<GlobPart>, whole: Span) -> Result<Component, Diagnostic> {
    let (shortest, longest) = lengths(&parts);
    if shortest > NAME_MAX {
        return Err(too_long(whole, shortest));
    }
    let glob = Glob(parts);
    if longest.is_some_and(|longest| longest == 0 || longest <= 2 && only_dots(&glob)) {
        return Err(Diagnostic::error(Code::MatchesNothing, "no name matches this").at(whole, "matches nothing"));
    }
    Ok(Component::Glob(glob))
}

fn too_long(whole: Span, length: usize) -> Diagnostic {
    Diagnostic::error(Code::ComponentTooLong, format!("a component of {length} bytes"))
        .at(whole, format!("names have at most {NAME_MAX} bytes"))
}

/// The lengths of the shortest and the longest name that `parts` match; no longest if any length will do.
fn lengths(parts: &[GlobPart]) -> (usize, Option<usize>) {
    parts
        .iter()
        .map(part_lengths)
        .fold((0, Some(0)), |(least, most), (a, b)| (least + a, most.zip(b).map(|(most, b)| most + b)))
}

fn part_lengths(part: &GlobPart) -> (usize, Option<usize>) {
    match part {
        GlobPart::Byte(_) | GlobPart::One | GlobPart::Set { .. } => (1, Some(1)),
        GlobPart::Star => (0, None),
        GlobPart::Alt(branches) => {
            let all: Vec<_> = branches.iter().map(|branch| lengths(branch)).collect();
            let least = all.iter().map(|(least, _)| *least).min().unwrap_or(0);
            let most = all.iter().map(|(_, most)| *most).try_fold(0, |a, b| b.map(|b| a.max(b)));
            (least, most)
        }
    }
}

/// Whether a glob of at most two bytes matches no name but `.` and `..`.
fn only_dots(glob: &Glob) -> bool {
    let names = || (1..=u8::MAX).filter(|byte| *byte != b'/');
    let one = names().any(|a| a != b'.' && glob.matches(&[a]));
    let two = || names().any(|a| names().any(|b| (a, b) != (b'.', b'.') && glob.matches(&[a, b])));
    !one && !two()
}

/// Reads the parts of one component.
struct Reader<'t> {
    text: &'t Text,
    at: usize,
    to: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<Byte> {
        (self.at < self.to).then(|| self.text.bytes[self.at])
    }

    fn next(&mut self) -> Option<Byte> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn here(&self, from: usize) -> Span {
        self.text.place(from, self.at.max(from + 1))
    }

    /// Parts up to the end, or inside braces (`depth` > 0) up to `,` or `}`.
    fn parts(&mut self, depth: u32) -> Result<Vec<GlobPart>, Diagnostic> {
        let mut parts = Vec::new();
        while let Some(byte) = self.peek() {
            let from = self.at;
            if depth > 0 && (byte.is(b',') || byte.is(b'}')) {
                break;
            }
            self.at += 1;
            parts.push(match byte {
                _ if byte.is(b'*') => GlobPart::Star,
                _ if byte.is(b'?') => GlobPart::One,
                _ if byte.is(b'[') => self.set(from)?,
                _ if byte.is(b'{') => self.choice(from, depth + 1)?,
                _ if byte.is(b']') || byte.is(b'}') => {
                    let sign = char::from(byte.value);
                    return Err(Diagnostic::error(Code::UnclosedBracket, format!("this `{sign}` closes nothing"))
                        .at(self.here(from), "")
                        .help(format!("for the character itself write `\\{sign}`")));
                }
                byte => GlobPart::Byte(byte.value),
            });
        }
        Ok(parts)
    }

    /// `{a,b}`, behind the brace at `from`.
    fn choice(&mut self, from: usize, depth: u32) -> Result<GlobPart, Diagnostic> {
        if depth > MAX_BRACES {
            return Err(Diagnostic::error(Code::BracesTooDeep, format!("braces nest deeper than {MAX_BRACES}"))
                .at(self.here(from), "one too many"));
        }
        let mut branches = Vec::new();
        loop {
            branches.push(self.parts(depth)?);
            match self.next() {
                Some(byte) if byte.is(b',') => {}
                Some(_) => break,
                None => return Err(self.unclosed(from, b'}')),
            }
        }
        if branches.len() == 1 {
            return Err(Diagnostic::error(Code::LonelyChoice, "braces with one choice only")
                .at(self.here(from), "")
                .help("write `{a,b}` for one of several, `{name}` for a let, `\\{` for the character itself"));
        }
        Ok(GlobPart::Alt(branches))
    }

    /// `[a-z]`, behind the bracket at `from`.
    fn set(&mut self, from: usize) -> Result<GlobPart, Diagnostic> {
        let negated = self.peek().is_some_and(|byte| byte.is(b'!'));
        self.at += usize::from(negated);
        let mut ranges = Vec::new();
        loop {
            let start = self.at;
            let Some(low) = self.next() else { return Err(self.unclosed(from, b']')) };
            if low.is(b']') {
                break;
            }
            if low.is(b'^') && start == from + 1 {
                return Err(self.bad_set(start, "`[^` is not how a class is negated").help("write `[!..]`, or `\\^`"));
            }
            self.plain(low, start)?;
            let high = self.range_end()?.unwrap_or(low);
            if high.value < low.value {
                return Err(self.bad_set(start, "this range is empty").help("write the lower character first"));
            }
            ranges.push((low.value, high.value));
        }
        if ranges.is_empty() {
            return Err(self.bad_set(from, "an empty class").help("for a `]` in a class write `\\]`"));
        }
        let ranges = merge(ranges);
        let set = GlobPart::Set { negated, ranges };
        if !(1..=u8::MAX).any(|byte| byte != b'/' && set.matches_byte(byte)) {
            return Err(Diagnostic::error(Code::MatchesNothing, "no character is in this class")
                .at(self.here(from), "matches nothing"));
        }
        Ok(set)
    }

    /// The upper end of a range, behind its lower one, if it is a range.
    fn range_end(&mut self) -> Result<Option<Byte>, Diagnostic> {
        let follows = self.text.bytes[self.at..self.to].get(1).is_some_and(|next| !next.is(b']'));
        if !(self.peek().is_some_and(|byte| byte.is(b'-')) && follows) {
            return Ok(None);
        }
        self.at += 1;
        let start = self.at;
        let high = self.next();
        if let Some(high) = high {
            self.plain(high, start)?;
        }
        Ok(high)
    }

    /// A class holds bytes: a character of several would be taken apart.
    fn plain(&self, byte: Byte, start: usize) -> Result<(), Diagnostic> {
        if byte.value.is_ascii() || byte.escaped {
            return Ok(());
        }
        Err(self
            .bad_set(start, "a class matches one byte, and this character is several")
            .help("write `{ä,ö}` for one of several characters"))
    }

    fn bad_set(&self, from: usize, message: &str) -> Diagnostic {
        Diagnostic::error(Code::BadClass, message).at(self.here(from), "")
    }

    fn unclosed(&self, from: usize, close: u8) -> Diagnostic {
        let open = char::from(self.text.bytes[from].value);
        let close = char::from(close);
        let later = self.text.bytes[self.to..].iter().any(|byte| byte.is(close as u8));
        let help = if later {
            format!("a `/` cannot stand between `{open}` and `{close}`: write several patterns")
        } else {
            format!("close it with `{close}`, or write `\\{open}` for the character itself")
        };
        Diagnostic::error(Code::UnclosedBracket, format!("this `{open}` is not closed in its component"))
            .at(self.text.place(from, from + 1), "")
            .help(help)
    }
}

/// Sorted ranges that neither overlap nor touch.
fn merge(mut ranges: Vec<(u8, u8)>) -> Vec<(u8, u8)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u8, u8)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}
