//! Why a sandbox could not be set up, with a next step where one is known.

use std::fmt;
use std::io;

/// A step that failed before the command ran. Nothing ran unpoliced.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}")]
pub struct SetupError {
    /// The step, as what follows "cannot".
    pub step: String,
    /// What the system said.
    #[source]
    pub source: io::Error,
    /// What to do about it.
    pub help: Option<String>,
}

impl SetupError {
    /// A failed `step`.
    #[must_use]
    pub fn new(step: impl Into<String>, source: impl Into<io::Error>) -> SetupError {
        SetupError { step: step.into(), source: source.into(), help: None }
    }

    /// The same error with a next step.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> SetupError {
        self.help = Some(help.into());
        self
    }
}

/// Names the step of an operation that may fail.
pub(super) trait Step<T> {
    /// `step` is what follows "cannot".
    fn step(self, step: impl fmt::Display) -> Result<T, SetupError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl fmt::Display) -> Result<T, SetupError> {
        self.map_err(|source| SetupError::new(step.to_string(), source))
    }
}
