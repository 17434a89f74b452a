//! Names, sizes and offsets that the programs, the object writer, its readers and the loaders agree on.

use boesfs_lang::cond::ARG_COUNT;

use crate::tables::Tables;

pub mod family;
pub mod kmod;
mod maps;

pub use maps::{
    DEPTH, Data, Doubt, Map, MapKind, UNTOLD, above, event, handed, live, moves, place, scratch, session, supers,
};

/// The section of the entry program, and so its program type.
pub const ENTRY_SECTION: &str = "syscall";
/// The entry program.
pub const ENTRY: &str = "boesfs_walk";
/// The functions of `.text` that every object has, by name.
pub const FUNCTIONS: [&str; 10] =
    ["step", "check", "decide", "cond", "walk", "subject", "row", "conditional", "within", "within_all"];
/// The map that names are passed in: an array of one entry.
pub const REQUEST_MAP: &str = "request";

/// Bytes of a name as the programs take it: zero-padded.
pub const NAME_BYTES: usize = 256;
/// Bytes of one slot of a request: the name, then its length as `u64`.
pub const SLOT_BYTES: usize = NAME_BYTES + 8;
/// Slots of a request: the deepest path that one run walks.
pub const SLOTS: usize = 128;
/// Bytes of a request: the value of the map.
pub const REQUEST_BYTES: usize = SLOTS * SLOT_BYTES;
/// The most repetitions of one run.
pub const MAX_REPEAT: u32 = 256;

/// Words of zero after the last word of `.rodata.names`, so that a compare of the longest name stays inside.
pub const NAMES_TAIL: usize = NAME_BYTES / 8;

/// The word in which the state of a directory is kept: one store, so that nobody sees half of it.
pub mod dir_bits {
    /// Bits of the state, from bit 0: tables have at most [`crate::emit::MAX_ENTRIES`] of them.
    pub const STATE: u32 = 24;
    /// Bits of the number of the mount, from there.
    pub const PLACE: u32 = 10;
    /// Mounts with this number and above are too many: nothing is kept of them.
    pub const PLACES: u32 = 1 << PLACE;
    /// Generations from this one on do not fit: nothing is kept any more.
    pub const GENERATIONS: u32 = 1 << (64 - STATE - PLACE);
}

/// What a run of the entry program repeats, and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Mode {
    /// Walks the components from the start state, then checks.
    Walk = 0,
    /// One step from the start state by the first name, then checks.
    Step = 1,
    /// Checks at the start state.
    Check = 2,
    /// What [`Mode::Check`] does besides the call: the cost of the loop.
    Empty = 3,
    /// The class of the [`who`] at the start of the request map, as the state reached.
    Subject = 4,
}

/// Offsets of the context of the entry program, in bytes.
pub mod context {
    use super::ARG_COUNT;

    /// In, `u32`: the class.
    pub const CLASS: usize = 0;
    /// In, `u32`: the operation.
    pub const OP: usize = 4;
    /// In, `u32`: the state to start from.
    pub const START: usize = 8;
    /// In, `u32`: how many slots of the request hold names; more than there are leads to the dead state.
    pub const COUNT: usize = 12;
    /// In, `u32`: how often to repeat, 1 to [`super::MAX_REPEAT`]; out of range is taken as the nearest.
    pub const REPEAT: usize = 16;
    /// In, `u32`: a [`super::Mode`].
    pub const MODE: usize = 20;
    /// In, eight `u64`: the arguments.
    pub const ARGS: usize = 24;
    /// Out, `u64`: the state reached.
    pub const STATE: usize = ARGS + 8 * ARG_COUNT;
    /// Out, `u64`: the verdict of `check` there.
    pub const CHECK: usize = STATE + 8;
    /// Out, `u64`: the verdict of `decide` there.
    pub const DECIDE: usize = CHECK + 8;
    /// Out, `u64`: nanoseconds that all repetitions took.
    pub const NS: usize = DECIDE + 8;
    /// Bytes of the context.
    pub const BYTES: usize = NS + 8;
}

/// Offsets in what `subject` takes, in bytes; all are `u32`.
pub mod who {
    /// The user.
    pub const UID: usize = 0;
    /// The group.
    pub const GID: usize = 4;
    /// The state that the executable's path leads to from the root of executables; 0: not known.
    pub const EXE: usize = 8;
    /// How many of the groups there are; more than [`GROUPS_MAX`] are nobody.
    pub const COUNT: usize = 12;
    /// The supplementary groups.
    pub const GROUPS: usize = 16;
    /// The most supplementary groups that can be told.
    pub const GROUPS_MAX: usize = 32;
    /// Bytes of it.
    pub const BYTES: usize = GROUPS + 4 * GROUPS_MAX;
}

/// A table: one read-only section of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the field of Tables with that name")]
#[repr(u8)]
pub enum Table {
    States,
    Edges,
    Displacements,
    Names,
    Rows,
    Causes,
    Shapes,
    Links,
    Decisions,
    Globs,
    GlobClass,
    GlobNext,
    GlobOutcome,
    GlobTargets,
    Users,
    Groups,
    Exes,
    Joins,
}

impl Table {
    /// Every table, in the order of the sections.
    pub const ALL: [Table; 18] = [
        Table::States,
        Table::Edges,
        Table::Displacements,
        Table::Names,
        Table::Rows,
        Table::Causes,
        Table::Shapes,
        Table::Links,
        Table::Decisions,
        Table::Globs,
        Table::GlobClass,
        Table::GlobNext,
        Table::GlobOutcome,
        Table::GlobTargets,
        Table::Users,
        Table::Groups,
        Table::Exes,
        Table::Joins,
    ];

    /// The section.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Table::States => ".rodata.states",
            Table::Edges => ".rodata.edges",
            Table::Displacements => ".rodata.disp",
            Table::Names => ".rodata.names",
            Table::Rows => ".rodata.rows",
            Table::Causes => ".rodata.causes",
            Table::Shapes => ".rodata.shapes",
            Table::Links => ".rodata.links",
            Table::Decisions => ".rodata.decisions",
            Table::Globs => ".rodata.globs",
            Table::GlobClass => ".rodata.gclass",
            Table::GlobNext => ".rodata.gnext",
            Table::GlobOutcome => ".rodata.gout",
            Table::GlobTargets => ".rodata.gtargets",
            Table::Users => ".rodata.users",
            Table::Groups => ".rodata.groups",
            Table::Exes => ".rodata.exes",
            Table::Joins => ".rodata.joins",
        }
    }

    /// The variable in the section, for symbols and BTF.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        &self.section()[".rodata.".len()..]
    }

    /// The table whose section is `section`.
    #[must_use]
    pub fn from_section(section: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.section() == section)
    }

    /// Bytes of one entry.
    #[must_use]
    pub const fn entry_bytes(self) -> usize {
        match self {
            Table::States | Table::Edges | Table::Decisions => 16,
            Table::Names | Table::Rows | Table::Causes | Table::Globs | Table::Users | Table::Groups => 8,
            Table::Links | Table::GlobNext | Table::GlobOutcome | Table::GlobTargets | Table::Exes => 4,
            Table::Displacements | Table::Joins => 2,
            Table::GlobClass => 1,
            Table::Shapes => 32,
        }
    }

    /// Entries in the section: a power of two, at least 1 ([`Table::GlobClass`]: 256), without [`NAMES_TAIL`].
    #[must_use]
    pub fn entries(self, tables: &Tables) -> usize {
        let entries = match self {
            Table::States => tables.states.len(),
            Table::Edges => tables.edges.len(),
            Table::Displacements => tables.displacements.len(),
            Table::Names => tables.names.len(),
            Table::Rows => tables.rows.len(),
            Table::Causes => tables.causes.len(),
            Table::Shapes => tables.shapes.len(),
            Table::Links => tables.links.len(),
            Table::Decisions => tables.decisions.len(),
            Table::Globs => tables.globs.len(),
            Table::GlobClass => 256,
            Table::GlobNext => tables.glob_next.len(),
            Table::GlobOutcome => tables.glob_outcome.len(),
            Table::GlobTargets => tables.glob_targets.len(),
            Table::Users => tables.users.len(),
            Table::Groups => tables.groups.len(),
            Table::Exes => tables.exes.len(),
            Table::Joins => tables.joins.len(),
        };
        entries.max(1).next_power_of_two()
    }
}
