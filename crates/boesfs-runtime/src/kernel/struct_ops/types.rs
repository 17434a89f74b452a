//! The types of a module: where its struct_ops and the value of its map are. A module's BTF goes on where the kernel's
//! ends: numbers of types, and offsets of strings.

use std::collections::BTreeMap;
use std::fs;
use std::io;

const STRUCT: u32 = 4;
/// The structure that policies implement, and the value of the map that holds one.
const OPS: &str = "boesfs_ops";
const VALUE: &str = "bpf_struct_ops_boesfs_ops";

/// A member of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Which one it is.
    pub(super) index: u32,
    /// Its offset in bytes.
    pub(super) offset: usize,
}

/// What a loader must know of the module's types.
#[derive(Debug)]
pub(super) struct ModuleTypes {
    /// The number of `struct boesfs_ops`.
    pub(super) structure: u32,
    /// The number of the map's value, which holds one.
    pub(super) value: u32,
    /// Bytes of the value.
    pub(super) value_bytes: usize,
    /// Where the structure is in the value.
    pub(super) data: usize,
    members: BTreeMap<String, Member>,
}

impl ModuleTypes {
    /// Those of the module called `module`.
    pub(super) fn read(module: &str) -> io::Result<ModuleTypes> {
        let kernel = fs::read("/sys/kernel/btf/vmlinux")?;
        let own = fs::read(format!("/sys/kernel/btf/{module}"))?;
        parse(&kernel, &own).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not the types of this version"))
    }

    /// The member `name` of the structure.
    pub(super) fn member(&self, name: &str) -> Option<Member> {
        self.members.get(name).copied()
    }
}

fn parse(kernel: &[u8], own: &[u8]) -> Option<ModuleTypes> {
    let base = Btf::parse(kernel, 1, &[])?;
    let (first, strings) = (base.first + base.types.len() as u32, base.own_strings);
    let module = Btf::parse(own, first, strings)?;
    let (structure, ops) = module.structure(OPS)?;
    let (value, whole) = module.structure(VALUE)?;
    let data = module.members(whole)?.remove("data")?;
    let members = module.members(ops)?;
    Some(ModuleTypes { structure, value, value_bytes: whole.size as usize, data: data.offset, members })
}

/// One type: its name, and for a structure its size and members.
#[derive(Clone, Copy, Debug)]
struct Type<'a> {
    name: u32,
    kind: u32,
    size: u32,
    words: &'a [[u8; 4]],
}

/// One BTF, as far as structures go.
struct Btf<'a> {
    first: u32,
    types: Vec<Type<'a>>,
    base_strings: &'a [u8],
    own_strings: &'a [u8],
}

fn word(bytes: &[[u8; 4]], at: usize) -> Option<u32> {
    bytes.get(at).map(|word| u32::from_le_bytes(*word))
}

impl<'a> Btf<'a> {
    /// The types of a BTF whose first has the number `first`, and whose strings follow those of another.
    fn parse(bytes: &'a [u8], first: u32, base_strings: &'a [u8]) -> Option<Btf<'a>> {
        if bytes.get(..2)? != [0x9f, 0xeb] {
            return None;
        }
        let head = bytes.get(..24)?.as_chunks::<4>().0;
        let header = word(head, 1)? as usize;
        let part = |at: u32, length: u32| {
            let start = header.checked_add(at as usize)?;
            bytes.get(start..start.checked_add(length as usize)?)
        };
        let own_strings = part(word(head, 4)?, word(head, 5)?)?;
        let mut rest = part(word(head, 2)?, word(head, 3)?)?.as_chunks::<4>().0;
        let mut types = Vec::new();
        while !rest.is_empty() {
            let (name, info, size) = (word(rest, 0)?, word(rest, 1)?, word(rest, 2)?);
            let (kind, parts) = (info >> 24 & 31, (info & 0xffff) as usize);
            // Documentation/bpf/btf.rst: the words after the first three, by kind.
            let more = match kind {
                1 | 14 | 17 => 1,
                3 => 3,
                4 | 5 | 15 | 19 => 3 * parts,
                6 | 13 => 2 * parts,
                2 | 7..=12 | 16 | 18 => 0,
                _ => return None,
            };
            let words = rest.get(3..3 + more)?;
            types.push(Type { name, kind, size, words });
            rest = &rest[3 + more..];
        }
        Some(Btf { first, types, base_strings, own_strings })
    }

    fn string(&self, offset: u32) -> Option<&'a str> {
        let offset = offset as usize;
        let rest = match offset.checked_sub(self.base_strings.len()) {
            Some(own) => self.own_strings.get(own..)?,
            None => self.base_strings.get(offset..)?,
        };
        std::str::from_utf8(rest.split(|byte| *byte == 0).next()?).ok()
    }

    /// The structure called `name`, with its number.
    fn structure(&self, name: &str) -> Option<(u32, Type<'a>)> {
        let mut all = self.types.iter().zip(self.first..);
        let (found, number) = all.find(|(one, _)| one.kind == STRUCT && self.string(one.name) == Some(name))?;
        Some((number, *found))
    }

    fn members(&self, of: Type<'a>) -> Option<BTreeMap<String, Member>> {
        let members = of.words.as_chunks::<3>().0.iter().zip(0..);
        members
            .map(|(member, index)| {
                // With bit fields in the structure the upper byte is a width: there are none in these.
                let offset = (word(member, 2)? & 0x00ff_ffff) as usize / 8;
                Some((self.string(word(member, 0)?)?.to_owned(), Member { index, offset }))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and offsets.
    type Members<'a> = &'a [(&'a str, u32)];

    /// A BTF of structures: name, size, members.
    fn btf(base_strings: u32, structures: &[(&str, u32, Members<'_>)]) -> Vec<u8> {
        let mut strings = if base_strings == 0 { vec![0] } else { Vec::new() };
        let mut types: Vec<u32> = Vec::new();
        let mut string = |text: &str| {
            let at = base_strings + strings.len() as u32;
            strings.extend(text.bytes());
            strings.push(0);
            at
        };
        for (name, size, members) in structures {
            types.extend([string(name), STRUCT << 24 | members.len() as u32, *size]);
            for (name, offset) in *members {
                types.extend([string(name), 0, offset * 8]);
            }
        }
        let length = types.len() as u32 * 4;
        let mut out = vec![0x9f, 0xeb, 1, 0];
        for number in [24, 0, length, length, strings.len() as u32].into_iter().chain(types) {
            out.extend(number.to_le_bytes());
        }
        out.extend(strings);
        out
    }

    #[test]
    fn a_modules_types_go_on_after_the_kernels() {
        let kernel = btf(0, &[("list_head", 16, &[("next", 0)]), ("qstr", 16, &[])]);
        let strings = 1 + "list_head\0next\0qstr\0".len() as u32;
        let ops: Members<'_> = &[("step", 0), ("check", 8), ("abi", 16)];
        let value: Members<'_> = &[("common", 0), ("data", 64)];
        let module = btf(strings, &[(OPS, 24, ops), (VALUE, 128, value)]);
        let types = parse(&kernel, &module).expect("both are whole");
        assert_eq!((types.structure, types.value, types.value_bytes, types.data), (3, 4, 128, 64));
        assert_eq!(types.member("abi"), Some(Member { index: 2, offset: 16 }));
        assert_eq!(types.member("row"), None);
        assert!(parse(&kernel, &module[..40]).is_none());
    }
}
