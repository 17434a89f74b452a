//! Whether a sandbox's system calls need a filter.
//!
//! Each call passes through one, also those that it lets go. The gates of the family refuse the same where the kernel comes to it. What they
//! cannot see is the reason for a filter here.

use std::fmt;
use std::path::PathBuf;

use boesfs_codegen::object::PolicyObject;
use boesfs_lang::subjects::ClassId;

use super::{LsmError, appends_only, mounts};
use crate::sandbox::{self, Calls};

/// The programs that see file_getattr(2) and file_setattr(2), which a filter refuses.
pub(super) const FILE_ATTRIBUTES: [&str; 2] = ["lsm_inode_file_getattr", "lsm_inode_file_setattr"];

/// Why a filter is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Something may be appended to that may not be written, see [`appends_only`].
    Appending,
    /// Executables have roles: nobody may trace who holds one.
    Executables,
    /// The command could type into the terminal.
    Terminal,
    /// The file system of this mount has requests for trees and names.
    Requests(PathBuf),
    /// The object has no programs that see file_getattr(2) and file_setattr(2).
    Object,
    /// There are no gates.
    Ungated,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Appending => f.write_str("something may be appended to that may not be written"),
            Reason::Executables => f.write_str("executables have roles, and nobody may trace them"),
            Reason::Terminal => f.write_str("the command has a terminal"),
            Reason::Requests(path) => write!(f, "{} has requests that make and remove trees", path.display()),
            Reason::Object => f.write_str("the object was compiled with --autoload"),
            Reason::Ungated => f.write_str("no programs of the kernel's hooks refuse what it does"),
        }
    }
}

/// Why calls must be filtered in a sandbox that this process starts, as far as that can be told before; none: gates can do it.
///
/// # Errors
/// The mounts cannot be read.
pub fn need_filter(object: &PolicyObject, class: Option<ClassId>) -> Result<Option<Reason>, LsmError> {
    Ok(if appends_only(object, class) {
        Some(Reason::Appending)
    } else if !object.manifest.subjects.exes.is_empty() {
        Some(Reason::Executables)
    } else if !FILE_ATTRIBUTES.iter().all(|program| object.has(program)) {
        Some(Reason::Object)
    } else if sandbox::has_terminal() {
        Some(Reason::Terminal)
    } else {
        mounts::with_requests(None)?.map(Reason::Requests)
    })
}

/// How they are refused, where it is for this reason that there is a filter.
#[must_use]
pub fn refused_by(reason: Option<&Reason>) -> Calls {
    if reason.is_some() { Calls::Filtered } else { Calls::Gated }
}
