//! What a sandbox is to look like: decided by the agent before the first fork, carried out by the children.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::thread::CapabilitySet;

use super::seccomp::{Allocation, Calls, Tracing};
use super::zones::{Access, Zone};
use crate::kmod::KmodTree;

/// Where the sandbox's tree comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// The host's own tree, as it is: nothing below `/` needs judgement.
    Native(Access),
    /// Mounts of the kernel module's file system over each of the host's.
    Kmod(KmodTree),
    /// A FUSE file system that this process serves, with native zones over it.
    Fuse(Vec<Zone>),
}

/// Whether the workload sees /sys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sys {
    /// An empty directory.
    Absent,
    /// The host's, read-only.
    ReadOnly,
}

/// Where the command starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartDir {
    /// The caller's directory where the sandbox has it, else `/`.
    Current(PathBuf),
    /// This one, or nothing runs.
    Named(PathBuf),
}

/// The command and its surroundings.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its words; the first names the program, looked up in the new `PATH` if it has no `/`. Never empty.
    pub args: Vec<CString>,
    /// Its environment: `NAME=VALUE`.
    pub env: Vec<CString>,
    /// Where it starts.
    pub dir: StartDir,
}

/// A sandbox to set up.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The tree.
    pub root: Root,
    /// Whether /sys is there.
    pub sys: Sys,
    /// Capabilities the workload keeps.
    pub keep: CapabilitySet,
    /// Whether it may trace its own processes.
    pub tracing: Tracing,
    /// Whether files' blocks can be allocated apart from writing.
    pub allocation: Allocation,
    /// Who refuses the system calls that reach around the tree.
    pub calls: Calls,
    /// The file `cgroup.procs` of the cgroup whose tasks are judged, where a hook judges tasks and not a tree of its own.
    pub cgroup: Option<Arc<OwnedFd>>,
    /// What runs.
    pub command: Command,
}
