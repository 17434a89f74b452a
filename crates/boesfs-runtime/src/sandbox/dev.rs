//! A minimal /dev: harmless devices, a private devpts and shared memory, the usual links.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, mkdirat, mknodat, openat, symlinkat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};
use rustix::termios::{isatty, ttyname};

use super::error::{SetupError, Step};
use super::sys::{self, MountAttrs, Reach};
use super::tree::{Tree, attach, host_entry, tmpfs};

/// Devices that everyone may use.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links to what /proc and devpts hold.
const LINKS: [(&str, &str); 6] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("/proc/kcore", "core"),
    ("pts/ptmx", "ptmx"),
];

/// Mounts /dev in `tree`, where it has such a directory.
pub(super) fn mount(tree: &Tree) -> Result<(), SetupError> {
    let Some(place) = tree.directory(Path::new("/dev"))? else { return Ok(()) };
    let attrs = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let dev = tmpfs("0755", attrs).step("make /dev")?;
    attach(&dev, &place).step("mount /dev")?;

    for (target, name) in LINKS {
        symlinkat(target, &dev, name).step(format_args!("make /dev/{name}"))?;
    }
    for name in DEVICES {
        bind_device(&dev, name, &Path::new("/dev").join(name))?;
    }
    if let Some(terminal) = terminal() {
        // So that ttyname(3) finds a name for it: its own lies in the host's devpts.
        bind_device(&dev, "console", Path::new(OsStr::from_bytes(terminal.as_bytes())))?;
    }
    let pts = devpts().step("make /dev/pts")?;
    attach_below(&dev, "pts", &pts)?;
    let shm = tmpfs("1777", attrs | MountAttrFlags::MOUNT_ATTR_NODEV).step("make /dev/shm")?;
    attach_below(&dev, "shm", &shm)?;

    // This mount alone: devices can be written to on a read-only mount, and shm must be.
    sys::set_mount_attrs(&dev, MountAttrs::READ_ONLY, Reach::This).step("make /dev read-only")
}

/// The name of the terminal that the command talks to, if it does.
fn terminal() -> Option<CString> {
    let descriptors = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    descriptors.into_iter().find(|fd| isatty(fd)).and_then(|fd| ttyname(fd, Vec::new()).ok())
}

/// Shows the host's device `from` as `name` in `dev`.
fn bind_device(dev: &impl AsFd, name: &str, from: &Path) -> Result<(), SetupError> {
    let attrs = MountAttrs::NOSUID.and(MountAttrs::NOEXEC);
    let device = host_entry(from, attrs).step(format_args!("find {}", from.display()))?;
    mknodat(dev, name, FileType::RegularFile, Mode::empty(), 0).step(format_args!("make /dev/{name}"))?;
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let place = openat(dev, name, flags, Mode::empty()).step(format_args!("find /dev/{name}"))?;
    attach(&device, &place).step(format_args!("mount /dev/{name}"))
}

fn attach_below(dev: &impl AsFd, name: &str, tree: &OwnedFd) -> Result<(), SetupError> {
    mkdirat(dev, name, Mode::from_raw_mode(0o755)).step(format_args!("make /dev/{name}"))?;
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::DIRECTORY;
    let place = openat(dev, name, flags, Mode::empty()).step(format_args!("find /dev/{name}"))?;
    attach(tree, &place).step(format_args!("mount /dev/{name}"))
}

fn devpts() -> rustix::io::Result<OwnedFd> {
    let context = fsopen("devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "boesfs")?;
    fsconfig_set_string(&context, "mode", "0620")?;
    fsconfig_set_string(&context, "ptmxmode", "0666")?;
    fsconfig_create(&context)?;
    let attrs = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attrs)
}
