//! A fresh /proc of the sandbox's own pid namespace.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    open_tree,
};

use super::error::{SetupError, Step};
use super::seccomp::Tracing;
use super::sys::{self, MountAttrs, Reach};
use super::tree::{Tree, attach, host_entry};

/// What user 0 may write to by its id alone, without a capability, and what changes the whole system: read-only.
const READ_ONLY: [&str; 10] =
    ["sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", "driver", "dynamic_debug", "mtrr"];

/// What shows user 0 the system's memory or its secrets by its id alone: empty.
const EMPTY: [&str; 8] =
    ["kcore", "kpagecount", "kpageflags", "kpagecgroup", "keys", "key-users", "timer_list", "slabinfo"];

/// Mounts /proc in `tree`, where it has such a directory. The caller lives in the pid namespace that /proc is to show.
pub(super) fn mount(tree: &Tree, tracing: Tracing) -> Result<(), SetupError> {
    let Some(place) = tree.directory(Path::new("/proc"))? else { return Ok(()) };
    let proc = new_proc().map_err(|error| {
        // mount_too_revealing() in the kernel: a process in a user namespace may not see more of /proc than outside.
        let hidden = "parts of this system's /proc are covered, as containers do: run boesfs outside of the container";
        let error_help = (error == Errno::PERM).then(|| hidden.to_owned());
        SetupError { help: error_help, ..SetupError::new("mount a new /proc", error) }
    })?;
    attach(&proc, &place).step("mount /proc")?;
    // In a user namespace too: user 0 without CAP_SYS_ADMIN, as in a container, is still the owner of these.
    for name in READ_ONLY {
        cover(tree, name, Cover::ReadOnly)?;
    }
    for name in EMPTY {
        cover(tree, name, Cover::Empty)?;
    }
    if tracing == Tracing::Refused {
        // Writing to /proc/PID/mem is tracing without a system call of its own that a filter could refuse.
        sys::set_mount_attrs(&proc, MountAttrs::READ_ONLY, Reach::This).step("make /proc read-only")?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Cover {
    ReadOnly,
    Empty,
}

/// Covers `/proc/name`, if the kernel has it.
fn cover(tree: &Tree, name: &str, cover: Cover) -> Result<(), SetupError> {
    let path = Path::new("/proc").join(name);
    let step = format!("cover {}", path.display());
    let place = match tree.entry(&path, OFlags::empty()) {
        Ok(place) => place,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(SetupError::new(step, error)),
    };
    let covering = match cover {
        Cover::ReadOnly => {
            let flags =
                OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
            let same = open_tree(&place, "", flags).step(&step)?;
            sys::set_mount_attrs(&same, MountAttrs::READ_ONLY, Reach::This).step(&step)?;
            same
        }
        Cover::Empty => host_entry(Path::new("/dev/null"), MountAttrs::NOSUID.and(MountAttrs::NOEXEC)).step(&step)?,
    };
    attach(&covering, &place).step(&step)
}

fn new_proc() -> rustix::io::Result<OwnedFd> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "proc")?;
    fsconfig_create(&context)?;
    let attrs =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attrs)
}
