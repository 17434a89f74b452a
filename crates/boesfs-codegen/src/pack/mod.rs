//! From an automaton to packed tables.
//!
//! In: an [`Automaton`]. Out: [`Packed`]. Holds: walking the tables gives what walking the automaton gives; all
//! lengths are powers of two; index 0 of every table refuses.

use boesfs_lang::policy::Policy;
use rustc_hash::FxHashMap;

use crate::automaton::{Automaton, GlobEdges, Limits, TooBig, lower};
use crate::manifest::Sizes;
use crate::tables::{CauseRef, HAS_LITERALS, Packed, State, StateId, Tables};

mod below;
mod edges;
mod subjects;

/// Compiles a policy to tables: [`lower`], then [`pack`].
///
/// # Errors
/// When the automaton would exceed one of `limits`.
pub fn compile(policy: &Policy, limits: &Limits) -> Result<Packed, TooBig> {
    pack(&lower(policy, limits)?, policy)
}

/// Packs the automaton of a policy.
///
/// # Errors
/// When its edges do not fit into a table that programs can address.
pub fn pack(automaton: &Automaton, policy: &Policy) -> Result<Packed, TooBig> {
    let answers = &automaton.answers;
    let classes = automaton.classes;
    let mut tables = Tables { classes, ..Tables::default() };
    let (globs, glob_states) = pack_globs(automaton, &mut tables);

    for (place, globs) in automaton.places.iter().zip(globs) {
        let flag = if place.literals.0 < place.literals.1 { HAS_LITERALS } else { 0 };
        tables.states.push(State {
            row: answers.row_of[place.answer as usize] * classes,
            cause: place.answer * classes,
            default: place.default.0,
            out: flag | globs,
        });
    }
    for block in 0..answers.rows.len() as u32 {
        tables.rows.extend_from_slice(answers.rows.get(block));
    }
    for answer in 0..answers.causes.len() as u32 {
        tables.causes.extend_from_slice(answers.causes.get(answer));
    }
    tables.shapes.clone_from(&answers.shapes);
    tables.links.clone_from(&answers.links);
    tables.decisions.clone_from(&answers.decisions);
    let sizes = Sizes {
        states: automaton.places.len() as u32,
        edges: automaton.literals.len() as u32,
        glob_states,
        rows: answers.rows.len() as u32,
        decisions: answers.decisions.len() as u32,
        conditions: answers.conditions.len() as u32,
    };
    edges::place(automaton, &mut tables)?;
    below::mark(automaton, &mut tables);
    subjects::pack(&policy.subjects, &automaton.exes, &mut tables);
    pad(&mut tables);
    Ok(Packed { tables, conditions: answers.conditions.clone(), sizes })
}

/// Packs the byte automata; gives each state's index into [`Tables::globs`], and the number of byte states.
fn pack_globs(automaton: &Automaton, tables: &mut Tables) -> (Vec<u32>, u32) {
    let columns = automaton.byte_classes.columns;
    tables.glob_shift = columns.next_power_of_two().trailing_zeros();
    let width = 1 << tables.glob_shift;
    tables.glob_class = automaton.byte_classes.class.to_vec();
    // State 0 is dead for all automata together.
    tables.glob_next = vec![0; width];
    tables.glob_outcome = vec![0];
    let mut starts = Vec::new();
    for dfa in &automaton.dfas {
        let base = tables.glob_outcome.len() as u32 - 1;
        let moved = |q: u32| if q == 0 { 0 } else { base + q };
        starts.push(moved(dfa.start));
        for q in 1..dfa.states() {
            tables.glob_outcome.push(dfa.outcome[q]);
            tables.glob_next.extend(dfa.next[q * columns..][..columns].iter().map(|to| moved(*to)));
            tables.glob_next.resize(tables.glob_outcome.len() * width, 0);
        }
    }
    let mut known: FxHashMap<&GlobEdges, u32> = FxHashMap::default();
    tables.globs.push(crate::tables::Globs::default());
    let mut of_state = Vec::with_capacity(automaton.places.len());
    for place in &automaton.places {
        of_state.push(place.globs.as_ref().map_or(0, |globs| {
            *known.entry(globs).or_insert_with(|| {
                let targets = tables.glob_targets.len() as u32;
                tables.glob_targets.extend(globs.targets.iter().map(|StateId(to)| *to));
                tables.globs.push(crate::tables::Globs { start: starts[globs.dfa as usize], targets });
                tables.globs.len() as u32 - 1
            })
        }));
    }
    let glob_states = tables.glob_outcome.len() as u32;
    (of_state, glob_states)
}

/// Pads all tables to powers of two.
fn pad(tables: &mut Tables) {
    fn table<T: Clone + Default>(table: &mut Vec<T>) {
        table.resize(table.len().next_power_of_two(), T::default());
    }
    table(&mut tables.states);
    table(&mut tables.edges);
    table(&mut tables.displacements);
    table(&mut tables.names);
    table(&mut tables.rows);
    table::<CauseRef>(&mut tables.causes);
    table(&mut tables.shapes);
    table(&mut tables.links);
    table(&mut tables.decisions);
    table(&mut tables.globs);
    table(&mut tables.glob_next);
    table(&mut tables.glob_outcome);
    table(&mut tables.glob_targets);
    table(&mut tables.exes);
    table(&mut tables.joins);
}
