//! The cgroup whose tasks are judged: one that is made for a sandbox, below the agent's own, so that its limits hold, and removed with
//! it; or one that is there, with all below it.
//!
//! The first is reached through a mount of the cgroup2 hierarchy of the agent's own, attached nowhere: where and whether the host has
//! mounted it does not matter, nor who manages it. Its directory is locked (flock(2)) as long as somebody has use for it: one that
//! nobody has locked was left behind.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RawDir, flock, fstat, fstatfs, mkdirat, openat, statat,
    unlinkat,
};
use rustix::io::{Errno, pread, write};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use rustix::process::Pid;

use super::{LsmError, system};

/// How the names of sandboxes' cgroups begin; the agent's process number follows.
const PREFIX: &str = "boesfs-";

/// How many names are tried: a process of another pid namespace may have the same number.
const TRIES: u32 = 100;

/// The number of the root of the hierarchy.
const ROOT: u64 = 1;

/// `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP2: rustix::fs::FsWord = 0x6367_7270;

/// The most cgroups below each other that are looked into.
const LEVELS: u32 = 64;

/// How long is waited for a change before looking again.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A cgroup.
#[derive(Debug)]
pub struct Cgroup {
    directory: OwnedFd,
    /// What is written when a task enters or leaves for good.
    events: OwnedFd,
    scope: Scope,
    made: Option<Made>,
}

/// Which tasks programs judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The id of their cgroup; 0 is nobody's.
    pub(super) id: u64,
    /// How many cgroups are above it, where tasks of those below it are judged as well; else 0.
    pub(super) level: u32,
    /// Whether its directory is locked by whoever asks: nobody else who lives judges them.
    pub(super) is_locked: bool,
}

/// What there is of a cgroup that was made, which the [`Keeper`](super::Keeper) removes.
#[derive(Debug)]
struct Made {
    /// Without it, the mount that the others are of is gone.
    hierarchy: OwnedFd,
    parent: OwnedFd,
    name: String,
    procs: OwnedFd,
    kill: OwnedFd,
}

impl Cgroup {
    /// Makes one for a sandbox of this process.
    ///
    /// # Errors
    /// The kernel has no cgroup2 hierarchy, or this process may not make a cgroup.
    pub fn new() -> Result<Cgroup, LsmError> {
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
            match lock(&parent, &name) {
                Ok(Some(directory)) => return Cgroup::made(root, parent, name, directory),
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

    fn made(hierarchy: OwnedFd, parent: OwnedFd, name: String, directory: OwnedFd) -> Result<Cgroup, LsmError> {
        let open = |file: &str, flags| {
            let opened = openat(&directory, file, flags | OFlags::CLOEXEC, Mode::empty());
            opened.map_err(io::Error::from).map_err(system("open the cgroup"))
        };
        let opened = || {
            let id = fstat(&directory).map_err(io::Error::from).map_err(system("open the cgroup"))?.st_ino;
            let (procs, kill) = (open("cgroup.procs", OFlags::WRONLY)?, open("cgroup.kill", OFlags::WRONLY)?);
            Ok((Scope { id, level: 0, is_locked: true }, procs, kill, open("cgroup.events", OFlags::RDONLY)?))
        };
        match opened() {
            Ok((scope, procs, kill, events)) => {
                let made = Some(Made { hierarchy, parent, name, procs, kill });
                Ok(Cgroup { directory, events, scope, made })
            }
            Err(error) => {
                let _ = unlinkat(&parent, &name, AtFlags::REMOVEDIR);
                Err(error)
            }
        }
    }

    /// The one at `path`, a directory of a mounted cgroup2 hierarchy, with all below it.
    ///
    /// # Errors
    /// It is none, or the root of its hierarchy, or this process does not see the whole hierarchy.
    pub fn existing(path: &Path) -> Result<Cgroup, LsmError> {
        let open = |from: BorrowedFd<'_>, name: &Path, flags| {
            openat(from, name, flags, Mode::empty()).map_err(io::Error::from).map_err(system("open the cgroup"))
        };
        let directory = open(CWD, path, DIRECTORY)?;
        let kind = fstatfs(&directory).map_err(io::Error::from).map_err(system("look at the cgroup"))?.f_type;
        if kind != CGROUP2 {
            return Err(system("take it for a cgroup")(io::Error::other("it is not of a cgroup2 hierarchy")));
        }
        let events = open(directory.as_fd(), Path::new("cgroup.events"), OFlags::RDONLY | OFlags::CLOEXEC)
            .map_err(|_| system("police the cgroup")(io::Error::other("the root of the hierarchy is everybody's")))?;
        let number = |fd: &OwnedFd| {
            Ok::<u64, LsmError>(fstat(fd).map_err(io::Error::from).map_err(system("look at the cgroup"))?.st_ino)
        };
        let id = number(&directory)?;
        let (mut at, mut inode, mut level) = (open(directory.as_fd(), Path::new("."), DIRECTORY)?, id, 0);
        while inode != ROOT {
            at = open(at.as_fd(), Path::new(".."), DIRECTORY)?;
            let above = number(&at)?;
            let is_cgroup = fstatfs(&at).is_ok_and(|fs| fs.f_type == CGROUP2);
            if !is_cgroup || above == inode {
                let error =
                    io::Error::other("the hierarchy's root is not to be seen: run it outside of a cgroup namespace");
                return Err(system("tell how deep the cgroup is")(error));
            }
            (inode, level) = (above, level + 1);
        }
        // Another one that judges it may have: then both do.
        let is_locked = flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok();
        Ok(Cgroup { directory, events, scope: Scope { id, level, is_locked }, made: None })
    }

    /// Whose tasks are judged.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Its file `cgroup.procs`, where it was made.
    ///
    /// # Errors
    /// There are too many descriptors, or it was not made.
    pub fn procs(&self) -> io::Result<OwnedFd> {
        self.made.as_ref().ok_or(io::ErrorKind::Unsupported)?.procs.try_clone()
    }

    /// The processes in it and below it.
    pub(super) fn processes(&self) -> io::Result<Vec<Pid>> {
        let mut found = Vec::new();
        processes(&self.directory, LEVELS, &mut found)?;
        Ok(found)
    }

    /// What is readable where a task has entered or left for good.
    pub(super) fn events(&self) -> &OwnedFd {
        &self.events
    }

    /// Whether it was there before.
    pub(super) fn is_found(&self) -> bool {
        self.made.is_none()
    }

    /// What [`Cgroup::end`] and [`Cgroup::remove`] use.
    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let made = self.made.iter().flat_map(|made| [&made.hierarchy, &made.parent, &made.kill]);
        made.chain([&self.directory, &self.events]).map(AsFd::as_fd).collect()
    }

    /// Waits until no task is left in it; kills them all, where it was made.
    pub(super) fn end(&self) {
        while self.is_populated() {
            if let Some(made) = &self.made {
                // Where this fails, what it holds must end by itself: then it is waited for.
                let _ = write(&made.kill, b"1");
            }
            let mut fds = [PollFd::new(&self.events, PollFlags::PRI)];
            if self.is_populated() {
                let _ = poll(&mut fds, Some(&PATIENCE));
            }
        }
    }

    /// Whether a task is in it or below it, as far as can be told.
    pub(super) fn is_populated(&self) -> bool {
        let mut text = [0; 256];
        match pread(&self.events, &mut text, 0) {
            Ok(length) => !text[..length].split(|byte| *byte == b'\n').any(|line| line == b"populated 0"),
            // It has been removed.
            Err(Errno::NODEV) => false,
            Err(_) => true,
        }
    }

    /// Removes it, if it was made. All its tasks must be gone.
    pub(super) fn remove(&self) {
        let Some(made) = &self.made else { return };
        // A task that is being reaped may still be in it for a moment.
        for _ in 0..100 {
            match unlinkat(&made.parent, &made.name, AtFlags::REMOVEDIR) {
                Err(Errno::BUSY) => std::thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
    }
}

/// How a directory is opened.
pub(super) const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// Opens and locks the cgroup `name`; none, if somebody is removing it.
fn lock(parent: &OwnedFd, name: &str) -> rustix::io::Result<Option<OwnedFd>> {
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
    let is_there = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|named| named.st_ino == id);
    Ok(is_there.then_some(directory))
}

/// Adds the processes of a cgroup, and of those below it.
fn processes(directory: &OwnedFd, levels: u32, found: &mut Vec<Pid>) -> io::Result<()> {
    let procs = openat(directory, "cgroup.procs", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let text = io::read_to_string(fs::File::from(procs));
    // A threaded cgroup does not tell them: the one above it does.
    found.extend(text.unwrap_or_default().lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)));
    for name in names(directory)? {
        if levels > 0
            && let Ok(below) = openat(directory, &name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
        {
            processes(&below, levels - 1, found)?;
        }
    }
    Ok(())
}

/// The names of the directories in a directory.
pub(super) fn names(directory: &OwnedFd) -> io::Result<Vec<String>> {
    let directory = openat(directory, ".", DIRECTORY, Mode::empty())?;
    let mut room = Vec::with_capacity(8192);
    let mut entries = RawDir::new(directory, room.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type() == FileType::Directory && name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// A mount of the cgroup2 hierarchy, attached nowhere.
pub(super) fn hierarchy() -> io::Result<OwnedFd> {
    let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}

/// Removes the cgroups that nobody has use for: whoever had was killed. One that has tasks stays.
fn remove_left_behind(parent: &OwnedFd) {
    for name in names(parent).unwrap_or_default() {
        let number = name.strip_prefix(PREFIX);
        if !number.is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit())) {
            continue;
        }
        let Ok(directory) = openat(parent, &name, DIRECTORY, Mode::empty()) else { continue };
        if flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = unlinkat(parent, &name, AtFlags::REMOVEDIR);
        }
    }
}
