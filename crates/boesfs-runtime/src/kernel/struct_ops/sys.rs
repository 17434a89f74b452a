//! The calls of `bpf(2)` for struct_ops of a module. Structures are the parts of `union bpf_attr` in
//! `include/uapi/linux/bpf.h` up to the last field used; the kernel takes the rest as zero.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::super::KernelError;

const MAP_CREATE: u32 = 0;
const PROG_LOAD: u32 = 5;
const OBJ_PIN: u32 = 6;
const OBJ_GET_INFO_BY_FD: u32 = 15;
const BTF_GET_FD_BY_ID: u32 = 19;
const BTF_GET_NEXT_ID: u32 = 23;
const LINK_CREATE: u32 = 28;
const LINK_UPDATE: u32 = 29;

const MAP_TYPE_STRUCT_OPS: u32 = 26;
const MAP_TYPE_RINGBUF: u32 = 27;
const PROG_TYPE_STRUCT_OPS: u32 = 27;
const ATTACH_STRUCT_OPS: u32 = 44;
/// `BPF_F_LINK`: registered by a link; `BPF_F_VTYPE_BTF_OBJ_FD`: the type of the value is a module's.
const LINK: u32 = 1 << 13;
const MODULE_TYPE: u32 = 1 << 15;
/// `BPF_F_REPLACE`: only if the old map is the one said.
const REPLACE: u32 = 1 << 2;

/// Room for what the verifier says when it refuses.
const LOG_BYTES: usize = 1 << 22;

#[repr(C)]
#[derive(Default)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    name: [u8; 16],
    ifindex: u32,
    btf_fd: u32,
    btf_key_type_id: u32,
    btf_value_type_id: u32,
    btf_vmlinux_value_type_id: u32,
    map_extra: u64,
    value_type_btf_obj_fd: u32,
    token_fd: u32,
}

#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    name: [u8; 16],
    ifindex: u32,
    expected_attach_type: u32,
    btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
    attach_btf_obj_fd: u32,
    core_relo_cnt: u32,
}

#[repr(C)]
struct Pin {
    path: u64,
    fd: u32,
    flags: u32,
}

#[repr(C)]
struct Info {
    fd: u32,
    len: u32,
    info: u64,
}

#[repr(C)]
struct BtfInfo {
    btf: u64,
    btf_size: u32,
    id: u32,
    name: u64,
    name_len: u32,
    kernel_btf: u32,
}

#[repr(C)]
struct Id {
    id: u32,
    next: u32,
    flags: u32,
}

#[repr(C)]
struct LinkCreate {
    map_fd: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
struct LinkUpdate {
    link_fd: u32,
    new_map_fd: u32,
    flags: u32,
    old_map_fd: u32,
}

/// Calls `bpf(2)` and gives what it returns.
///
/// # Safety
/// `attr` is of the type that `command` takes: `repr(C)`, without padding. Every pointer in it points to memory of the
/// size that the other fields say, which the kernel may read, and write where the command does, during the call.
unsafe fn bpf<A>(what: &'static str, command: u32, attr: &mut A) -> Result<libc::c_long, KernelError> {
    // SAFETY: `attr` is a valid, initialised structure of that size; the caller vouches for the pointers in it.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<A>()) };
    if result < 0 { Err(KernelError::System { what, source: io::Error::last_os_error() }) } else { Ok(result) }
}

/// The descriptor that a call has returned.
///
/// # Safety
/// `result` is a descriptor that nobody else owns.
unsafe fn owned(result: libc::c_long) -> OwnedFd {
    // SAFETY: the caller vouches for it. Descriptors fit into an `i32`.
    unsafe { OwnedFd::from_raw_fd(result as i32) }
}

fn fd(fd: &OwnedFd) -> u32 {
    fd.as_raw_fd() as u32
}

/// A descriptor as the value of a struct_ops has it.
pub(super) fn number(program: &OwnedFd) -> u64 {
    u64::from(fd(program))
}

fn short(name: &str) -> [u8; 16] {
    let mut out = [0; 16];
    let kept = name.len().min(15);
    out[..kept].copy_from_slice(&name.as_bytes()[..kept]);
    out
}

/// A ring buffer of that many bytes.
pub(super) fn ring_buffer(name: &str, bytes: u32) -> Result<OwnedFd, KernelError> {
    let mut attr =
        MapCreate { map_type: MAP_TYPE_RINGBUF, max_entries: bytes, name: short(name), ..MapCreate::default() };
    // SAFETY: the attributes of BPF_MAP_CREATE, with no pointers; the result is a new descriptor.
    unsafe { bpf("make a ring buffer", MAP_CREATE, &mut attr).map(|fd| owned(fd)) }
}

/// The map that holds one struct_ops, whose value has type `value` of `module` and that many bytes.
pub(super) fn struct_ops_map(
    value: u32,
    bytes: usize,
    module: &OwnedFd,
    btf: &OwnedFd,
) -> Result<OwnedFd, KernelError> {
    let mut attr = MapCreate {
        map_type: MAP_TYPE_STRUCT_OPS,
        key_size: 4,
        value_size: bytes as u32,
        max_entries: 1,
        flags: LINK | MODULE_TYPE,
        name: short("boesfs_policy"),
        // The kernel wants some types here, of which it then uses none.
        btf_fd: fd(btf),
        btf_vmlinux_value_type_id: value,
        value_type_btf_obj_fd: fd(module),
        ..MapCreate::default()
    };
    // SAFETY: the attributes of BPF_MAP_CREATE, with no pointers; the result is a new descriptor.
    unsafe { bpf("make the policy's map", MAP_CREATE, &mut attr).map(|fd| owned(fd)) }
}

/// A program to load: one member of a struct_ops.
pub(super) struct Load<'a> {
    pub(super) name: &'a str,
    pub(super) code: &'a [[u8; 8]],
    pub(super) btf: &'a OwnedFd,
    pub(super) func_info: &'a [[u32; 2]],
    pub(super) line_info: &'a [[u32; 4]],
    pub(super) module: &'a OwnedFd,
    pub(super) structure: u32,
    pub(super) member: u32,
}

/// Loads a program; a refusal carries the verifier's log.
pub(super) fn load_program(load: &Load<'_>) -> Result<OwnedFd, KernelError> {
    let error = match try_load(load, &mut []) {
        Ok(program) => return Ok(program),
        Err(error) => error,
    };
    let mut log = vec![0; LOG_BYTES];
    match (try_load(load, &mut log), error) {
        (Ok(program), _) => Ok(program),
        (Err(_), KernelError::System { what, source }) => Err(super::super::sys::refused(&log, what, source)),
        (Err(_), error) => Err(error),
    }
}

fn try_load(load: &Load<'_>, log: &mut [u8]) -> Result<OwnedFd, KernelError> {
    let mut attr = ProgLoad {
        prog_type: PROG_TYPE_STRUCT_OPS,
        insn_cnt: load.code.len() as u32,
        insns: load.code.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: log.len() as u32,
        log_buf: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        kern_version: 0,
        prog_flags: 0,
        name: short(load.name),
        ifindex: 0,
        expected_attach_type: load.member,
        btf_fd: fd(load.btf),
        func_info_rec_size: 8,
        func_info: load.func_info.as_ptr() as u64,
        func_info_cnt: load.func_info.len() as u32,
        line_info_rec_size: 16,
        line_info: load.line_info.as_ptr() as u64,
        line_info_cnt: load.line_info.len() as u32,
        attach_btf_id: load.structure,
        attach_btf_obj_fd: fd(load.module),
        core_relo_cnt: 0,
    };
    // SAFETY: the attributes of BPF_PROG_LOAD. Code, licence, function and line records are slices with the counts and
    // record sizes given, or a C string, that outlive the call, which only reads them; the log is exclusively ours and
    // has `log_size` bytes. The result is a new descriptor.
    unsafe { bpf("load program", PROG_LOAD, &mut attr).map(|fd| owned(fd)) }
}

/// The types of the module called `name`.
pub(super) fn module_btf(name: &str) -> Result<OwnedFd, KernelError> {
    let mut id = 0;
    loop {
        let mut next = Id { id, next: 0, flags: 0 };
        // SAFETY: the attributes of BPF_BTF_GET_NEXT_ID, with no pointers.
        unsafe { bpf("find the types of boesfs.ko", BTF_GET_NEXT_ID, &mut next)? };
        id = next.next;
        let mut this = Id { id, next: 0, flags: 0 };
        // SAFETY: the attributes of BPF_BTF_GET_FD_BY_ID, with no pointers; the result is a new descriptor.
        let found = unsafe { bpf("open types", BTF_GET_FD_BY_ID, &mut this).map(|fd| owned(fd)) };
        // Others' types come and go meanwhile.
        let Ok(found) = found else { continue };
        let mut text = [0u8; 64];
        let mut info = BtfInfo {
            btf: 0,
            btf_size: 0,
            id: 0,
            name: text.as_mut_ptr() as u64,
            name_len: text.len() as u32,
            kernel_btf: 0,
        };
        let mut attr = Info { fd: fd(&found), len: size_of::<BtfInfo>() as u32, info: (&raw mut info) as u64 };
        // SAFETY: the attributes of BPF_OBJ_GET_INFO_BY_FD: `info` is exclusively ours and has `len` bytes; the one
        // pointer in it leads to `text`, which is exclusively ours and has `name_len` bytes. Both outlive the call.
        unsafe { bpf("look at types", OBJ_GET_INFO_BY_FD, &mut attr)? };
        if text.split(|byte| *byte == 0).next() == Some(name.as_bytes()) {
            return Ok(found);
        }
    }
}

/// Registers the struct_ops in `map`: it is registered as long as the link is held.
pub(super) fn link(map: &OwnedFd) -> Result<OwnedFd, KernelError> {
    let mut attr = LinkCreate { map_fd: fd(map), target: 0, attach_type: ATTACH_STRUCT_OPS, flags: 0 };
    // SAFETY: the attributes of BPF_LINK_CREATE, with no pointers; the result is a new descriptor.
    unsafe { bpf("register the policy", LINK_CREATE, &mut attr).map(|fd| owned(fd)) }
}

/// Registers `new` in the place of `old`.
pub(super) fn update_link(link: &OwnedFd, new: &OwnedFd, old: &OwnedFd) -> Result<(), KernelError> {
    let mut attr = LinkUpdate { link_fd: fd(link), new_map_fd: fd(new), flags: REPLACE, old_map_fd: fd(old) };
    // SAFETY: the attributes of BPF_LINK_UPDATE, with no pointers.
    unsafe { bpf("replace the policy", LINK_UPDATE, &mut attr).map(drop) }
}

/// Gives a link a name in a BPF file system.
pub(super) fn pin(link: &OwnedFd, path: &Path) -> Result<(), KernelError> {
    let what = "pin the policy";
    let path = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| KernelError::System { what, source: io::ErrorKind::InvalidInput.into() })?;
    let mut attr = Pin { path: path.as_ptr() as u64, fd: fd(link), flags: 0 };
    // SAFETY: the attributes of BPF_OBJ_PIN: `path` is a C string that outlives the call, which only reads it.
    unsafe { bpf(what, OBJ_PIN, &mut attr).map(drop) }
}
