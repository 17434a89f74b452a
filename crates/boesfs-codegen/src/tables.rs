//! The packed tables: the automaton as the checker programs see it.
//!
//! Everything is little-endian and lies in read-only sections of the object, one per field of [`Tables`]. Every index
//! is masked with the (power-of-two) table length minus one before a load; padding is zero, and zero always
//! refuses: state 0 is the *dead* state, whose row allows nothing. What comes from outside (state, class, operation,
//! length of the name) is compared instead: out of range is the dead state, or a refusal. The padding of `decisions`
//! repeats decision 0, because a verdict of 0 would be an allow.
//!
//! ```text
//! step(state, name):
//!     s = states[state]
//!     if s.out == 0            -> s.default                       a leaf: the name need not be looked at
//!     if s.out & HAS_LITERALS:
//!         h = hash(seed, state, name); e = edges[(h + displacements[h >> 40]) & mask]
//!         if e.state == state && e.length == length && names[e.name..] == name -> e.next
//!     g = s.out & !HAS_LITERALS
//!     if g == 0                -> s.default
//!     q = globs[g].start; for byte in name: q = glob_next[q << glob_shift | glob_class[byte]]
//!                              -> glob_targets[globs[g].targets + glob_outcome[q]]    outcome 0 (no glob matches) is the default
//!
//! check(state, class, op, args):
//!     row = rows[states[state].row + class]        low half: allowed, high half: needs a closer look
//!     if !(row >> 32 >> op & 1) and (row >> op & 1)  -> allow
//!                              -> decide(state, class, op, args)
//!
//! decide(state, class, op, args):
//!     c = causes[states[state].cause + class]
//!     d = links[c.base + shapes[c.shape][op]]
//!     until decisions[d].cond holds: d = decisions[d].next          at most MAX_CHAIN times
//!                              -> decisions[d].verdict
//!
//! subject(who):
//!     c = class of who.uid in users                 each join: NOBODY where one is, or where the two have no class
//!     for gid in who.gid, who.groups: c = joins[c * classes + class of gid in groups]
//!     if who.exe - exe_root is in exes: c = joins[c * classes + exes[who.exe - exe_root]]
//!                              -> c
//! ```

pub mod graph;
pub mod rights;
pub mod walk;

use boesfs_lang::cond::Cond;
use boesfs_lang::eval::{Cause, Verdict};
use boesfs_lang::policy::{Effect, Record, RuleId};
use serde::{Deserialize, Serialize};

use crate::manifest::Sizes;

/// The class that is none: of whoever holds roles that may not be held together. No table has so many classes.
pub const NOBODY: u32 = 0xffff;

/// A state of the automaton: an index into [`Tables::states`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StateId(pub u32);

impl StateId {
    /// The dead state: every name leads back to it, and it refuses everything.
    pub const DEAD: StateId = StateId(0);
    /// The state of `/`.
    pub const ROOT: StateId = StateId(1);
}

/// Flag in [`State::out`]: the state has literal edges.
pub const HAS_LITERALS: u32 = 1 << 31;

/// Bit of a row: no name right below the state is hidden, or recorded when it is found.
pub const ROW_LISTED: u64 = 1 << 30;
/// Bit of a row: every object below the state is hidden.
pub const ROW_ABSENT: u64 = 1 << 31;

/// The longest chain of conditional decisions for one (state, class, operation).
pub const MAX_CHAIN: u32 = 32;

/// One state: 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct State {
    /// Index of its class 0 in [`Tables::rows`].
    pub row: u32,
    /// Index of its class 0 in [`Tables::causes`].
    pub cause: u32,
    /// The state of names that no edge matches.
    pub default: u32,
    /// [`HAS_LITERALS`], and an index into [`Tables::globs`] (0: no glob edges). 0 altogether: a leaf.
    pub out: u32,
}

/// One slot of the perfect hash of literal edges: 16 bytes. An empty slot has `state` 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Edge {
    /// Where it starts.
    pub state: u32,
    /// Where it leads.
    pub next: u32,
    /// Where the name starts, in words of [`Tables::names`].
    pub name: u32,
    /// The name's length in bytes.
    pub length: u32,
}

/// The glob edges of a state, as one byte automaton: 8 bytes. Entry 0 is unused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Globs {
    /// Start state of the byte automaton.
    pub start: u32,
    /// Where this state's targets start in [`Tables::glob_targets`].
    pub targets: u32,
}

/// Where the decisions of one (state, class) are: 8 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct CauseRef {
    /// Index into [`Tables::shapes`].
    pub shape: u32,
    /// Added to the shape's entry to index [`Tables::links`].
    pub base: u32,
}

/// The class of the ids from one on: 8 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct IdClass {
    /// The first id; the last one is before the next entry's.
    pub first: u32,
    /// Their class, or [`NOBODY`].
    pub class: u32,
}

/// One decision: 16 bytes. Decision 0 refuses by the default, without a condition: what padding and damage lead to, and
/// what every shape gives for the numbers that no operation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Decision {
    /// The verdict, as [`pack_verdict`] writes it.
    pub verdict: u64,
    /// 0: decides; else the number of a condition, from 1, that must hold.
    pub cond: u32,
    /// The decision to try when the condition does not hold.
    pub next: u32,
}

impl Default for Decision {
    fn default() -> Decision {
        Decision { verdict: Effect::Deny as u64, cond: 0, next: 0 }
    }
}

/// The tables. Lengths of all are powers of two once packed (`glob_class` and one `shapes` entry aside).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Number of classes: the stride of `rows` and `causes`.
    pub classes: u32,
    /// Seed of [`hash`]: another is tried when no displacements separate all edges.
    pub seed: u64,
    /// `.rodata.states`
    pub states: Vec<State>,
    /// `.rodata.edges`
    pub edges: Vec<Edge>,
    /// `.rodata.disp`: displacement by the upper bits of the hash.
    pub displacements: Vec<u16>,
    /// `.rodata.names`: names of edges in whole words, padded with zero bytes.
    pub names: Vec<u64>,
    /// `.rodata.rows`: low half: bitmap of allowed operations; high half: bitmap of those that need a closer look.
    pub rows: Vec<u64>,
    /// `.rodata.causes`
    pub causes: Vec<CauseRef>,
    /// `.rodata.shapes`: by operation, an offset from [`CauseRef::base`].
    pub shapes: Vec<[u8; 32]>,
    /// `.rodata.links`: indices into `decisions`.
    pub links: Vec<u32>,
    /// `.rodata.decisions`
    pub decisions: Vec<Decision>,
    /// `.rodata.globs`
    pub globs: Vec<Globs>,
    /// `.rodata.gclass`: byte to column of `glob_next`.
    pub glob_class: Vec<u8>,
    /// log2 of the number of columns of `glob_next`.
    pub glob_shift: u32,
    /// `.rodata.gnext`: next state of the byte automata; state 0 is dead (no glob can match any more).
    pub glob_next: Vec<u32>,
    /// `.rodata.gout`: by state of the byte automata, the outcome: which set of globs has matched.
    pub glob_outcome: Vec<u32>,
    /// `.rodata.gtargets`
    pub glob_targets: Vec<u32>,
    /// `.rodata.users`: the classes of users, by their ids in order; the first entry begins at 0.
    pub users: Vec<IdClass>,
    /// `.rodata.groups`: the same for groups.
    pub groups: Vec<IdClass>,
    /// The state from which paths of executables are walked; 0: none enters a role.
    pub exe_root: u32,
    /// `.rodata.exes`: by state, from `exe_root` on, the class of the executable whose path ends there, or 0.
    pub exes: Vec<u32>,
    /// `.rodata.joins`: by two classes (the first times `classes` plus the second), the class with the roles of both, or [`NOBODY`].
    pub joins: Vec<u16>,
}

/// What the automaton stage hands to the emitter: all that an object holds besides the manifest's texts.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    /// The tables.
    pub tables: Tables,
    /// The distinct conditions: number `i + 1` in [`Decision::cond`] is `conditions[i]`. Compiled to instructions.
    pub conditions: Vec<Condition>,
    /// Sizes before padding.
    pub sizes: Sizes,
}

/// A condition, and a rule that has it: its place in the source is shown beside the instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The condition.
    pub cond: Cond,
    /// The first rule with this condition.
    pub rule: RuleId,
}

/// Multiplied with the state to start [`hash`].
pub const HASH_STATE: u64 = 0x9e37_79b9_7f4a_7c15;
/// Multiplied in [`hash`] for each word of the name.
pub const HASH_WORD: u64 = 0xff51_afd7_ed55_8ccd;
/// How far [`hash`] is shifted right to index [`Tables::displacements`].
pub const HASH_DISPLACEMENT_SHIFT: u32 = 40;

/// The hash of a literal edge.
///
/// It starts as `state * HASH_STATE + seed`. Then each word `w` of the name, eight bytes little-endian, the last
/// padded with zero bytes, is mixed in by `h = h ^ w; h = (h ^ (h >> 32)) * HASH_WORD`: folded first, so that the last byte of
/// a word, too, reaches every bit of the upper half. That is folded down in the end: `h = h ^ (h >> 32)`. All arithmetic wraps.
/// The edge is in slot `(h + displacements[(h >> 40) & (displacements.len() - 1)]) & (edges.len() - 1)`, the
/// addition being one of 32 bits on the low half of `h`.
#[must_use]
pub fn hash(seed: u64, state: StateId, name: &[u8]) -> u64 {
    let start = u64::from(state.0).wrapping_mul(HASH_STATE).wrapping_add(seed);
    let fold = |h: u64| h ^ (h >> 32);
    fold(name_words(name).fold(start, |h, word| fold(h ^ word).wrapping_mul(HASH_WORD)))
}

/// A name in words of eight bytes, little-endian, the last one padded with zero bytes: as [`Tables::names`] holds it.
pub fn name_words(name: &[u8]) -> impl Iterator<Item = u64> {
    name.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    })
}

impl Tables {
    /// The slot of [`Tables::edges`] where an edge with this [`hash`] is, if there is one.
    #[must_use]
    pub fn edge_slot(&self, hash: u64) -> usize {
        let bucket = (hash >> HASH_DISPLACEMENT_SHIFT) as usize & (self.displacements.len() - 1);
        (hash as u32).wrapping_add(u32::from(self.displacements[bucket])) as usize & (self.edges.len() - 1)
    }
}

/// Bits of a packed verdict.
pub mod verdict_bits {
    /// Bits 0 to 1: the [`boesfs_lang::policy::Effect`].
    pub const EFFECT: u64 = 0b11;
    /// The deciding rule says `audit`.
    pub const AUDIT: u64 = 1 << 8;
    /// The deciding rule says `quiet`.
    pub const QUIET: u64 = 1 << 9;
    /// The default decided, and the operation is granted to the class nowhere.
    pub const NOT_GRANTED: u64 = 1 << 10;
    /// From here: the id of the rule that decided plus 1, or 0 for the default.
    pub const RULE_SHIFT: u32 = 32;
}

/// A verdict as the checker programs return it.
#[must_use]
pub fn pack_verdict(verdict: &Verdict) -> u64 {
    let record = match verdict.record {
        Record::Audit => verdict_bits::AUDIT,
        Record::Quiet => verdict_bits::QUIET,
        Record::Refusals => 0,
    };
    let cause = match verdict.cause {
        Cause::Rule(rule) => (u64::from(rule.0) + 1) << verdict_bits::RULE_SHIFT,
        Cause::Default => 0,
        Cause::NotGranted => verdict_bits::NOT_GRANTED,
    };
    verdict.effect as u64 | record | cause
}

/// The verdict that a checker program returned. Unknown bits read as a refusal by the default.
#[must_use]
pub fn unpack_verdict(bits: u64) -> Verdict {
    let effect = match bits & 0xff {
        0 => Effect::Allow,
        2 => Effect::Hide,
        3 => Effect::Kill,
        _ => Effect::Deny,
    };
    let record = match bits & (verdict_bits::AUDIT | verdict_bits::QUIET) {
        0 => Record::Refusals,
        verdict_bits::QUIET => Record::Quiet,
        _ => Record::Audit,
    };
    let cause = match (bits >> verdict_bits::RULE_SHIFT) as u32 {
        0 if bits & verdict_bits::NOT_GRANTED != 0 => Cause::NotGranted,
        0 => Cause::Default,
        rule => Cause::Rule(RuleId(rule - 1)),
    };
    Verdict { effect, record, cause }
}
