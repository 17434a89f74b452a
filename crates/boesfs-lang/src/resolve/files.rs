//! The files of a policy: the main one, and what it includes, each once, in place.

use super::Resolver;
use crate::diag::{Code, Diagnostic};
use crate::source::{SourceMap, Span};
use crate::syntax::ast::{Item, Str};
use crate::syntax::{lexer, parser};

/// How long a text may be, in bytes.
pub(crate) const MAX_TEXT: usize = 256 << 20;

/// How deep includes may nest, and how many files a policy may have.
const MAX_DEPTH: usize = 64;
const MAX_FILES: usize = 4096;

/// Where a statement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// In the file that the compiler was given.
    Main,
    /// In an included file.
    Included,
}

/// A file being read.
struct Frame {
    /// Its path, relative to the policy's folder.
    path: String,
    /// The statement that included it.
    by: Option<Span>,
    items: std::vec::IntoIter<Item>,
}

impl Resolver<'_> {
    /// Reads all files and takes their statements in order.
    pub(super) fn read_files(&mut self) {
        let name = self.input.name.rsplit('/').next().unwrap_or(self.input.name).to_owned();
        let items = self.parse(&name, self.input.text);
        let mut seen = vec![name.clone()];
        let mut open = vec![Frame { path: name, by: None, items }];
        while let Some(frame) = open.last_mut() {
            match frame.items.next() {
                None => drop(open.pop()),
                Some(Item::Include { path, span }) => {
                    if let Some(frame) = self.include(path, span, &open, &mut seen) {
                        open.push(frame);
                    }
                }
                Some(item) => {
                    let place = if open.len() == 1 { Position::Main } else { Position::Included };
                    self.take(item, place);
                }
            }
        }
    }

    fn include(&mut self, path: Str, span: Span, open: &[Frame], seen: &mut Vec<String>) -> Option<Frame> {
        let including = open.last().map_or("", |frame| frame.path.as_str());
        let target = match target(&self.sources, path, including) {
            Ok(target) => target,
            Err(diagnostic) => {
                self.sink.push(diagnostic);
                return None;
            }
        };
        if let Some(first) = open.iter().position(|frame| frame.path == target) {
            let mut diagnostic = Diagnostic::error(Code::IncludeCycle, format!("`{target}` includes itself"))
                .at(path.0, "this closes the circle");
            for frame in open[first + 1..].iter().chain(open.get(first)) {
                if let Some(by) = frame.by {
                    diagnostic = diagnostic.at(by, format!("includes `{}`", frame.path));
                }
            }
            self.sink.push(diagnostic);
            return None;
        }
        // A second include of a file adds nothing: order does not matter, and its lets are there already.
        if seen.contains(&target) {
            return None;
        }
        if open.len() >= MAX_DEPTH || seen.len() >= MAX_FILES {
            self.sink.push(
                Diagnostic::error(
                    Code::TooManyFiles,
                    format!("includes nest deeper than {MAX_DEPTH}, or there are more than {MAX_FILES} files"),
                )
                .at(span, "one too many"),
            );
            return None;
        }
        match self.input.loader.load(&target) {
            Ok(text) => {
                seen.push(target.clone());
                let items = self.parse(&target, &text);
                Some(Frame { path: target, by: Some(span), items })
            }
            Err(why) => {
                self.sink.push(
                    Diagnostic::error(Code::UnreadableInclude, format!("cannot read `{target}`: {why}"))
                        .at(path.0, "")
                        .help("the path is relative to the file that includes"),
                );
                None
            }
        }
    }

    fn parse(&mut self, name: &str, text: &[u8]) -> std::vec::IntoIter<Item> {
        if text.len() > MAX_TEXT {
            self.sources.add(name, "");
            let message = format!("`{name}` is {} bytes long, more than {MAX_TEXT}", text.len());
            self.sink.syntax(vec![Diagnostic::error(Code::TextTooLong, message)]);
            return Vec::new().into_iter();
        }
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => {
                let at = error.valid_up_to();
                let file = self.sources.add(name, String::from_utf8_lossy(text));
                // The lossy text has U+FFFD, three bytes, at the place.
                let span = Span { file, start: at as u32, end: at as u32 + 3 };
                self.sink.syntax(vec![
                    Diagnostic::error(Code::NotUtf8, format!("`{name}` is not UTF-8"))
                        .at(span, format!("byte {:#04x}", text[at]))
                        .help("write bytes of file names as escapes, like `\\xff`"),
                ]);
                return Vec::new().into_iter();
            }
        };
        let file = self.sources.add(name, text);
        let parsed = parser::parse(file, text, lexer::lex(file, text));
        self.sink.syntax(parsed.diagnostics);
        parsed.ast.items.into_iter()
    }
}

/// The path that an include names, relative to the policy's folder.
fn target(sources: &SourceMap, path: Str, including: &str) -> Result<String, Diagnostic> {
    let quoted = sources.text(path.0);
    let written = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    let refuse = |why: &str| {
        Err(Diagnostic::error(Code::BadInclude, format!("`{written}` cannot be included")).at(path.0, why.to_owned()))
    };
    if written.contains(['\\', '{', '\0']) {
        return refuse("the path of an include is plain: no escapes, no `{name}`");
    }
    if written.starts_with('/') {
        return refuse("absolute: a policy includes files of its own folder only");
    }
    let mut components: Vec<&str> = including.split('/').collect();
    components.pop();
    for component in written.split('/') {
        match component {
            "." => {}
            "" => return refuse("an empty component"),
            ".." => {
                if components.pop().is_none() {
                    return refuse("leads out of the policy's folder");
                }
            }
            name => components.push(name),
        }
    }
    if matches!(written.rsplit('/').next(), Some("." | "..")) {
        return refuse("a folder, not a file");
    }
    Ok(components.join("/"))
}
