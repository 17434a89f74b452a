//! The subset construction: one state for every situation on the way down a path.
//!
//! In: a [`Trie`]. Out: a [`Dfa`] over components, not yet minimal. A situation is
//!
//! - the *live* nodes: where patterns that may still match stand,
//! - what is *carried*: the rules that cover everything from here on, each with its rank,
//! - the *dead*: rules that an exception excludes from here on and that could match below,
//! - the list of the rules that cover the object here, in the order they decide.
//!
//! Ranks stay finite: a rank above every `allow` that can still match (the *bound*) is compared only with other ranks
//! that are already there and with those of later refusals, which are deeper. So ranks above the bound are numbered
//! densely. The depth itself matters only while an `allow` of a larger rank may follow, which is so only at nodes
//! that literals alone lead to: there, the node tells the depth.

use std::cmp::Reverse;

use boesfs_lang::policy::{Effect, Policy, RuleId};
use rustc_hash::FxHashMap;

use super::globs::Globs;
use super::limits::{Culprit, Limits, Resource, TooBig};
use super::names::Interner;
use super::trie::{EndKind, Trie};

/// One state of a [`Dfa`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// The rules that cover the object, in the order they decide: an index into [`Dfa::lists`].
    pub(crate) list: u32,
    /// The state of names that no edge matches.
    pub(crate) default: u32,
    /// Its range of [`Dfa::edges`].
    pub(crate) edges: (u32, u32),
    /// The byte automaton plus 1, or 0, and where its targets, by outcome, start in [`Dfa::targets`].
    pub(crate) globs: (u32, u32),
}

/// A literal edge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) name: u32,
    pub(crate) to: u32,
    /// What the state's byte automaton says of the name.
    pub(crate) outcome: u32,
}

/// The deterministic automaton over components; state 0 is the root.
#[derive(Debug, Default)]
pub(crate) struct Dfa {
    pub(crate) places: Vec<Place>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) targets: Vec<u32>,
    pub(crate) lists: Interner<u32>,
}

/// What the order of deciding depends on, by rule.
#[derive(Clone, Copy, Debug)]
struct Meta {
    order: (Reverse<Effect>, boesfs_lang::policy::Record),
    effect: Effect,
    ops: u32,
    /// The role plus 1, or 0.
    role: u32,
    conditional: bool,
}

/// A rule that covers a place, with its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    rule: u32,
    rank: u32,
}

/// A situation, as the construction goes through them.
#[derive(Clone, Debug, Default)]
struct Situation {
    live: Vec<u32>,
    carried: Vec<Claim>,
    dead: Vec<u32>,
    depth: u32,
    bound: u32,
}

struct Subsets<'a> {
    policy: &'a Policy,
    trie: &'a Trie,
    globs: &'a mut Globs,
    limits: &'a Limits,
    meta: Vec<Meta>,
    /// By role plus 1: the roles plus 1 that are active where it is, and 0 for all.
    implied: Vec<Vec<u32>>,
    keys: Interner<u32>,
    depths: Vec<u32>,
    dfa: Dfa,
    // Working memory.
    moved: Vec<u32>,
    covered: Vec<u32>,
    key: Vec<u32>,
}

/// Determinises `trie`.
pub(crate) fn determinise(policy: &Policy, trie: &Trie, globs: &mut Globs, limits: &Limits) -> Result<Dfa, TooBig> {
    let meta = policy.rules.iter().map(|rule| Meta {
        order: (Reverse(rule.effect), rule.record),
        effect: rule.effect,
        ops: rule.ops.0,
        role: rule.role.map_or(0, |role| role.0 + 1),
        conditional: rule.when.is_some(),
    });
    let closures = policy.subjects.roles.iter().map(|role| {
        let roles = role.closure.iter().map(|role| role.0 + 1);
        std::iter::once(0).chain(roles).collect()
    });
    let mut this = Subsets {
        policy,
        trie,
        globs,
        limits,
        meta: meta.collect(),
        implied: std::iter::once(vec![0]).chain(closures).collect(),
        keys: Interner::default(),
        depths: Vec::new(),
        dfa: Dfa::default(),
        moved: Vec::new(),
        covered: vec![0; policy.subjects.roles.len() + 1],
        key: Vec::new(),
    };
    this.run()?;
    Ok(this.dfa)
}

impl Subsets<'_> {
    fn run(&mut self) -> Result<(), TooBig> {
        let above = Situation { bound: u32::MAX, ..Situation::default() };
        self.moved = vec![0];
        self.arrive(&above, 0)?;
        let mut at = 0;
        while at < self.keys.len() as u32 {
            let here = self.situation(at);
            self.leave(at, &here)?;
            at += 1;
        }
        Ok(())
    }

    /// Reads a situation back from its key.
    fn situation(&self, state: u32) -> Situation {
        let key = self.keys.get(state);
        let (lives, claims) = (key[1] as usize, key[2] as usize);
        let (live, rest) = key[3..].split_at(lives);
        let (carried, dead) = rest.split_at(2 * claims);
        Situation {
            live: live.to_vec(),
            carried: carried.chunks_exact(2).map(|pair| Claim { rule: pair[0], rank: pair[1] }).collect(),
            dead: dead.to_vec(),
            depth: self.depths[state as usize],
            bound: self.bound(live),
        }
    }

    /// The largest rank of an `allow` that can match below.
    fn bound(&self, live: &[u32]) -> u32 {
        live.iter().map(|node| self.trie.nodes[*node as usize].allow_below).max().unwrap_or(0)
    }

    /// Makes all edges of `state`.
    fn leave(&mut self, state: u32, here: &Situation) -> Result<(), TooBig> {
        let trie = self.trie;
        let (mut always, mut globs, mut literals) = (Vec::new(), Vec::new(), Vec::new());
        for live in &here.live {
            let node = &trie.nodes[*live as usize];
            always.extend(node.stays.then_some(*live));
            always.extend(node.tail);
            globs.extend_from_slice(trie.globs_of(*live));
            literals.extend_from_slice(trie.literals_of(*live));
        }
        if here.live.len() > 1 {
            globs.sort_unstable();
            literals.sort_unstable();
        }
        let depth = here.depth + 1;
        let mut place = Place { list: self.keys.get(state)[0], ..Place::default() };
        let mut by_outcome: Vec<Vec<u32>> = vec![Vec::new()];
        let mut default_outcome = 0;
        if !globs.is_empty() {
            let dfa = self.byte_dfa(&globs)?;
            place.globs = (dfa + 1, self.dfa.targets.len() as u32);
            let outcomes = self.globs.matched[dfa as usize].len();
            by_outcome = (0..outcomes).map(|i| nodes_of(&globs, &self.globs.matched[dfa as usize][i])).collect();
            // Where some glob matches every name, the default is never taken: let it be what one certain name gives.
            let automaton = &self.globs.dfas[dfa as usize];
            if automaton.covers_all(self.globs.classes.columns) {
                default_outcome = automaton.run(&self.globs.classes, &[1]) as usize;
            }
        }
        self.set_moved(&always, &by_outcome[default_outcome], &[]);
        place.default = self.arrive(here, depth)?;
        if place.globs.0 != 0 {
            self.dfa.targets.push(place.default);
            for nodes in &by_outcome[1..] {
                self.set_moved(&always, nodes, &[]);
                let to = self.arrive(here, depth)?;
                self.dfa.targets.push(to);
            }
        }
        place.edges.0 = self.dfa.edges.len() as u32;
        for same in literals.chunk_by(|a, b| a.0 == b.0) {
            let name = same[0].0;
            let outcome = match place.globs.0 {
                0 => 0,
                dfa => self.globs.dfas[dfa as usize - 1].run(&self.globs.classes, trie.names.get(name)),
            };
            self.set_moved(&always, &by_outcome[outcome as usize], same);
            let to = self.arrive(here, depth)?;
            self.dfa.edges.push(Edge { name, to, outcome });
        }
        place.edges.1 = self.dfa.edges.len() as u32;
        if self.dfa.edges.len() + self.dfa.targets.len() > self.limits.edges as usize {
            return Err(self.too_big(Resource::Edges, self.limits.edges));
        }
        self.dfa.places.push(place);
        Ok(())
    }

    fn set_moved(&mut self, always: &[u32], globs: &[u32], literals: &[(u32, u32)]) {
        self.moved.clear();
        self.moved.extend_from_slice(always);
        self.moved.extend_from_slice(globs);
        self.moved.extend(literals.iter().map(|(_, node)| *node));
    }

    fn byte_dfa(&mut self, globs: &[(u32, u32)]) -> Result<u32, TooBig> {
        let mut set: Vec<u32> = globs.iter().map(|(glob, _)| *glob).collect();
        set.dedup();
        self.globs.dfa_for(&set, self.limits).map_err(|resource| {
            let limit = match resource {
                Resource::GlobPlaces => self.limits.glob_places,
                _ => self.limits.glob_states,
            };
            let culprits = globs.iter().filter_map(|(_, node)| self.culprit(*node)).take(5).collect();
            TooBig::new(resource, limit, culprits)
        })
    }

    /// The state reached from `above` by a name that leads to the nodes in `self.moved`.
    fn arrive(&mut self, above: &Situation, depth: u32) -> Result<u32, TooBig> {
        let trie = self.trie;
        let mut moved = std::mem::take(&mut self.moved);
        for i in 0..moved.len() {
            moved.extend(trie.nodes[moved[i] as usize].looped);
        }
        if moved.len() > 1 {
            moved.sort_unstable();
            moved.dedup();
        }

        // Which rules cover this object, and which all below.
        let (mut carried, mut dead) = (above.carried.clone(), above.dead.clone());
        let (mut here, mut spared) = (Vec::new(), Vec::new());
        if trie.has_excepts {
            for end in moved.iter().flat_map(|node| trie.ends_at(*node)) {
                match end.kind {
                    EndKind::ExceptObject => spared.push(end.rule),
                    EndKind::ExceptTree => dead.push(end.rule),
                    EndKind::Object | EndKind::Tree => {}
                }
            }
            carried.retain(|claim| !dead.contains(&claim.rule));
        }
        let top = match depth <= above.bound {
            true => depth,
            false => carried.iter().map(|claim| claim.rank).max().unwrap_or(0).max(above.bound) + 1,
        };
        for end in moved.iter().flat_map(|node| trie.ends_at(*node)) {
            if dead.contains(&end.rule) {
                continue;
            }
            let allow = self.meta[end.rule as usize].effect == Effect::Allow;
            let claim = Claim { rule: end.rule, rank: if allow { end.rank } else { top } };
            match end.kind {
                EndKind::Object => raise(&mut here, claim),
                EndKind::Tree => raise(&mut carried, claim),
                EndKind::ExceptObject | EndKind::ExceptTree => {}
            }
        }
        for claim in &carried {
            raise(&mut here, *claim);
        }
        here.retain(|claim| !spared.contains(&claim.rule));
        self.sort(&mut here);
        self.drop_covered(&mut here, &[], |_, _| true);

        // What the situation below depends on.
        moved.retain(|node| trie.goes_on(*node));
        self.sort(&mut carried);
        let tails: Vec<u32> = moved
            .iter()
            .filter(|node| trie.nodes[**node as usize].stays)
            .flat_map(|node| trie.ends_at(*node))
            .filter(|end| end.kind == EndKind::Object && !dead.contains(&end.rule))
            .map(|end| end.rule)
            .collect();
        self.drop_covered(&mut carried, &tails, |this, rule| !this.trie.can_except(rule, &moved));
        dead.sort_unstable();
        dead.dedup();
        dead.retain(|rule| trie.can_match(*rule, &moved));
        let bound = self.bound(&moved);
        compress(&mut carried, bound);

        let list: Vec<u32> = here.iter().map(|claim| claim.rule).collect();
        self.key.clear();
        self.key.extend([self.dfa.lists.intern(&list).0, moved.len() as u32, carried.len() as u32]);
        self.key.extend_from_slice(&moved);
        self.key.extend(carried.iter().flat_map(|claim| [claim.rule, claim.rank]));
        self.key.extend_from_slice(&dead);
        self.moved = moved;
        let (state, new) = self.keys.intern(&self.key);
        if new {
            self.depths.push(depth);
            if self.keys.len() > self.limits.states as usize {
                return Err(self.too_big(Resource::States, self.limits.states));
            }
        }
        Ok(state)
    }

    /// Sorts claims in the order they decide.
    fn sort(&self, claims: &mut [Claim]) {
        claims.sort_unstable_by_key(|claim| (Reverse(claim.rank), self.meta[claim.rule as usize].order, claim.rule));
    }

    /// Drops the claims that never decide, because `first` and those before decide all their operations for all their
    /// subjects. Only rules that `lasts` says may be relied upon.
    fn drop_covered(&mut self, claims: &mut Vec<Claim>, first: &[u32], lasts: impl Fn(&Self, u32) -> bool) {
        if claims.len() + first.len() < 2 {
            return;
        }
        let mut covered = std::mem::take(&mut self.covered);
        covered.fill(0);
        let mut cover = |this: &Self, rule: u32| {
            let meta = &this.meta[rule as usize];
            let before = this.implied[meta.role as usize].iter().fold(0, |ops, role| ops | covered[*role as usize]);
            if meta.ops & !before == 0 {
                return false;
            }
            if !meta.conditional && lasts(this, rule) {
                covered[meta.role as usize] |= meta.ops;
            }
            true
        };
        for rule in first {
            cover(self, *rule);
        }
        claims.retain(|claim| cover(self, claim.rule));
        self.covered = covered;
    }

    fn culprit(&self, node: u32) -> Option<Culprit> {
        let (rule, pattern, except) = self.trie.pattern_through(node)?;
        Some(match except {
            true => Culprit::rule(self.policy, RuleId(rule)),
            false => Culprit::pattern(self.policy, RuleId(rule), pattern as usize),
        })
    }

    /// The error, naming the patterns that stand somewhere in the most states.
    fn too_big(&self, resource: Resource, limit: u32) -> TooBig {
        let mut counts: FxHashMap<u32, u32> = FxHashMap::default();
        for state in 0..self.keys.len() as u32 {
            let key = self.keys.get(state);
            for node in &key[3..3 + key[1] as usize] {
                if !self.trie.nodes[*node as usize].spine {
                    *counts.entry(*node).or_default() += 1;
                }
            }
        }
        let mut nodes: Vec<(Reverse<u32>, u32)> = counts.into_iter().map(|(node, n)| (Reverse(n), node)).collect();
        nodes.sort_unstable();
        let mut at_fault: Vec<Culprit> = Vec::new();
        for culprit in nodes.iter().filter_map(|(_, node)| self.culprit(*node)) {
            if !at_fault.contains(&culprit) {
                at_fault.push(culprit);
            }
            if at_fault.len() == 5 {
                break;
            }
        }
        TooBig::new(resource, limit, at_fault)
    }
}

/// Adds a claim, or raises the rank of the one that is there.
fn raise(claims: &mut Vec<Claim>, claim: Claim) {
    match claims.iter_mut().find(|known| known.rule == claim.rule) {
        Some(known) => known.rank = known.rank.max(claim.rank),
        None => claims.push(claim),
    }
}

/// Numbers the ranks above `bound` densely. `claims` are sorted, highest rank first.
fn compress(claims: &mut [Claim], bound: u32) {
    let mut last = None;
    let mut rank = bound;
    for claim in claims.iter_mut().rev().filter(|claim| claim.rank > bound) {
        if last != Some(claim.rank) {
            last = Some(claim.rank);
            rank += 1;
        }
        claim.rank = rank;
    }
}

/// The nodes that the globs in `matched` lead to.
fn nodes_of(globs: &[(u32, u32)], matched: &[u32]) -> Vec<u32> {
    globs.iter().filter(|(glob, _)| matched.binary_search(glob).is_ok()).map(|(_, node)| *node).collect()
}
