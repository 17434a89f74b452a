//! Native zones: directories that need no judgement, mounted from the host as they are.

use std::path::PathBuf;

/// What a native zone grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Full,
    /// Reading and executing; changes fail with `EROFS`.
    ReadOnly,
}

/// A native zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its directory, absolute, without symbolic links.
    pub path: PathBuf,
    /// What it grants.
    pub access: Access,
}
