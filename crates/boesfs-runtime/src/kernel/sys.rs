//! The calls of `bpf(2)` that the loader makes. Structures are the parts of `union bpf_attr` in `include/uapi/linux/bpf.h`
//! up to the last field used; the kernel takes the rest as zero.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use boesfs_codegen::emit::layout::{Data, Map};
use boesfs_codegen::object::map_types;

use super::KernelError;

const MAP_CREATE: u32 = 0;
const MAP_LOOKUP_ELEM: u32 = 1;
pub(super) const MAP_UPDATE_ELEM: u32 = 2;
const PROG_LOAD: u32 = 5;
const PROG_TEST_RUN: u32 = 10;
pub(super) const OBJ_GET_INFO_BY_FD: u32 = 15;
const RAW_TRACEPOINT_OPEN: u32 = 17;
const BTF_LOAD: u32 = 18;
const MAP_FREEZE: u32 = 22;

pub(super) const MAP_TYPE_ARRAY: u32 = 2;
/// `BPF_F_MMAPABLE`: processes can have it in their memory.
pub(super) const MMAPABLE: u32 = 1 << 10;
/// `BPF_F_RDONLY_PROG`: programs cannot write.
const RDONLY_PROG: u32 = 1 << 7;
const PROG_TYPE_SYSCALL: u32 = 31;
/// `BPF_F_SLEEPABLE`: programs of this type must be.
const SLEEPABLE: u32 = 1 << 4;
/// `BPF_PSEUDO_MAP_FD`, `BPF_PSEUDO_MAP_VALUE`: what a wide load gives.
const PSEUDO_MAP: u8 = 1;
const PSEUDO_MAP_VALUE: u8 = 2;

/// Room for what the verifier says when it refuses.
const LOG_BYTES: usize = 1 << 22;

#[repr(C)]
#[derive(Default)]
pub(super) struct MapCreate {
    pub(super) map_type: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) max_entries: u32,
    pub(super) flags: u32,
    pub(super) inner_map_fd: u32,
    pub(super) numa_node: u32,
    pub(super) name: [u8; 16],
    pub(super) ifindex: u32,
    pub(super) btf_fd: u32,
    pub(super) btf_key_type_id: u32,
    pub(super) btf_value_type_id: u32,
    pub(super) btf_vmlinux_value_type_id: u32,
    pub(super) map_extra: u64,
    pub(super) value_type_btf_obj_fd: u32,
    pub(super) token_fd: u32,
}

#[repr(C)]
pub(super) struct MapElem {
    pub(super) map_fd: u32,
    pub(super) zero: u32,
    pub(super) key: u64,
    pub(super) value: u64,
    pub(super) flags: u64,
}

#[repr(C)]
pub(super) struct Id {
    pub(super) id: u32,
    pub(super) next: u32,
    pub(super) flags: u32,
}

#[repr(C)]
struct MapFreeze {
    map_fd: u32,
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
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
}

#[repr(C)]
struct BtfLoad {
    btf: u64,
    log_buf: u64,
    size: u32,
    log_size: u32,
    log_level: u32,
    zero: u32,
}

#[repr(C)]
pub(super) struct Info {
    pub(super) fd: u32,
    pub(super) len: u32,
    pub(super) info: u64,
}

/// Calls `bpf(2)` and gives what it returns.
///
/// # Safety
/// `attr` is of the type that `command` takes: `repr(C)`, without padding. Every pointer in it points to memory of the
/// size that the other fields say, which the kernel may read, and write where the command does, during the call.
pub(super) unsafe fn bpf<A>(what: &'static str, command: u32, attr: &mut A) -> Result<libc::c_long, KernelError> {
    // SAFETY: `attr` is a valid, initialised structure of that size; the caller vouches for the pointers in it.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<A>()) };
    if result < 0 { Err(KernelError::System { what, source: io::Error::last_os_error() }) } else { Ok(result) }
}

/// The descriptor that a call has returned.
///
/// # Safety
/// `result` is a descriptor that nobody else owns.
pub(super) unsafe fn owned(result: libc::c_long) -> OwnedFd {
    // SAFETY: the caller vouches for it. Descriptors fit into an `i32`.
    unsafe { OwnedFd::from_raw_fd(result as i32) }
}

pub(super) fn fd(fd: &OwnedFd) -> u32 {
    fd.as_raw_fd() as u32
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

/// `name` as the kernel takes it: 15 bytes and a NUL.
pub(super) fn short(name: &str) -> [u8; 16] {
    let mut out = [0; 16];
    let kept = name.len().min(15);
    out[..kept].copy_from_slice(&name.as_bytes()[..kept]);
    out
}

/// Makes a map; `what` names that in an error.
pub(super) fn create(what: &'static str, mut attr: MapCreate) -> Result<OwnedFd, KernelError> {
    // SAFETY: the attributes of BPF_MAP_CREATE, with no pointers; the result is a new descriptor.
    unsafe { bpf(what, MAP_CREATE, &mut attr).map(|fd| owned(fd)) }
}

/// What the kernel finds by number: the command for it.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Numbered {
    /// `BPF_MAP_GET_FD_BY_ID`
    Map = 14,
    /// `BPF_BTF_GET_FD_BY_ID`
    Types = 19,
    /// `BPF_LINK_GET_FD_BY_ID`
    Link = 30,
}

/// Opens what has this number.
pub(crate) fn open(what: Numbered, id: u32) -> Result<OwnedFd, KernelError> {
    let mut attr = Id { id, next: 0, flags: 0 };
    // SAFETY: the attributes of each of these commands, with no pointers; the result is a new descriptor.
    unsafe { bpf("open by number", what as u32, &mut attr).map(|fd| owned(fd)) }
}

/// Who may write a map.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArrayKind {
    /// User space only, until it is frozen.
    ReadOnly,
    /// Everyone.
    Writable,
    /// Everyone; processes can have it in their memory.
    Memory,
}

/// An array map of one entry.
pub(crate) fn create_array(name: &str, value_bytes: usize, kind: ArrayKind) -> Result<OwnedFd, KernelError> {
    let value_size = u32::try_from(value_bytes)
        .map_err(|_| KernelError::System { what: "map create", source: io::ErrorKind::FileTooLarge.into() })?;
    let flags = match kind {
        ArrayKind::ReadOnly => RDONLY_PROG,
        ArrayKind::Writable => 0,
        ArrayKind::Memory => MMAPABLE,
    };
    let (map_type, name) = (MAP_TYPE_ARRAY, short(name));
    create(
        "map create",
        MapCreate { map_type, key_size: 4, value_size, max_entries: 1, flags, name, ..MapCreate::default() },
    )
}

/// A map of the object, with types where its kind must have them.
pub(crate) fn create_map(map: Map, btf: &OwnedFd) -> Result<OwnedFd, KernelError> {
    let types = map_types(map);
    let [key_type, value_type] = types.unwrap_or([0, 0]);
    let attr = MapCreate {
        map_type: map.kind() as u32,
        key_size: map.key_bytes() as u32,
        value_size: map.value_bytes() as u32,
        max_entries: map.entries(),
        flags: map.flags(),
        name: short(map.name()),
        btf_fd: if types.is_some() { fd(btf) } else { 0 },
        btf_key_type_id: key_type,
        btf_value_type_id: value_type,
        ..MapCreate::default()
    };
    create("map create", attr)
}

/// Sets an entry of a map of the object.
///
/// # Panics
/// The key or the value has not the size that the map has.
pub(crate) fn insert(map: &OwnedFd, of: Map, key: &[u8], value: &[u8]) -> Result<(), KernelError> {
    assert_eq!((key.len(), value.len()), (of.key_bytes(), of.value_bytes()), "entries of {}", of.name());
    let mut attr = MapElem { map_fd: fd(map), zero: 0, key: address(key), value: address(value), flags: 0 };
    // SAFETY: the attributes of BPF_MAP_UPDATE_ELEM. Key and value have the sizes that the map was made with, as was just
    // looked at; both outlive the call, which only reads.
    unsafe { bpf("map update", MAP_UPDATE_ELEM, &mut attr).map(drop) }
}

/// Reads the entry of an array map of one entry, whose size is that of `value`.
pub(crate) fn read_data(map: &OwnedFd, data: Data) -> Result<Vec<u8>, KernelError> {
    let key = [0u32];
    let mut value = vec![0u8; data.bytes()];
    let mut attr = MapElem { map_fd: fd(map), zero: 0, key: address(&key), value: value.as_mut_ptr() as u64, flags: 0 };
    // SAFETY: the attributes of BPF_MAP_LOOKUP_ELEM. The key has the 4 bytes that the map's has, the value is exclusively
    // ours and has the bytes that maps of this section are made with; both outlive the call.
    unsafe { bpf("map lookup", MAP_LOOKUP_ELEM, &mut attr)? };
    Ok(value)
}

/// Attaches a program to what it was loaded for, until the descriptor is closed.
pub(crate) fn attach(program: &OwnedFd) -> Result<OwnedFd, KernelError> {
    #[repr(C)]
    struct Open {
        name: u64,
        prog_fd: u32,
        zero: u32,
    }
    let mut attr = Open { name: 0, prog_fd: fd(program), zero: 0 };
    // SAFETY: the attributes of BPF_RAW_TRACEPOINT_OPEN, without a name: the program says where. The result is a new
    // descriptor.
    unsafe { bpf("attach program", RAW_TRACEPOINT_OPEN, &mut attr).map(|fd| owned(fd)) }
}

/// Writes the entry of an array map of one entry.
pub(crate) fn update(map: &OwnedFd, value: &[u8]) -> Result<(), KernelError> {
    let key = [0u32];
    let mut attr = MapElem { map_fd: fd(map), zero: 0, key: address(&key), value: address(value), flags: 0 };
    // SAFETY: the attributes of BPF_MAP_UPDATE_ELEM. The key has the 4 bytes and the value the size that the map was
    // made with (both callers make the value from the same layout as the map); both outlive the call, which only reads.
    unsafe { bpf("map update", MAP_UPDATE_ELEM, &mut attr).map(drop) }
}

/// Ends writing to a map from user space.
pub(crate) fn freeze(map: &OwnedFd) -> Result<(), KernelError> {
    let mut attr = MapFreeze { map_fd: fd(map) };
    // SAFETY: the attributes of BPF_MAP_FREEZE, with no pointers.
    unsafe { bpf("map freeze", MAP_FREEZE, &mut attr).map(drop) }
}

/// What a wide load of a map is: mark and value.
pub(crate) fn map(map: &OwnedFd) -> (u8, u64) {
    (PSEUDO_MAP, u64::from(fd(map)))
}

/// What a wide load of the address of a map's first byte is: mark and value.
pub(crate) fn map_value(map: &OwnedFd) -> (u8, u64) {
    (PSEUDO_MAP_VALUE, u64::from(fd(map)))
}

/// Loads types.
pub(crate) fn load_btf(btf: &[u8]) -> Result<OwnedFd, KernelError> {
    let mut attr =
        BtfLoad { btf: address(btf), log_buf: 0, size: btf.len() as u32, log_size: 0, log_level: 0, zero: 0 };
    // SAFETY: the attributes of BPF_BTF_LOAD: `btf` has `size` bytes and outlives the call, which only reads it; no log.
    // The result is a new descriptor.
    unsafe { bpf("load types", BTF_LOAD, &mut attr).map(|fd| owned(fd)) }
}

/// A program to load.
pub(crate) struct Load<'a> {
    pub(crate) name: &'a str,
    pub(crate) code: &'a [[u8; 8]],
    pub(crate) btf: &'a OwnedFd,
    pub(crate) func_info: &'a [[u32; 2]],
    pub(crate) line_info: &'a [[u32; 4]],
    pub(crate) kind: Kind<'a>,
}

/// What a program is loaded as.
#[derive(Clone, Copy)]
pub(crate) enum Kind<'a> {
    /// To be run by hand.
    Syscall,
    /// For the LSM hook that is this function.
    Lsm(u32),
    /// For the return from this function.
    Exit(u32),
    /// As one member of a structure of functions.
    StructOps(Member<'a>),
}

/// A member of a struct_ops of a module.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    /// The module's types.
    pub(crate) module: &'a OwnedFd,
    /// The structure's number among them.
    pub(crate) structure: u32,
    /// The member's number in it.
    pub(crate) member: u32,
}

impl Kind<'_> {
    /// `BPF_PROG_TYPE_*`, flags, `BPF_*` of the attachment, and the function.
    fn numbers(self) -> [u32; 4] {
        match self {
            Kind::Syscall => [PROG_TYPE_SYSCALL, SLEEPABLE, 0, 0],
            Kind::Lsm(function) => [29, 0, 27, function],
            Kind::Exit(function) => [26, 0, 25, function],
            Kind::StructOps(Member { structure, member, .. }) => [27, 0, member, structure],
        }
    }

    /// The types that the number of what it is attached to is one of, if not the kernel's own.
    fn module(self) -> u32 {
        match self {
            Kind::StructOps(Member { module, .. }) => fd(module),
            Kind::Syscall | Kind::Lsm(_) | Kind::Exit(_) => 0,
        }
    }
}

/// Loads a program; a refusal carries the verifier's log.
pub(crate) fn load_program(load: &Load<'_>) -> Result<OwnedFd, KernelError> {
    let error = match try_load(load, &mut []) {
        Ok(program) => return Ok(program),
        Err(error) => error,
    };
    // Once more, now with a log: it costs time that a good program need not spend.
    let mut log = vec![0; LOG_BYTES];
    match (try_load(load, &mut log), error) {
        (Ok(program), _) => Ok(program),
        (Err(_), KernelError::System { what, source }) => Err(refused(&log, what, source)),
        (Err(_), error) => Err(error),
    }
}

/// Whether the verifier takes memory on the stack that was not set: from Linux 6.3 on, and where that was brought to older ones.
pub(crate) fn takes_unset_stack(btf: &OwnedFd) -> bool {
    // r0 = *(u64 *)(r10 - 8), exit
    let code = [[0x79, 0xa0, 0xf8, 0xff, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
    let load = Load { name: "boesfs_unset", code: &code, btf, func_info: &[], line_info: &[], kind: Kind::Syscall };
    try_load(&load, &mut []).is_ok()
}

fn try_load(load: &Load<'_>, log: &mut [u8]) -> Result<OwnedFd, KernelError> {
    let [prog_type, prog_flags, expected_attach_type, attach_btf_id] = load.kind.numbers();
    let mut attr = ProgLoad {
        prog_type,
        insn_cnt: load.code.len() as u32,
        insns: address(load.code),
        license: address(b"GPL\0"),
        log_level: u32::from(!log.is_empty()),
        log_size: log.len() as u32,
        log_buf: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        kern_version: 0,
        prog_flags,
        name: short(load.name),
        ifindex: 0,
        expected_attach_type,
        btf_fd: fd(load.btf),
        func_info_rec_size: 8,
        func_info: address(load.func_info),
        func_info_cnt: load.func_info.len() as u32,
        line_info_rec_size: 16,
        line_info: address(load.line_info),
        line_info_cnt: load.line_info.len() as u32,
        attach_btf_id,
        attach_btf_obj_fd: load.kind.module(),
        core_relo_cnt: 0,
    };
    // SAFETY: the attributes of BPF_PROG_LOAD. Code, licence, function and line records are slices with the counts and
    // record sizes given, or a C string, that outlive the call, which only reads them; the log is exclusively ours and
    // has `log_size` bytes. The result is a new descriptor.
    unsafe { bpf("load program", PROG_LOAD, &mut attr).map(|fd| owned(fd)) }
}

/// Why the verifier stopped: what it says first after the last instruction that it looked at. Newer kernels follow
/// this up with a report in several paragraphs.
fn reason(log: &str) -> Option<&str> {
    let said = |line: &&str| !line.is_empty() && !line.starts_with("processed ");
    let instruction = |line: &&str| line.split_once(": ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
    let last = log.lines().collect::<Vec<_>>();
    let after = last.iter().rposition(instruction).map_or(&last[..0], |index| &last[index + 1..]);
    after.iter().copied().find(said).or_else(|| last.iter().copied().rfind(said))
}

/// What a verifier's log says of a refusal.
fn refused(log: &[u8], what: &'static str, source: io::Error) -> KernelError {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let log = String::from_utf8_lossy(&log[..end]).into_owned();
    match reason(&log) {
        None => KernelError::System { what, source },
        Some(reason) => KernelError::Refused {
            reason: reason.to_owned(),
            line: log.lines().rev().find_map(|line| line.strip_prefix("; ")).map(str::to_owned),
            log,
        },
    }
}

/// Runs a `syscall` program once over `ctx`.
pub(crate) fn test_run(program: &OwnedFd, ctx: &mut [u8]) -> Result<(), KernelError> {
    let mut attr = TestRun {
        prog_fd: fd(program),
        retval: 0,
        data_size_in: 0,
        data_size_out: 0,
        data_in: 0,
        data_out: 0,
        repeat: 0,
        duration: 0,
        ctx_size_in: ctx.len() as u32,
        ctx_size_out: 0,
        ctx_in: ctx.as_mut_ptr() as u64,
        ctx_out: 0,
    };
    // SAFETY: the attributes of BPF_PROG_TEST_RUN. For this type of program the kernel reads the context and writes it
    // back in place: `ctx` is exclusively ours, has `ctx_size_in` bytes, and outlives the call.
    unsafe { bpf("run program", PROG_TEST_RUN, &mut attr)? };
    match attr.retval {
        0 => Ok(()),
        _ => Err(KernelError::System { what: "run program", source: io::ErrorKind::InvalidData.into() }),
    }
}

/// Where `verified_insns` is in `struct bpf_prog_info`.
const VERIFIED_INSNS: usize = 216;

/// How many instructions the verifier processed.
pub(crate) fn verified_insns(program: &OwnedFd) -> Result<u32, KernelError> {
    let mut info = [0u32; VERIFIED_INSNS / 4 + 1];
    let mut attr = Info { fd: fd(program), len: size_of_val(&info) as u32, info: info.as_mut_ptr() as u64 };
    // SAFETY: the attributes of BPF_OBJ_GET_INFO_BY_FD: `info` is exclusively ours, has `len` bytes, and outlives the call,
    // which reads it (zeros: no pointers in it to follow) and writes it.
    unsafe { bpf("program info", OBJ_GET_INFO_BY_FD, &mut attr)? };
    Ok(info[VERIFIED_INSNS / 4])
}
