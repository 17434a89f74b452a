//! From bytes that may be anything to a [`PolicyObject`].
//!
//! First what kind of file it is, then its hash sum, then the parts, each checked for what the readers of a
//! [`PolicyObject`] rely on: a damaged file is told apart from a foreign one, and nothing is allocated that the file
//! itself does not hold.

use std::collections::BTreeMap;

use ::object::elf::{SHF_EXECINSTR, STV_HIDDEN};
use ::object::read::elf::ElfFile64;
use ::object::{
    Architecture, Endianness, Object, ObjectKind, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget,
    SectionFlags, SectionIndex, SymbolFlags, SymbolKind,
};
use rustc_hash::FxHashMap;

use crate::bpf::program::FunctionId;
use crate::bpf::{Function, Insn, Line, Linkage, Place, Program, ProgramError, Relocated, TEXT};
use crate::emit::layout::{Data, ENTRY, ENTRY_SECTION, FUNCTIONS, Map, Table};
use crate::manifest::FORMAT;

use super::btf::MAP_BYTES;
use super::elf::{MAPS, RELOC_CALL, RELOC_PLACE};
use super::ext::{self, Types};
use super::{KernelInfo, PolicyObject, TableError, is_in_front, manifest, sections, verify};

/// Why bytes are not a policy object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not an ELF file for BPF, or one cut short.
    #[error("not a BPF object file")]
    NotElf,
    /// A BPF object that boesfsc has not made.
    #[error("not a policy object: it was not made by boesfsc")]
    Foreign,
    /// Made by another version.
    #[error("the object has format {format}, this version reads format {FORMAT}: compile the policy again")]
    Version {
        /// Its format.
        format: u32,
    },
    /// Its end is missing.
    #[error("the object is cut short: {has} of its {size} bytes are there")]
    Short {
        /// Bytes that are there.
        has: u64,
        /// Bytes that it was written with.
        size: u64,
    },
    /// The hash sum does not fit.
    #[error("the object is damaged: its hash sum does not fit")]
    Damaged,
    /// A section or symbol is missing, stands twice, or has the wrong size.
    #[error("the object is damaged: section or symbol `{name}`")]
    Section {
        /// Its name.
        name: String,
    },
    /// The manifest cannot be decoded.
    #[error("the object is damaged: its manifest")]
    Manifest,
    /// The type or line information cannot be read.
    #[error("the object is damaged: its type information")]
    Btf,
    /// The code is not a program.
    #[error("the object is damaged: {0}")]
    Program(#[from] ProgramError),
    /// The tables break a rule.
    #[error("the object is damaged: {0}")]
    Table(#[from] TableError),
}

type Elf<'a> = ElfFile64<'a, Endianness>;

/// Reads and checks a policy object.
///
/// # Errors
/// The bytes are something else, damaged, or of another version.
pub fn read(bytes: &[u8]) -> Result<PolicyObject, ReadError> {
    read_parts(bytes, bytes.len() as u64, Parts::All)
}

/// Like [`read`], without the programs that only kernels run, and without types and lines: for whoever asks the functions of `.text`
/// alone. `bytes` is a file of `size` bytes from its beginning, with at least its [`front`](super::front).
///
/// # Errors
/// As for [`read`]. Of what is behind the front, only the length is looked at.
pub fn read_functions(bytes: &[u8], size: u64) -> Result<PolicyObject, ReadError> {
    read_parts(bytes, size, Parts::Front)
}

/// How much of a file is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    All,
    Front,
}

fn read_parts(bytes: &[u8], size: u64, parts: Parts) -> Result<PolicyObject, ReadError> {
    if let Some(written) = manifest::size(bytes).filter(|written| *written > size) {
        return Err(ReadError::Short { has: size, size: written });
    }
    let elf = Elf::parse(bytes).map_err(|_| ReadError::NotElf)?;
    if elf.architecture() != Architecture::Bpf || elf.kind() != ObjectKind::Relocatable || !elf.is_little_endian() {
        return Err(ReadError::NotElf);
    }
    let section = elf.section_by_name(manifest::SECTION).ok_or(ReadError::Foreign)?;
    let (at, length) = section.file_range().ok_or(ReadError::Foreign)?;
    if at as usize != manifest::OFFSET && section.data().is_ok_and(|data| data.starts_with(&manifest::MAGIC)) {
        return Err(ReadError::Version { format: manifest::FORMAT_ELSEWHERE });
    }
    let digest = manifest::verify(bytes, size)?;
    let mut tables = manifest::scalars(bytes)?;
    let end = manifest::OFFSET.saturating_add(length as usize);
    let encoded = bytes.get(manifest::OFFSET + manifest::HEADER_BYTES..end).ok_or(ReadError::Manifest)?;
    let manifest = manifest::decode(encoded)?;
    let names = section_names(&elf)?;
    for table in Table::ALL {
        let data = named(&elf, &names, table.section())?;
        sections::decode(&mut tables, table, data).ok_or_else(|| bad(table.section()))?;
    }
    verify::verify(&tables, &manifest)?;
    let (program, kernel) = program(&elf, &names, parts)?;
    Ok(PolicyObject { manifest, tables, program, kernel, digest })
}

fn bad(name: &str) -> ReadError {
    ReadError::Section { name: name.to_owned() }
}

/// The sections by name; a name that stands twice is refused.
fn section_names<'a>(elf: &Elf<'a>) -> Result<BTreeMap<String, SectionIndex>, ReadError> {
    let mut names = BTreeMap::new();
    for section in elf.sections() {
        let name = section.name().map_err(|_| ReadError::NotElf)?;
        if names.insert(name.to_owned(), section.index()).is_some() {
            return Err(bad(name));
        }
    }
    Ok(names)
}

fn named<'a>(elf: &Elf<'a>, names: &BTreeMap<String, SectionIndex>, name: &str) -> Result<&'a [u8], ReadError> {
    let index = names.get(name).ok_or_else(|| bad(name))?;
    elf.section_by_index(*index).and_then(|section| section.data()).map_err(|_| bad(name))
}

/// What relocations can lead to.
struct Symbols {
    /// Functions of the linked program, in order.
    functions: Vec<Function>,
    /// By symbol number: a place, or the number of a function.
    places: BTreeMap<usize, Place>,
    callees: BTreeMap<usize, FunctionId>,
}

fn program(
    elf: &Elf<'_>,
    names: &BTreeMap<String, SectionIndex>,
    parts: Parts,
) -> Result<(Program, KernelInfo), ReadError> {
    let Code { read: mut code, left_out } = code_sections(elf, parts)?;
    // In the order of the file, but for what user space runs, and the functions that are called.
    code.sort_by_key(|(name, _)| (name == TEXT, name != ENTRY_SECTION));
    let mut base = 0;
    let mut bases = Vec::new();
    for (name, bytes) in &code {
        bases.push((name.clone(), base, bytes.len() / 8));
        base += bytes.len() / 8;
    }
    let symbols = symbols(elf, names, &bases, &left_out)?;
    let mut insns = Vec::new();
    for ((name, code), (_, base, _)) in code.iter().zip(&bases) {
        insns.extend(decode(elf, names[name], code, *base, &symbols)?);
    }
    let (kernel, lines, fields) = match parts {
        Parts::All => types(elf, names, &bases, &symbols.functions)?,
        Parts::Front => Default::default(),
    };
    let program = Program::new(insns, symbols.functions, lines, fields)?;
    if let Some(name) = FUNCTIONS.into_iter().find(|name| program.function(name).is_none()) {
        return Err(bad(name));
    }
    if program.functions().first().map(|f| f.name.as_str()) != Some(ENTRY) {
        return Err(bad(ENTRY));
    }
    Ok((program, kernel))
}

/// What is said of the code: types for the kernel, lines, and the instructions relocated to fields.
fn types(
    elf: &Elf<'_>,
    names: &BTreeMap<String, SectionIndex>,
    bases: &[(String, usize, usize)],
    functions: &[Function],
) -> Result<(KernelInfo, Vec<Line>, Vec<Relocated>), ReadError> {
    let btf = named(elf, names, ".BTF")?;
    let types = Types::of(btf)?;
    let ext = ext::decode(named(elf, names, ".BTF.ext")?, &types, bases)?;
    let lines = ext::lines(&ext, types.strings)?;
    let starts = functions.iter().map(|f| f.start as u32);
    if lines.is_empty() || !starts.eq(ext.funcs.iter().map(|[slot, _]| *slot)) {
        return Err(ReadError::Btf);
    }
    Ok((KernelInfo { btf: btf.to_vec(), func_info: ext.funcs, line_info: ext.lines }, lines, ext.fields))
}

/// The sections of code, in the order of the file.
#[derive(Default)]
struct Code<'a> {
    /// Name and bytes of those that are read.
    read: Vec<(String, &'a [u8])>,
    /// The names of the others.
    left_out: Vec<String>,
}

fn code_sections<'a>(elf: &Elf<'a>, parts: Parts) -> Result<Code<'a>, ReadError> {
    let mut code = Code::default();
    for section in elf.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
        if sh_flags.0 & SHF_EXECINSTR.0 != 0 {
            let name = section.name().map_err(|_| ReadError::NotElf)?;
            if parts == Parts::All || is_in_front(name) {
                code.read.push((name.to_owned(), section.data().map_err(|_| bad(name))?));
            } else {
                code.left_out.push(name.to_owned());
            }
        }
    }
    Ok(code)
}

fn symbols(
    elf: &Elf<'_>,
    names: &BTreeMap<String, SectionIndex>,
    bases: &[(String, usize, usize)],
    left_out: &[String],
) -> Result<Symbols, ReadError> {
    // What stands in a section: looked up once for each section, not for each symbol.
    let index = |name: &str| names.get(name).copied();
    let mut code: FxHashMap<_, _> = bases.iter().filter_map(|base| Some((index(&base.0)?, Some(base)))).collect();
    code.extend(left_out.iter().filter_map(|name| Some((index(name)?, None))));
    let tables = Table::ALL.into_iter().map(|table| (index(table.section()), table.symbol(), Place::Table(table)));
    let data = Data::ALL.into_iter().map(|data| (index(data.section()), data.symbol(), Place::Data(data)));
    let known: Vec<_> = tables.chain(data).collect();
    let maps = index(MAPS);
    let mut functions = Vec::new();
    let mut places = BTreeMap::new();
    for symbol in elf.symbols() {
        let name = symbol.name().map_err(|_| ReadError::NotElf)?;
        let section = symbol.section_index();
        if symbol.kind() == SymbolKind::Text {
            let place = section.and_then(|section| code.get(&section)).ok_or_else(|| bad(name))?;
            let Some((section_name, base, _)) = place else { continue };
            let (start, size) = (symbol.address(), symbol.size());
            let end = start.checked_add(size).filter(|end| end % 8 == 0 && start % 8 == 0).ok_or_else(|| bad(name))?;
            let hidden =
                matches!(symbol.flags(), SymbolFlags::Elf { st_other, .. } if st_other.visibility() == STV_HIDDEN);
            let function = Function {
                name: name.to_owned(),
                section: section_name.clone(),
                linkage: if hidden { Linkage::Static } else { Linkage::Global },
                start: base + start as usize / 8,
                end: base + end as usize / 8,
            };
            functions.push((function, symbol.index().0));
        } else if section == maps {
            let at = Map::ALL.into_iter().zip(0..).find(|(map, _)| map.name() == name);
            let (map, _) = at.filter(|(_, at)| at * MAP_BYTES as u64 == symbol.address()).ok_or_else(|| bad(name))?;
            places.insert(symbol.index().0, Place::Map(map));
        } else if symbol.address() == 0 {
            let at = known.iter().find(|(at, called, _)| *at == section && *called == name);
            if let Some((.., place)) = at {
                places.insert(symbol.index().0, *place);
            }
        }
    }
    functions.sort_by_key(|(function, _)| function.start);
    let callees = functions.iter().zip(0..).map(|((_, symbol), id)| (*symbol, FunctionId(id))).collect();
    Ok(Symbols { functions: functions.into_iter().map(|(function, _)| function).collect(), places, callees })
}

/// The instructions of one section, whose first slot is number `base` of the linked program.
fn decode(
    elf: &Elf<'_>,
    section: SectionIndex,
    code: &[u8],
    base: usize,
    symbols: &Symbols,
) -> Result<Vec<Insn>, ReadError> {
    let section = elf.section_by_index(section).map_err(|_| ReadError::NotElf)?;
    let name = section.name().unwrap_or_default();
    let (mut places, mut calls) = (BTreeMap::new(), BTreeMap::new());
    for (offset, reloc) in section.relocations() {
        let (RelocationTarget::Symbol(symbol), RelocationFlags::Elf { r_type }) = (reloc.target(), reloc.flags())
        else {
            return Err(bad(name));
        };
        let slot = (offset / 8) as usize;
        let fresh = match r_type.0 {
            RELOC_PLACE => symbols.places.get(&symbol.0).map(|place| places.insert(slot, *place).is_none()),
            RELOC_CALL => symbols.callees.get(&symbol.0).map(|id| calls.insert(slot, *id).is_none()),
            _ => None,
        };
        if offset % 8 != 0 || fresh != Some(true) {
            return Err(bad(name));
        }
    }
    let start = |slot: usize| symbols.functions.binary_search_by_key(&slot, |function| function.start).ok();
    let callee = |slot: usize, distance: i32| match calls.get(&slot) {
        Some(id) => (distance == -1).then_some(*id),
        None => {
            let to = usize::try_from((base + slot) as i64 + 1 + i64::from(distance)).ok()?;
            start(to).map(|number| FunctionId(number as u32))
        }
    };
    let insns = Program::decode(code, |slot| places.get(&slot).copied(), callee)?;
    let wide = |slot: &usize| matches!(insns.get(*slot), Some(Insn::LoadPlace { .. }));
    let call = |slot: &usize| matches!(insns.get(*slot), Some(Insn::Call(_)));
    if !places.keys().all(wide) || !calls.keys().all(call) {
        return Err(bad(name));
    }
    Ok(insns)
}
