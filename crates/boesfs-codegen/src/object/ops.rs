//! Section `.struct_ops.link`: the policy as a `struct boesfs_ops`, for libbpf and bpftool, which register it by themselves.
//!
//! Members have the names of the module's structure; loaders find them by these, so that the offsets are this file's own.

use crate::emit::layout::kmod::{MEMBERS, POLICY_NAME, VERSION};
use crate::manifest::Manifest;
use crate::tables::Tables;

/// The section.
pub(super) const SECTION: &str = ".struct_ops.link";
/// The variable in it: the name that loaders give the map.
pub(super) const VARIABLE: &str = "boesfs_policy";
/// Relocation of a member that is a program: `R_BPF_64_ABS64`.
pub(super) const RELOC_PROGRAM: u32 = 2;

/// Bytes of a pointer: what each program has.
pub(super) const PROGRAM_BYTES: usize = 8;
/// Offsets of the members that are data.
pub(super) const ABI: usize = MEMBERS.len() * PROGRAM_BYTES;
pub(super) const CLASSES: usize = ABI + 4;
pub(super) const EXE_ROOT: usize = CLASSES + 4;
pub(super) const NAME: usize = EXE_ROOT + 8;
/// Bytes of the structure.
pub(super) const BYTES: usize = NAME + POLICY_NAME;

/// The section's bytes: programs are relocated.
pub(super) fn encode(tables: &Tables, manifest: &Manifest) -> Vec<u8> {
    let mut bytes = vec![0; BYTES];
    bytes[ABI..CLASSES].copy_from_slice(&VERSION.to_le_bytes());
    bytes[CLASSES..EXE_ROOT].copy_from_slice(&tables.classes.to_le_bytes());
    bytes[EXE_ROOT..EXE_ROOT + 4].copy_from_slice(&tables.exe_root.to_le_bytes());
    let name = name(&manifest.name);
    bytes[NAME..NAME + name.len()].copy_from_slice(name.as_bytes());
    bytes
}

/// As much of a policy's name as the module has room for.
fn name(full: &str) -> &str {
    &full[..full.floor_char_boundary(POLICY_NAME - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leaves_room_for_its_end() {
        assert_eq!(name("agent"), "agent");
        assert_eq!(name(&"a".repeat(70)).len(), POLICY_NAME - 1);
        assert_eq!(name(&"ä".repeat(40)).len(), POLICY_NAME - 2);
        assert_eq!(NAME % 8, 0);
    }
}
