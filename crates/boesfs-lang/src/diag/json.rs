//! Diagnostics for machines. The only place that knows JSON; the shape is versioned and only ever grows.
//!
//! ```json
//! {"version": 1, "diagnostics": [{"code": "BFS0301", "severity": "error", "message": "..", "help": "..",
//!   "labels": [{"file": "p.bfs", "start": 10, "end": 14, "line": 2, "column": 3, "endLine": 2, "endColumn": 7, "text": ".."}]}]}
//! ```
//!
//! `start` and `end` are bytes from the start of the file; lines and columns (in bytes) count from 1.

use serde::Serialize;

use super::{Diagnostic, Label, Severity};
use crate::source::SourceMap;

/// Version of the shape.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    diagnostics: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    help: Option<&'a str>,
    labels: Vec<Place<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Place<'a> {
    file: &'a str,
    start: u32,
    end: u32,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    text: &'a str,
}

/// Renders `diagnostics` as one JSON object on one line, without the newline.
#[must_use]
pub fn render(sources: &SourceMap, diagnostics: &[Diagnostic]) -> String {
    let diagnostics = diagnostics.iter().map(|diagnostic| entry(sources, diagnostic)).collect();
    // Strings, numbers and lists of them: nothing that serialisation could refuse.
    serde_json::to_string(&Report { version: VERSION, diagnostics }).unwrap_or_default()
}

fn entry<'a>(sources: &'a SourceMap, diagnostic: &'a Diagnostic) -> Entry<'a> {
    Entry {
        code: diagnostic.code.id(),
        severity: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: &diagnostic.message,
        help: diagnostic.help.as_deref(),
        labels: diagnostic.labels.iter().map(|label| place(sources, label)).collect(),
    }
}

fn place<'a>(sources: &'a SourceMap, label: &'a Label) -> Place<'a> {
    let file = sources.file(label.span.file);
    let (line, column) = file.line_col(label.span.start);
    let (end_line, end_column) = file.line_col(label.span.end);
    let (start, end) = (label.span.start, label.span.end);
    Place { file: &file.name, start, end, line, column, end_line, end_column, text: &label.text }
}
