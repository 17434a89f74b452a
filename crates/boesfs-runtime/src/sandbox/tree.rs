//! The sandbox's tree: mounted beside the host's inside the new mount namespace, then put in its place.
//!
//! Everything goes by descriptors and is resolved below the new root without symbolic links: nothing that the tree holds can
//! lead a mount elsewhere.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, open, openat2, statx};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};
use rustix::process::{chroot, fchdir, getegid, geteuid, pivot_root};

use super::error::{SetupError, Step};
use super::plan::{Plan, Root, Sys};
use super::special::is_special_name;
use super::sys::{self, MountAttrs, Reach};
use super::zones::{Access, Zone};
use crate::kmod::KmodTree;

/// On everything from the host and from FUSE: no set-id programs, no devices.
const HARMLESS: MountAttrs = MountAttrs::NOSUID.and(MountAttrs::NODEV);

/// The new tree's root directory, attached over the old one.
pub(super) struct Tree {
    root: OwnedFd,
    /// Where the host has special file systems mounted, outer ones first.
    special: Vec<PathBuf>,
    /// Whether the policy is asked for every look at the root's attributes, whatever of them is wanted.
    asks: bool,
    /// What people may want to know.
    notes: Vec<String>,
}

impl Tree {
    /// Mounts the root that `plan` names. `mounted` gets the device of a FUSE file system, and must see to it that it is served.
    pub(super) fn new(plan: &Plan, mounted: impl FnOnce(OwnedFd) -> io::Result<()>) -> Result<Tree, SetupError> {
        let special = special_mounts().step("read the list of mounts")?;
        let tree = match &plan.root {
            Root::Native(access) => {
                let root = host_tree(Path::new("/"), *access).step("copy the host's tree")?;
                attach_over_root(&root)?;
                // Where the LSM hook judges it.
                Tree { root, special, asks: true, notes: Vec::new() }
            }
            Root::Kmod(judged) => {
                let Some(first) = judged.mounts.first() else {
                    return Err(SetupError::new("mount the tree", Errno::NOENT));
                };
                let root = boesfs(judged, first, 1).map_err(|refused| not_mounted(first, refused))?;
                attach_over_root(&root)?;
                let mut tree = Tree { root, special, asks: true, notes: Vec::new() };
                tree.add_judged(judged)?;
                // The agent is to listen from here on; what it gets stands for the tree, and says no more.
                let token = tree.root.try_clone().step("hand the tree over")?;
                mounted(token).step("hand the tree over")?;
                tree
            }
            Root::Fuse(_) => {
                let (root, device) = fuse_root()?;
                attach_over_root(&root)?;
                mounted(device).step("hand the FUSE device over")?;
                Tree { root, special, asks: false, notes: Vec::new() }
            }
        };
        tree.cover_special_mounts_below(Path::new("/"))?;
        if let Root::Fuse(zones) = &plan.root {
            for zone in zones {
                tree.add_zone(zone)?;
            }
        }
        if plan.sys == Sys::ReadOnly
            && let Some(place) = tree.directory(Path::new("/sys"))?
        {
            let sys = host_tree(Path::new("/sys"), Access::ReadOnly).step("copy the host's /sys")?;
            attach(&sys, &place).step("mount /sys")?;
        }
        Ok(tree)
    }

    /// What people may want to know of it.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The directory `path` of the tree, or none where the tree has no such directory.
    pub(super) fn directory(&self, path: &Path) -> Result<Option<OwnedFd>, SetupError> {
        self.place(path, OFlags::DIRECTORY)
    }

    /// The entry `path` of the tree, or none where the tree has no such entry.
    fn place(&self, path: &Path, flags: OFlags) -> Result<Option<OwnedFd>, SetupError> {
        match self.entry(path, flags) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => Ok(None),
            Err(error) => Err(SetupError::new(format!("open {} in the sandbox", path.display()), error)),
        }
    }

    /// The entry `path` of the tree.
    pub(super) fn entry(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = path.strip_prefix("/").unwrap_or(path);
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS)
    }

    /// Makes the tree's root the current directory of the calling process, and of those that it forks: a file system may have to be
    /// asked for leave each time.
    pub(super) fn enter(&self) -> Result<(), SetupError> {
        fchdir(&self.root).step("enter the new tree")
    }

    /// Puts the tree, which was entered, in the place of the host's, which is gone from this namespace afterwards.
    pub(super) fn replace_the_hosts() -> Result<(), SetupError> {
        // With "." twice, the old root ends up on top of the new one (pivot_root(2), NOTES), and is taken away from there.
        pivot_root(".", ".").step("change the root directory")?;
        unmount(".", UnmountFlags::DETACH).step("detach the host's tree")
    }

    /// Makes the tree, which was entered, the root of the calling process, if it is not.
    ///
    /// pivot_root(2) changes the root of the processes that it finds. One that is being forked meanwhile it may miss: that one
    /// would go on in the host's tree.
    pub(super) fn take_as_root(&self) -> Result<(), SetupError> {
        // Where looking is asked for, it may be refused, and that is on record: not for what the workload has not done.
        let is_root = !self.asks
            && match (mount_of(CWD, "/"), mount_of(&self.root, "")) {
                (Ok(Some(root)), Ok(Some(own))) => root == own,
                _ => false,
            };
        if is_root { Ok(()) } else { chroot(".").step("make the new tree the root") }
    }

    /// Mounts `boesfs` over each file system of the host's tree but the first.
    fn add_judged(&mut self, judged: &KmodTree) -> Result<(), SetupError> {
        for (path, number) in judged.mounts.iter().zip(1..).skip(1) {
            let show = path.display();
            // Hidden from here, or covered by another mount: what is below, if anything, is judged all the same.
            let Some(place) = self.directory(path)? else { continue };
            match boesfs(judged, path, number) {
                Ok(fd) => attach(&fd, &place).step(format_args!("mount boesfs over {show}"))?,
                Err((Errno::NOENT | Errno::NOTDIR, _)) => {}
                // What cannot be judged is not shown, nor what it covers.
                Err((Errno::INVAL, said)) => {
                    let empty = empty_directory().step("make an empty file system")?;
                    attach(&empty, &place).step(format_args!("cover {show}"))?;
                    self.notes.push(format!("{show} is empty in the sandbox: {said}"));
                }
                Err(refused) => return Err(not_mounted(path, refused)),
            }
        }
        Ok(())
    }

    fn add_zone(&self, zone: &Zone) -> Result<(), SetupError> {
        let show = zone.path.display();
        // Hidden from here, or replaced since the policy was looked at: the hook judges it, which is always right.
        let Some(place) = self.place(&zone.path, OFlags::empty())? else { return Ok(()) };
        let tree = host_tree(&zone.path, zone.access).step(format_args!("copy the native zone {show}"))?;
        match attach(&tree, &place) {
            // A file in place of a directory, or the other way round.
            Err(Errno::NOTDIR) => return Ok(()),
            attached => attached.step(format_args!("mount the native zone {show}"))?,
        }
        self.cover_special_mounts_below(&zone.path)
    }

    /// Mounts an empty directory over every special file system of the host below `path` that the tree would show.
    fn cover_special_mounts_below(&self, path: &Path) -> Result<(), SetupError> {
        // These two get the sandbox's own.
        let mut covered = vec![PathBuf::from("/proc"), PathBuf::from("/dev")];
        for mount in &self.special {
            if !mount.starts_with(path) || covered.iter().any(|above| mount.starts_with(above)) {
                continue;
            }
            if let Some(place) = self.directory(mount)? {
                let empty = empty_directory().step("make an empty file system")?;
                attach(&empty, &place).step(format_args!("cover {}", mount.display()))?;
                covered.push(mount.clone());
            }
        }
        Ok(())
    }
}

/// The number of the mount that `path` is in, where the kernel tells it. boesfs.ko and the LSM hook are asked, no other file system is.
fn mount_of(dir: impl AsFd, path: &str) -> rustix::io::Result<Option<u64>> {
    /// `STATX_MNT_ID`
    const NUMBER: StatxFlags = StatxFlags::from_bits_retain(0x1000);
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let told = statx(dir, path, flags, NUMBER)?;
    Ok((told.stx_mask & NUMBER.bits() != 0).then_some(told.stx_mnt_id))
}

/// Attaches the detached mount `tree` at `place`.
pub(super) fn attach(tree: &OwnedFd, place: &OwnedFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", place, "", flags)
}

/// A detached copy of the host's `path`, a directory or a file, with all mounts below it.
pub(super) fn host_entry(path: &Path, attrs: MountAttrs) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let entry = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(&entry, "", flags)?;
    sys::set_mount_attrs(&tree, attrs, Reach::Below)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(tree)
}

fn host_tree(path: &Path, access: Access) -> rustix::io::Result<OwnedFd> {
    let attrs = match access {
        Access::Full => HARMLESS,
        Access::ReadOnly => HARMLESS.and(MountAttrs::READ_ONLY),
        Access::View => HARMLESS.and(MountAttrs::READ_ONLY).and(MountAttrs::NOEXEC),
    };
    host_entry(path, attrs)
}

/// A new tmpfs, detached, with options as mount(8) names them.
pub(super) fn tmpfs(mode: &str, attrs: MountAttrFlags) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "boesfs")?;
    fsconfig_set_string(&context, "mode", mode)?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attrs)
}

fn empty_directory() -> rustix::io::Result<OwnedFd> {
    let attrs = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    tmpfs("0555", attrs)
}

/// A new FUSE file system, detached, with the device that serves it.
pub(super) fn fuse_root() -> Result<(OwnedFd, OwnedFd), SetupError> {
    // Opened here: the kernel wants the device opened in the user namespace that mounts.
    let device = open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(|error| {
        SetupError::new("open /dev/fuse", error).help("`boesfs doctor` tells what the FUSE hook needs")
    })?;
    let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC).step("make a FUSE file system")?;
    let options = [
        ("source", "boesfs".to_owned()),
        ("subtype", "boesfs".to_owned()),
        ("fd", device.as_raw_fd().to_string()),
        ("rootmode", "40000".to_owned()),
        ("user_id", geteuid().as_raw().to_string()),
        ("group_id", getegid().as_raw().to_string()),
    ];
    for (name, value) in &options {
        fsconfig_set_string(&context, *name, value.as_str())
            .step(format_args!("set the FUSE option {name}={value}"))?;
    }
    // Without `default_permissions`: the file system checks permissions, and can refuse `stat` apart.
    fsconfig_set_flag(&context, "allow_other").step("set the FUSE option allow_other")?;
    fsconfig_create(&context).step("make a FUSE file system")?;
    let attrs = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attrs).step("mount a FUSE file system")?;
    Ok((root, device))
}

/// A new mount of the kernel module's file system, detached: what is at `path` in the host's tree, judged.
///
/// # Errors
/// The error, and what the module says of it.
fn boesfs(judged: &KmodTree, path: &Path, number: u32) -> Result<OwnedFd, (Errno, String)> {
    let context = fsopen("boesfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|error| (error, String::new()))?;
    configured(&context, judged, path, number).map_err(|error| (error, message(&context)))
}

fn not_mounted(path: &Path, (error, said): (Errno, String)) -> SetupError {
    let failed = SetupError::new(format!("mount boesfs over {}", path.display()), error);
    if said.is_empty() { failed } else { failed.help(said) }
}

/// What a file system says of why it is not mounted.
fn message(context: &OwnedFd) -> String {
    let mut text = [0; 256];
    let length = rustix::io::read(context, &mut text).unwrap_or(0);
    // fsopen(2): a letter for how bad it is, a space, the message.
    let text = String::from_utf8_lossy(text.get(2..length).unwrap_or_default()).into_owned();
    text.trim_end().to_owned()
}

fn configured(context: &OwnedFd, judged: &KmodTree, path: &Path, number: u32) -> rustix::io::Result<OwnedFd> {
    fsconfig_set_string(context, "source", "boesfs")?;
    fsconfig_set_string(context, "lower", path)?;
    fsconfig_set_string(context, "policy", judged.policy.as_str())?;
    fsconfig_set_string(context, "at", path)?;
    fsconfig_set_string(context, "tag", number.to_string())?;
    if let Some(class) = judged.class {
        fsconfig_set_string(context, "class", class.0.to_string())?;
    }
    fsconfig_create(context)?;
    let attrs = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attrs)
}

fn attach_over_root(root: &OwnedFd) -> Result<(), SetupError> {
    move_mount(root.as_fd(), "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).step("attach the new tree")
}

/// Where special file systems are mounted in this namespace, outer ones first.
fn special_mounts() -> io::Result<Vec<PathBuf>> {
    mounts(true)
}

/// Where other file systems are mounted in this namespace, but for its root and what is below special ones; outer ones first.
pub(crate) fn real_mounts() -> io::Result<Vec<PathBuf>> {
    let special = special_mounts()?;
    let mut found = mounts(false)?;
    found.retain(|path| path != Path::new("/") && !special.iter().any(|above| path.starts_with(above)));
    Ok(found)
}

/// Where special file systems, or others, are mounted in this namespace, outer ones first.
fn mounts(special: bool) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in read_at_once("/proc/self/mountinfo")?.split(|byte| *byte == b'\n') {
        // proc_pid_mountinfo(5): ... (5) mount point, options, optional fields, "-", type, ...
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let dash = fields.iter().position(|field| *field == b"-");
        if let (Some(place), Some(kind)) = (fields.get(4), dash.and_then(|dash| fields.get(dash + 1)))
            && is_special_name(kind) == special
        {
            found.push(PathBuf::from(OsStr::from_bytes(&unoctal(place))));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// A file of /proc, whose size nobody tells: `std` would begin with 32 bytes.
pub(super) fn read_at_once(path: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(16 << 10);
    fs::File::open(path)?.read_to_end(&mut text)?;
    Ok(text)
}

/// `text` with `\040` and the like read back.
pub(crate) fn unoctal(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => out.push(*first),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_escapes() {
        assert_eq!(unoctal(b"/a\\040b\\134c\\9"), b"/a b\\c\\9");
    }

    #[test]
    fn this_systems_special_mounts_are_found() {
        let found = special_mounts().expect("mountinfo");
        assert!(found.contains(&PathBuf::from("/proc")), "{found:?}");
    }
}
