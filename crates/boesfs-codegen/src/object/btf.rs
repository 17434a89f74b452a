//! Section `.BTF`: the types of the programs, the tables and the map, for loaders, verifiers and people.
//!
//! The format is that of the kernel's `Documentation/bpf/btf.rst`.

use std::collections::BTreeMap;

use boesfs_lang::cond::Arg;

use crate::bpf::kernel::{self, Member, STRUCTS};
use crate::bpf::{Field, Function, Linkage, TEXT};
use crate::emit::layout::kmod::{MEMBERS, POLICY_NAME};
use crate::emit::layout::{
    Data, Doubt, ENTRY, Map, NAME_BYTES, NAMES_TAIL, REQUEST_BYTES, SLOT_BYTES, SLOTS, Table, above, context, dir_bits,
    live, moves, place, scratch, session, supers, who,
};
use crate::tables::Tables;

use super::ops;

/// A type, by number from 1; 0 is `void`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypeId(pub(super) u32);

const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
pub(super) const STRUCT: u32 = 4;
const CONST: u32 = 10;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
/// Linkage of functions and variables.
const GLOBAL: u32 = 1;

pub(super) const MAGIC: u16 = 0xeb9f;
pub(super) const HEADER_BYTES: usize = 24;

/// How many words follow the first three of a type; none for a kind that is not written here.
pub(super) fn parts_words(kind: u32, parts: usize) -> Option<usize> {
    match kind {
        PTR | CONST | FUNC => Some(0),
        INT | VAR | DECL_TAG => Some(1),
        ARRAY => Some(3),
        STRUCT | DATASEC => Some(3 * parts),
        FUNC_PROTO => Some(2 * parts),
        _ => None,
    }
}

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

    fn function(&mut self, name: &str, linkage: Linkage, Signature { result, params }: &Signature) -> TypeId {
        let words: Vec<u32> = params.iter().flat_map(|(name, id)| [self.string(name), id.0]).collect();
        let proto = self.add("", FUNC_PROTO, params.len(), result.0, &words);
        let linkage = if linkage == Linkage::Global { GLOBAL } else { 0 };
        self.add(name, FUNC, linkage as usize, proto.0, &[])
    }

    /// A section with one variable that fills it.
    fn section(&mut self, section: &str, variable: &str, of: TypeId, bytes: usize) {
        let var = self.add(variable, VAR, 0, of.0, &[GLOBAL]);
        self.add(section, DATASEC, 1, bytes as u32, &[var.0, 0, bytes as u32]);
    }
}

/// What a function takes and gives.
#[derive(Clone, Debug)]
struct Signature {
    result: TypeId,
    params: Vec<(&'static str, TypeId)>,
}

/// The types of an object.
#[derive(Debug)]
pub(super) struct Btf {
    writer: Writer,
    /// What the functions of `.text` and `boesfs_walk` take and give.
    signatures: BTreeMap<&'static str, Signature>,
    /// What `cond` and the functions it is spread over take and give.
    cond: Signature,
    /// What entry programs take and give.
    entry: Signature,
    /// The structures of the kernel whose fields are read.
    structs: BTreeMap<&'static str, TypeId>,
}

impl Btf {
    /// The types for `tables`.
    pub(super) fn new(tables: &Tables) -> Btf {
        let mut w = Writer { types: Vec::new(), count: 0, strings: vec![0], offsets: BTreeMap::new() };
        let (u8, u16) = (w.int("unsigned char", 1), w.int("unsigned short", 2));
        let (u32, u64) = (w.int("unsigned int", 4), w.int("unsigned long long", 8));
        let int = w.add("int", INT, 0, 4, &[1 << 24 | 32]);
        debug_assert_eq!([u8.0, u32.0, u64.0], [U8_TYPE, U32_TYPE, U64_TYPE]);
        // Early, so that its number is known to whoever makes the map.
        let room = w.add("", ARRAY, 0, 0, &[u64.0, u32.0, scratch::BYTES as u32 / 8]);
        let scratch = w.structure("boesfs_scratch", scratch::BYTES, &[("words", room, 0)]);
        debug_assert_eq!(scratch.0, SCRATCH_TYPE);
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
        let room = w.pointer(scratch);
        let registers = w.pointer(u64);
        let signature =
            |result: TypeId, params: &[(&'static str, TypeId)]| Signature { result, params: params.to_vec() };
        let question = [("state", u32), ("class", u32), ("op", u32), ("args", args)];
        let cond = signature(u64, &[("number", u32), ("args", args)]);
        let entry = signature(int, &[("ctx", registers)]);
        let structs = kernel_structs(&mut w, [u16, u32, u64]);
        let path = structs.get("path").copied().unwrap_or(TypeId(0));
        let path = w.pointer(path);
        let signatures = BTreeMap::from([
            (ENTRY, signature(int, &[("ctx", ctx)])),
            ("step", signature(u32, &[("state", u32), ("name", name), ("length", u32)])),
            ("glob_some", signature(u32, &[("state", u32), ("name", name), ("from", u32), ("left", u32)])),
            ("check", signature(u64, &question)),
            ("decide", signature(u64, &question)),
            ("walk", signature(u32, &[("state", u32), ("request", slots), ("count", u32)])),
            ("subject", signature(u32, &[("who", who)])),
            ("join_groups", signature(u32, &[("class", u32), ("who", who), ("from", u32)])),
            ("subject_now", signature(u32, &[("nothing", u32)])),
            ("subject_often", signature(u32, &[("nothing", u32)])),
            ("row", signature(u64, &question[..2])),
            ("first", signature(u32, &question[..3])),
            ("conditional", signature(u32, &question[..3])),
            ("within", signature(u32, &[("to", u32), ("from", u32), ("class", u32)])),
            ("within_all", signature(u32, &[("to", u32), ("from", u32)])),
            ("op_within", signature(u32, &[("to", u32), ("from", u32), ("class", u32), ("op", u32)])),
            ("all_allow", signature(u32, &[("decision", u32)])),
            ("any_allows", signature(u32, &[("decision", u32)])),
            ("alike", signature(u32, &[("a", u32), ("b", u32)])),
            ("find_path", signature(u64, &[("path", path)])),
            ("find_path_slow", signature(u64, &[("path", path)])),
            ("climb", signature(u64, &[("scratch", room)])),
            ("climb_up", signature(u64, &[("scratch", room)])),
            ("climb_ups", signature(u64, &[("scratch", room)])),
            ("climb_down", signature(u64, &[("scratch", room)])),
            ("climb_downs", signature(u64, &[("scratch", room)])),
            ("climb_check", signature(u64, &[("scratch", room)])),
            ("climb_checks", signature(u64, &[("scratch", room)])),
            ("stands", signature(u64, &[("place", u32), ("kept", u32)])),
            ("stands_few", signature(u64, &[("scratch", room)])),
            ("stands_some", signature(u64, &[("scratch", room)])),
            ("tell", signature(u64, &[("scratch", room)])),
            ("tell_names", signature(u64, &[("scratch", room)])),
            ("tell_some", signature(u64, &[("scratch", room)])),
        ]);

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
        let place = w.structure(
            "boesfs_place",
            place::BYTES,
            &[
                ("root", u64, place::ROOT),
                ("state", u32, place::STATE),
                ("number", u32, place::NUMBER),
                ("judged", u32, place::JUDGED),
                ("kept", u32, place::KEPT),
                ("executables", u32, place::EXECUTABLES),
            ],
        );
        let places = array(&mut w, place, supers::MOST);
        let of_super = w.structure(
            "boesfs_super",
            supers::BYTES,
            &[("count", u32, supers::COUNT), ("places", places, supers::PLACES)],
        );
        let members = [("dentry", u64, above::DENTRY), ("sequence", u64, above::SEQUENCE)];
        let above = w.structure("boesfs_above", above::BYTES, &members);
        let mut vars = Vec::new();
        for (map, at) in Map::ALL.into_iter().zip(0..) {
            let (key, value) = match map {
                Map::Request => (Some(u32), Some(request)),
                Map::Mounts => (Some(u64), Some(place)),
                Map::Supers => (Some(u64), Some(of_super)),
                Map::Handed => (Some(u64), Some(u64)),
                Map::Dirs => (Some(u32), Some(u64)),
                Map::Scratch => (Some(u32), Some(scratch)),
                Map::Renaming | Map::Executable => (Some(u32), Some(u64)),
                Map::Above => (Some(u64), Some(above)),
                Map::Events => (None, None),
            };
            let mut members = vec![("type", number(&mut w, map.kind() as usize))];
            if map.entries() > 0 {
                members.push(("max_entries", number(&mut w, map.entries() as usize)));
            }
            members.extend(key.map(|key| ("key", w.pointer(key))));
            members.extend(value.map(|value| ("value", w.pointer(value))));
            if map.flags() > 0 {
                members.push(("map_flags", number(&mut w, map.flags() as usize)));
            }
            let members: Vec<_> = members.into_iter().zip(0..).map(|((name, of), i)| (name, of, 8 * i)).collect();
            let of = w.structure("", MAP_BYTES, &members);
            let var = w.add(map.name(), VAR, 0, of.0, &[GLOBAL]);
            vars.extend([var.0, (at * MAP_BYTES) as u32, MAP_BYTES as u32]);
        }
        w.add(".maps", DATASEC, Map::ALL.len(), (Map::ALL.len() * MAP_BYTES) as u32, &vars);
        for data in Data::ALL {
            let of = match data {
                Data::Session => {
                    let members = [
                        ("cgroup", u64, session::CGROUP),
                        ("class", u32, session::CLASS),
                        ("setattr_unmapped", u32, session::SETATTR_UNMAPPED),
                        ("alias", u32, session::ALIAS),
                        ("level", u32, session::LEVEL),
                        ("unset", u32, session::UNSET),
                        ("short", u32, session::SHORT),
                        ("shared", u32, session::SHARED),
                    ];
                    let of = w.structure("boesfs_session", session::BYTES, &members);
                    w.constant(of)
                }
                Data::Live => {
                    let counters = array(&mut w, u64, Doubt::ALL.len());
                    let stood = array(&mut w, u64, dir_bits::PLACES as usize);
                    let members = [
                        ("armed", u64, live::ARMED),
                        ("counters", counters, live::COUNTERS),
                        ("number", u32, live::NUMBER),
                        ("stood", stood, live::STOOD),
                    ];
                    w.structure("boesfs_live", live::BYTES, &members)
                }
                Data::Moves => {
                    let members = [("moving", u32, moves::MOVING), ("generation", u32, moves::GENERATION)];
                    w.structure("boesfs_moves", moves::BYTES, &members)
                }
                Data::Places => array(&mut w, u64, Data::Places.bytes() / 8),
            };
            w.section(data.section(), data.symbol(), of, data.bytes());
        }
        let license = array(&mut w, u8, 4);
        w.section("license", "_license", license, 4);
        Btf { writer: w, signatures, cond, entry, structs }
    }

    /// Adds the policy as the module takes it.
    pub(super) fn add_struct_ops(&mut self) {
        let of = struct_ops(&mut self.writer, [U8_TYPE, U32_TYPE, U64_TYPE].map(TypeId));
        self.writer.section(ops::SECTION, ops::VARIABLE, of, ops::BYTES);
    }

    /// The type of a function of the program.
    pub(super) fn function(&mut self, function: &Function) -> TypeId {
        let known = self.signatures.get(function.name.as_str());
        let signature = match known {
            Some(known) => known,
            None if function.section != TEXT => &self.entry,
            // The kernel looks at what static functions are called with, not at what they say.
            None if function.linkage == Linkage::Static => &self.entry,
            // `cond`, and the functions that it is spread over.
            None => &self.cond,
        };
        let id = self.writer.function(&function.name, function.linkage, signature);
        if matches!(function.name.as_str(), "find_path" | "find_path_slow") {
            // The verifier takes its argument for a kernel object, which a caller must have.
            self.writer.add("arg:trusted", DECL_TAG, 0, id.0, &[0]);
        }
        id
    }

    /// The structure that `field` is in.
    pub(super) fn structure(&self, field: Field) -> TypeId {
        self.structs.get(field.structure()).copied().unwrap_or(TypeId(0))
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

/// Bytes of a map definition in `.maps`: at most five pointers.
pub(super) const MAP_BYTES: usize = 40;
/// The types of a map's key and value in the `.BTF` of every object: for maps that the kernel makes with their types only.
#[must_use]
pub const fn map_types(map: Map) -> Option<[u32; 2]> {
    match map {
        Map::Dirs | Map::Renaming | Map::Executable => Some([U32_TYPE, U64_TYPE]),
        Map::Scratch => Some([U32_TYPE, SCRATCH_TYPE]),
        _ => None,
    }
}

/// The number of the type `unsigned char`.
const U8_TYPE: u32 = 1;
/// The number of the type `unsigned int`.
pub(super) const U32_TYPE: u32 = 3;
/// The number of the type `unsigned long long`.
pub(super) const U64_TYPE: u32 = 4;
/// The number of the type of a task's scratch memory.
pub(super) const SCRATCH_TYPE: u32 = 7;

/// The structures of the kernel, as far as they are declared here. A pointer to one that stands later, or to itself, is one
/// to a forward declaration: loaders look at names and kinds alone.
fn kernel_structs(w: &mut Writer, [u16, u32, u64]: [TypeId; 3]) -> BTreeMap<&'static str, TypeId> {
    let mut ids: BTreeMap<&'static str, TypeId> = BTreeMap::new();
    let nothing = w.pointer(TypeId(0));
    for (name, members) in STRUCTS {
        let members: Vec<_> = kernel::layout(members)
            .into_iter()
            .map(|(name, member, at)| {
                let of = match member {
                    Member::U16 => u16,
                    Member::U32 => u32,
                    Member::U64 => u64,
                    Member::Pointer(_) | Member::Bytes => nothing,
                    Member::Inside(inside) => ids.get(inside).copied().unwrap_or(TypeId(0)),
                    Member::Id(inner) => w.structure("", 4, &[(inner, u32, 0)]),
                };
                (name, of, at as usize)
            })
            .collect();
        let id = w.structure(name, kernel::struct_size(name).0 as usize, &members);
        ids.insert(name, id);
    }
    ids
}

/// The policy as the module takes it: programs by the words of the module's questions, then data.
fn struct_ops(w: &mut Writer, [u8, u32, u64]: [TypeId; 3]) -> TypeId {
    let nothing = w.pointer(TypeId(0));
    let mut members = Vec::new();
    for (member, index) in MEMBERS.iter().zip(0..) {
        let result = if matches!(member.name, "check" | "row") { u64 } else { u32 };
        let params: &[(&str, TypeId)] = match member.name {
            "step" => &[("name", nothing), ("state", u32), ("length", u32)],
            "row" => &[("state", u32), ("class", u32)],
            "conditional" => &[("state", u32), ("class", u32), ("op", u32)],
            "within" => &[("to", u32), ("from", u32), ("class", u32)],
            "check" => &[("request", nothing)],
            "subject" => &[("who", nothing)],
            _ => &[("event", nothing)],
        };
        let words: Vec<u32> = params.iter().flat_map(|(name, id)| [w.string(name), id.0]).collect();
        let proto = w.add("", FUNC_PROTO, params.len(), result.0, &words);
        members.push((member.name, w.pointer(proto), index * ops::PROGRAM_BYTES));
    }
    let name = w.add("", ARRAY, 0, 0, &[u8.0, u32.0, POLICY_NAME as u32]);
    let data = [("abi", u32, ops::ABI), ("classes", u32, ops::CLASSES), ("exe_root", u32, ops::EXE_ROOT)];
    members.extend(data);
    members.push(("name", name, ops::NAME));
    w.structure("boesfs_ops", ops::BYTES, &members)
}

/// A structure of `u32` members.
fn words(w: &mut Writer, name: &str, members: &[&str], u32: TypeId) -> TypeId {
    let members: Vec<_> = members.iter().enumerate().map(|(i, name)| (*name, u32, 4 * i)).collect();
    w.structure(name, 4 * members.len(), &members)
}
