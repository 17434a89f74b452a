//! Two bits of each row that say what is below a state: [`ROW_LISTED`] and [`ROW_ABSENT`].
//!
//! A file system that lists a directory need not look at each name where none can be hidden; one that finds a hidden
//! directory must know whether something below it may be found all the same.

use boesfs_lang::ops::Op;
use boesfs_lang::policy::Effect;
use boesfs_lang::subjects::ClassId;
use rustc_hash::FxHashMap;

use crate::automaton::{Automaton, Place};
use crate::tables::{ROW_ABSENT, ROW_LISTED, StateId, Tables};

/// Sets the bits, and gives states that differ in them rows of their own.
pub(super) fn mark(automaton: &Automaton, tables: &mut Tables) {
    let bits: Vec<Vec<u64>> = (0..tables.classes).map(|class| of_class(automaton, tables, ClassId(class))).collect();
    let mut blocks: FxHashMap<Vec<u64>, u32> = FxHashMap::default();
    let mut rows = Vec::new();
    for (state, number) in tables.states.iter_mut().zip(0..) {
        let old = &tables.rows[state.row as usize..];
        let block: Vec<u64> = bits.iter().zip(old).map(|(bits, row)| row | bits[number]).collect();
        let next = rows.len() as u32;
        let row = *blocks.entry(block).or_insert_with_key(|block| {
            rows.extend_from_slice(block);
            next
        });
        state.row = row;
    }
    tables.rows = rows;
}

/// The bits of each state for one class.
fn of_class(automaton: &Automaton, tables: &Tables, class: ClassId) -> Vec<u64> {
    let states = || (0..tables.states.len() as u32).map(StateId);
    let closer: Vec<bool> =
        states().map(|state| tables.row(state, class) >> 32 >> Op::Stat.number() & 1 == 1).collect();
    if !closer.contains(&true) {
        return states().map(|state| if state == StateId::DEAD { 0 } else { ROW_LISTED }).collect();
    }
    let found = found_below(automaton, tables, class, &closer);
    let bits = |(place, state): (&Place, StateId)| {
        if state == StateId::DEAD {
            return 0;
        }
        let names = || targets(automaton, place).filter(|to| *to != StateId::DEAD);
        let listed = names().all(|to| !closer[to.0 as usize]);
        // Asked of a directory that is hidden: what leads back to it is hidden too.
        let absent = names().all(|to| to == state || !found[to.0 as usize]);
        let bit = |is_set: bool, bit: u64| if is_set { bit } else { 0 };
        bit(listed, ROW_LISTED) | bit(absent, ROW_ABSENT)
    };
    automaton.places.iter().zip(states()).map(bits).collect()
}

/// For each state, whether an object of it may be found, or one somewhere below.
fn found_below(automaton: &Automaton, tables: &Tables, class: ClassId, closer: &[bool]) -> Vec<bool> {
    let hidden = |state: u32| {
        closer[state as usize]
            && tables.chain(StateId(state), class, Op::Stat).all(|d| d.verdict & 3 == Effect::Hide as u64)
    };
    let mut from: Vec<Vec<u32>> = vec![Vec::new(); automaton.places.len()];
    for (place, state) in automaton.places.iter().zip(0..) {
        for to in targets(automaton, place).filter(|to| *to != StateId::DEAD && to.0 != state) {
            from[to.0 as usize].push(state);
        }
    }
    let mut found: Vec<bool> = (0..automaton.places.len() as u32).map(|state| !hidden(state)).collect();
    let mut open: Vec<u32> = (0..found.len() as u32).filter(|state| found[*state as usize]).collect();
    while let Some(state) = open.pop() {
        for above in &from[state as usize] {
            if !std::mem::replace(&mut found[*above as usize], true) {
                open.push(*above);
            }
        }
    }
    found
}

/// Where names lead to from a place.
fn targets<'a>(automaton: &'a Automaton, place: &'a Place) -> impl Iterator<Item = StateId> + 'a {
    let literals = &automaton.literals[place.literals.0 as usize..place.literals.1 as usize];
    let globs = place.globs.iter().flat_map(|globs| globs.targets.iter().copied());
    std::iter::once(place.default).chain(literals.iter().map(|(_, to)| *to)).chain(globs)
}
