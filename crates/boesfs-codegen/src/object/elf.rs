//! The ELF file around the sections.
//!
//! ```text
//! front   ELF header, manifest, the functions of `.text`, what user space runs them with, tables, maps, licence, struct_ops;
//!         symbols, relocations of these sections, names, section headers
//! back    programs that only kernels run, types and lines; relocations of these sections
//! ```
//!
//! Every section is aligned to 8 bytes. Calls inside `.text` are relative and need no relocation.

use std::collections::BTreeMap;

use ::object::Endianness;
use ::object::elf;
use ::object::write::StringId;
use ::object::write::elf::{FileHeader, Rel, SectionHeader, SectionIndex, Sym, Writer};

use crate::bpf::{Insn, Linkage, Place, Program, TEXT};
use crate::emit::layout::kmod::MEMBERS;
use crate::emit::layout::{Data, ENTRY_SECTION, Map, Table};
use crate::manifest::Manifest;
use crate::tables::Tables;

use super::btf::{Btf, MAP_BYTES};
use super::{BuildError, ext, is_in_front, manifest as header, ops, sections};

/// Relocation of a wide load: `R_BPF_64_64`.
pub(super) const RELOC_PLACE: u32 = 1;
/// Relocation of a call: `R_BPF_64_32`.
pub(super) const RELOC_CALL: u32 = 10;
/// The section of the map definitions.
pub(super) const MAPS: &str = ".maps";
/// What the programs are licensed under: the kernel wants to know.
const LICENSE: &[u8] = b"GPL\0";

/// A section before it has an offset.
struct Section {
    name: String,
    flags: u64,
    bytes: Vec<u8>,
    part: Part,
}

/// Of the file: which one a section is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Front,
    Back,
}

/// A symbol: what is where.
struct Symbol {
    name: String,
    section: usize,
    kind: elf::SymbolType,
    value: u64,
    size: u64,
    visibility: elf::SymbolVisibility,
}

/// A relocation in section `section`: the slot of 8 bytes, the symbol and the type.
struct Reloc {
    section: usize,
    slot: usize,
    symbol: String,
    kind: u32,
}

/// The object's bytes, with its digest in place.
pub(super) fn write(program: &Program, tables: &Tables, manifest: &Manifest) -> Result<Vec<u8>, BuildError> {
    let fail = |error: &dyn std::fmt::Display| BuildError::Write(error.to_string());
    let parts = parts(program, tables, manifest).map_err(|error| fail(&error))?;
    let (mut file, front) = layout(&parts).map_err(|error| fail(&error))?;
    header::seal(&mut file, front);
    Ok(file)
}

struct Parts {
    sections: Vec<Section>,
    symbols: Vec<Symbol>,
    relocs: Vec<Reloc>,
}

fn parts(program: &Program, tables: &Tables, manifest: &Manifest) -> Result<Parts, postcard::Error> {
    let (exec, alloc, write) = (elf::SHF_EXECINSTR.0, elf::SHF_ALLOC.0, elf::SHF_WRITE.0);
    let mut p = Parts { sections: Vec::new(), symbols: Vec::new(), relocs: Vec::new() };
    let bytes = header::encode(manifest, tables)?;
    p.sections.push(Section { name: header::SECTION.to_owned(), flags: 0, bytes, part: Part::Front });
    code_parts(&mut p, program, alloc | exec);
    for table in Table::ALL {
        let bytes = sections::encode(tables, table);
        p.add_object(table.symbol(), table.section(), alloc, bytes);
    }
    for data in Data::ALL {
        let flags = if data.is_writable() { alloc | write } else { alloc };
        p.add_object(data.symbol(), data.section(), flags, vec![0; data.bytes()]);
    }
    let section = p.sections.len();
    p.sections.push(Section {
        name: MAPS.to_owned(),
        flags: alloc | write,
        bytes: vec![0; Map::ALL.len() * MAP_BYTES],
        part: Part::Front,
    });
    for (map, at) in Map::ALL.into_iter().zip(0..) {
        let (kind, visibility) = (elf::STT_OBJECT, elf::STV_DEFAULT);
        let (value, size) = (at * MAP_BYTES as u64, MAP_BYTES as u64);
        p.symbols.push(Symbol { name: map.name().to_owned(), section, kind, value, size, visibility });
    }
    p.add_object("_license", "license", alloc | write, LICENSE.to_vec());
    let mut btf = Btf::new(tables);
    if MEMBERS.iter().all(|member| program.function(member.program).is_some()) {
        p.add_object(ops::VARIABLE, ops::SECTION, alloc | write, ops::encode(tables, manifest));
        let section = p.sections.len() - 1;
        let programs = MEMBERS.iter().zip(0..);
        p.relocs.extend(programs.map(|(member, slot)| Reloc {
            section,
            slot,
            symbol: member.program.to_owned(),
            kind: ops::RELOC_PROGRAM,
        }));
        btf.add_struct_ops();
    }
    let ext = ext::encode(program, &mut btf);
    for (name, bytes) in [(".BTF", btf.to_bytes()), (".BTF.ext", ext)] {
        p.sections.push(Section { name: name.to_owned(), flags: 0, bytes, part: Part::Back });
    }
    Ok(p)
}

impl Parts {
    /// A section that is one variable.
    fn add_object(&mut self, name: &str, section: &str, flags: u64, bytes: Vec<u8>) {
        let size = bytes.len() as u64;
        self.sections.push(Section { name: section.to_owned(), flags, bytes, part: Part::Front });
        let section = self.sections.len() - 1;
        let visibility = elf::STV_DEFAULT;
        self.symbols.push(Symbol { name: name.to_owned(), section, kind: elf::STT_OBJECT, value: 0, size, visibility });
    }
}

fn code_parts(p: &mut Parts, program: &Program, flags: u64) {
    let slots: Vec<[u8; 8]> = program.slots().collect();
    let mut sections = program.sections();
    // What can be attached stands before what cannot: bpftool makes the directory for its pins with the first link.
    sections.sort_by_key(|(name, _)| (*name == TEXT, *name == ENTRY_SECTION));
    for (name, range) in sections {
        let section = p.sections.len();
        let mut bytes = slots[range.clone()].concat();
        for slot in range.clone() {
            let at = slot - range.start;
            match program.insns()[slot] {
                Insn::LoadPlace { place, .. } => {
                    let symbol = match place {
                        Place::Table(table) => table.symbol(),
                        Place::Data(data) => data.symbol(),
                        Place::Map(map) => map.name(),
                        // Symbols that no object has: it could not be written.
                        Place::Family => "family",
                        Place::Programs => "programs",
                    };
                    p.relocs.push(Reloc { section, slot: at, symbol: symbol.to_owned(), kind: RELOC_PLACE });
                }
                Insn::Call(id) => {
                    let callee = &program.functions()[id.0 as usize];
                    if !range.contains(&callee.start) {
                        // As compilers write it: relative to the symbol, and one slot back for the call itself.
                        bytes[at * 8 + 4..at * 8 + 8].copy_from_slice(&(-1i32).to_le_bytes());
                        p.relocs.push(Reloc { section, slot: at, symbol: callee.name.clone(), kind: RELOC_CALL });
                    }
                }
                _ => {}
            }
        }
        for f in program.functions().iter().filter(|f| range.contains(&f.start)) {
            let (value, size) = ((f.start - range.start) as u64 * 8, (f.end - f.start) as u64 * 8);
            // libbpf takes a hidden function for a static one, whatever its binding.
            let visibility = if f.linkage == Linkage::Static { elf::STV_HIDDEN } else { elf::STV_DEFAULT };
            p.symbols.push(Symbol { name: f.name.clone(), section, kind: elf::STT_FUNC, value, size, visibility });
        }
        let part = if is_in_front(name) { Part::Front } else { Part::Back };
        p.sections.push(Section { name: name.to_owned(), flags, bytes, part });
    }
}

/// The file, and how long its front is.
fn layout(parts: &Parts) -> Result<(Vec<u8>, usize), ::object::write::Error> {
    const ALIGN: u64 = 8;
    let mut file = Vec::new();
    let mut w = Writer::new_single_phase(Endianness::Little, true, &mut file);
    w.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_REL,
        e_machine: elf::EM_BPF,
        e_entry: 0,
        e_flags: Default::default(),
    })?;
    let sections = |part| parts.sections.iter().enumerate().filter(move |(_, section)| section.part == part);
    let mut offsets = vec![0; parts.sections.len()];
    for (number, section) in sections(Part::Front) {
        offsets[number] = w.write_align(ALIGN);
        w.write(&section.bytes);
    }

    w.write_null_symbol();
    let mut numbers = BTreeMap::new();
    for (symbol, number) in parts.symbols.iter().zip(1..) {
        let name = w.add_string(symbol.name.as_bytes());
        let st_name = w.string_offset(Some(name));
        w.write_symbol(&Sym {
            section: Some(symbol.section as u32 + 1),
            st_name,
            st_info: elf::SymbolInfo::new(elf::STB_GLOBAL, symbol.kind),
            st_other: elf::SymbolOther::default().with_visibility(symbol.visibility),
            st_shndx: Default::default(),
            st_value: symbol.value,
            st_size: symbol.size,
        });
        numbers.insert(symbol.name.as_str(), number);
    }

    let mut relocs: Vec<Vec<Rel>> = parts.sections.iter().map(|_| Vec::new()).collect();
    for reloc in &parts.relocs {
        let r_sym = numbers.get(reloc.symbol.as_str()).copied().unwrap_or_default();
        let r_type = elf::RelocationType(reloc.kind);
        relocs[reloc.section].push(Rel { r_offset: reloc.slot as u64 * 8, r_sym, r_type, r_addend: 0 });
    }
    let relocated = |part| sections(part).map(|(number, _)| number).filter(|number| !relocs[*number].is_empty());
    let mut reloc_offsets = vec![0; parts.sections.len()];
    for number in relocated(Part::Front) {
        reloc_offsets[number] = w.write_align_relocation();
        relocs[number].iter().for_each(|rel| w.write_relocation(false, rel));
    }
    w.write_strtab()?;
    w.add_section_name(b".symtab");
    let names: Vec<StringId> = parts.sections.iter().map(|s| w.add_section_name(s.name.as_bytes())).collect();
    let reloc_names: Vec<String> = parts.sections.iter().map(|s| format!(".rel{}", s.name)).collect();
    let with_relocs = (0..relocs.len()).filter(|number| !relocs[*number].is_empty());
    let reloc_names: BTreeMap<usize, StringId> =
        with_relocs.map(|number| (number, w.add_section_name(reloc_names[number].as_bytes()))).collect();
    w.write_shstrtab()?;

    // The headers are the end of the front, and say where the back will be.
    let headers = 1 + parts.sections.len() + reloc_names.len() + 3;
    let front = w.len().next_multiple_of(ALIGN) + (headers * size_of::<elf::SectionHeader64<Endianness>>()) as u64;
    let mut end = front;
    let mut reserve = |length: usize| {
        let offset = end.next_multiple_of(ALIGN);
        end = offset + length as u64;
        offset
    };
    for (number, section) in sections(Part::Back) {
        offsets[number] = reserve(section.bytes.len());
    }
    for number in relocated(Part::Back) {
        reloc_offsets[number] = reserve(relocs[number].len() * size_of::<elf::Rel64<Endianness>>());
    }
    w.write_null_section_header();
    for (number, section) in parts.sections.iter().enumerate() {
        let sh_name = w.section_name_offset(Some(names[number]));
        w.write_section_header(&SectionHeader {
            sh_name,
            sh_type: elf::SHT_PROGBITS,
            sh_flags: elf::SectionFlags(section.flags),
            sh_addr: 0,
            sh_offset: offsets[number],
            sh_size: section.bytes.len() as u64,
            sh_link: 0,
            sh_info: 0,
            sh_addralign: ALIGN,
            sh_entsize: 0,
        });
    }
    let symtab = SectionIndex(parts.sections.len() as u32 + reloc_names.len() as u32 + 2);
    for (number, name) in &reloc_names {
        let of = SectionIndex(*number as u32 + 1);
        w.write_relocation_section_header(*name, of, symtab, reloc_offsets[*number], relocs[*number].len(), false);
    }
    w.write_strtab_section_header();
    w.write_symtab_section_header(1);
    w.write_shstrtab_section_header();

    for (number, section) in sections(Part::Back) {
        w.pad_until(offsets[number]);
        w.write(&section.bytes);
    }
    for number in relocated(Part::Back) {
        w.pad_until(reloc_offsets[number]);
        relocs[number].iter().for_each(|rel| w.write_relocation(false, rel));
    }
    let mut head = Vec::new();
    w.write_file_header_to(&mut head)?;
    drop(w);
    file[..head.len()].copy_from_slice(&head);
    Ok((file, front as usize))
}
