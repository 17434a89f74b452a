//! Job control: the workload in a process group of its own, and yet one job with the agent for the shell outside.
//!
//! A group of its own, because `kill(0, ...)` reaches a whole process group across pid namespaces: in the
//! agent's group, the workload could kill the agent's neighbours in a script or pipeline. So the agent does what a shell does:
//! it lends the terminal, and takes it back when the workload stops or ends.
//!
//! Where standard input and output are the terminal, it is lent at once. Elsewhere (`boesfs exec ... | less`) the
//! terminal belongs to the pipeline, and is lent when the workload stops because it wants it.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, getpgid, getpgrp, getppid, getsid};
use rustix::termios::{isatty, tcgetpgrp, tcsetpgrp};

use super::sys::{self, Target};

/// Signals by which a terminal stops a process that is in the background.
const WANTS_TERMINAL: [i32; 2] = [libc::SIGTTIN, libc::SIGTTOU];

/// The controlling terminal, seen by the agent. `SIGTTOU` must be blocked: a background process may then move the terminal.
pub(super) struct Terminal {
    device: Option<OwnedFd>,
    /// Whether the workload has the terminal, or had it when it stopped.
    lent: bool,
}

/// Whether a command gets a terminal of this process: to control its processes, or as standard input, output or error.
#[must_use]
pub fn has_terminal() -> bool {
    isatty(rustix::stdio::stdin())
        || isatty(rustix::stdio::stdout())
        || isatty(rustix::stdio::stderr())
        || controlling().is_some()
}

fn controlling() -> Option<OwnedFd> {
    open("/dev/tty", OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty()).ok()
}

impl Terminal {
    /// The controlling terminal, if there is one.
    pub(super) fn open() -> Terminal {
        let device = controlling();
        let mut terminal = Terminal { device, lent: false };
        let interactive = isatty(rustix::stdio::stdin()) && isatty(rustix::stdio::stdout());
        terminal.lent = interactive && terminal.is_ours();
        terminal
    }

    /// Lends the terminal to the calling process's group, whose leader it is, where it is lent from the start.
    pub(super) fn lend_at_start(&self, leader: Pid) {
        if self.lent {
            self.give(leader);
        }
    }

    /// Whether the workload has the terminal.
    pub(super) fn is_lent(&self) -> bool {
        self.lent
    }

    /// The workload was stopped by `signal`: gives it what it wants, or stops the agent too and goes on when it goes on.
    pub(super) fn workload_stopped(&mut self, workload: Pid, signal: i32) {
        if WANTS_TERMINAL.contains(&signal) && self.is_ours() {
            self.lent = true;
            self.resume(workload);
            return;
        }
        if self.device.is_none() {
            // No shell that could continue it: whoever stopped it may.
            return;
        }
        self.take_back();
        if is_orphaned() {
            // Nobody would ever continue the agent; the kernel ignores terminal stops in such a group too.
            self.resume(workload);
            return;
        }
        if self.lent {
            // The terminal told the workload's group alone; the agent's neighbours are of the same job.
            let _ = sys::send(Target::OwnGroup, libc::SIGTSTP);
        }
        // Returns when the agent is continued.
        let _ = sys::send(Target::Self_, libc::SIGSTOP);
        self.resume(workload);
    }

    /// Continues the workload, with the terminal if it had it and the shell put the job into the foreground.
    pub(super) fn resume(&self, workload: Pid) {
        if self.lent && self.is_ours() {
            self.give(workload);
        }
        let _ = sys::send(Target::Group(workload), libc::SIGCONT);
    }

    /// Takes the terminal back from the workload.
    pub(super) fn take_back(&self) {
        if self.lent {
            self.give(getpgrp());
        }
    }

    /// Whether the agent's group is in the foreground.
    fn is_ours(&self) -> bool {
        self.device.as_ref().is_some_and(|device| tcgetpgrp(device) == Ok(getpgrp()))
    }

    fn give(&self, group: Pid) {
        if let Some(device) = &self.device {
            // A terminal that hung up takes no group; its SIGHUP says so.
            let _ = tcsetpgrp(device, group);
        }
    }
}

/// Whether the agent's process group has no member whose parent is of another group of the same session: one that could
/// continue it. Looks at the agent's own ancestors, which is where a shell would be.
fn is_orphaned() -> bool {
    let (group, session) = (getpgrp(), getsid(None));
    let mut ancestor = getppid();
    while let Some(pid) = ancestor {
        if getsid(Some(pid)) != session {
            return true;
        }
        if getpgid(Some(pid)) != Ok(group) {
            return false;
        }
        ancestor = parent_of(pid);
    }
    true
}

/// The parent of process `pid`.
fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // proc_pid_stat(5): pid (comm) state ppid; the name may hold anything, also ")".
    let after_name = &stat[stat.rfind(')')? + 1..];
    Pid::from_raw(after_name.split_whitespace().nth(1)?.parse().ok()?)
}
