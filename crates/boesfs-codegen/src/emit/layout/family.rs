//! What the sandboxes of a machine share with the LSM hook: the table that says which programs judge the tasks of which cgroup.
//!
//! It has [`ROWS`] rows of [`WAYS`] cgroups each. The row of a cgroup follows from its id; which way of the row it has is a *slot*. A
//! program of each policy stands at an index of a program array, which there is one of for each hook: of the two indexes of a slot one is in use,
//! the other one is for the policy that takes its place.

/// Another number for what does not fit to what is described here.
pub const FORMAT: u32 = 2;

/// Bits of the number of a row.
pub const ROW_BITS: u32 = 12;
/// Rows.
pub const ROWS: usize = 1 << ROW_BITS;
/// Cgroups of a row.
pub const WAYS: usize = 8;
/// Slots.
pub const SLOTS: usize = ROWS * WAYS;
/// Bytes of a row.
pub const ROW_BYTES: usize = 16 * WAYS;
/// In a row, `u64`s: the ids of the cgroups; 0: nobody's.
pub const IDS: usize = 0;
/// In a row, `u64`s, by way: bit `n` says that a program is there for hook `n` of [`hooks`](crate::emit::lsm::hooks), or that the gate with that
/// number of [`gates`](crate::emit::lsm::gates) refuses, and from [`INDEX`] on stands the index. 0: nothing is judged. One word: nobody sees half of it.
pub const WORDS: usize = 8 * WAYS;
/// Bits of a word before the index.
pub const INDEX: u32 = 48;
/// Entries of a program array.
pub const PROGRAMS: usize = 2 * SLOTS;

/// After the rows, `u64`s by slot: the hooks that whoever has it relies on.
pub const CLAIMS: usize = ROWS * ROW_BYTES;
/// After those, `u64`: the number of the map that [`Data::Moves`](super::Data::Moves) is.
pub const MOVES: usize = CLAIMS + 8 * SLOTS;
/// `u64`s: the numbers of the links of the programs about renames.
pub const RENAMES: usize = MOVES + 8;
/// `u64`s by hook or gate: the number of its program array, which a gate does not have, in the lower half, and that of the link of its program in the
/// upper one. 0: none.
pub const HOOKS: usize = RENAMES + 16;
/// Bytes of the table.
pub const BYTES: usize = (HOOKS + 8 * INDEX as usize).next_multiple_of(4096);

/// What is multiplied by to spread ids.
pub const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The row of a cgroup.
#[must_use]
pub const fn row(id: u64) -> usize {
    let spread = id.wrapping_mul(SPREAD);
    // Once more, since the ids of cgroups that are made one after another are equally far from each other.
    ((spread ^ spread >> 32).wrapping_mul(SPREAD) >> (u64::BITS - ROW_BITS)) as usize
}

const _: () = assert!(PROGRAMS <= 1 << (u64::BITS - INDEX), "each index fits into a word");
