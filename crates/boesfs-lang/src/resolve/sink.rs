//! Where diagnostics gather: bounded, sorted.

use crate::diag::{Code, Diagnostic, Severity};

/// How many diagnostics one run gives.
const MAX: usize = 200;

/// The diagnostics of one run.
#[derive(Debug, Default)]
pub(super) struct Sink {
    list: Vec<Diagnostic>,
    dropped: usize,
    syntax_errors: bool,
}

impl Sink {
    /// Adds a finding of the resolver.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < MAX || diagnostic.severity == Severity::Error && !self.has_errors() {
            self.list.push(diagnostic);
        } else {
            self.dropped += 1;
        }
    }

    /// Adds the findings of the parser. What it could not read is missing later: that is then not worth a message.
    pub(super) fn syntax(&mut self, diagnostics: Vec<Diagnostic>) {
        self.syntax_errors |= !diagnostics.is_empty();
        for diagnostic in diagnostics {
            self.push(diagnostic);
        }
    }

    /// Whether there is room for more: beyond it, suggestions are not worth their time.
    pub(super) fn has_room(&self) -> bool {
        self.list.len() < MAX
    }

    /// Whether a statement could not be read.
    pub(super) fn has_syntax_errors(&self) -> bool {
        self.syntax_errors
    }

    fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All findings in source order.
    pub(super) fn finish(&mut self) -> Vec<Diagnostic> {
        let mut list = std::mem::take(&mut self.list);
        list.sort_by_key(|diagnostic| diagnostic.labels.first().map(|label| (label.span, diagnostic.code)));
        list.dedup();
        if self.dropped > 0 {
            let severity = list.iter().map(|diagnostic| diagnostic.severity).min().unwrap_or(Severity::Warning);
            let message = format!("{} more findings are not shown", self.dropped);
            list.push(Diagnostic { severity, ..Diagnostic::error(Code::TooManyErrors, message) });
        }
        list
    }
}
