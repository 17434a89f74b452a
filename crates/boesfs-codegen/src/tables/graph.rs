//! The tables as a graph of states: what can be met below a directory.
//!
//! In: [`Tables`]. Out: [`Graph`], made once, in time linear in the tables. It answers which directories are native
//! zones, and below which hidden directories something is visible.

use boesfs_lang::ops::{GROUPS, Op, Ops};
use boesfs_lang::subjects::ClassId;

use super::walk::at;
use super::{HAS_LITERALS, StateId, Tables};

/// A tree in which one set of rights holds everywhere, simple enough for the kernel to enforce alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Zone {
    /// Looking is allowed, the rest is refused by the default alone.
    View,
    /// Reading and executing are allowed, the rest is refused by the default alone.
    ReadOnly,
    /// Everything is allowed.
    Open,
}

/// The states and the edges between them.
#[derive(Debug)]
pub struct Graph<'a> {
    tables: &'a Tables,
    /// By state: its range of `next`.
    starts: Vec<u32>,
    next: Vec<StateId>,
}

impl<'a> Graph<'a> {
    /// The graph of `tables`.
    #[must_use]
    pub fn new(tables: &'a Tables) -> Graph<'a> {
        let states = tables.states.len();
        let mut links: Vec<(u32, StateId)> = Vec::with_capacity(tables.edges.len() + states);
        let mut outcomes: Vec<Option<Vec<u32>>> = vec![None; tables.globs.len()];
        for (state, i) in tables.states.iter().zip(0..) {
            links.push((i, StateId(state.default)));
            let globs = state.out & !HAS_LITERALS;
            if globs != 0
                && let Some(known) = outcomes.get_mut(globs as usize)
            {
                let entry = at(&tables.globs, globs);
                let outcomes = known.get_or_insert_with(|| outcomes_from(tables, entry.start));
                let target = |outcome: &u32| at(&tables.glob_targets, entry.targets.wrapping_add(*outcome));
                links.extend(outcomes.iter().map(|outcome| (i, StateId(target(outcome)))));
            }
        }
        links.extend(tables.edges.iter().filter(|edge| edge.state != 0).map(|edge| (edge.state, StateId(edge.next))));
        links.retain(|(from, to)| (*from as usize) < states && (to.0 as usize) < states);
        links.sort_unstable();
        links.dedup();
        let mut starts = vec![0; states + 1];
        for (from, _) in &links {
            starts[*from as usize + 1] += 1;
        }
        for i in 0..states {
            starts[i + 1] += starts[i];
        }
        Graph { tables, starts, next: links.into_iter().map(|(_, to)| to).collect() }
    }

    /// The states that some name leads to from `state`, sorted.
    #[must_use]
    pub fn next(&self, state: StateId) -> &[StateId] {
        let i = state.0 as usize;
        match (self.starts.get(i), self.starts.get(i + 1)) {
            (Some(start), Some(end)) => &self.next[*start as usize..*end as usize],
            _ => &[],
        }
    }

    /// By state: whether some path of one or more names leads from it to a state that is `wanted`.
    #[must_use]
    pub fn below(&self, wanted: impl Fn(StateId) -> bool) -> Vec<bool> {
        let states = self.tables.states.len() as u32;
        let mut before: Vec<(StateId, u32)> =
            (0..states).flat_map(|from| self.next(StateId(from)).iter().map(move |to| (*to, from))).collect();
        before.sort_unstable();
        let mut found = vec![false; states as usize];
        let mut open: Vec<StateId> = (0..states).map(StateId).filter(|state| wanted(*state)).collect();
        while let Some(state) = open.pop() {
            let from = before.partition_point(|(to, _)| *to < state);
            for (_, from) in before[from..].iter().take_while(|(to, _)| *to == state) {
                if !std::mem::replace(&mut found[*from as usize], true) {
                    open.push(StateId(*from));
                }
            }
        }
        found
    }

    /// By state: whether something below may be visible to `class`: a hidden directory for which this is false can be
    /// hidden altogether, without looking below.
    #[must_use]
    pub fn visible_below(&self, class: ClassId) -> Vec<bool> {
        self.below(|state| state != StateId::DEAD && self.tables.may_see(state, class))
    }

    /// By state: whether `op` may be allowed to `class` somewhere below.
    #[must_use]
    pub fn allowed_below(&self, class: ClassId, op: Op) -> Vec<bool> {
        self.below(|state| self.tables.rights(state, class).possible.contains(op))
    }

    /// The zone that the whole tree at `state` is for all `classes`, or `None` where it needs judgement: where something
    /// in it is recorded, hidden, killed for, conditional, refused by a rule, or of another zone.
    #[must_use]
    pub fn zone(&self, state: StateId, classes: &[ClassId]) -> Option<Zone> {
        // A tree of more different states than this is not worth the search.
        const MOST: usize = 256;
        let mut zone = None;
        let mut seen = vec![state];
        let mut at = 0;
        while let Some(here) = seen.get(at).copied() {
            at += 1;
            for class in classes {
                let this = self.zone_here(here, *class)?;
                if *zone.get_or_insert(this) != this {
                    return None;
                }
            }
            for next in self.next(here) {
                if !seen.contains(next) {
                    seen.push(*next);
                }
            }
            if seen.len() > MOST {
                return None;
            }
        }
        zone
    }

    /// The zone that a file of state `state` is by itself for all `classes`.
    #[must_use]
    pub fn file(&self, state: StateId, classes: &[ClassId]) -> Option<Zone> {
        let mut zones = classes.iter().map(|class| self.zone_here(state, *class));
        let first = zones.next()??;
        zones.all(|zone| zone == Some(first)).then_some(first)
    }

    fn zone_here(&self, state: StateId, class: ClassId) -> Option<Zone> {
        let row = self.tables.row(state, class);
        let (allowed, look) = (Ops(row as u32), Ops((row >> 32) as u32));
        if !look.is_empty() {
            return None;
        }
        if allowed == Ops::ALL {
            return Some(Zone::Open);
        }
        if self.tables.rights(state, class).by_default != Ops(Ops::ALL.0 & !allowed.0) {
            return None;
        }
        match allowed {
            _ if allowed == view() => Some(Zone::View),
            _ if allowed == read_only() => Some(Zone::ReadOnly),
            _ => None,
        }
    }
}

/// What a read-only mount from which nothing is executed lets through.
fn view() -> Ops {
    GROUPS.iter().find(|group| group.name == "view").map_or(Ops::NONE, |group| group.ops)
}

/// What a read-only mount lets through: looking at everything, and executing.
#[must_use]
pub fn read_only() -> Ops {
    view() | Ops::from(Op::Exec)
}

/// The outcomes that names can have from `start` on.
fn outcomes_from(tables: &Tables, start: u32) -> Vec<u32> {
    let width = 1_u32 << tables.glob_shift;
    let mut seen = vec![false; tables.glob_outcome.len()];
    let mut open = vec![start];
    let mut outcomes = Vec::new();
    while let Some(q) = open.pop() {
        for column in 0..width {
            // Columns that no byte has lead to the dead state, whose outcome is the default: the graph has that edge anyway.
            let to = at(&tables.glob_next, q << tables.glob_shift | column);
            if let Some(seen) = seen.get_mut(to as usize)
                && !std::mem::replace(seen, true)
            {
                outcomes.push(at(&tables.glob_outcome, to));
                open.push(to);
            }
        }
    }
    outcomes.sort_unstable();
    outcomes.dedup();
    outcomes
}
