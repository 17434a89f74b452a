//! What stays of a family for a while when the last sandbox that needs it has ended: who starts the next one finds it attached.
//!
//! For each program that is detached the kernel waits until no task can be in it any more, and attaches nothing meanwhile. So the keeper of a
//! sandbox takes a second place before it frees the first one, if there are hooks that nobody else needs:
//!
//! ```text
//! place of the sandbox ──► place of a cgroup in which nobody is, with the same claims ──► STAY ──► close the links ──► free it
//! ```
//!
//! To everybody else that is one sandbox more, which has no programs and judges nobody: it may be killed, and several may stay. Its cgroup is in the directory
//! of the family, locked as long as it lives. Where somebody stays for the same claims already, that one is asked to do so for longer.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use boesfs_codegen::emit::layout::family;
use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, XattrFlags, flock, fsetxattr, fstat, mkdirat, openat, unlinkat,
};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::{ATTRIBUTE, Seat, Table, attribute, cgroup, ways};

/// For how long. Tasks outside pay for the programs meanwhile; who starts one command after another needs less than this in between.
const STAY: Duration = Duration::from_secs(10);
/// How the names of the cgroups begin; a number follows.
const PREFIX: &str = "stay-";
/// How many there are at most: each is for other hooks.
const STAYS: usize = 8;
/// What stands in place of a time where it is too late to ask.
const OVER: u64 = 0;

/// A place that judges nobody. Dropping it lets the programs of the family go that nobody else holds, and frees it.
#[derive(Debug)]
pub(in crate::lsm) struct Stay {
    seat: Seat,
    /// That of the place, locked. An attribute tells until when it is held.
    directory: OwnedFd,
    name: String,
}

impl Seat {
    /// Frees the place. Gives one that is to be held for a while, if somebody is to hold it.
    pub(in crate::lsm) fn leave(mut self) -> Option<Stay> {
        let lock = self.home.lock().ok()?;
        if self.table.id(self.slot).load(Ordering::Relaxed) != self.id {
            return None;
        }
        let stays = stays(&lock, &self.table);
        let claims = self.table.claim(self.slot).load(Ordering::Relaxed);
        let is_stay = |slot| stays.iter().any(|(stay, _)| *stay == Some(slot));
        let sandboxes = (0..family::SLOTS).filter(|slot| *slot != self.slot && !is_stay(*slot));
        let needed = sandboxes.fold(0, |all, slot| all | self.table.claim(slot).load(Ordering::Relaxed));
        if claims & !needed == 0 {
            return None;
        }
        let same = |slot| self.table.claim(slot).load(Ordering::Relaxed) == claims;
        if stays.iter().any(|(slot, directory)| slot.is_some_and(same) && extend(directory).is_ok()) {
            return None;
        }
        let (directory, name) = new(&lock).ok()?;
        let taken = fstat(&directory).ok().map(|stat| stat.st_ino).and_then(|id| {
            let slot = ways(id).find(|slot| self.table.id(*slot).load(Ordering::Relaxed) == 0)?;
            Some((id, slot))
        });
        let Some((id, slot)) = taken else {
            let _ = unlinkat(&lock, &name, AtFlags::REMOVEDIR);
            return None;
        };
        self.table.claim(slot).store(claims, Ordering::Relaxed);
        self.table.id(slot).store(id, Ordering::Release);
        self.table.vacate(self.slot, self.arrays.iter().map(|(_, array)| array));
        (self.id, self.slot) = (id, slot);
        Some(Stay { seat: self, directory, name })
    }
}

impl Stay {
    /// How long it is still to be held; none: it is over, and nobody asks for more.
    pub(in crate::lsm) fn left(&self) -> Option<Duration> {
        let _lock = self.seat.home.lock().ok()?;
        let end = Duration::from_millis(attribute(&self.directory).unwrap_or(OVER));
        // In another time namespace the clock may have been another one.
        let left = end.saturating_sub(now()).min(STAY);
        if left.is_zero() {
            let _ = set_end(&self.directory, OVER);
            return None;
        }
        Some(left)
    }

    /// Moves this process to the root of the hierarchy, where it can: it has no use for the limits of a cgroup, and none is to wait for it.
    pub(in crate::lsm) fn leave_cgroup(&self) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let procs = openat(&self.seat.home.hierarchy, "cgroup.procs", flags, Mode::empty())?;
        rustix::io::write(&procs, b"0")?;
        Ok(())
    }

    /// All that it needs.
    pub(in crate::lsm) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let mut descriptors = self.seat.descriptors().1;
        descriptors.push(self.directory.as_fd());
        descriptors
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        if let Ok(_lock) = self.seat.home.lock() {
            let _ = set_end(&self.directory, OVER);
        }
        // While they go, whoever starts takes over those that are left: what is found by its number and opened stays attached. Those about
        // renames go last: without them, nothing of the family is of use. Program arrays go when nobody finds them any more, see `Table::vacate`.
        while let Some(link) = self.seat.links.pop() {
            drop(link);
        }
        if let Ok(lock) = self.seat.home.lock() {
            let _ = unlinkat(&lock, &self.name, AtFlags::REMOVEDIR);
        }
    }
}

/// Frees the places of those that were killed while they stayed. The directory is locked.
pub(super) fn remove_gone(lock: &OwnedFd, table: &Table) {
    stays(lock, table);
}

/// Those that live, each with its slot, if it is of this table; the places of the others are freed. The directory is locked.
fn stays(lock: &OwnedFd, table: &Table) -> Vec<(Option<usize>, OwnedFd)> {
    let mut found = Vec::new();
    for name in cgroup::names(lock).unwrap_or_default() {
        if !name.starts_with(PREFIX) {
            continue;
        }
        let Ok(directory) = openat(lock, &name, cgroup::DIRECTORY, Mode::empty()) else { continue };
        let slot = fstat(&directory).ok().and_then(|stat| table.slot_of(stat.st_ino));
        if flock(&directory, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            found.push((slot, directory));
            continue;
        }
        let _ = unlinkat(lock, &name, AtFlags::REMOVEDIR);
        if let Some(slot) = slot {
            table.vacate(slot, std::iter::empty());
        }
    }
    found
}

/// A cgroup for one more, locked; its name.
fn new(lock: &OwnedFd) -> io::Result<(OwnedFd, String)> {
    for number in 0..STAYS {
        let name = format!("{PREFIX}{number}");
        match mkdirat(lock, &name, Mode::RWXU) {
            Err(Errno::EXIST) => continue,
            made => made?,
        }
        let locked = || {
            let directory = openat(lock, &name, cgroup::DIRECTORY, Mode::empty())?;
            flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
            set_end(&directory, (now() + STAY).as_millis() as u64)?;
            Ok(directory)
        };
        return match locked() {
            Ok(directory) => Ok((directory, name)),
            Err(error) => {
                let _ = unlinkat(lock, &name, AtFlags::REMOVEDIR);
                Err(error)
            }
        };
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Has whoever holds it do so for longer, unless it is too late.
fn extend(directory: &OwnedFd) -> io::Result<()> {
    if attribute(directory).is_none_or(|end| end == OVER) {
        return Err(io::ErrorKind::NotFound.into());
    }
    set_end(directory, (now() + STAY).as_millis() as u64)
}

/// In milliseconds.
fn set_end(directory: &OwnedFd, end: u64) -> io::Result<()> {
    Ok(fsetxattr(directory, ATTRIBUTE, end.to_string().as_bytes(), XattrFlags::empty())?)
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
