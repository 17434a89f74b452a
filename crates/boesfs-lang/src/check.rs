//! The front end as one call: from the text of a policy to a checked [`Policy`], or to diagnostics.
//!
//! What lies outside the text comes through two traits, so that this crate does no IO: [`Loader`] gives the texts of
//! included files, [`Names`] the numbers of user and group names.

use crate::diag::Diagnostic;
use crate::policy::Policy;
use crate::resolve::resolve;
use crate::source::SourceMap;

/// Gives the texts of included files.
pub trait Loader {
    /// The bytes of the file `path`: relative to the policy's folder, components separated by `/`, none of them `.`, `..`
    /// or empty. A loader that reads files must also refuse to leave the policy's folder through symbolic links.
    ///
    /// # Errors
    /// Why there is no such text, as the end of a sentence: "no such file".
    fn load(&self, path: &str) -> Result<Vec<u8>, String>;
}

/// Gives the numbers of user and group names.
pub trait Names {
    /// The id of the user called `name`.
    fn user(&self, name: &str) -> Option<u32>;
    /// The id of the group called `name`.
    fn group(&self, name: &str) -> Option<u32>;

    /// What to do about a `word` (user or group) called `name` that has none.
    fn help(&self, word: &str, name: &str) -> String {
        format!(
            "a policy must mean the same on every machine: write the number, map the name in a file (`{word} {name} 1000`, --users FILE), or take this machine's names (--system-users)"
        )
    }
}

/// No included files.
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _path: &str) -> Result<Vec<u8>, String> {
        Err("this policy is checked on its own, without files beside it".into())
    }
}

/// No names: users and groups by number only.
#[derive(Clone, Copy, Debug)]
pub struct NoNames;

impl Names for NoNames {
    fn user(&self, _name: &str) -> Option<u32> {
        None
    }

    fn group(&self, _name: &str) -> Option<u32> {
        None
    }
}

/// Bounds on what a policy may grow to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Classes: sets of active roles that can occur.
    pub classes: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { classes: 1024 }
    }
}

/// A value from outside for a `let`: `-D name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Define {
    /// The name of a `let` in the policy, whose own value it replaces.
    pub name: String,
    /// The value: bytes that stand for themselves where the `let` is a string, digits where it is a number.
    pub value: Vec<u8>,
}

/// What [`check`] needs.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The name of the policy's file, as shown in messages and kept in the object.
    pub name: &'a str,
    /// Its text: UTF-8, or a diagnostic.
    pub text: &'a [u8],
    /// Where includes come from.
    pub loader: &'a dyn Loader,
    /// Where numbers of users and groups come from.
    pub names: &'a dyn Names,
    /// Values for lets.
    pub defines: &'a [Define],
    /// Bounds.
    pub limits: Limits,
}

impl<'a> Input<'a> {
    /// A policy on its own: no includes, no names, no defines, default limits.
    #[must_use]
    pub fn new(name: &'a str, text: &'a (impl AsRef<[u8]> + ?Sized)) -> Input<'a> {
        Input { name, text: text.as_ref(), loader: &NoFiles, names: &NoNames, defines: &[], limits: Limits::default() }
    }
}

/// A policy without errors.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The policy, with its sources.
    pub policy: Policy,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// A policy with errors.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Errors, one at least, and warnings, in source order.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts they point into.
    pub sources: SourceMap,
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::diag::render::render(&self.sources, &self.diagnostics, crate::diag::render::Color::Never))
    }
}

impl std::error::Error for Rejected {}

/// Checks a policy: lexes, parses, resolves.
///
/// # Errors
/// Every error found in one run, with the texts to show them in.
pub fn check(input: &Input<'_>) -> Result<Checked, Rejected> {
    resolve(input)
}
