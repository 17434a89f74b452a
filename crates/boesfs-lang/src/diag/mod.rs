//! Diagnostics: what is wrong with a policy, where, and what to do about it.
//!
//! In: findings of the lexer, parser and resolver. Out: one value, [`Diagnostic`], that [`render`] shows to people
//! and [`json`] to machines. Holds: only [`json`] knows JSON; every code stands in [`codes`].

use crate::source::Span;

pub mod codes;
pub mod json;
pub mod render;
pub mod suggest;

pub use codes::Code;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is compiled.
    Error,
    /// The policy compiles, and probably does not say what was meant.
    Warning,
}

/// A place in the source, and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is there; may be empty.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// Its kind, stable across versions.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: lower-case, no full stop, the user's text in backticks.
    pub message: String,
    /// Where: the first label is the place itself, the others explain. Empty only if no place is at fault.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error of kind `code` without a place.
    #[must_use]
    pub fn error(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic { code, severity: Severity::Error, message: message.into(), labels: Vec::new(), help: None }
    }

    /// A warning of kind `code` without a place.
    #[must_use]
    pub fn warning(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    /// The same, with a further label; the first is the place itself.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// The same, with a help line.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}
