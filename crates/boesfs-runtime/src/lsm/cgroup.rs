//! The cgroup of a sandbox: made below the agent's own, so that its limits hold, and removed with it.
//!
//! It is reached through a mount of the cgroup2 hierarchy of the agent's own, attached nowhere: where and whether the host has
//! mounted it does not matter, nor who manages it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, fstat, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::{LsmError, system};

/// How the names of sandboxes' cgroups begin; the agent's process number follows.
const PREFIX: &str = "boesfs-";

/// A cgroup. Dropping it removes it: all its tasks must be gone.
#[derive(Debug)]
pub struct Cgroup {
    /// Closed last: without it, the mount that the others are of is gone.
    hierarchy: OwnedFd,
    parent: OwnedFd,
    name: String,
    id: u64,
    procs: OwnedFd,
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
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let open = |name: &str| openat(&root, name, flags, Mode::empty());
        // The hierarchy's root where the agent's own cgroup is outside of its cgroup namespace.
        let parent = if own.is_empty() || own.starts_with("..") { open(".") } else { open(own) };
        let parent = parent.map_err(io::Error::from).map_err(system("open the agent's cgroup"))?;
        remove_left_behind(&parent);
        let name = format!("{PREFIX}{}", std::process::id());
        let made = mkdirat(&parent, &name, Mode::from_raw_mode(0o755));
        made.map_err(io::Error::from).map_err(system("make a cgroup"))?;
        let opened = Cgroup::open(&parent, &name);
        if opened.is_err() {
            let _ = unlinkat(&parent, &name, AtFlags::REMOVEDIR);
        }
        let (id, procs) = opened.map_err(io::Error::from).map_err(system("open the cgroup"))?;
        Ok(Cgroup { hierarchy: root, parent, name, id, procs })
    }

    fn open(parent: &OwnedFd, name: &str) -> rustix::io::Result<(u64, OwnedFd)> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = openat(parent, name, flags, Mode::empty())?;
        // The number of a cgroup's directory is its id, on machines of 64 bits.
        let id = fstat(&directory)?.st_ino;
        let procs = openat(&directory, "cgroup.procs", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok((id, procs))
    }

    /// Its id, as the kernel compares it.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its file `cgroup.procs`.
    ///
    /// # Errors
    /// There are too many descriptors.
    pub fn procs(&self) -> io::Result<OwnedFd> {
        self.procs.try_clone()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        debug_assert!(rustix::fs::fstat(&self.hierarchy).is_ok());
        // A task that is being reaped may still be in it for a moment.
        for _ in 0..100 {
            match unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR) {
                Err(Errno::BUSY) => std::thread::sleep(std::time::Duration::from_millis(10)),
                _ => return,
            }
        }
    }
}

/// A mount of the cgroup2 hierarchy, attached nowhere.
fn hierarchy() -> io::Result<OwnedFd> {
    let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}

/// Removes the cgroups of agents that were killed. One that has tasks, or whose agent lives, stays.
fn remove_left_behind(parent: impl AsFd) {
    let Ok(directory) = openat(&parent, ".", OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    else {
        return;
    };
    let mut room = Vec::with_capacity(8192);
    let mut entries = RawDir::new(directory, room.spare_capacity_mut());
    let mut stale = Vec::new();
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let agent = name.strip_prefix(PREFIX).and_then(|number| number.parse::<u32>().ok());
        if agent.is_some_and(|agent| !std::path::Path::new(&format!("/proc/{agent}")).exists()) {
            stale.push(name);
        }
    }
    for name in stale {
        let _ = unlinkat(&parent, &name, AtFlags::REMOVEDIR);
    }
}
