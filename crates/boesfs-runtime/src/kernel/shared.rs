//! Maps and links that several processes share: by their numbers in the kernel, and read and written as memory.
//!
//! One of the crate's system modules: each `unsafe` block is one call with the memory it needs.

use std::io;
use std::ops::Deref;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use super::KernelError;
use super::sys::{
    Info, MAP_TYPE_ARRAY, MAP_UPDATE_ELEM, MMAPABLE, MapCreate, MapElem, OBJ_GET_INFO_BY_FD, bpf, create, fd, owned,
    short,
};

const MAP_DELETE_ELEM: u32 = 3;

const MAP_TYPE_PROG_ARRAY: u32 = 3;

/// The first words of `struct bpf_map_info` and of `struct bpf_link_info`.
const INFO_WORDS: usize = 10;

fn info(of: &OwnedFd) -> Result<[u32; INFO_WORDS], KernelError> {
    let mut info = [0u32; INFO_WORDS];
    let mut attr = Info { fd: fd(of), len: size_of_val(&info) as u32, info: info.as_mut_ptr() as u64 };
    // SAFETY: the attributes of BPF_OBJ_GET_INFO_BY_FD: `info` is exclusively ours, has `len` bytes, and outlives the call,
    // which reads it (zeros: no pointers in it to follow) and writes it.
    unsafe { bpf("look at a map or link", OBJ_GET_INFO_BY_FD, &mut attr)? };
    Ok(info)
}

/// The number of a map or link.
pub(crate) fn number(of: &OwnedFd) -> Result<u32, KernelError> {
    // Both begin with a type, and this.
    Ok(info(of)?[1])
}

/// Whether it is a map of [`ArrayKind::Memory`](super::sys::ArrayKind::Memory) with this name and size.
pub(crate) fn is_memory(map: &OwnedFd, name: &str, bytes: usize) -> bool {
    let Ok(info) = info(map) else { return false };
    let called: Vec<u8> = info[6..].iter().flat_map(|word| word.to_le_bytes()).collect();
    info[0] == MAP_TYPE_ARRAY && info[3] == bytes as u32 && info[5] & MMAPABLE != 0 && called == short(name)
}

/// A program array.
pub(crate) fn create_programs(name: &str, entries: usize) -> Result<OwnedFd, KernelError> {
    let attr = MapCreate {
        map_type: MAP_TYPE_PROG_ARRAY,
        key_size: 4,
        value_size: 4,
        max_entries: entries as u32,
        name: short(name),
        ..MapCreate::default()
    };
    create("map create", attr)
}

/// Puts a program into a program array.
pub(crate) fn put(programs: &OwnedFd, index: u32, program: &OwnedFd) -> Result<(), KernelError> {
    let (key, value) = ([index], [fd(program)]);
    let mut attr =
        MapElem { map_fd: fd(programs), zero: 0, key: key.as_ptr() as u64, value: value.as_ptr() as u64, flags: 0 };
    // SAFETY: the attributes of BPF_MAP_UPDATE_ELEM. Keys and values of this kind of map have 4 bytes; both outlive the call, which
    // only reads.
    unsafe { bpf("put a program", MAP_UPDATE_ELEM, &mut attr).map(drop) }
}

/// Takes a program out of a program array, if one is there.
pub(crate) fn take(programs: &OwnedFd, index: u32) {
    let key = [index];
    let mut attr = MapElem { map_fd: fd(programs), zero: 0, key: key.as_ptr() as u64, value: 0, flags: 0 };
    // SAFETY: the attributes of BPF_MAP_DELETE_ELEM. Keys of this kind of map have 4 bytes, which outlive the call; it only reads.
    let _ = unsafe { bpf("take a program", MAP_DELETE_ELEM, &mut attr) };
}

/// The content of a map of [`ArrayKind::Memory`](super::sys::ArrayKind::Memory), in this process's memory: others write it meanwhile.
#[derive(Debug)]
pub(crate) struct Words {
    at: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: it is memory of the process, not of a thread, and nothing but atomic words.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    /// Maps `bytes`, the whole of the map.
    pub(crate) fn of(map: &OwnedFd, bytes: usize) -> io::Result<Words> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, at an address that the kernel chooses: no memory of ours is replaced.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, libc::MAP_SHARED, map.as_raw_fd(), 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Words { at, count: bytes / 8 })
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: a mapping of `count` words, readable and writable, aligned to a page, that lives as long as `self`. A map's memory does not
        // shrink. Whoever else writes it does so by whole words, or by what counts as such (the kernel's programs).
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.count) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: the mapping that `Words::of` made; nobody has a reference to it any more.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.count * 8) };
    }
}

/// `FILEID_KERNFS` of `include/linux/exportfs.h`
const FILEID_KERNFS: i32 = 0xfe;

/// Whether there is a cgroup with this id, as far as can be told. `hierarchy` is a directory of its hierarchy, opened for reading.
pub(crate) fn cgroup_exists(hierarchy: &OwnedFd, id: u64) -> bool {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        id: [u32; 2],
    }
    let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, id: [id as u32, (id >> 32) as u32] };
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: `handle` has the form of `struct file_handle` with the number of bytes that it says, and outlives the call, which reads it.
    let opened = unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, hierarchy.as_raw_fd(), std::ptr::from_mut(&mut handle), flags)
    };
    if opened < 0 {
        return io::Error::last_os_error().raw_os_error() != Some(libc::ESTALE);
    }
    // SAFETY: a new descriptor, that nobody else owns.
    drop(unsafe { owned(opened) });
    true
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::linux::fs::MetadataExt;

    use super::super::sys::{ArrayKind, Numbered, create_array, open};
    use super::*;

    #[test]
    fn a_cgroup_is_there_until_it_is_removed() {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        let root = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|fields| fields[2] == "cgroup2");
        let root = root.expect("a mounted cgroup2 hierarchy, and root")[1].to_owned();
        let hierarchy = OwnedFd::from(File::open(&root).expect("the hierarchy"));
        let cgroup = format!("{root}/boesfs-test-{}", std::process::id());
        fs::create_dir(&cgroup).expect("a cgroup");
        let id = fs::metadata(&cgroup).expect("a cgroup").st_ino();
        let before = cgroup_exists(&hierarchy, id);
        fs::remove_dir(&cgroup).expect("an empty cgroup");
        assert!(before);
        assert!(!cgroup_exists(&hierarchy, id));
    }

    #[test]
    fn what_is_shared_is_found_by_its_number() {
        let map = create_array("boesfs_test", 4096, ArrayKind::Memory).expect("root");
        let other = open(Numbered::Map, number(&map).expect("a number")).expect("it is there");
        assert!(is_memory(&other, "boesfs_test", 4096));
        assert!(!is_memory(&other, "boesfs_tes", 4096));
        assert!(!is_memory(&other, "boesfs_test", 8192));
        let (words, others) =
            (Words::of(&map, 4096).expect("memory"), Words::of(&other, 4096).expect("the same memory"));
        assert_eq!(words.len(), 512);
        words[511].store(7, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(others[511].load(std::sync::atomic::Ordering::Relaxed), 7);
        let number = number(&map).expect("a number");
        drop((map, other, words, others));
        assert!((0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            open(Numbered::Map, number).is_err()
        }));
    }
}
