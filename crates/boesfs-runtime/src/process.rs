//! Processes under the policy, as the agent sees them.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Who asked: read from /proc while it waits for the answer, so that its ids cannot be another's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The process (thread group); 0 if unknown.
    pub pid: u32,
    /// The thread's name, in bytes: the subject chooses it.
    pub comm: Vec<u8>,
}

impl Subject {
    /// The subject whose thread is `tid`.
    #[must_use]
    pub fn of_thread(tid: u32) -> Subject {
        if tid == 0 {
            return Subject::default();
        }
        let mut comm = fs::read(format!("/proc/{tid}/comm")).unwrap_or_default();
        if comm.last() == Some(&b'\n') {
            comm.pop();
        }
        Subject { pid: thread_group(tid).unwrap_or(tid), comm }
    }
}

/// The thread group of thread `tid`.
fn thread_group(tid: u32) -> Option<u32> {
    let status = fs::read(format!("/proc/{tid}/status")).ok()?;
    // The name stands before it, but the kernel escapes line ends there: no name can forge this line.
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Tgid:\t"))?;
    std::str::from_utf8(line).ok()?.trim().parse().ok()
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
