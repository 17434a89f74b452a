//! Minimisation by refining a partition: the states of the result differ, each from each, in a verdict or its cause at some
//! path. The rule for moving directories rests on it: equal states mean equal rights for everything below.
//!
//! States start in one block when they have the same answer. A block is split where the *signatures* of its states
//! differ: where the same name leads to different blocks. The largest part keeps the block's number, so that
//! only the states before the smaller parts need another look.
//!
//! A signature leaves out edges that lead where the name would lead without them, and takes the byte automaton reduced to
//! what its targets tell apart. (Names that one state spells as literals and another by a glob of more than a few names
//! could keep two equal states apart: a move too few is allowed then, never one too many.)

use rustc_hash::{FxHashMap, FxHashSet};

use super::globs::{ByteDfa, reduce};
use super::names::Interner;
use super::subset::Dfa;
use super::{GlobEdges, Place};
use crate::tables::StateId;

/// The byte automata of the result.
#[derive(Default)]
struct Reduced {
    dfas: Vec<ByteDfa>,
    ids: FxHashMap<ByteDfa, u32>,
    /// By automaton and which targets are equal: the reduced one, and the targets (by first index) in its order.
    known: FxHashMap<(u32, Vec<u32>), (u32, Vec<u32>)>,
}

struct Minimiser<'a> {
    dfa: &'a Dfa,
    globs: &'a [ByteDfa],
    columns: usize,
    /// By state: its block.
    block: Vec<u32>,
    /// The states, block by block, and where each state stands.
    order: Vec<u32>,
    place: Vec<u32>,
    /// By block: its range of `order`.
    ranges: Vec<(u32, u32)>,
    reduced: Reduced,
}

/// The outcome: states, with their ranges of literal edges, and the byte automata.
pub(crate) struct Minimal {
    /// By [`StateId`]; the first is the dead state.
    pub(crate) places: Vec<Place>,
    /// (name, to)
    pub(crate) literals: Vec<(u32, StateId)>,
    pub(crate) dfas: Vec<ByteDfa>,
}

/// The least automaton that answers as `dfa` does. `answers` gives the answer of each of its lists.
pub(crate) fn minimise(dfa: &Dfa, globs: &[ByteDfa], columns: usize, answers: &[u32]) -> Minimal {
    let states = dfa.places.len();
    let mut this = Minimiser {
        dfa,
        globs,
        columns,
        block: vec![0; states],
        order: (0..states as u32).collect(),
        place: vec![0; states],
        ranges: Vec::new(),
        reduced: Reduced::default(),
    };
    this.begin(answers);
    this.refine();
    this.result(answers)
}

impl Minimiser<'_> {
    fn begin(&mut self, answers: &[u32]) {
        let answer = |state: u32| answers[self.dfa.places[state as usize].list as usize];
        self.order.sort_by_key(|state| answer(*state));
        let mut start = 0;
        for same in self.order.chunk_by(|a, b| answer(*a) == answer(*b)) {
            let end = start + same.len() as u32;
            for state in same {
                self.block[*state as usize] = self.ranges.len() as u32;
            }
            self.ranges.push((start, end));
            start = end;
        }
        for (state, i) in self.order.iter().zip(0..) {
            self.place[*state as usize] = i;
        }
    }

    fn refine(&mut self) {
        let before = self.predecessors();
        let mut dirty: Vec<u32> = (0..self.dfa.places.len() as u32).collect();
        let mut is_dirty = vec![true; dirty.len()];
        let mut signatures = Interner::default();
        let mut signature = Vec::new();
        while !dirty.is_empty() {
            let touched = self.gather(&dirty);
            // All signatures first: they speak of the blocks as they are now.
            let mut splits = Vec::new();
            for (block, states) in &touched {
                let (start, end) = self.ranges[*block as usize];
                if end - start == 1 {
                    continue;
                }
                signatures.clear();
                let mut groups: Vec<(u32, u32)> = Vec::with_capacity(states.len());
                if states.len() < (end - start) as usize
                    && let Some(other) =
                        self.order[start as usize..end as usize].iter().find(|state| !is_dirty[**state as usize])
                {
                    // The states that need no look stay together: one speaks for all.
                    self.signature(*other, &mut signature);
                    signatures.intern(&signature);
                }
                let rest = signatures.len() as u32;
                for state in states {
                    self.signature(*state, &mut signature);
                    groups.push((signatures.intern(&signature).0, *state));
                }
                if signatures.len() > 1 {
                    groups.sort_unstable();
                    splits.push((*block, rest == 1, groups));
                }
            }
            for state in dirty.drain(..) {
                is_dirty[state as usize] = false;
            }
            for (block, has_rest, groups) in splits {
                for state in self.split(block, has_rest, &groups) {
                    for previous in before.of(state) {
                        if !std::mem::replace(&mut is_dirty[*previous as usize], true) {
                            dirty.push(*previous);
                        }
                    }
                }
            }
        }
    }

    /// `dirty` by block, in the order of blocks.
    fn gather(&self, dirty: &[u32]) -> Vec<(u32, Vec<u32>)> {
        let mut sorted: Vec<(u32, u32)> = dirty.iter().map(|state| (self.block[*state as usize], *state)).collect();
        sorted.sort_unstable();
        sorted.chunk_by(|a, b| a.0 == b.0).map(|g| (g[0].0, g.iter().map(|(_, state)| *state).collect())).collect()
    }

    /// Splits `block` by group; gives the states that got another block. Group 0 holds also the states that had no
    /// look, if `has_rest`.
    fn split(&mut self, block: u32, has_rest: bool, groups: &[(u32, u32)]) -> Vec<u32> {
        let (start, end) = self.ranges[block as usize];
        let unseen = if has_rest { (end - start) as usize - groups.len() } else { 0 };
        let parts = groups.chunk_by(|a, b| a.0 == b.0).map(|part| part.iter().map(|(_, state)| *state).collect());
        let mut parts: Vec<Vec<u32>> = parts.collect();
        if groups.first().is_some_and(|(group, _)| *group != 0) {
            parts.insert(0, Vec::new());
        }
        let size = |i: usize| parts[i].len() + if i == 0 { unseen } else { 0 };
        let keep = (0..parts.len()).max_by_key(|i| size(*i)).unwrap_or(0);
        if keep != 0 && unseen > 0 {
            let looked: FxHashSet<u32> = groups.iter().map(|(_, state)| *state).collect();
            let rest = &self.order[start as usize..end as usize];
            parts[0].extend(rest.iter().filter(|state| !looked.contains(state)));
        }
        parts.swap_remove(keep);
        for part in &parts {
            let new = self.ranges.len() as u32;
            let end = self.ranges[block as usize].1;
            for (state, i) in part.iter().zip(1..) {
                self.block[*state as usize] = new;
                self.swap(self.place[*state as usize], end - i);
            }
            let cut = end - part.len() as u32;
            self.ranges[block as usize].1 = cut;
            self.ranges.push((cut, end));
        }
        parts.concat()
    }

    fn swap(&mut self, a: u32, b: u32) {
        self.order.swap(a as usize, b as usize);
        self.place[self.order[a as usize] as usize] = a;
        self.place[self.order[b as usize] as usize] = b;
    }

    /// Where every name leads from `state`, in one form for equal functions.
    fn signature(&mut self, state: u32, out: &mut Vec<u32>) {
        out.clear();
        let place = self.dfa.places[state as usize];
        let default = self.block[place.default as usize];
        let targets = self.targets(state);
        match self.reduce(place.globs.0, &targets) {
            Some((dfa, blocks)) => {
                out.extend([dfa + 1, blocks.len() as u32]);
                out.extend(blocks);
            }
            None => out.extend([0, default]),
        }
        for edge in &self.dfa.edges[place.edges.0 as usize..place.edges.1 as usize] {
            let to = self.block[edge.to as usize];
            let without = targets.get(edge.outcome as usize).copied().unwrap_or(default);
            if to != without {
                out.extend([edge.name, to]);
            }
        }
    }

    /// By outcome of the state's byte automaton: the block it leads to.
    fn targets(&self, state: u32) -> Vec<u32> {
        let place = self.dfa.places[state as usize];
        let Some(dfa) = place.globs.0.checked_sub(1) else {
            return Vec::new();
        };
        let outcomes = self.globs[dfa as usize].outcome.iter().max().map_or(0, |most| *most as usize + 1);
        let targets = &self.dfa.targets[place.globs.1 as usize..][..outcomes];
        targets.iter().map(|to| self.block[*to as usize]).collect()
    }

    /// The byte automaton reduced to what `targets` tell apart, and the targets by its outcomes; none, if all are equal.
    fn reduce(&mut self, dfa: u32, targets: &[u32]) -> Option<(u32, Vec<u32>)> {
        let dfa = dfa.checked_sub(1)?;
        let mut first_at: FxHashMap<u32, u32> = FxHashMap::default();
        let kinds: Vec<u32> = targets.iter().zip(0..).map(|(to, i)| *first_at.entry(*to).or_insert(i)).collect();
        if first_at.len() < 2 {
            return None;
        }
        let Reduced { dfas, ids, known } = &mut self.reduced;
        let (id, order) = known.entry((dfa, kinds)).or_insert_with_key(|(dfa, kinds)| {
            let (least, order) = reduce(&self.globs[*dfa as usize], self.columns, |outcome| kinds[outcome as usize]);
            let id = *ids.entry(least).or_insert_with_key(|least| {
                dfas.push(least.clone());
                dfas.len() as u32 - 1
            });
            (id, order)
        });
        Some((*id, order.iter().map(|i| targets[*i as usize]).collect()))
    }

    fn predecessors(&self) -> Predecessors {
        let mut links: Vec<(u32, u32)> = Vec::with_capacity(self.dfa.edges.len() + 2 * self.dfa.places.len());
        for (place, state) in self.dfa.places.iter().zip(0..) {
            links.push((place.default, state));
            let edges = &self.dfa.edges[place.edges.0 as usize..place.edges.1 as usize];
            links.extend(edges.iter().map(|edge| (edge.to, state)));
            if let Some(dfa) = place.globs.0.checked_sub(1) {
                let outcomes = self.globs[dfa as usize].outcome.iter().max().map_or(0, |most| *most as usize + 1);
                links.extend(self.dfa.targets[place.globs.1 as usize..][..outcomes].iter().map(|to| (*to, state)));
            }
        }
        let mut starts = vec![0; self.dfa.places.len() + 1];
        for (to, _) in &links {
            starts[*to as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut states = vec![0; links.len()];
        for (to, from) in links {
            let at = &mut next[to as usize];
            states[*at as usize] = from;
            *at += 1;
        }
        Predecessors { starts, states }
    }

    /// One state per block, numbered in the order they are reached from the root.
    fn result(mut self, answers: &[u32]) -> Minimal {
        let mut number = vec![0; self.ranges.len()];
        let mut blocks: Vec<u32> = Vec::new();
        let mut reach = |block: u32, blocks: &mut Vec<u32>| {
            let known: &mut u32 = &mut number[block as usize];
            if *known == 0 {
                blocks.push(block);
                *known = blocks.len() as u32;
            }
            StateId(*known)
        };
        reach(self.block[0], &mut blocks);
        let mut minimal = Minimal { places: vec![Place::default()], literals: Vec::new(), dfas: Vec::new() };
        let mut used: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        let mut at = 0;
        while let Some(block) = blocks.get(at).copied() {
            at += 1;
            let state = self.order[self.ranges[block as usize].0 as usize];
            let place = self.dfa.places[state as usize];
            let default = self.block[place.default as usize];
            let targets = self.targets(state);
            let first = minimal.literals.len() as u32;
            let globs = self.reduce(place.globs.0, &targets).map(|(dfa, mut by_outcome)| {
                // The default is one of the outcomes; any, if no name takes it.
                let k = by_outcome.iter().position(|to| *to == default).unwrap_or(0);
                let default = by_outcome.remove(k);
                by_outcome.insert(0, default);
                (dfa, k as u32, by_outcome)
            });
            let default = globs.as_ref().map_or(default, |(_, _, by_outcome)| by_outcome[0]);
            let default_state = reach(default, &mut blocks);
            for edge in &self.dfa.edges[place.edges.0 as usize..place.edges.1 as usize] {
                let to = self.block[edge.to as usize];
                let without = targets.get(edge.outcome as usize).copied().unwrap_or(default);
                if to != without {
                    minimal.literals.push((edge.name, reach(to, &mut blocks)));
                }
            }
            let globs = globs.map(|(dfa, k, by_outcome)| GlobEdges {
                dfa: *used.entry((dfa, k)).or_insert_with(|| {
                    minimal.dfas.push(self.reduced.dfas[dfa as usize].with_default(self.columns, k));
                    minimal.dfas.len() as u32 - 1
                }),
                targets: by_outcome.into_iter().map(|to| reach(to, &mut blocks)).collect(),
            });
            minimal.places.push(Place {
                answer: answers[place.list as usize],
                default: default_state,
                literals: (first, minimal.literals.len() as u32),
                globs,
            });
        }
        minimal
    }
}

/// By state: the states that have an edge to it.
struct Predecessors {
    starts: Vec<u32>,
    states: Vec<u32>,
}

impl Predecessors {
    fn of(&self, state: u32) -> &[u32] {
        &self.states[self.starts[state as usize] as usize..self.starts[state as usize + 1] as usize]
    }
}
