//! The namespaces that the sandbox's processes live in.
//!
//! Mount and pid: the policed tree is all there is, and only the sandbox's own processes. IPC: System V shared memory and
//! message queues of others would be data outside every path. User: where the caller has no right to the others without
//! it. Network, UTS and time are the host's.

use std::fs;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities, unshare_unsafe};

use super::error::{SetupError, Step};

/// Whether the caller may make a mount namespace as it is, or needs a user namespace for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// It holds `CAP_SYS_ADMIN`.
    Admin,
    /// It does not: the sandbox gets a user namespace, in which the caller's user and group are the only ones.
    Ordinary,
}

impl Privilege {
    /// That of the calling thread.
    #[must_use]
    pub fn of_caller() -> Privilege {
        let held = capabilities(None).map(|sets| sets.effective).unwrap_or(CapabilitySet::empty());
        if held.contains(CapabilitySet::SYS_ADMIN) { Privilege::Admin } else { Privilege::Ordinary }
    }
}

/// Moves the calling process, which must have one thread, into new namespaces; the pid namespace is its children's.
pub(super) fn enter(privilege: Privilege) -> Result<(), SetupError> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let others = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC;
    match privilege {
        Privilege::Admin => unshare(others).step("make new namespaces")?,
        Privilege::Ordinary => {
            // One call: the kernel makes the user namespace first, and the others belong to it.
            unshare(UnshareFlags::NEWUSER | others).map_err(|error| {
                SetupError::new("make a user namespace", error)
                    .help("this system does not let ordinary users make user namespaces: see `boesfs doctor`")
            })?;
            // An unprivileged process may map its own ids alone, and its group only once setgroups is off
            // (user_namespaces(7)).
            fs::write("/proc/self/setgroups", "deny").step("turn setgroups off")?;
            fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).step("map the user")?;
            fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).step("map the group")?;
        }
    }
    // Nothing mounted or unmounted out there reaches the sandbox, nor the other way round.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).step("make mounts private")
}

fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: the flags contain neither FILES nor FS: nothing that Rust code relies on sharing is taken apart.
    unsafe { unshare_unsafe(flags) }
}
