//! Judging a cgroup that is there, until somebody interrupts it or its last task has ended.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::Cgroup;
use crate::sandbox::reload::Asked;
use crate::sandbox::sys::{self, Disposition, SignalSet};

/// Signals that end it.
const ENDING: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// Why it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By this signal.
    Signal(i32),
    /// No task is left in the cgroup.
    Empty,
}

/// Signals that are waited for from now on: they end nothing by themselves.
#[derive(Debug)]
pub struct Interrupts(OwnedFd);

impl Interrupts {
    /// Takes them. The calling process must have one thread.
    ///
    /// # Errors
    /// There are too many descriptors.
    pub fn take() -> io::Result<Interrupts> {
        let signals = SignalSet::of(&ENDING);
        signals.block();
        for signal in ENDING {
            // One that the caller ignores would never be heard of.
            sys::set_disposition(signal, Disposition::Default);
        }
        signals.descriptor().map(Interrupts)
    }

    /// Waits for one, or until no task is left in `cgroup`. Meanwhile, who asks for it by `boesfs reload` has `reload` put the policy as it is written now
    /// in the place of the one in force.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn or_empty(&self, cgroup: &Cgroup, reload: &mut dyn FnMut() -> Result<String, String>) -> io::Result<End> {
        loop {
            if let Some(received) = sys::next_signal(&self.0) {
                match Asked::with(received) {
                    Some(asked) => asked.answer(&reload()),
                    None => return Ok(End::Signal(received.signal)),
                }
                continue;
            }
            if !cgroup.is_populated() {
                return Ok(End::Empty);
            }
            let mut fds = [PollFd::new(&self.0, PollFlags::IN), PollFd::new(cgroup.events(), PollFlags::PRI)];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
