//! Tables as the bytes of their sections, and back.

use crate::emit::layout::{NAMES_TAIL, Table};
use crate::tables::{CauseRef, Decision, Edge, Globs, IdClass, State, Tables};

/// The tables with every length a power of two, at least 1, as the sections have them.
pub(super) fn padded(tables: &Tables) -> Tables {
    fn pad<T: Clone + Default>(table: &mut Vec<T>, entries: usize) {
        table.resize(entries, T::default());
    }
    let mut out = tables.clone();
    pad(&mut out.states, Table::States.entries(tables));
    pad(&mut out.edges, Table::Edges.entries(tables));
    pad(&mut out.displacements, Table::Displacements.entries(tables));
    pad(&mut out.names, Table::Names.entries(tables));
    pad(&mut out.rows, Table::Rows.entries(tables));
    pad(&mut out.causes, Table::Causes.entries(tables));
    pad(&mut out.shapes, Table::Shapes.entries(tables));
    pad(&mut out.links, Table::Links.entries(tables));
    pad(&mut out.decisions, Table::Decisions.entries(tables));
    pad(&mut out.globs, Table::Globs.entries(tables));
    pad(&mut out.glob_class, Table::GlobClass.entries(tables));
    pad(&mut out.glob_next, Table::GlobNext.entries(tables));
    pad(&mut out.glob_outcome, Table::GlobOutcome.entries(tables));
    pad(&mut out.glob_targets, Table::GlobTargets.entries(tables));
    pad(&mut out.users, Table::Users.entries(tables));
    pad(&mut out.groups, Table::Groups.entries(tables));
    pad(&mut out.exes, Table::Exes.entries(tables));
    pad(&mut out.joins, Table::Joins.entries(tables));
    out
}

/// The bytes of a table's section.
pub(super) fn encode(tables: &Tables, table: Table) -> Vec<u8> {
    let u32s = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let u64s = |words: &[u64]| words.iter().flat_map(|w| w.to_le_bytes()).collect();
    match table {
        Table::States => flat(&tables.states, |s| [s.row, s.cause, s.default, s.out]),
        Table::Edges => flat(&tables.edges, |e| [e.state, e.next, e.name, e.length]),
        Table::Displacements => tables.displacements.iter().flat_map(|w| w.to_le_bytes()).collect(),
        Table::Names => {
            let mut bytes: Vec<u8> = u64s(&tables.names);
            bytes.extend([0; 8 * NAMES_TAIL]);
            bytes
        }
        Table::Rows => u64s(&tables.rows),
        Table::Causes => flat(&tables.causes, |c| [c.shape, c.base]),
        Table::Shapes => tables.shapes.concat(),
        Table::Links => u32s(&tables.links),
        Table::Decisions => flat(&tables.decisions, |d| [d.verdict as u32, (d.verdict >> 32) as u32, d.cond, d.next]),
        Table::Globs => flat(&tables.globs, |g| [g.start, g.targets]),
        Table::GlobClass => tables.glob_class.clone(),
        Table::GlobNext => u32s(&tables.glob_next),
        Table::GlobOutcome => u32s(&tables.glob_outcome),
        Table::GlobTargets => u32s(&tables.glob_targets),
        Table::Users => flat(&tables.users, |u| [u.first, u.class]),
        Table::Groups => flat(&tables.groups, |g| [g.first, g.class]),
        Table::Exes => u32s(&tables.exes),
        Table::Joins => tables.joins.iter().flat_map(|w| w.to_le_bytes()).collect(),
    }
}

fn flat<T, const N: usize>(entries: &[T], words: impl Fn(&T) -> [u32; N]) -> Vec<u8> {
    entries.iter().flat_map(|entry| words(entry).map(u32::to_le_bytes)).flatten().collect()
}

/// Puts the bytes of a table's section into its field of `tables`; `None` if they are not a power of two of entries.
pub(super) fn decode(tables: &mut Tables, table: Table, bytes: &[u8]) -> Option<()> {
    let bytes = match table {
        Table::Names => {
            let (bytes, tail) = bytes.split_at_checked(bytes.len().checked_sub(8 * NAMES_TAIL)?)?;
            tail.iter().all(|byte| *byte == 0).then_some(bytes)?
        }
        _ => bytes,
    };
    let entries = bytes.len() / table.entry_bytes();
    if !bytes.len().is_multiple_of(table.entry_bytes()) || !entries.is_power_of_two() {
        return None;
    }
    let u32s = |bytes: &[u8]| bytes.as_chunks().0.iter().map(|c| u32::from_le_bytes(*c)).collect::<Vec<_>>();
    let u64s = |bytes: &[u8]| bytes.as_chunks().0.iter().map(|c| u64::from_le_bytes(*c)).collect::<Vec<_>>();
    match table {
        Table::States => {
            tables.states = of(bytes, |[row, cause, default, out]| State { row, cause, default, out });
        }
        Table::Edges => tables.edges = of(bytes, |[state, next, name, length]| Edge { state, next, name, length }),
        Table::Displacements => {
            tables.displacements = bytes.as_chunks().0.iter().map(|c| u16::from_le_bytes(*c)).collect();
        }
        Table::Names => tables.names = u64s(bytes),
        Table::Rows => tables.rows = u64s(bytes),
        Table::Causes => tables.causes = of(bytes, |[shape, base]| CauseRef { shape, base }),
        Table::Shapes => tables.shapes = bytes.as_chunks().0.to_vec(),
        Table::Links => tables.links = u32s(bytes),
        Table::Decisions => {
            tables.decisions = of(bytes, |[low, high, cond, next]| Decision {
                verdict: u64::from(low) | u64::from(high) << 32,
                cond,
                next,
            });
        }
        Table::Globs => tables.globs = of(bytes, |[start, targets]| Globs { start, targets }),
        Table::GlobClass => tables.glob_class = bytes.to_vec(),
        Table::GlobNext => tables.glob_next = u32s(bytes),
        Table::GlobOutcome => tables.glob_outcome = u32s(bytes),
        Table::GlobTargets => tables.glob_targets = u32s(bytes),
        Table::Users => tables.users = of(bytes, |[first, class]| IdClass { first, class }),
        Table::Groups => tables.groups = of(bytes, |[first, class]| IdClass { first, class }),
        Table::Exes => tables.exes = u32s(bytes),
        Table::Joins => tables.joins = bytes.as_chunks().0.iter().map(|c| u16::from_le_bytes(*c)).collect(),
    }
    Some(())
}

fn of<T, const N: usize>(bytes: &[u8], entry: impl Fn([u32; N]) -> T) -> Vec<T> {
    let words: Vec<u32> = bytes.as_chunks().0.iter().map(|c| u32::from_le_bytes(*c)).collect();
    words.as_chunks::<N>().0.iter().map(|words| entry(*words)).collect()
}
