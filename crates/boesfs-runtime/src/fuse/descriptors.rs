//! The descriptors that this process holds for the kernel: how many there may be, so that some are always left.
//!
//! A node or an open file keeps its descriptor for as long as the workload likes. Were all spent on those, nothing could be
//! looked up, judged by its executable, or killed. So open files are refused first, `ENFILE`, then directories that
//! have not been used before; what a request needs for its own time comes from the rest.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A quarter of all is kept back, within these bounds.
const RESERVE: std::ops::RangeInclusive<u64> = 48..=1024;

/// How many are held. The limit is the process's, and so is the count.
static HELD: AtomicU64 = AtomicU64::new(0);

/// What a descriptor is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// An open file or directory.
    Handle,
    /// A node.
    Node,
}

/// That one more may be held.
///
/// # Errors
/// `ENFILE`
pub(super) fn room(purpose: Use) -> Result<(), Errno> {
    if HELD.load(Ordering::Relaxed) < most(purpose, limit()) { Ok(()) } else { Err(Errno::NFILE) }
}

/// How many may be held, of `limit` that the process may have, while there is room for `purpose`.
fn most(purpose: Use, limit: u64) -> u64 {
    let reserve = (limit / 4).clamp(*RESERVE.start(), *RESERVE.end());
    limit.saturating_sub(match purpose {
        Use::Handle => reserve,
        Use::Node => reserve / 2,
    })
}

/// How many descriptors this process may have: as many as it is ever let have.
pub(super) fn limit() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        raise(Resource::Nofile);
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    })
}

/// Raises a limit as far as it goes. What cannot be raised stays.
pub(super) fn raise(resource: Resource) {
    let limit = getrlimit(resource);
    let _ = setrlimit(resource, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// A descriptor that is held, and counted.
#[derive(Debug)]
pub(super) struct Held(OwnedFd);

impl Held {
    /// Counts `fd`.
    pub(super) fn new(fd: OwnedFd) -> Held {
        HELD.fetch_add(1, Ordering::Relaxed);
        Held(fd)
    }
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_refused_before_directories_and_some_are_always_left() {
        for limit in [64, 256, 1024, 4096, 1 << 20] {
            let (files, nodes) = (most(Use::Handle, limit), most(Use::Node, limit));
            assert!(files < nodes && nodes + 24 <= limit, "{limit}: {files} {nodes}");
        }
        assert_eq!(most(Use::Handle, 1 << 20), (1 << 20) - 1024);
    }
}
