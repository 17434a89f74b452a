//! Section `.BTF`: the types of the programs, the tables and the map, for loaders, verifiers and people.
//!
//! The format is that of the kernel's `Documentation/bpf/btf.rst`.

use std::collections::BTreeMap;

use boesfs_lang::cond::Arg;

use crate::emit::layout::{
    ENTRY, NAME_BYTES, NAMES_TAIL, REQUEST_BYTES, REQUEST_MAP, SLOT_BYTES, SLOTS, Table, context, who,
};
use crate::tables::Tables;

/// A type, by number from 1; 0 is `void`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypeId(pub(super) u32);

const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const CONST: u32 = 10;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
/// Linkage of functions and variables.
const GLOBAL: u32 = 1;

pub(super) const MAGIC: u16 = 0xeb9f;
pub(super) const HEADER_BYTES: usize = 24;

/// Collects types and strings.
#[derive(Debug)]
struct Writer {
    types: Vec<u8>,
    count: u32,
    strings: Vec<u8>,
    offsets: BTreeMap<String, u32>,
}

impl Writer {
    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(offset) = self.offsets.get(text) {
            return *offset;
        }
        let offset = self.strings.len() as u32;
        // A NUL would cut the string short: the rest of the line is not worth a failure.
        self.strings.extend(text.bytes().take_while(|byte| *byte != 0));
        self.strings.push(0);
        self.offsets.insert(text.to_owned(), offset);
        offset
    }

    /// One type: name, kind, number of parts, size or type, then `words`.
    fn add(&mut self, name: &str, kind: u32, parts: usize, size_or_type: u32, words: &[u32]) -> TypeId {
        let name = self.string(name);
        for word in [name, kind << 24 | parts as u32, size_or_type].iter().chain(words) {
            self.types.extend(word.to_le_bytes());
        }
        self.count += 1;
        TypeId(self.count)
    }

    fn int(&mut self, name: &str, bytes: u32) -> TypeId {
        self.add(name, INT, 0, bytes, &[bytes * 8])
    }

    fn pointer(&mut self, to: TypeId) -> TypeId {
        self.add("", PTR, 0, to.0, &[])
    }

    fn constant(&mut self, of: TypeId) -> TypeId {
        self.add("", CONST, 0, of.0, &[])
    }

    fn structure(&mut self, name: &str, bytes: usize, members: &[(&str, TypeId, usize)]) -> TypeId {
        let words: Vec<u32> =
            members.iter().flat_map(|(name, id, offset)| [self.string(name), id.0, *offset as u32 * 8]).collect();
        self.add(name, STRUCT, members.len(), bytes as u32, &words)
    }

    fn function(&mut self, name: &str, result: TypeId, params: &[(&str, TypeId)]) -> TypeId {
        let words: Vec<u32> = params.iter().flat_map(|(name, id)| [self.string(name), id.0]).collect();
        let proto = self.add("", FUNC_PROTO, params.len(), result.0, &words);
        self.add(name, FUNC, GLOBAL as usize, proto.0, &[])
    }

    /// A section with one variable that fills it.
    fn section(&mut self, section: &str, variable: &str, of: TypeId, bytes: usize) {
        let var = self.add(variable, VAR, 0, of.0, &[GLOBAL]);
        self.add(section, DATASEC, 1, bytes as u32, &[var.0, 0, bytes as u32]);
    }
}

/// The types of an object.
#[derive(Debug)]
pub(super) struct Btf {
    writer: Writer,
    functions: BTreeMap<String, TypeId>,
    /// What `cond` and the functions it is spread over take and give.
    cond: ([(&'static str, TypeId); 2], TypeId),
}

impl Btf {
    /// The types for `tables`.
    pub(super) fn new(tables: &Tables) -> Btf {
        let mut w = Writer { types: Vec::new(), count: 0, strings: vec![0], offsets: BTreeMap::new() };
        let (u8, u16) = (w.int("unsigned char", 1), w.int("unsigned short", 2));
        let (u32, u64) = (w.int("unsigned int", 4), w.int("unsigned long long", 8));
        let int = w.add("int", INT, 0, 4, &[1 << 24 | 32]);
        let array = |w: &mut Writer, of: TypeId, n: usize| w.add("", ARRAY, 0, 0, &[of.0, u32.0, n as u32]);

        let bytes = array(&mut w, u8, NAME_BYTES);
        let name = w.structure("boesfs_name", NAME_BYTES, &[("bytes", bytes, 0)]);
        let members: Vec<_> = Arg::ALL.iter().map(|arg| (arg.name(), u64, 8 * *arg as usize)).collect();
        let args = w.structure("boesfs_args", 8 * members.len(), &members);
        let slot = w.structure("boesfs_slot", SLOT_BYTES, &[("name", name, 0), ("length", u64, NAME_BYTES)]);
        let slots = array(&mut w, slot, SLOTS);
        let request = w.structure("boesfs_request", REQUEST_BYTES, &[("slots", slots, 0)]);
        let ctx = w.structure(
            "boesfs_context",
            context::BYTES,
            &[
                ("class", u32, context::CLASS),
                ("op", u32, context::OP),
                ("start", u32, context::START),
                ("count", u32, context::COUNT),
                ("repeat", u32, context::REPEAT),
                ("mode", u32, context::MODE),
                ("args", args, context::ARGS),
                ("state", u64, context::STATE),
                ("check", u64, context::CHECK),
                ("decide", u64, context::DECIDE),
                ("ns", u64, context::NS),
            ],
        );
        let const_pointer = |w: &mut Writer, to| {
            let to = w.constant(to);
            w.pointer(to)
        };
        let (name, args) = (const_pointer(&mut w, name), const_pointer(&mut w, args));
        let groups = array(&mut w, u32, who::GROUPS_MAX);
        let members = [
            ("uid", u32, who::UID),
            ("gid", u32, who::GID),
            ("exe", u32, who::EXE),
            ("count", u32, who::COUNT),
            ("groups", groups, who::GROUPS),
        ];
        let who = w.structure("boesfs_who", who::BYTES, &members);
        let who = const_pointer(&mut w, who);
        let (slots, ctx) = (const_pointer(&mut w, request), w.pointer(ctx));
        let question = [("state", u32), ("class", u32), ("op", u32), ("args", args)];
        let cond = [("number", u32), ("args", args)];
        let functions = [
            (ENTRY, w.function(ENTRY, int, &[("ctx", ctx)])),
            ("step", w.function("step", u32, &[("state", u32), ("name", name), ("length", u32)])),
            ("check", w.function("check", u64, &question)),
            ("decide", w.function("decide", u64, &question)),
            ("cond", w.function("cond", u64, &cond)),
            ("walk", w.function("walk", u32, &[("state", u32), ("request", slots), ("count", u32)])),
            ("subject", w.function("subject", u32, &[("who", who)])),
        ];
        let functions = functions.map(|(name, id)| (name.to_owned(), id)).into();

        for table in Table::ALL {
            let entries = table.entries(tables);
            let (of, tail) = match table {
                Table::States => (words(&mut w, "boesfs_state", &["row", "cause", "otherwise", "out"], u32), 0),
                Table::Edges => (words(&mut w, "boesfs_edge", &["state", "next", "name", "length"], u32), 0),
                Table::Causes => (words(&mut w, "boesfs_cause", &["shape", "base"], u32), 0),
                Table::Globs => (words(&mut w, "boesfs_globs", &["start", "targets"], u32), 0),
                Table::Decisions => {
                    let members = [("verdict", u64, 0), ("cond", u32, 8), ("next", u32, 12)];
                    (w.structure("boesfs_decision", 16, &members), 0)
                }
                Table::Shapes => (array(&mut w, u8, 32), 0),
                Table::Names => (u64, NAMES_TAIL),
                Table::Rows => (u64, 0),
                Table::Displacements | Table::Joins => (u16, 0),
                Table::Users | Table::Groups => (words(&mut w, "boesfs_ids", &["first", "class"], u32), 0),
                Table::GlobClass => (u8, 0),
                Table::Links | Table::GlobNext | Table::GlobOutcome | Table::GlobTargets | Table::Exes => (u32, 0),
            };
            let of = array(&mut w, of, entries + tail);
            let of = w.constant(of);
            w.section(table.section(), table.symbol(), of, (entries + tail) * table.entry_bytes());
        }

        // Members of a map definition are pointers; numbers are the lengths of arrays pointed to.
        let number = |w: &mut Writer, n: usize| {
            let array = array(w, int, n);
            w.pointer(array)
        };
        let (kind, one) = (number(&mut w, 2), number(&mut w, 1));
        let (key, value) = (w.pointer(u32), w.pointer(request));
        let members = [("type", kind, 0), ("max_entries", one, 8), ("key", key, 16), ("value", value, 24)];
        let map = w.structure("", MAP_BYTES, &members);
        w.section(".maps", REQUEST_MAP, map, MAP_BYTES);
        let license = array(&mut w, u8, 4);
        w.section("license", "_license", license, 4);
        Btf { writer: w, functions, cond: (cond, u64) }
    }

    /// The type of a function of the program.
    pub(super) fn function(&mut self, name: &str) -> TypeId {
        if let Some(id) = self.functions.get(name) {
            return *id;
        }
        // One of the functions that `cond` is spread over.
        let (params, result) = self.cond;
        let id = self.writer.function(name, result, &params);
        self.functions.insert(name.to_owned(), id);
        id
    }

    /// The offset of a string, added if it is new.
    pub(super) fn string(&mut self, text: &str) -> u32 {
        self.writer.string(text)
    }

    /// The section's bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (types, strings) = (self.writer.types.len() as u32, self.writer.strings.len() as u32);
        let mut out = Vec::new();
        out.extend(MAGIC.to_le_bytes());
        out.extend([1, 0]);
        for word in [HEADER_BYTES as u32, 0, types, types, strings] {
            out.extend(word.to_le_bytes());
        }
        out.extend(&self.writer.types);
        out.extend(&self.writer.strings);
        out
    }
}

/// Bytes of a map definition in `.maps`: four pointers.
pub(super) const MAP_BYTES: usize = 32;

/// A structure of `u32` members.
fn words(w: &mut Writer, name: &str, members: &[&str], u32: TypeId) -> TypeId {
    let members: Vec<_> = members.iter().enumerate().map(|(i, name)| (*name, u32, 4 * i)).collect();
    w.structure(name, 4 * members.len(), &members)
}
