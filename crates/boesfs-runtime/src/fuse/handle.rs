//! Open files and directories, and how a node's open files share passthrough.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use rustc_hash::FxHashMap;
use rustix::io::Errno;

use super::descriptors::{self, Held, Use};
use super::node::Node;

const SHARDS: usize = 16;

/// How the data of a node's open files flows. The kernel wants all of them to go the same way.
#[derive(Debug, Default)]
pub(super) struct Backing {
    /// Open files with passthrough.
    pub(super) passing: u32,
    /// Open files without.
    pub(super) plain: u32,
    /// The kernel's number of the registered file below, while `passing` is not 0.
    pub(super) id: i32,
}

impl Backing {
    /// Whether somebody has the node open.
    pub(super) fn is_used(&self) -> bool {
        self.passing > 0 || self.plain > 0
    }
}

/// Which way an open file's data flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Through this process.
    Plain,
    /// Past it.
    Passing,
    /// It is a directory.
    None,
}

/// An open file or directory.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) node: Arc<Node>,
    /// The flags it was opened with.
    pub(super) flags: i32,
    pub(super) way: Way,
    /// Single reads (writes) are to be judged: a condition concerns them, or the policy is another one since it was opened.
    judge_reads: AtomicBool,
    judge_writes: AtomicBool,
    /// The kernel does not tell when it is closed: it can hold no POSIX lock.
    pub(super) closes_unheard: bool,
    fd: OnceLock<Held>,
    /// Of a directory: what has been read of it.
    pub(super) stream: Mutex<Stream>,
}

/// Records read from a directory and not yet handed out.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) buffer: Vec<u8>,
    pub(super) used: usize,
    /// The offset at which the next record of the buffer follows.
    pub(super) offset: u64,
}

impl Handle {
    pub(super) fn new(node: Arc<Node>, flags: i32, way: Way, fd: Option<OwnedFd>) -> Handle {
        let held = OnceLock::new();
        if let Some(fd) = fd {
            let _ = held.set(Held::new(fd));
        }
        Handle {
            node,
            flags,
            way,
            judge_reads: AtomicBool::new(false),
            judge_writes: AtomicBool::new(false),
            closes_unheard: false,
            fd: held,
            stream: Mutex::default(),
        }
    }

    /// Sets which single operations are judged.
    pub(super) fn judge(&self, reads: bool, writes: bool) {
        self.judge_reads.store(reads, Ordering::Relaxed);
        self.judge_writes.store(writes, Ordering::Relaxed);
    }

    /// Whether single reads are judged.
    pub(super) fn judges_reads(&self) -> bool {
        self.judge_reads.load(Ordering::Relaxed)
    }

    /// Whether single writes are judged.
    pub(super) fn judges_writes(&self) -> bool {
        self.judge_writes.load(Ordering::Relaxed)
    }

    /// Its descriptor below. A passthrough file has one only once something else than data is asked of it.
    pub(super) fn fd(&self, open: impl FnOnce() -> Result<OwnedFd, Errno>) -> Result<BorrowedFd<'_>, Errno> {
        if let Some(fd) = self.fd.get() {
            return Ok(fd.as_fd());
        }
        descriptors::room(Use::Handle)?;
        let fd = open()?;
        Ok(self.fd.get_or_init(|| Held::new(fd)).as_fd())
    }

    /// Its descriptor below, if it has one.
    pub(super) fn held(&self) -> Option<BorrowedFd<'_>> {
        self.fd.get().map(AsFd::as_fd)
    }
}

type Map = FxHashMap<u64, Arc<Handle>>;

/// All open files.
#[derive(Debug, Default)]
pub(super) struct Handles {
    maps: [RwLock<Map>; SHARDS],
    next: AtomicU64,
}

impl Handles {
    /// Adds one and gives its number.
    pub(super) fn add(&self, handle: Handle) -> u64 {
        let fh = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut map = self.maps[fh as usize % SHARDS].write().unwrap_or_else(PoisonError::into_inner);
        map.insert(fh, Arc::new(handle));
        fh
    }

    /// The one with number `fh`.
    pub(super) fn get(&self, fh: u64) -> Result<Arc<Handle>, Errno> {
        let map = self.maps[fh as usize % SHARDS].read().unwrap_or_else(PoisonError::into_inner);
        map.get(&fh).cloned().ok_or(Errno::BADF)
    }

    /// Has single reads and writes judged, of all that are open now.
    pub(super) fn judge_all(&mut self) {
        for map in &mut self.maps {
            for handle in map.get_mut().unwrap_or_else(PoisonError::into_inner).values() {
                handle.judge(true, true);
            }
        }
    }

    /// Takes it out.
    pub(super) fn remove(&self, fh: u64) -> Option<Arc<Handle>> {
        let mut map = self.maps[fh as usize % SHARDS].write().unwrap_or_else(PoisonError::into_inner);
        map.remove(&fh)
    }
}
