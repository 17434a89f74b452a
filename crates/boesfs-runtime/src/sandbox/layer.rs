//! What a hook does for a sandbox while the agent supervises it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::Pid;

/// A hook at work. The agent calls it from its one thread.
pub trait Layer {
    /// Makes ready what the layer needs from [`Layer::serve`] or [`Layer::guard`] on. Another process sets the sandbox up meanwhile.
    ///
    /// # Errors
    /// It cannot be made ready: the sandbox is not started.
    fn prepare(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Serves the FUSE file system behind `device`, until the layer is dropped. Called once for [`super::plan::Root::Fuse`],
    /// when it is mounted; it may start threads, because the agent forks no more.
    ///
    /// # Errors
    /// It cannot be served: the sandbox is not started.
    fn serve(&mut self, device: OwnedFd) -> io::Result<()> {
        drop(device);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether the command is to wait for [`Layer::guard`].
    fn guards(&self) -> bool {
        false
    }

    /// Puts the sandbox under guard: all its mounts are there, and the command's process, which has done nothing yet, waits.
    ///
    /// # Errors
    /// It cannot be guarded: the sandbox is not started.
    fn guard(&mut self, members: Members) -> io::Result<()> {
        let _ = members;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether what guards the sandbox is still there; asked whenever a child of the agent ends.
    fn stands(&self) -> bool {
        true
    }

    /// Puts the policy as it is written now in the place of the one in force; says what became of it. A request sees
    /// the one or the other.
    ///
    /// # Errors
    /// The one in force stays: why.
    fn reload(&mut self) -> Result<String, String> {
        Err("this hook does not replace a policy while the command runs".to_owned())
    }
}

/// The processes of a sandbox at its start, by their numbers in the agent's pid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Members {
    /// Process 1 of the sandbox's pid namespace.
    pub init: Pid,
    /// The process that becomes the command.
    pub workload: Pid,
}

/// Nothing to do: the host's tree as it is.
impl Layer for () {}
