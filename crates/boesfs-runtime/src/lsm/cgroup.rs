//! The cgroup of a sandbox: made below the agent's own, so that its limits hold, and removed with it.
//!
//! It is reached through a mount of the cgroup2 hierarchy of the agent's own, attached nowhere: where and whether the host has
//! mounted it does not matter, nor who manages it. Its directory is locked (flock(2)) as long as somebody has use for it: one that
//! nobody has locked was left behind.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RawDir, flock, fstat, mkdirat, openat, statat, unlinkat};
use rustix::io::{Errno, pread, write};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::{LsmError, system};

/// How the names of sandboxes' cgroups begin; the agent's process number follows.
const PREFIX: &str = "boesfs-";

/// How many names are tried: a process of another pid namespace may have the same number.
const TRIES: u32 = 100;

/// How long is waited for a change before looking again.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A cgroup, which the [`Keeper`](super::Keeper) removes.
#[derive(Debug)]
pub struct Cgroup {
    /// Without it, the mount that the others are of is gone.
    hierarchy: OwnedFd,
    parent: OwnedFd,
    name: String,
    opened: Opened,
}

/// Files of a cgroup.
#[derive(Debug)]
struct Opened {
    directory: OwnedFd,
    id: u64,
    procs: OwnedFd,
    kill: OwnedFd,
    events: OwnedFd,
}

impl Cgroup {
    /// Makes one for a sandbox of this process.
    ///
    /// # Errors
    /// The kernel has no cgroup2 hierarchy, or this process may not make a cgroup.
    pub(super) fn new() -> Result<Cgroup, LsmError> {
        let root = hierarchy().map_err(system("mount the cgroup2 hierarchy"))?;
        let own = fs::read_to_string("/proc/self/cgroup").map_err(system("read /proc/self/cgroup"))?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let open = |name: &str| openat(&root, name, DIRECTORY, Mode::empty());
        // The hierarchy's root where the agent's own cgroup is outside of its cgroup namespace.
        let parent = if own.is_empty() || own.starts_with("..") { open(".") } else { open(own) };
        let parent = parent.map_err(io::Error::from).map_err(system("open the agent's cgroup"))?;
        remove_left_behind(&parent);
        for number in 0..TRIES {
            let mut name = format!("{PREFIX}{}", std::process::id());
            if number > 0 {
                name = format!("{name}-{number}");
            }
            match mkdirat(&parent, &name, Mode::from_raw_mode(0o755)) {
                Err(Errno::EXIST) => continue,
                made => made.map_err(io::Error::from).map_err(system("make a cgroup"))?,
            }
            match Opened::of(&parent, &name) {
                Ok(Some(opened)) => return Ok(Cgroup { hierarchy: root, parent, name, opened }),
                // Taken for one left behind, before it was locked.
                Ok(None) => {}
                Err(error) => {
                    let _ = unlinkat(&parent, &name, AtFlags::REMOVEDIR);
                    return Err(system("open the cgroup")(error.into()));
                }
            }
        }
        Err(system("make a cgroup")(io::ErrorKind::AlreadyExists.into()))
    }

    /// Its id, as the kernel compares it.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.opened.id
    }

    /// Its file `cgroup.procs`.
    ///
    /// # Errors
    /// There are too many descriptors.
    pub fn procs(&self) -> io::Result<OwnedFd> {
        self.opened.procs.try_clone()
    }

    /// What [`Cgroup::end`] and [`Cgroup::remove`] use.
    pub(super) fn descriptors(&self) -> [BorrowedFd<'_>; 5] {
        let Opened { directory, kill, events, .. } = &self.opened;
        [&self.hierarchy, &self.parent, directory, kill, events].map(AsFd::as_fd)
    }

    /// Kills every task in it, and waits until none is left.
    pub(super) fn end(&self) {
        while self.is_populated() {
            // Where this fails, what it holds must end by itself: then it is waited for.
            let _ = write(&self.opened.kill, b"1");
            let mut fds = [PollFd::new(&self.opened.events, PollFlags::PRI)];
            if self.is_populated() {
                let _ = poll(&mut fds, Some(&PATIENCE));
            }
        }
    }

    /// Whether a task is in it, as far as can be told.
    fn is_populated(&self) -> bool {
        let mut text = [0; 256];
        match pread(&self.opened.events, &mut text, 0) {
            Ok(length) => !text[..length].split(|byte| *byte == b'\n').any(|line| line == b"populated 0"),
            // It has been removed.
            Err(Errno::NODEV) => false,
            Err(_) => true,
        }
    }

    /// Removes it. All its tasks must be gone.
    pub(super) fn remove(&self) {
        // A task that is being reaped may still be in it for a moment.
        for _ in 0..100 {
            match unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR) {
                Err(Errno::BUSY) => std::thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
    }
}

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

impl Opened {
    /// Locks and opens the cgroup `name`; none, if somebody is removing it.
    fn of(parent: &OwnedFd, name: &str) -> rustix::io::Result<Option<Opened>> {
        let directory = match openat(parent, name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened?,
        };
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(None),
            locked => locked?,
        }
        // The number of a cgroup's directory is its id, on machines of 64 bits.
        let id = fstat(&directory)?.st_ino;
        if !statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|named| named.st_ino == id) {
            return Ok(None);
        }
        let open = |file: &str, flags| openat(&directory, file, flags | OFlags::CLOEXEC, Mode::empty());
        let procs = open("cgroup.procs", OFlags::WRONLY)?;
        let kill = open("cgroup.kill", OFlags::WRONLY)?;
        let events = open("cgroup.events", OFlags::RDONLY)?;
        Ok(Some(Opened { directory, id, procs, kill, events }))
    }
}

/// A mount of the cgroup2 hierarchy, attached nowhere.
fn hierarchy() -> io::Result<OwnedFd> {
    let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}

/// Removes the cgroups that nobody has use for: whoever had was killed. One that has tasks stays.
fn remove_left_behind(parent: &OwnedFd) {
    let Ok(directory) = openat(parent, ".", DIRECTORY, Mode::empty()) else { return };
    let mut room = Vec::with_capacity(8192);
    let mut entries = RawDir::new(directory, room.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit())) {
            names.push(name);
        }
    }
    for name in names {
        let Ok(directory) = openat(parent, &name, DIRECTORY, Mode::empty()) else { continue };
        if flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = unlinkat(parent, &name, AtFlags::REMOVEDIR);
        }
    }
}
