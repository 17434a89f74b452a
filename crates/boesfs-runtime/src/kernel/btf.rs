//! The types of the running kernel: offsets of fields, numbers and arguments of functions.
//!
//! Only that much of BTF is read (the kernel's `Documentation/bpf/btf.rst`). `aya-obj` reads all of it, but gives no way to
//! ask for a field.

use std::collections::HashMap;
use std::io;

use boesfs_codegen::bpf::Field;

const PTR: u32 = 2;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const TYPEDEF: u32 = 8;
const QUALIFIERS: [u32; 4] = [TYPEDEF, 9, 10, 11];
const TYPE_TAG: u32 = 18;

/// How the names of functions begin that programs are attached to. The kernel has sixty thousand others.
const ATTACHED: [&[u8]; 2] = [b"bpf_lsm_", b"vfs_"];

/// The most nested members that are looked through.
const NESTING: u32 = 16;

/// The kernel's types.
#[derive(Debug)]
pub(crate) struct KernelTypes {
    words: Vec<u32>,
    strings: Vec<u8>,
    /// Where each type starts in `words`, by number; 0 is `void`.
    starts: Vec<u32>,
    /// Structures by name.
    named: HashMap<Vec<u8>, u32>,
    /// Functions by name, as far as it is one of [`ATTACHED`].
    functions: HashMap<Vec<u8>, u32>,
}

impl KernelTypes {
    /// Those of the running kernel.
    ///
    /// # Errors
    /// The kernel has none, or in a form that is not known.
    pub(crate) fn of_this_kernel() -> io::Result<KernelTypes> {
        KernelTypes::parse(&std::fs::read("/sys/kernel/btf/vmlinux")?)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the kernel's types cannot be read"))
    }

    /// Those of a `.BTF` section.
    pub(crate) fn parse(bytes: &[u8]) -> Option<KernelTypes> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if bytes.get(..2)? != [0x9f, 0xeb] {
            return None;
        }
        let header = word(4)? as usize;
        let part = |at: u32, len: u32| bytes.get(header + at as usize..header + at as usize + len as usize);
        let types = part(word(8)?, word(12)?)?;
        let strings = part(word(16)?, word(20)?)?.to_vec();
        let words: Vec<u32> = types.as_chunks::<4>().0.iter().map(|c| u32::from_le_bytes(*c)).collect();
        let mut out = KernelTypes { words, strings, starts: vec![0], named: HashMap::new(), functions: HashMap::new() };
        let mut at = 0;
        while at < out.words.len() {
            let number = out.starts.len() as u32;
            let (name, info) = (out.words[at], *out.words.get(at + 1)?);
            let (kind, parts) = (info >> 24 & 31, (info & 0xffff) as usize);
            out.starts.push(at as u32);
            let more = match kind {
                1 | 14 | 17 => 1,
                3 => 3,
                STRUCT | UNION | 15 | 19 => 3 * parts,
                6 | FUNC_PROTO => 2 * parts,
                PTR | 7 | TYPEDEF | 9 | 10 | 11 | FUNC | 16 | TYPE_TAG => 0,
                _ => return None,
            };
            if kind == STRUCT {
                let name = out.string(name).to_vec();
                // The first of a name is the kernel's own: others are of drivers.
                out.named.entry(name).or_insert(number);
            } else if kind == FUNC && ATTACHED.iter().any(|prefix| out.begins(name, prefix)) {
                let name = out.string(name).to_vec();
                out.functions.insert(name, number);
            }
            at += 3 + more;
        }
        Some(out)
    }

    /// The offset of a field in bytes.
    pub(crate) fn offset(&self, field: Field) -> Option<u32> {
        self.at(field.structure(), field.path())
    }

    /// The offset in bytes of what `path` leads to in `structure`: a member, a member of that one, and so on.
    pub(crate) fn at(&self, structure: &str, path: &[&str]) -> Option<u32> {
        let mut structure = *self.named.get(structure.as_bytes())?;
        let mut offset = 0;
        for name in path {
            let (of, at) = self.member(structure, name.as_bytes(), NESTING)?;
            offset += at;
            structure = self.unqualified(of);
        }
        Some(offset)
    }

    /// Whether a field of a structure is inside of a union.
    pub(crate) fn in_union(&self, field: Field) -> bool {
        let Some(name) = field.path().first() else { return false };
        let Some(structure) = self.named.get(field.structure().as_bytes()) else { return false };
        // A member that the structure itself does not have, but is found in it.
        let at = self.starts[*structure as usize] as usize;
        let own = (0..(self.words[at + 1] & 0xffff) as usize)
            .filter_map(|i| self.words.get(at + 3 + 3 * i))
            .any(|member| self.string(*member) == name.as_bytes());
        !own
    }

    /// The number of the function `name`, which is one of [`ATTACHED`], and how many arguments it takes.
    pub(crate) fn function(&self, name: &str) -> Option<(u32, usize)> {
        let number = *self.functions.get(name.as_bytes())?;
        let at = *self.starts.get(number as usize)? as usize;
        let proto = *self.starts.get(*self.words.get(at + 2)? as usize)? as usize;
        Some((number, (self.words.get(proto + 1)? & 0xffff) as usize))
    }

    /// The type and the offset of a member, also of one inside of a member without a name.
    fn member(&self, structure: u32, name: &[u8], nesting: u32) -> Option<(u32, u32)> {
        let at = *self.starts.get(structure as usize)? as usize;
        let info = *self.words.get(at + 1)?;
        if !matches!(info >> 24 & 31, STRUCT | UNION) || nesting == 0 {
            return None;
        }
        let bitfields = info >> 31 == 1;
        for i in 0..(info & 0xffff) as usize {
            let [member, of, offset] = *self.words.get(at + 3 + 3 * i..at + 6 + 3 * i)? else { return None };
            let bits = if bitfields { offset & 0xff_ffff } else { offset };
            let member = self.string(member);
            if member == name {
                let whole = bits.is_multiple_of(8) && (!bitfields || offset >> 24 == 0);
                return whole.then_some((of, bits / 8));
            }
            if member.is_empty()
                && let Some((of, inside)) = self.member(self.unqualified(of), name, nesting - 1)
            {
                return Some((of, bits / 8 + inside));
            }
        }
        None
    }

    /// The type behind typedefs, const and the like.
    fn unqualified(&self, mut number: u32) -> u32 {
        for _ in 0..NESTING {
            let Some(at) = self.starts.get(number as usize).map(|at| *at as usize).filter(|_| number != 0) else {
                break;
            };
            let kind = self.words[at + 1] >> 24 & 31;
            if !QUALIFIERS.contains(&kind) && kind != TYPE_TAG {
                break;
            }
            number = self.words[at + 2];
        }
        number
    }

    fn begins(&self, at: u32, prefix: &[u8]) -> bool {
        self.strings.get(at as usize..).is_some_and(|rest| rest.starts_with(prefix))
    }

    fn string(&self, at: u32) -> &[u8] {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        &rest[..rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_has_every_field() {
        let types = KernelTypes::of_this_kernel().expect("a kernel with BTF");
        for field in Field::ALL {
            assert!(types.offset(*field).is_some(), "{field}");
        }
        assert_eq!(types.offset(Field::DENTRY_NAME), types.offset(Field::DENTRY_NAME_LENGTH).map(|at| at + 4));
        assert_eq!(types.function("vfs_rename").map(|(_, args)| args), Some(1));
    }
}
