//! `policy.o`: a standard BPF relocatable, written and read back.
//!
//! In: [`Policy`] and [`Packed`]. Out: bytes; and from bytes, a [`PolicyObject`]. Holds: the same policy gives the same
//! bytes; whatever [`read`] gives is whole: the hash sum fits, every index that the programs and hooks follow is in
//! range, the code is a [`Program`]. Nothing else in the project looks into an object's bytes.

mod btf;
mod elf;
mod ext;
mod manifest;
mod ops;
mod read;
mod sections;
mod verify;

use boesfs_lang::policy::Policy;

use crate::bpf::{Function, Line, Linked, Program, ProgramError, TEXT};
use crate::emit::layout::{ENTRY, ENTRY_SECTION, FUNCTIONS, Table};
use crate::emit::lsm::{ARM, LEARN, autoloaded};
use crate::emit::{EmitError, emit};
use crate::manifest::Manifest;
use crate::tables::{Packed, Tables};

pub use btf::map_types;
pub use manifest::{HEADER_BYTES, MAGIC, OFFSET as MANIFEST_OFFSET, SECTION as MANIFEST_SECTION, front, reseal};
pub use read::{ReadError, read, read_functions};
pub use verify::TableError;

/// Whether the code of this section is in the front of the file, for user space.
fn is_in_front(section: &str) -> bool {
    section == TEXT || section == ENTRY_SECTION
}

/// A policy object, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyObject {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The tables.
    pub tables: Tables,
    /// The programs, linked: the entry programs first, then the functions of `.text`. Of [`read_functions`], one entry program.
    pub program: Program,
    /// What the kernel takes besides, to show types and policy lines. Of [`read_functions`], nothing.
    pub kernel: KernelInfo,
    /// Names this very object: SHA-256 of its front, which has that of the rest in it.
    pub digest: [u8; 32],
}

impl PolicyObject {
    /// Whether it has the entry program `name`: not each object has those of every hook, see [`Programs`].
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.program.function(name).is_some()
    }

    /// Which programs it has. Of [`read_functions`], that cannot be told.
    #[must_use]
    pub fn programs(&self) -> Programs {
        let asked = self.program.entries().any(|entry| entry.section.starts_with('?'));
        if asked { Programs::All } else { Programs::AutoloadLsm }
    }

    /// The functions `roots` with all that they call, and what the kernel takes besides.
    ///
    /// # Errors
    /// A root is not there.
    pub fn linked(&self, roots: &[&str]) -> Result<(Program, KernelInfo), ProgramError> {
        let Linked { program, functions, lines } = self.program.linked(roots)?;
        let of_function = |(old, function): (&usize, &Function)| {
            let [_, id] = self.kernel.func_info.get(*old)?;
            Some([function.start as u32, *id])
        };
        let of_line = |(old, line): (&usize, &Line)| {
            let [_, file, text, at] = self.kernel.line_info.get(*old)?;
            Some([line.slot as u32, *file, *text, *at])
        };
        let func_info = functions.iter().zip(program.functions()).filter_map(of_function).collect();
        let line_info = lines.iter().zip(program.lines()).filter_map(of_line).collect();
        Ok((program, KernelInfo { btf: self.kernel.btf.clone(), func_info, line_info }))
    }

    /// The bytes of a table's section: what the addresses in the program lead to.
    #[must_use]
    pub fn table_bytes(&self, table: Table) -> Vec<u8> {
        sections::encode(&self.tables, table)
    }
}

/// The programs that an object has for kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Programs {
    /// Those of every hook, for kernels of every age: whoever loads it chooses, and libbpf loads none of them unasked.
    #[default]
    All,
    /// Those of the LSM hook that Linux 6.12 and later takes, one for each kernel hook, and those that tell and arm: libbpf loads
    /// and attaches all of them unasked.
    AutoloadLsm,
}

/// Type and line information as `BPF_PROG_LOAD` takes it, for the linked [`Program`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelInfo {
    /// Section `.BTF`.
    pub btf: Vec<u8>,
    /// `struct bpf_func_info` records: slot, type id.
    pub func_info: Vec<[u32; 2]>,
    /// `struct bpf_line_info` records: slot, file name, line text, line and column.
    pub line_info: Vec<[u32; 4]>,
}

/// Why an object cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The programs cannot be emitted.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The tables break a rule that the programs rely on: a mistake in the compiler.
    #[error("internal error: {0}")]
    Tables(#[from] TableError),
    /// The programs are not what they should be: a mistake in the compiler.
    #[error("internal error: {0}")]
    Program(#[from] ProgramError),
    /// The manifest or the ELF file cannot be written: a mistake in the compiler, or a policy beyond the format's limits.
    #[error("the object cannot be written: {0}")]
    Write(String),
}

/// Builds the object of `policy` from what the automaton stage made of it.
///
/// # Errors
/// The tables or the conditions are larger than the kernel takes, or the compiler is at fault.
pub fn build(policy: &Policy, packed: &Packed) -> Result<Vec<u8>, BuildError> {
    build_with(policy, packed, Programs::All)
}

/// Like [`build`], with these programs.
///
/// # Errors
/// As for [`build`].
pub fn build_with(policy: &Policy, packed: &Packed, programs: Programs) -> Result<Vec<u8>, BuildError> {
    let manifest = Manifest::new(policy, packed.sizes);
    let tables = sections::padded(&packed.tables);
    verify::verify(&tables, &manifest)?;
    let all = emit(policy, packed)?;
    let program = match programs {
        Programs::All => all,
        Programs::AutoloadLsm => {
            let hooks = autoloaded(&policy.subjects).map(|program| program.name);
            let roots: Vec<&str> = [ENTRY, LEARN, ARM].into_iter().chain(hooks).chain(FUNCTIONS).collect();
            all.unasked(&roots)?
        }
    };
    elf::write(&program, &tables, &manifest)
}
