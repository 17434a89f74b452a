//! Processes under the policy, as the agent sees them.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Who asked: read from /proc while it waits for the answer, so that its ids cannot be another's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The process (thread group); 0 if unknown.
    pub pid: u32,
    /// Its effective user, as this process sees it.
    pub uid: Option<u32>,
}

impl Subject {
    /// The subject whose thread is `tid`.
    #[must_use]
    pub fn of_thread(tid: u32) -> Subject {
        let unknown = Subject { pid: tid, uid: None };
        if tid == 0 {
            return unknown;
        }
        let Ok(status) = fs::read(format!("/proc/{tid}/status")) else { return unknown };
        // The name stands before these, but the kernel escapes line ends there: no name can forge a line.
        let number = |label: &[u8], field: usize| {
            let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(label))?;
            std::str::from_utf8(line).ok()?.split_whitespace().nth(field)?.parse().ok()
        };
        // proc_pid_status(5): "Uid:" has the real, effective, saved and file system ids.
        Subject { pid: number(b"Tgid:", 0).unwrap_or(tid), uid: number(b"Uid:", 1) }
    }
}

/// Sends `SIGKILL` to the thread group of `subject`, through a pidfd.
///
/// The subject waits in its request meanwhile, so the pid is still its own. One that died already is what was wanted.
pub fn kill(subject: &Subject) {
    let Some(pid) = i32::try_from(subject.pid).ok().and_then(Pid::from_raw) else { return };
    if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
        let _ = pidfd_send_signal(pidfd, Signal::KILL);
    }
}
