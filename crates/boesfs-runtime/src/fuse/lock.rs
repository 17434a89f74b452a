//! Advisory locks, forwarded to the tree below so that they hold against everybody.
//!
//! POSIX locks belong to a process; this process stands for all of them. So each (node, owner) has an open file of its own
//! below, with locks that belong to that open file; closing it, when the owner closes the file, takes them away.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use boesfs_lang::cond::{Arg, Args};
use boesfs_lang::ops::Op;
use rustix::fs::{FlockOperation, OFlags, Stat};
use rustix::io::Errno;

use super::fs::{Fs, Request, WAITS};
use super::handle::Handle;
use super::node::lock;
use super::sys;
use super::wire::{Body, FileLock, LkIn, Out, OutHeader, flag, opcode};

/// Requests that may wait for a lock at the same time, each in a thread of its own.
const WAITING_MAX: usize = 256;

/// How long a waiting request sleeps before it looks for changes made by others than this mount.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The locks of a mount.
#[derive(Debug, Default)]
pub(super) struct Locks {
    forwarded: AtomicBool,
    /// Open files below that hold POSIX locks, by node and owner.
    posix: Mutex<BTreeMap<(u64, u64), Holder>>,
    waits: Arc<Waits>,
}

/// An open file below, and the process that asked for a lock on it last.
type Holder = (Arc<OwnedFd>, u32);

/// Requests that wait.
#[derive(Debug, Default)]
struct Waits {
    count: AtomicUsize,
    interrupted: Mutex<Vec<u64>>,
    changed: Condvar,
}

/// One lock to take.
struct Wanted {
    file: Arc<OwnedFd>,
    kind: Kind,
}

enum Kind {
    Posix(FileLock),
    Flock(FlockOperation),
}

impl Wanted {
    /// Takes the lock if that is possible at once.
    fn take(&self) -> Result<(), Errno> {
        match &self.kind {
            Kind::Flock(operation) => rustix::fs::flock(&*self.file, *operation),
            Kind::Posix(wanted) => sys::ofd_lock(self.file.as_fd(), libc::F_OFD_SETLK, &mut flock(wanted)),
        }
    }
}

impl Locks {
    /// Whether the kernel sends lock requests here.
    pub(super) fn forwarded(&self) -> bool {
        self.forwarded.load(Ordering::Relaxed)
    }

    /// Notes whether the kernel sends lock requests here.
    pub(super) fn set_forwarded(&self, forwarded: bool) {
        self.forwarded.store(forwarded, Ordering::Relaxed);
    }

    /// The request `unique` is not to wait any longer.
    pub(super) fn interrupt(&self, unique: u64) {
        if self.waits.count.load(Ordering::Relaxed) > 0 {
            let mut interrupted = lock(&self.waits.interrupted);
            // Most are of requests that do not wait here: the oldest of many have been answered long ago.
            if interrupted.len() >= 4 * WAITING_MAX {
                interrupted.remove(0);
            }
            interrupted.push(unique);
            drop(interrupted);
            self.waits.changed.notify_all();
        }
    }

    /// Some lock may have gone.
    pub(super) fn changed(&self) {
        if self.waits.count.load(Ordering::Relaxed) > 0 {
            self.waits.changed.notify_all();
        }
    }

    /// An owner has closed a file: its locks on it are gone.
    pub(super) fn closed(&self, nodeid: u64, owner: u64) {
        let gone = lock(&self.posix).remove(&(nodeid, owner));
        if gone.is_some() {
            drop(gone);
            self.changed();
        }
    }
}

impl Fs {
    pub(super) fn getlk(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let lk: LkIn = body.take()?;
        let handle = self.handles.get(lk.fh)?;
        self.judge_lock(request, &handle, &lk)?;
        let file = self.lock_file(request, &handle, &lk)?;
        let mut found = flock(&lk.lock);
        sys::ofd_lock(file.as_fd(), libc::F_OFD_GETLK, &mut found)?;
        let mut reply = lk.lock;
        reply.kind = found.l_type as u32;
        if found.l_type != libc::F_UNLCK as i16 {
            reply.start = found.l_start as u64;
            let end = if found.l_len == 0 { i64::MAX } else { found.l_start + found.l_len - 1 };
            reply.end = end as u64;
            reply.pid = u32::try_from(found.l_pid).unwrap_or_else(|_| self.holder(request.header.nodeid, lk.owner));
        }
        out.push(&reply);
        Ok(())
    }

    /// The process that holds locks on a node besides `owner`, as far as it came this way.
    fn holder(&self, nodeid: u64, owner: u64) -> u32 {
        let posix = lock(&self.locks.posix);
        let mut others = posix.range((nodeid, 0)..=(nodeid, u64::MAX)).filter(|((_, other), _)| *other != owner);
        others.next().map_or(0, |(_, (_, pid))| *pid)
    }

    pub(super) fn setlk(&self, request: &Request<'_>, body: &mut Body<'_>) -> Result<(), Errno> {
        let lk: LkIn = body.take()?;
        let handle = self.handles.get(lk.fh)?;
        let unlocks = lk.lock.kind == libc::F_UNLCK as u32;
        if !unlocks {
            self.judge_lock(request, &handle, &lk)?;
        }
        let wanted = if lk.flags & flag::LK_FLOCK != 0 {
            let operation = match lk.lock.kind as i32 {
                libc::F_RDLCK => FlockOperation::NonBlockingLockShared,
                libc::F_WRLCK => FlockOperation::NonBlockingLockExclusive,
                _ => FlockOperation::NonBlockingUnlock,
            };
            self.fd_of(&handle)?;
            let file = Arc::new(handle.held().ok_or(Errno::BADF)?.try_clone_to_owned().map_err(|_| Errno::NOLCK)?);
            Wanted { file, kind: Kind::Flock(operation) }
        } else {
            Wanted { file: self.lock_file(request, &handle, &lk)?, kind: Kind::Posix(lk.lock) }
        };
        match wanted.take() {
            Err(Errno::AGAIN | Errno::ACCESS) if request.header.opcode == opcode::SETLKW => {
                self.wait_for(request, wanted)
            }
            result => {
                if unlocks {
                    self.locks.changed();
                }
                result
            }
        }
    }

    fn judge_lock(&self, request: &Request<'_>, handle: &Handle, lk: &LkIn) -> Result<(), Errno> {
        let length = lk.lock.end.saturating_sub(lk.lock.start).saturating_add(1);
        let fill = |args: Args, _: Option<&Stat>| {
            args.with(Arg::Flags, lk.lock.kind.into()).with(Arg::Offset, lk.lock.start).with(Arg::Length, length)
        };
        self.judge_node_with(request, &handle.node, Op::Lock, fill)?;
        // Opened where nobody could lock it, and moved since.
        if handle.closes_unheard { Err(Errno::NOLCK) } else { Ok(()) }
    }

    /// The open file below that stands for an owner's POSIX locks.
    fn lock_file(&self, request: &Request<'_>, handle: &Handle, lk: &LkIn) -> Result<Arc<OwnedFd>, Errno> {
        let key = (request.header.nodeid, lk.owner);
        if let Some((file, pid)) = lock(&self.locks.posix).get_mut(&key) {
            *pid = lk.lock.pid;
            return Ok(file.clone());
        }
        // The kernel has seen to it that the caller's file is open the way its lock needs: the one here may serve both.
        let modes = [OFlags::RDWR, OFlags::RDONLY, OFlags::WRONLY];
        let mut last = Errno::NOLCK;
        for mode in modes {
            match self.open_below(&handle.node, mode) {
                Ok(file) => {
                    let mut posix = lock(&self.locks.posix);
                    let (file, _) = posix.entry(key).or_insert_with(|| (Arc::new(file), lk.lock.pid));
                    return Ok(file.clone());
                }
                Err(errno) => last = errno,
            }
        }
        Err(last)
    }

    /// Answers a request once its lock is free, from a thread of its own.
    fn wait_for(&self, request: &Request<'_>, wanted: Wanted) -> Result<(), Errno> {
        let waits = self.locks.waits.clone();
        if waits.count.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            waits.count.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::NOLCK);
        }
        let unique = request.header.unique;
        let device = request.channel.try_clone_to_owned();
        let spawned = device.and_then(|device| {
            let waits = waits.clone();
            let wait = move || answer_when_free(unique, &wanted, &waits, &device);
            std::thread::Builder::new().name("boesfs-lock".into()).spawn(wait)
        });
        if spawned.is_err() {
            waits.count.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::NOLCK);
        }
        Err(WAITS)
    }
}

fn answer_when_free(unique: u64, wanted: &Wanted, waits: &Waits, device: &OwnedFd) {
    let result = loop {
        match wanted.take() {
            Err(Errno::AGAIN | Errno::ACCESS) => {}
            result => break result,
        }
        let interrupted = lock(&waits.interrupted);
        let waited = waits.changed.wait_timeout(interrupted, LOOK_AGAIN);
        let (mut interrupted, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(i) = interrupted.iter().position(|other| *other == unique) {
            interrupted.swap_remove(i);
            break Err(Errno::INTR);
        }
        // The mount may be gone: then nobody waits for the answer.
        if is_gone(device) {
            break Err(Errno::INTR);
        }
    };
    waits.count.fetch_sub(1, Ordering::Relaxed);
    let error = result.err().map_or(0, |errno: Errno| -errno.raw_os_error());
    let header = OutHeader { len: size_of::<OutHeader>() as u32, error, unique };
    // An error means that the request or the mount is gone.
    let _ = rustix::io::write(device, bytemuck::bytes_of(&header));
}

/// Whether the connection of a FUSE device has ended.
fn is_gone(device: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(device, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(1) if fds[0].revents().contains(PollFlags::ERR))
}

/// A range as fcntl(2) has it.
fn flock(lock: &FileLock) -> libc::flock {
    let start = i64::try_from(lock.start).unwrap_or(i64::MAX);
    let whole = lock.end >= i64::MAX as u64;
    let length = lock.end.saturating_sub(lock.start).saturating_add(1);
    libc::flock {
        l_type: lock.kind as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: start,
        l_len: if whole { 0 } else { i64::try_from(length).unwrap_or(0) },
        l_pid: 0,
    }
}
