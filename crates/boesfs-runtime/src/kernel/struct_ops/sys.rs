//! The calls of `bpf(2)` for struct_ops of a module. Structures are the parts of `union bpf_attr` in
//! `include/uapi/linux/bpf.h` up to the last field used; the kernel takes the rest as zero.

use std::os::fd::OwnedFd;

use super::super::KernelError;
use super::super::sys::{Id, Info, MapCreate, Numbered, OBJ_GET_INFO_BY_FD, bpf, create, fd, open, owned, short};

const BTF_GET_NEXT_ID: u32 = 23;
const LINK_CREATE: u32 = 28;
const LINK_UPDATE: u32 = 29;

const MAP_TYPE_STRUCT_OPS: u32 = 26;
const MAP_TYPE_RINGBUF: u32 = 27;
const ATTACH_STRUCT_OPS: u32 = 44;
/// `BPF_F_LINK`: registered by a link; `BPF_F_VTYPE_BTF_OBJ_FD`: the type of the value is a module's.
const LINK: u32 = 1 << 13;
const MODULE_TYPE: u32 = 1 << 15;
/// `BPF_F_REPLACE`: only if the old map is the one said.
const REPLACE: u32 = 1 << 2;

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

/// A descriptor as the value of a struct_ops has it.
pub(super) fn number(program: &OwnedFd) -> u64 {
    u64::from(fd(program))
}

/// A ring buffer of that many bytes.
pub(super) fn ring_buffer(name: &str, bytes: u32) -> Result<OwnedFd, KernelError> {
    let attr = MapCreate { map_type: MAP_TYPE_RINGBUF, max_entries: bytes, name: short(name), ..MapCreate::default() };
    create("make a ring buffer", attr)
}

/// The map that holds one struct_ops, whose value has type `value` of `module` and that many bytes.
pub(super) fn struct_ops_map(
    value: u32,
    bytes: usize,
    module: &OwnedFd,
    btf: &OwnedFd,
) -> Result<OwnedFd, KernelError> {
    let attr = MapCreate {
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
    create("make the policy's map", attr)
}

/// The types of the module called `name`.
pub(super) fn module_btf(name: &str) -> Result<OwnedFd, KernelError> {
    let mut id = 0;
    loop {
        let mut next = Id { id, next: 0, flags: 0 };
        // SAFETY: the attributes of BPF_BTF_GET_NEXT_ID, with no pointers.
        unsafe { bpf("find the types of boesfs.ko", BTF_GET_NEXT_ID, &mut next)? };
        id = next.next;
        // Others' types come and go meanwhile.
        let Ok(found) = open(Numbered::Types, id) else { continue };
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
