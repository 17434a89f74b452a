//! The FUSE hook: a pass-through file system that asks the policy before it touches the tree below.
//!
//! In: a directory, a policy that answers, and who the subjects are. Out: a mounted file system with the same tree, in
//! which every operation of the table is judged. Holds:
//!
//! - a node is (device, inode, automaton state): one file under two names with different rights is two nodes;
//! - a verdict is asked with the state that the names of the path lead to, component by component; no path is ever opened again by its text;
//! - permissions of the tree below are checked by the tree below, with the identity of the caller (see [`Identity`]);
//! - whatever cannot be judged is refused.
//!
//! `fuser` shakes hands with the kernel. Requests are read and dispatched here, because `fuser` 0.18 drops `FUSE_TMPFILE`,
//! `FUSE_INTERRUPT` and the flags by which the kernel asks for set-id bits to be cleared, all of which this file system must answer.

mod attr;
mod caller;
mod descriptors;
mod dir;
mod event;
mod fs;
mod handle;
mod io;
mod judge;
mod lock;
mod make;
mod mount;
mod node;
mod remove;
mod rights;
mod sys;
mod wire;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use boesfs_lang::subjects::{ClassId, Subjects};

use crate::checker::Checker;

pub use event::{Event, EventSink, NoEvents};
pub use mount::{Mount, mount_options, open_device};
pub use rights::{Rights, Row};

/// The number that the kernel knows the root by (`FUSE_ROOT_ID`).
const ROOT: u64 = 1;

/// A policy as the file system uses it.
#[derive(Clone)]
pub struct Policy {
    /// Answers the two questions.
    pub checker: Arc<dyn Checker>,
    /// The shape of the same policy: its tables.
    pub rights: Arc<dyn Rights>,
    /// Who may act as what.
    pub subjects: Subjects,
}

/// Whose class a request is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// The same for every request (`--role`, or a policy that assigns no roles).
    Fixed(ClassId),
    /// That of the asking process: its user, groups and executable.
    ByProcess,
}

/// Whose rights the tree below is accessed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Those of this process: for an unprivileged session, whose processes all are the same user.
    Own,
    /// Those of the caller: its user id, group id and supplementary groups. Needs `CAP_SETUID` and `CAP_SETGID`.
    Caller,
}

/// Whether file data may flow past this process, by kernel passthrough. Needs `CAP_SYS_ADMIN` in the initial user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passthrough {
    /// Where the kernel grants it and no condition wants to see single reads or writes.
    Auto,
    /// Never.
    Off,
}

/// What to mount, and how.
pub struct Config {
    /// The directory that becomes the root of the mount (`O_PATH` is enough).
    pub root: OwnedFd,
    /// The policy.
    pub policy: Policy,
    /// Whose class requests are judged by.
    pub session: Session,
    /// Whose rights the tree below is accessed with.
    pub identity: Identity,
    /// Where recorded requests go.
    pub sink: Arc<dyn EventSink>,
    /// A `/proc` in which the process numbers that the kernel gives are valid: one of the PID namespace of whoever calls mount(2).
    pub proc: OwnedFd,
    /// Where this process sees the mount, to recognise executables by path; `/` when it is the root of a namespace.
    pub seen_at: PathBuf,
    /// How long the kernel may keep names and attributes: changes made below become visible within this time.
    pub lifetime: Duration,
    /// Whether data may flow past this process.
    pub passthrough: Passthrough,
    /// Number of threads.
    pub threads: usize,
}

/// What takes the place of the policy in force.
pub struct Replacement {
    /// The policy.
    pub policy: Policy,
    /// Whose class requests are judged by.
    pub session: Session,
    /// Where recorded requests go.
    pub sink: Arc<dyn EventSink>,
}

/// Why a policy cannot take the place of the one in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreplaceable {
    /// The kernel keeps locks by itself since the mount was made.
    #[error("it tells `lock` from opening, which the sandbox did not have to when it began: start it anew")]
    Locks,
    /// The kernel keeps targets of symbolic links since the mount was made.
    #[error(
        "it refuses, records or tells apart `readlink`, which the sandbox did not have to when it began: start it anew"
    )]
    Links,
    /// The file system has ended.
    #[error("the file system has ended")]
    Gone,
}

/// Why a file system could not be mounted or served.
#[derive(Debug, thiserror::Error)]
pub enum FuseError {
    /// The device is missing or closed to us.
    #[error("cannot open /dev/fuse: {0} (is the fuse module loaded?)")]
    Device(#[source] std::io::Error),
    /// mount(2) failed.
    #[error("cannot mount at {}: {source}", path.display())]
    Mount {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The kernel and we did not agree, or it is too old.
    #[error("the kernel refused the FUSE session: {0}")]
    Handshake(#[source] std::io::Error),
    /// A system call on the tree below, a thread or the proc directory failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}
