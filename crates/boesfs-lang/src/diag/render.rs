//! Diagnostics for people, by codespan-reporting.

use std::borrow::Cow;
use std::ops::Range;

use codespan_reporting::diagnostic as codespan;
use codespan_reporting::files::{Error, Files};
use codespan_reporting::term::termcolor::{Ansi, NoColor};
use codespan_reporting::term::{Config, DisplayStyle, Styles, StylesWriter, emit_to_write_style};

use super::{Diagnostic, Severity};
use crate::source::{FileId, SourceMap};

/// Whether terminal colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Plain text.
    Never,
    /// ANSI escapes.
    Ansi,
}

/// Renders `diagnostics`, each with the lines of source that it speaks of.
#[must_use]
pub fn render(sources: &SourceMap, diagnostics: &[Diagnostic], color: Color) -> String {
    let rich = Config::default();
    let short = Config { display_style: DisplayStyle::Medium, ..Config::default() };
    let styles = Styles::default();
    let mut out = Vec::new();
    let view = View::new(sources);
    for diagnostic in diagnostics {
        let shown = convert(diagnostic);
        let config = if has_long_line(sources, diagnostic) { &short } else { &rich };
        let emitted = match color {
            Color::Never => {
                let mut writer = StylesWriter::new(NoColor::new(&mut out), &styles);
                emit_to_write_style(&mut writer, config, &view, &shown)
            }
            Color::Ansi => {
                let mut writer = StylesWriter::new(Ansi::new(&mut out), &styles);
                emit_to_write_style(&mut writer, config, &view, &shown)
            }
        };
        // Only a label outside its file can make this fail; the message must not be lost even then.
        if emitted.is_err() {
            out.extend_from_slice(diagnostic.message.as_bytes());
            out.push(b'\n');
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Lines longer than this, in bytes, are not shown: nobody reads them, and each finding would repeat them.
const LONG_LINE: usize = 4096;

fn has_long_line(sources: &SourceMap, diagnostic: &Diagnostic) -> bool {
    diagnostic.labels.iter().any(|label| {
        let file = sources.file(label.span.file);
        let (line, _) = file.line_col(label.span.start);
        file.line_range(line as usize - 1).is_some_and(|range| range.len() > LONG_LINE)
    })
}

fn convert(diagnostic: &Diagnostic) -> codespan::Diagnostic<FileId> {
    let severity = match diagnostic.severity {
        Severity::Error => codespan::Severity::Error,
        Severity::Warning => codespan::Severity::Warning,
    };
    let labels = diagnostic.labels.iter().enumerate().map(|(i, label)| {
        let style = if i == 0 { codespan::LabelStyle::Primary } else { codespan::LabelStyle::Secondary };
        let range = label.span.start as usize..label.span.end as usize;
        codespan::Label::new(style, label.span.file, range).with_message(&label.text)
    });
    codespan::Diagnostic::new(severity)
        .with_code(diagnostic.code.id())
        .with_message(&diagnostic.message)
        .with_labels(labels.collect())
        .with_notes(diagnostic.help.iter().map(|help| format!("help: {help}")).collect())
}

/// The source map as codespan wants to see it.
struct View<'s> {
    sources: &'s SourceMap,
    /// The text of each file, without what would give a terminal orders.
    shown: Vec<Cow<'s, str>>,
}

impl<'s> View<'s> {
    fn new(sources: &'s SourceMap) -> View<'s> {
        View { sources, shown: sources.files().iter().map(|file| harmless(&file.text)).collect() }
    }
}

/// `text` with a question mark for each byte of a control character, which leaves every other byte where it is.
fn harmless(text: &str) -> Cow<'_, str> {
    let is_order = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if !text.contains(is_order) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_order(c) { shown.extend(std::iter::repeat_n('?', c.len_utf8())) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

impl<'a> Files<'a> for View<'_> {
    type FileId = FileId;
    type Name = &'a str;
    type Source = &'a str;

    fn name(&'a self, id: FileId) -> Result<&'a str, Error> {
        self.sources.files().get(id.0 as usize).map(|file| file.name.as_str()).ok_or(Error::FileMissing)
    }

    fn source(&'a self, id: FileId) -> Result<&'a str, Error> {
        self.shown.get(id.0 as usize).map(Cow::as_ref).ok_or(Error::FileMissing)
    }

    fn line_index(&'a self, id: FileId, byte_index: usize) -> Result<usize, Error> {
        let file = self.sources.files().get(id.0 as usize).ok_or(Error::FileMissing)?;
        Ok(file.line_col(byte_index as u32).0 as usize - 1)
    }

    fn line_range(&'a self, id: FileId, line_index: usize) -> Result<Range<usize>, Error> {
        let file = self.sources.files().get(id.0 as usize).ok_or(Error::FileMissing)?;
        let max = file.text.len();
        file.line_range(line_index).ok_or(Error::LineTooLarge { given: line_index, max })
    }
}
