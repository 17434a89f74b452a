//! The mounts of a sandbox, or of the processes of a cgroup, as the programs know them: by address, each with the state of its root.
//!
//! Those of a sandbox are fixed once it is set up: nothing in it can mount, and nothing outside reaches its namespace. Where others come later,
//! what is there is refused.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use boesfs_codegen::emit::layout::{Data, Map, above, dir_bits, handed, place, supers};
use boesfs_codegen::emit::lsm::learned;
use boesfs_codegen::tables::{StateId, Tables};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, open, openat2};
use rustix::process::Pid;

use super::{Cgroup, LsmError, system};
use crate::kernel::program::Loaded;
use crate::kernel::sys;
use crate::sandbox::handed::used;
use crate::sandbox::tree::unoctal;

/// Directories that the sandbox makes anew: nothing is judged there.
const MADE_ANEW: [&str; 3] = ["/proc", "/dev", "/sys"];

/// File systems whose directories move by renames on this machine alone, so that what was found out about them can be kept. Others,
/// such as those of a network, of a hypervisor, of a server in user space, or over such ones, can find one elsewhere by themselves.
const MOVED_HERE: [&str; 18] = [
    "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs", "nilfs2", "ramfs",
    "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs",
];

/// File systems of control groups.
const CONTROL: [&str; 2] = ["cgroup", "cgroup2"];

/// File systems whose requests ([ioctl(2)]) make, copy or remove trees or names.
///
/// [ioctl(2)]: https://man7.org/linux/man-pages/man2/ioctl.2.html
const WITH_REQUESTS: [&str; 3] = ["bcachefs", "btrfs", "ocfs2"];

/// One line of mountinfo.
struct Mounted {
    id: u64,
    path: PathBuf,
    kind: String,
    /// Whether owners are others than those on disk.
    is_mapped: bool,
}

/// Addresses in the kernel of what a descriptor leads to.
struct Learned {
    mount: u64,
    dentry: u64,
    super_block: u64,
    root: u64,
    /// The dentry that the mount stands on.
    point: u64,
    /// The sequence numbers of both dentries.
    sequence: u64,
    point_sequence: u64,
}

/// Whose mounts are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// Those of the sandbox with this init process. What it makes anew is not judged.
    Sandbox(Pid),
    /// Those of every process in the cgroup, as they are. Its control groups are out of reach: who could write there could leave.
    Found,
}

/// What was told.
pub(super) struct Told {
    /// The path of each mount, by its number less 1.
    pub(super) paths: Vec<PathBuf>,
    /// A descriptor of each.
    pub(super) pins: Vec<OwnedFd>,
    /// The address of each, by its number, as far as states are kept there.
    places: Vec<u64>,
    /// Whether owners are asked for.
    asks_owner: bool,
}

/// Tells the programs every mount of `tree`.
pub(super) fn tell(
    loaded: &Loaded,
    learn: &OwnedFd,
    cgroup: &Cgroup,
    tree: Tree,
    tables: &Tables,
    asks_owner: bool,
) -> Result<Told, LsmError> {
    let mut told = Told { paths: Vec::new(), pins: Vec::new(), places: vec![0; dir_bits::PLACES as usize], asks_owner };
    let mut shown: BTreeMap<u64, Vec<[u8; place::BYTES]>> = BTreeMap::new();
    match tree {
        Tree::Sandbox(init) => tell_of(loaded, learn, init, tree, tables, &mut told, &mut shown)?,
        Tree::Found => {
            for process in of_each_namespace(cgroup)? {
                tell_of(loaded, learn, process, tree, tables, &mut told, &mut shown)?;
            }
        }
    }
    let insert = |map: Map, key: u64, value: &[u8]| {
        let inserted = sys::insert(loaded.map(map), map, &key.to_le_bytes(), value);
        inserted.map_err(|source| LsmError::Kernel { program: "mounts", source })
    };
    for (super_block, places) in shown {
        let mut value = [0; supers::BYTES];
        let unjudged = places.iter().all(|value| value[place::JUDGED] == 0);
        // Where nothing is judged, it does not matter which.
        let count = if unjudged { 1 } else { places.len() as u32 };
        value[supers::COUNT..][..4].copy_from_slice(&count.to_le_bytes());
        for (to, from) in value[supers::PLACES..].chunks_exact_mut(place::BYTES).zip(&places) {
            to.copy_from_slice(from);
        }
        insert(Map::Supers, super_block, &value)?;
    }
    let places: Vec<u8> = told.places.iter().flat_map(|mount| mount.to_le_bytes()).collect();
    sys::update(loaded.data(Data::Places), &places).map_err(|source| LsmError::Kernel { program: "mounts", source })?;
    let descriptors = match tree {
        Tree::Sandbox(_) => vec![rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()],
        // These were opened by others, for others.
        Tree::Found => Vec::new(),
    };
    let mut uses: BTreeMap<u64, u64> = BTreeMap::new();
    for fd in descriptors {
        // A descriptor that is closed leads nowhere.
        if rustix::fs::fstat(fd).is_ok() {
            let found = ask(learn, fd)?;
            // One may be handed in twice, for different things.
            *uses.entry(found.dentry).or_insert(u64::from(handed::MARK)) |= u64::from(used_for(fd));
        }
    }
    for (dentry, used) in uses {
        insert(Map::Handed, dentry, &used.to_le_bytes())?;
    }
    Ok(told)
}

/// What a descriptor that is handed in is for.
fn used_for(fd: BorrowedFd<'_>) -> u32 {
    let (read, write) = used(fd).map_or((true, true), |used| (used.reads(), used.writes()));
    (if read { handed::READ } else { 0 }) | (if write { handed::WRITE } else { 0 })
}

/// A process of each mount namespace that processes of the cgroup are in.
fn of_each_namespace(cgroup: &Cgroup) -> Result<Vec<Pid>, LsmError> {
    let mut found: BTreeMap<u64, Pid> = BTreeMap::new();
    for process in cgroup.processes().map_err(system("list the processes of the cgroup"))? {
        // One that has ended meanwhile has none.
        if let Ok(namespace) = fs::metadata(format!("/proc/{}/ns/mnt", process.as_raw_nonzero())) {
            found.entry(namespace.ino()).or_insert(process);
        }
    }
    if found.is_empty() {
        return Err(system("see the tree of the cgroup")(io::Error::other("no process is in it: start one first")));
    }
    Ok(found.into_values().collect())
}

/// Tells the programs every mount that `process` sees.
fn tell_of(
    loaded: &Loaded,
    learn: &OwnedFd,
    process: Pid,
    tree: Tree,
    tables: &Tables,
    told: &mut Told,
    shown: &mut BTreeMap<u64, Vec<[u8; place::BYTES]>>,
) -> Result<(), LsmError> {
    let process = directory(process);
    let mounts = listed(&process).map_err(system("read the sandbox's mounts"))?;
    let root = open(format!("{process}/root"), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let root = root.map_err(io::Error::from).map_err(system("open the sandbox's root"))?;
    for mounted in mounts {
        let below = mounted.path.strip_prefix("/").unwrap_or(&mounted.path);
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        // One that is covered by another cannot be reached by anyone.
        let Ok(fd) = openat2(&root, below, flags, Mode::empty(), resolve) else { continue };
        if mount_id(&fd).map_err(system("look at a mount"))? != Some(mounted.id) {
            continue;
        }
        let found = ask(learn, fd.as_fd())?;
        let kind = rustix::fs::fstat(&fd).map_err(io::Error::from).map_err(system("look at a mount"))?.st_mode;
        let is_directory = FileType::from_raw_mode(kind) == FileType::Directory;
        told.pins.push(fd);
        if tree == Tree::Found && CONTROL.contains(&mounted.kind.as_str()) {
            continue;
        }
        let anew = matches!(tree, Tree::Sandbox(_)) && MADE_ANEW.iter().any(|made| mounted.path.starts_with(made));
        let judged = !anew;
        if judged && mounted.is_mapped && told.asks_owner {
            return Err(LsmError::Mapped(mounted.path));
        }
        let above = if judged { above(learn, &root, &mounted.path, &found)? } else { BTreeMap::new() };
        let state = state_of(tables, StateId::ROOT, &mounted.path);
        let executables = state_of(tables, StateId(tables.exe_root), &mounted.path);
        told.paths.push(mounted.path);
        let number = told.paths.len() as u32;
        for (index, (dentry, sequence)) in (0u32..).zip(above) {
            let (mut key, mut value) = ([0; 8], [0; above::BYTES]);
            key[above::PLACE..][..4].copy_from_slice(&number.to_le_bytes());
            key[above::INDEX..][..4].copy_from_slice(&index.to_le_bytes());
            value[above::DENTRY..][..8].copy_from_slice(&dentry.to_le_bytes());
            value[above::SEQUENCE..][..8].copy_from_slice(&sequence.to_le_bytes());
            sys::insert(loaded.map(Map::Above), Map::Above, &key, &value)
                .map_err(|source| LsmError::Kernel { program: "mounts", source })?;
        }
        // Renames of files are not counted, so it is looked each time where a mounted one stands.
        let kept = is_directory && number < dir_bits::PLACES && MOVED_HERE.contains(&mounted.kind.as_str());
        if let Some(place) = told.places.get_mut(number as usize).filter(|_| kept) {
            *place = found.mount;
        }
        let mut value = [0; place::BYTES];
        value[place::ROOT..][..8].copy_from_slice(&found.root.to_le_bytes());
        for (at, word) in [
            (place::STATE, state.0),
            (place::NUMBER, number),
            (place::JUDGED, u32::from(judged)),
            (place::KEPT, u32::from(kept)),
            (place::EXECUTABLES, executables.0),
        ] {
            value[at..][..4].copy_from_slice(&word.to_le_bytes());
        }
        sys::insert(loaded.map(Map::Mounts), Map::Mounts, &found.mount.to_le_bytes(), &value)
            .map_err(|source| LsmError::Kernel { program: "mounts", source })?;
        shown.entry(found.super_block).or_default().push(value);
    }
    Ok(())
}

/// The dentries that a mount at `path` stands on or below, with their sequence numbers: who renames one moves the mount. As long as it stands
/// there, they stay where they are in memory.
fn above(learn: &OwnedFd, root: &OwnedFd, path: &Path, mount: &Learned) -> Result<BTreeMap<u64, u64>, LsmError> {
    let mut above = BTreeMap::from([(mount.point, mount.point_sequence)]);
    for directory in path.ancestors().skip(1) {
        let below = directory.strip_prefix("/").unwrap_or(directory);
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        let fd = openat2(root, below, flags, Mode::empty(), resolve).map_err(io::Error::from);
        let found = ask(learn, fd.map_err(system("look at the directories above a mount"))?.as_fd())?;
        for (dentry, sequence) in [(found.dentry, found.sequence), (found.point, found.point_sequence)] {
            // The number that was seen first.
            above.entry(dentry).or_insert(sequence);
        }
    }
    if above.len() > above::MOST {
        return Err(system("tell where a mount stands")(io::Error::other("it stands too deep")));
    }
    Ok(above)
}

fn ask(learn: &OwnedFd, fd: BorrowedFd<'_>) -> Result<Learned, LsmError> {
    let mut context = [0; learned::BYTES];
    context[learned::DESCRIPTOR..][..8].copy_from_slice(&(fd.as_raw_fd() as u64).to_le_bytes());
    sys::test_run(learn, &mut context).map_err(|source| LsmError::Kernel { program: "mounts", source })?;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| context[at + i]));
    Ok(Learned {
        mount: word(learned::MOUNT),
        dentry: word(learned::DENTRY),
        super_block: word(learned::SUPER),
        root: word(learned::ROOT),
        point: word(learned::POINT),
        sequence: word(learned::SEQUENCE),
        point_sequence: word(learned::POINT_SEQUENCE),
    })
}

/// Where the kernel tells of a process.
fn directory(process: Pid) -> String {
    format!("/proc/{}", process.as_raw_nonzero())
}

/// The mounts that a process sees, by its directory in /proc.
fn listed(process: &str) -> io::Result<Vec<Mounted>> {
    let text = fs::read(format!("{process}/mountinfo"))?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

fn parse(line: &[u8]) -> Option<Mounted> {
    // proc_pid_mountinfo(5): (1) id, ... (5) mount point, options, optional fields, "-", type, ...
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let id = std::str::from_utf8(fields.first()?).ok()?.parse().ok()?;
    let dash = fields.iter().position(|field| *field == b"-")?;
    let path = PathBuf::from(OsStr::from_bytes(&unoctal(fields.get(4)?)));
    let is_mapped = fields.get(5)?.split(|byte| *byte == b',').any(|option| option == b"idmapped");
    Some(Mounted { id, path, kind: String::from_utf8_lossy(fields.get(dash + 1)?).into_owned(), is_mapped })
}

/// Refuses where a mount that this process sees maps ids.
pub(super) fn refuse_mapped() -> Result<(), LsmError> {
    match listed("/proc/self").map_err(system("read the mounts"))?.into_iter().find(|mounted| mounted.is_mapped) {
        Some(mounted) => Err(LsmError::Mapped(mounted.path)),
        None => Ok(()),
    }
}

/// A mount that this process sees, or that with the number `process`, whose file system has requests of its own for trees and names, if there is one.
pub(super) fn with_requests(process: Option<Pid>) -> Result<Option<PathBuf>, LsmError> {
    let process = process.map_or_else(|| "/proc/self".to_owned(), directory);
    let mut mounts = listed(&process).map_err(system("read the mounts"))?.into_iter();
    Ok(mounts.find(|mounted| WITH_REQUESTS.contains(&mounted.kind.as_str())).map(|mounted| mounted.path))
}

/// The number of the mount that a descriptor leads to.
fn mount_id(fd: &OwnedFd) -> io::Result<Option<u64>> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    Ok(info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok()))
}

/// The state that a path leads to from `root`.
fn state_of(tables: &Tables, root: StateId, path: &Path) -> StateId {
    let names = path.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    names.fold(root, |state, name| tables.step(state, name))
}
