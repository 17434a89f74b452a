//! The mounts of a sandbox: one of `boesfs` for each real file system of the host's tree.

use std::io;
use std::path::PathBuf;

use boesfs_lang::subjects::ClassId;

use crate::sandbox::tree::real_mounts;

/// The tree of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmodTree {
    /// The name of the policy.
    pub policy: String,
    /// Everybody's class; if none, the policy assigns them.
    pub class: Option<ClassId>,
    /// Where to mount: the root first, outer ones before inner ones. The number of each is its place, from 1.
    pub mounts: Vec<PathBuf>,
}

pub(super) fn tree(policy: &str, class: Option<ClassId>) -> io::Result<KmodTree> {
    let mounts = std::iter::once(PathBuf::from("/")).chain(real_mounts()?).collect();
    Ok(KmodTree { policy: policy.to_owned(), class, mounts })
}
