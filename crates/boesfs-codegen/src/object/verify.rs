//! What the programs and the hooks rely on in tables: checked when an object is written and when it is read.

use boesfs_lang::ops;

use crate::emit::MAX_ENTRIES;
use crate::emit::layout::Table;
use crate::manifest::Manifest;
use crate::tables::{CauseRef, Decision, HAS_LITERALS, MAX_CHAIN, NOBODY, State, StateId, Tables, hash, verdict_bits};

/// A table breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("table {}, entry {entry}: {rule}", .table.section())]
pub struct TableError {
    /// The table.
    pub table: Table,
    /// The entry.
    pub entry: usize,
    /// What does not hold.
    pub rule: &'static str,
}

/// Checks padded tables.
pub(super) fn verify(tables: &Tables, manifest: &Manifest) -> Result<(), TableError> {
    let checks = [sizes, states, edges, globs, causes, subjects];
    checks.into_iter().try_for_each(|check| check(tables))?;
    let classes = manifest.subjects.classes.len();
    hold(Table::Rows, 0, "the number of classes is that of the manifest", tables.classes as usize == classes)?;
    decisions(tables, manifest)
}

fn hold(table: Table, entry: usize, rule: &'static str, holds: bool) -> Result<(), TableError> {
    if holds { Ok(()) } else { Err(TableError { table, entry, rule }) }
}

fn sizes(t: &Tables) -> Result<(), TableError> {
    for table in Table::ALL {
        let entries = table.entries(t);
        hold(table, entries, "the table has at most 2^24 entries", entries <= MAX_ENTRIES)?;
    }
    hold(Table::GlobClass, t.glob_class.len(), "there are 256 byte classes", t.glob_class.len() == 256)?;
    hold(Table::Rows, 0, "there is a class", t.classes > 0)
}

fn states(t: &Tables) -> Result<(), TableError> {
    let dead = State { default: 0, out: 0, ..t.states[0] };
    hold(Table::States, 0, "the dead state is a leaf that leads to itself", t.states[0] == dead)?;
    let fits = |start: u32, table: usize| start as usize + t.classes as usize <= table;
    for (i, s) in t.states.iter().enumerate() {
        hold(Table::States, i, "its rows are there", fits(s.row, t.rows.len()))?;
        hold(Table::States, i, "its causes are there", fits(s.cause, t.causes.len()))?;
        hold(Table::States, i, "its default is a state", (s.default as usize) < t.states.len())?;
        let globs = s.out & !HAS_LITERALS;
        hold(Table::States, i, "its globs are there", (globs as usize) < t.globs.len())?;
    }
    let rows = t.states[0].row as usize;
    let refuses = t.rows[rows..rows + t.classes as usize].iter().all(|row| *row as u32 == 0);
    hold(Table::Rows, rows, "the dead state allows nothing", refuses)
}

fn edges(t: &Tables) -> Result<(), TableError> {
    for (i, e) in t.edges.iter().enumerate().filter(|(_, e)| e.state != 0) {
        let words = (e.length as usize).div_ceil(8);
        let known = |state: u32| (state as usize) < t.states.len();
        hold(Table::Edges, i, "it connects states", known(e.state) && known(e.next))?;
        hold(Table::Edges, i, "its name has 1 to 255 bytes", (1..=255).contains(&e.length))?;
        let name = t.names.get(e.name as usize..e.name as usize + words).unwrap_or_default();
        hold(Table::Edges, i, "its name is there", name.len() == words)?;
        let mut bytes = [0; 256];
        for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(name) {
            *to = word.to_le_bytes();
        }
        let (name, tail) = bytes.split_at(e.length as usize);
        hold(Table::Edges, i, "its name is padded with zero bytes", tail.iter().all(|byte| *byte == 0))?;
        let slot = t.edge_slot(hash(t.seed, StateId(e.state), name));
        hold(Table::Edges, i, "it is in the slot of its hash", slot == i)?;
        let flagged = t.states[e.state as usize].out & HAS_LITERALS != 0;
        hold(Table::Edges, i, "its state has the flag", flagged)?;
    }
    Ok(())
}

fn globs(t: &Tables) -> Result<(), TableError> {
    hold(Table::GlobNext, 0, "there are at most 256 byte classes", t.glob_shift <= 8)?;
    let columns = 1 << t.glob_shift;
    let byte_states = (t.glob_next.len() >> t.glob_shift).min(t.glob_outcome.len());
    // With no globs at all, every table is one zero and none is ever looked at.
    if t.globs.len() == 1 {
        return Ok(());
    }
    for (i, class) in t.glob_class.iter().enumerate() {
        hold(Table::GlobClass, i, "it is a column", usize::from(*class) < columns)?;
    }
    for (i, next) in t.glob_next.iter().enumerate() {
        hold(Table::GlobNext, i, "it is a state", (*next as usize) < byte_states)?;
        hold(Table::GlobNext, i, "the dead state leads to itself", i >= columns || *next == 0)?;
    }
    hold(Table::GlobOutcome, 0, "the dead state matches nothing", t.glob_outcome[0] == 0)?;
    for (i, target) in t.glob_targets.iter().enumerate() {
        hold(Table::GlobTargets, i, "it is a state", (*target as usize) < t.states.len())?;
    }
    for (i, globs) in t.globs.iter().enumerate() {
        hold(Table::Globs, i, "its start is a state", (globs.start as usize) < byte_states)?;
        hold(Table::Globs, i, "its targets are there", (globs.targets as usize) < t.glob_targets.len())?;
    }
    Ok(())
}

fn causes(t: &Tables) -> Result<(), TableError> {
    let most = |shape: &[u8; 32]| shape.iter().take(ops::COUNT).max().map_or(0, |offset| usize::from(*offset));
    let most: Vec<usize> = t.shapes.iter().map(most).collect();
    for (i, CauseRef { shape, base }) in t.causes.iter().enumerate() {
        let most = most.get(*shape as usize);
        let fits = most.is_some_and(|most| *base as usize + most < t.links.len());
        hold(Table::Causes, i, "its shape and links are there", fits)?;
    }
    for (i, link) in t.links.iter().enumerate() {
        hold(Table::Links, i, "it is a decision", (*link as usize) < t.decisions.len())?;
    }
    Ok(())
}

fn subjects(t: &Tables) -> Result<(), TableError> {
    let is_class = |class: u32| class < t.classes || class == NOBODY;
    for (table, ids) in [(Table::Users, &t.users), (Table::Groups, &t.groups)] {
        hold(table, 0, "it begins with id 0", ids[0].first == 0)?;
        hold(table, 0, "the ids are in order", ids.is_sorted_by_key(|entry| entry.first))?;
        for (i, entry) in ids.iter().enumerate() {
            hold(table, i, "its class is there", is_class(entry.class))?;
        }
    }
    hold(Table::Exes, 0, "its states are there", (t.exe_root as usize) < t.states.len())?;
    for (i, class) in t.exes.iter().enumerate() {
        hold(Table::Exes, i, "its class is there", is_class(*class))?;
    }
    hold(Table::Joins, 0, "every two classes are there", t.joins.len() >= (t.classes as usize).pow(2))?;
    for (i, class) in t.joins.iter().enumerate() {
        hold(Table::Joins, i, "its class is there", is_class((*class).into()))?;
    }
    Ok(())
}

fn decisions(t: &Tables, manifest: &Manifest) -> Result<(), TableError> {
    use verdict_bits::{AUDIT, EFFECT, NOT_GRANTED, QUIET, RULE_SHIFT};
    let known = EFFECT | AUDIT | QUIET | NOT_GRANTED | u64::from(u32::MAX) << RULE_SHIFT;
    hold(Table::Decisions, 0, "it refuses without a condition", t.decisions[0] == Decision::default())?;
    for (i, d) in t.decisions.iter().enumerate() {
        let rule = (d.verdict >> RULE_SHIFT) as usize;
        hold(Table::Decisions, i, "its verdict is one", d.verdict & !known == 0 && rule <= manifest.rules.len())?;
        hold(Table::Decisions, i, "its condition is there", d.cond <= manifest.sizes.conditions)?;
        hold(Table::Decisions, i, "the next one is there", (d.next as usize) < t.decisions.len())?;
        let mut chain = std::iter::successors(Some(d), |d| (d.cond != 0).then(|| &t.decisions[d.next as usize]));
        let ends = chain.by_ref().take(MAX_CHAIN as usize).any(|d| d.cond == 0);
        hold(Table::Decisions, i, "its chain ends", ends)?;
    }
    Ok(())
}
