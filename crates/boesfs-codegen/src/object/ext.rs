//! Section `.BTF.ext`: which type each function has, and which source line each instruction comes from.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use rustc_hash::FxHashMap;

use super::btf::{self, Btf};
use super::read::ReadError;
use crate::bpf::{Field, Line, Program, Relocated};

/// With the two fields for CO-RE relocations.
const HEADER_BYTES: usize = 32;
const FUNC_INFO_BYTES: u32 = 8;
const LINE_INFO_BYTES: u32 = 16;
const CORE_BYTES: u32 = 16;
/// `BPF_CORE_FIELD_BYTE_OFFSET`: what a relocation to a field asks for.
const CORE_OFFSET: u32 = 0;

/// The section for `program`. Adds strings and types to `btf`.
pub(super) fn encode(program: &Program, btf: &mut Btf) -> Vec<u8> {
    let (mut funcs, mut lines, mut fields) = (Vec::new(), Vec::new(), Vec::new());
    funcs.extend(FUNC_INFO_BYTES.to_le_bytes());
    lines.extend(LINE_INFO_BYTES.to_le_bytes());
    if !program.fields().is_empty() {
        // A part without records is none, to libbpf.
        fields.extend(CORE_BYTES.to_le_bytes());
    }
    for (name, slots) in program.sections() {
        let name = btf.string(name);
        let offset = |slot: usize| (slot - slots.start) as u32 * 8;
        let functions: Vec<_> = program.functions().iter().filter(|f| slots.contains(&f.start)).collect();
        push(&mut funcs, &[name, functions.len() as u32]);
        for function in functions {
            push(&mut funcs, &[offset(function.start), btf.function(function).0]);
        }
        let here: Vec<_> = program.lines().iter().filter(|line| slots.contains(&line.slot)).collect();
        push(&mut lines, &[name, here.len() as u32]);
        for line in here {
            let (file, text) = (btf.string(&line.file), btf.string(&line.text));
            push(&mut lines, &[offset(line.slot), file, text, line_column(line)]);
        }
        let here: Vec<_> = program.fields().iter().filter(|field| slots.contains(&field.slot)).collect();
        if !here.is_empty() {
            push(&mut fields, &[name, here.len() as u32]);
        }
        for Relocated { slot, field } in here {
            let (of, access) = (btf.structure(*field).0, btf.string(&field.access()));
            push(&mut fields, &[offset(*slot), of, access, CORE_OFFSET]);
        }
    }
    let (funcs_len, lines_len, fields_len) = (funcs.len() as u32, lines.len() as u32, fields.len() as u32);
    let mut out = Vec::new();
    out.extend(btf::MAGIC.to_le_bytes());
    out.extend([1, 0]);
    push(&mut out, &[HEADER_BYTES as u32, 0, funcs_len, funcs_len, lines_len, funcs_len + lines_len, fields_len]);
    out.extend(funcs);
    out.extend(lines);
    out.extend(fields);
    out
}

/// The columns that the format can hold.
const COLUMNS: u32 = 1 << 10;

fn line_column(line: &Line) -> u32 {
    line.line << 10 | line.column.min(COLUMNS - 1)
}

fn push(out: &mut Vec<u8>, words: &[u32]) {
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

/// What a `.BTF.ext` says, with slots of the linked program.
#[derive(Debug, Default)]
pub(super) struct Ext {
    /// Slot and type id.
    pub(super) funcs: Vec<[u32; 2]>,
    /// Slot, file name, line text, line and column.
    pub(super) lines: Vec<[u32; 4]>,
    /// The instructions relocated to fields.
    pub(super) fields: Vec<Relocated>,
}

/// Reads the section. `bases` gives for each section of code its name, its first slot in the linked program, and its number of slots.
pub(super) fn decode(ext: &[u8], types: &Types<'_>, bases: &[(String, usize, usize)]) -> Result<Ext, ReadError> {
    let bad = ReadError::Btf;
    let head = words(ext, 4..HEADER_BYTES)?;
    let [header, func_at, func_len, line_at, line_len, core_at, core_len] =
        [head[0], head[1], head[2], head[3], head[4], head[5], head[6]];
    let strings = types.strings;
    if ext[..2] != btf::MAGIC.to_le_bytes() || header as usize != HEADER_BYTES {
        return Err(bad);
    }
    let part = |at: u32, len: u32| {
        let start = HEADER_BYTES + at as usize;
        words(ext, start..start + len as usize)
    };
    // A section is named by each of its records, a field by many: each is looked up once.
    let (mut sections, mut fields) = (FxHashMap::default(), FxHashMap::default());
    let mut slot = |section: u32, offset: u32| -> Result<u32, ReadError> {
        let (_, base, slots) = match sections.entry(section) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let name = strings.get(section)?;
                *new.insert(bases.iter().find(|(n, ..)| *n == name).ok_or(ReadError::Btf)?)
            }
        };
        let slot = offset as usize / 8;
        if !offset.is_multiple_of(8) || slot >= *slots {
            return Err(ReadError::Btf);
        }
        Ok((base + slot) as u32)
    };
    let mut out = Ext::default();
    for (section, [offset, id]) in records::<2>(&part(func_at, func_len)?, FUNC_INFO_BYTES)? {
        out.funcs.push([slot(section, offset)?, id]);
    }
    for (section, [offset, file, text, line]) in records::<4>(&part(line_at, line_len)?, LINE_INFO_BYTES)? {
        out.lines.push([slot(section, offset)?, file, text, line]);
    }
    let core = if core_len == 0 { Vec::new() } else { records::<4>(&part(core_at, core_len)?, CORE_BYTES)? };
    for (section, [offset, of, access, kind]) in core {
        let slot = slot(section, offset)?;
        let field = match fields.entry((of, access)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let field = Field::from_access(types.structure(of)?, strings.get(access)?);
                *new.insert(field.ok_or(ReadError::Btf)?)
            }
        };
        if kind != CORE_OFFSET {
            return Err(ReadError::Btf);
        }
        out.fields.push(Relocated { slot: slot as usize, field });
    }
    out.fields.sort_unstable_by_key(|field| field.slot);
    out.funcs.sort_unstable();
    out.lines.sort_unstable();
    Ok(out)
}

/// The lines as a program has them.
pub(super) fn lines(ext: &Ext, strings: Strings<'_>) -> Result<Vec<Line>, ReadError> {
    let line = |[slot, file, text, line]: &[u32; 4]| {
        Ok(Line {
            slot: *slot as usize,
            file: strings.get(*file)?.to_owned(),
            line: line >> 10,
            column: line & (COLUMNS - 1),
            text: strings.get(*text)?.to_owned(),
        })
    };
    ext.lines.iter().map(line).collect()
}

/// The records of `N` words in all blocks of a part, each with the name of its section.
fn records<const N: usize>(part: &[u32], bytes: u32) -> Result<Vec<(u32, [u32; N])>, ReadError> {
    let (size, mut rest) = part.split_first().ok_or(ReadError::Btf)?;
    if *size != bytes {
        return Err(ReadError::Btf);
    }
    let mut out = Vec::new();
    while let [section, count, tail @ ..] = rest {
        let words = (*count as usize).checked_mul(N).filter(|words| *words <= tail.len()).ok_or(ReadError::Btf)?;
        let (block, after) = tail.split_at(words);
        out.extend(block.as_chunks::<N>().0.iter().map(|record| (*section, *record)));
        rest = after;
    }
    if rest.is_empty() { Ok(out) } else { Err(ReadError::Btf) }
}

fn words(bytes: &[u8], range: Range<usize>) -> Result<Vec<u32>, ReadError> {
    let (chunks, rest) = bytes.get(range).ok_or(ReadError::Btf)?.as_chunks();
    if rest.is_empty() { Ok(chunks.iter().map(|c| u32::from_le_bytes(*c)).collect()) } else { Err(ReadError::Btf) }
}

/// The longest string that is read, with its end: many records that name one huge string would take forever.
const MAX_STRING: usize = 1 << 16;

/// The types of a `.BTF` section, as far as relocations name them.
#[derive(Debug)]
pub(super) struct Types<'a> {
    pub(super) strings: Strings<'a>,
    /// The offset of the name of each structure, by number of the type.
    structures: BTreeMap<u32, u32>,
}

impl<'a> Types<'a> {
    /// The types of the section `btf`.
    pub(super) fn of(btf: &'a [u8]) -> Result<Types<'a>, ReadError> {
        let strings = Strings::of(btf)?;
        let head = words(btf, 0..btf::HEADER_BYTES)?;
        let start = btf::HEADER_BYTES + head[2] as usize;
        let all = words(btf, start..start + head[3] as usize)?;
        let mut rest = all.as_slice();
        let mut structures = BTreeMap::new();
        let mut number = 1;
        while let [name, info, _, tail @ ..] = rest {
            let parts = (info & 0xffff) as usize;
            let more = btf::parts_words(info >> 24 & 31, parts).ok_or(ReadError::Btf)?;
            if info >> 24 & 31 == btf::STRUCT {
                structures.insert(number, *name);
            }
            rest = tail.get(more..).ok_or(ReadError::Btf)?;
            number += 1;
        }
        Ok(Types { strings, structures })
    }

    /// The name of the structure with this number.
    fn structure(&self, number: u32) -> Result<&'a str, ReadError> {
        self.strings.get(*self.structures.get(&number).ok_or(ReadError::Btf)?)
    }
}

/// The string table of a `.BTF` section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strings<'a>(&'a [u8]);

impl<'a> Strings<'a> {
    /// The strings of the section `btf`.
    pub(super) fn of(btf: &'a [u8]) -> Result<Strings<'a>, ReadError> {
        let head = words(btf, 0..btf::HEADER_BYTES)?;
        if btf[..2] != btf::MAGIC.to_le_bytes() || head[1] as usize != btf::HEADER_BYTES {
            return Err(ReadError::Btf);
        }
        let start = btf::HEADER_BYTES + head[4] as usize;
        let bytes = btf.get(start..start + head[5] as usize).ok_or(ReadError::Btf)?;
        Ok(Strings(bytes))
    }

    /// The string at `offset`.
    pub(super) fn get(self, offset: u32) -> Result<&'a str, ReadError> {
        let bytes = self.0.get(offset as usize..).ok_or(ReadError::Btf)?;
        let bytes = &bytes[..bytes.len().min(MAX_STRING)];
        let end = bytes.iter().position(|byte| *byte == 0).ok_or(ReadError::Btf)?;
        std::str::from_utf8(&bytes[..end]).map_err(|_| ReadError::Btf)
    }
}
