//! Globs over one name as byte automata.
//!
//! In: the globs of a policy. Out: for each set of globs that some state has, one [`ByteDfa`] that tells which of them a
//! name matches: its *outcome*. Outcome 0 is none of them.

use boesfs_lang::pattern::{Glob, GlobPart};
use rustc_hash::FxHashMap;

use super::limits::{Limits, Resource};
use super::names::Interner;

/// A byte automaton. State 0 is dead: outcome 0 for every name from there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ByteDfa {
    /// `next[state * columns + class of the byte]`
    pub next: Vec<u32>,
    /// By state: the outcome for a name that ends there.
    pub outcome: Vec<u32>,
    /// Where a name begins.
    pub start: u32,
}

impl ByteDfa {
    /// The outcome for `name`.
    #[must_use]
    pub fn run(&self, classes: &ByteClasses, name: &[u8]) -> u32 {
        let end = name.iter().fold(self.start as usize, |q, byte| {
            self.next[q * classes.columns + usize::from(classes.class[usize::from(*byte)])] as usize
        });
        self.outcome[end]
    }

    /// Whether every name has an outcome other than 0. All states but the dead one are reached from the start.
    pub(crate) fn covers_all(&self, columns: usize) -> bool {
        self.next[columns..].iter().all(|to| self.outcome[*to as usize] != 0)
    }

    /// The same automaton with outcome `default` first, and the state that is left no more and gives it, if there is
    /// one, as the dead state.
    pub(crate) fn with_default(&self, columns: usize, default: u32) -> ByteDfa {
        let sink = (1..self.states()).find(|q| {
            self.outcome[*q] == default && self.next[q * columns..][..columns].iter().all(|to| *to as usize == *q)
        });
        let moved = |q: u32| match sink {
            Some(sink) if q as usize == sink => 0,
            Some(sink) if q as usize > sink => q,
            _ => q + 1,
        };
        let outcome = |k: u32| match k {
            k if k == default => 0,
            k if k < default => k + 1,
            k => k,
        };
        let mut packed = ByteDfa { next: vec![0; columns], outcome: vec![0], start: moved(self.start) };
        for q in (0..self.states()).filter(|q| Some(*q) != sink) {
            packed.next.extend(self.next[q * columns..][..columns].iter().map(|to| moved(*to)));
            packed.outcome.push(outcome(self.outcome[q]));
        }
        packed
    }

    /// The number of states, the dead one included.
    #[must_use]
    pub fn states(&self) -> usize {
        self.outcome.len()
    }
}

/// The bytes that no glob tells apart, as classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteClasses {
    /// By byte: its class.
    pub class: [u8; 256],
    /// How many classes there are.
    pub columns: usize,
}

impl Default for ByteClasses {
    fn default() -> Self {
        ByteClasses { class: [0; 256], columns: 1 }
    }
}

/// A set of byte classes.
type ClassSet = [u64; 4];

/// A state of the automata of single globs.
#[derive(Clone, Debug, Default)]
struct Place {
    /// Where a byte of these classes leads.
    on: Option<(ClassSet, u32)>,
    /// Where nothing leads.
    free: Vec<u32>,
    /// The glob that a name ending here matches.
    matched: Option<u32>,
}

/// The globs of a policy, and the byte automata made of them so far.
#[derive(Debug, Default)]
pub(crate) struct Globs {
    pub(crate) classes: ByteClasses,
    places: Vec<Place>,
    starts: Vec<u32>,
    sets: FxHashMap<Vec<u32>, u32>,
    /// The byte automata, one per set of globs.
    pub(crate) dfas: Vec<ByteDfa>,
    /// By automaton and outcome: the globs that have matched.
    pub(crate) matched: Vec<Vec<Vec<u32>>>,
    /// What has been made so far.
    spent: Size,
}

/// Marks the set of places where a name begins.
const START: u32 = u32::MAX;

/// How much there is, or may be, of byte automata.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    states: usize,
    /// The places in the states, which is what it takes to make them.
    places: usize,
}

impl Globs {
    pub(crate) fn new(globs: &[Glob]) -> Globs {
        let mut this = Globs { classes: classes(globs), ..Globs::default() };
        for (glob, id) in globs.iter().zip(0..) {
            let end = this.place();
            this.places[end as usize].matched = Some(id);
            let start = this.compile(&glob.0, end);
            this.starts.push(start);
        }
        this
    }

    fn place(&mut self) -> u32 {
        self.places.push(Place::default());
        self.places.len() as u32 - 1
    }

    /// Makes the places of `parts`, which lead on to `next`; gives the first. Built from the end.
    fn compile(&mut self, parts: &[GlobPart], next: u32) -> u32 {
        parts.iter().rev().fold(next, |next, part| {
            let here = self.place();
            match part {
                GlobPart::Star => {
                    let again = self.place();
                    self.places[again as usize].on = Some(([u64::MAX; 4], here));
                    self.places[here as usize].free = vec![again, next];
                }
                GlobPart::Alt(branches) => {
                    let starts = branches.iter().map(|branch| self.compile(branch, next)).collect();
                    self.places[here as usize].free = starts;
                }
                GlobPart::One => self.places[here as usize].on = Some(([u64::MAX; 4], next)),
                GlobPart::Byte(_) | GlobPart::Set { .. } => {
                    let mut set = [0; 4];
                    for byte in (1..=u8::MAX).filter(|byte| *byte != b'/' && part.matches_byte(*byte)) {
                        let class = self.classes.class[usize::from(byte)];
                        set[usize::from(class >> 6)] |= 1 << (class & 63);
                    }
                    self.places[here as usize].on = Some((set, next));
                }
            }
            here
        })
    }

    /// The byte automaton for `set`, sorted.
    ///
    /// # Errors
    /// What of `limits` all byte automata together would exceed.
    pub(crate) fn dfa_for(&mut self, set: &[u32], limits: &Limits) -> Result<u32, Resource> {
        if let Some(id) = self.sets.get(set) {
            return Ok(*id);
        }
        let room = Size {
            states: (limits.glob_states as usize).saturating_sub(self.spent.states),
            places: (limits.glob_places as usize).saturating_sub(self.spent.places),
        };
        let (dfa, matched, size) = self.determinise(set, room)?;
        self.spent.states += size.states;
        self.spent.places += size.places;
        let id = self.dfas.len() as u32;
        self.dfas.push(dfa);
        self.matched.push(matched);
        self.sets.insert(set.to_vec(), id);
        Ok(id)
    }

    fn determinise(&self, set: &[u32], room: Size) -> Result<(ByteDfa, Vec<Vec<u32>>, Size), Resource> {
        let mut found = Interner::<u32>::default();
        let mut outcomes = Interner::<u32>::default();
        let (mut dfa, mut seen) = (ByteDfa::default(), Marks::new(self.places.len()));
        outcomes.intern(&[]);
        found.intern(&[]);
        let mut start: Vec<u32> = set.iter().map(|glob| self.starts[*glob as usize]).collect();
        self.close(&mut start, &mut seen);
        // No name is empty: the start is a state of its own, which tells nothing.
        start.push(START);
        dfa.start = found.intern(&start).0;
        let (mut base, mut some, mut next) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = 0;
        while (at as usize) < found.len() {
            if found.len() > room.states {
                return Err(Resource::GlobStates);
            }
            if found.total() > room.places {
                return Err(Resource::GlobPlaces);
            }
            let (places, matched) = match found.get(at) {
                [places @ .., START] => (places, Vec::new()),
                places => {
                    let mut matched: Vec<u32> =
                        places.iter().filter_map(|p| self.places[*p as usize].matched).collect();
                    matched.sort_unstable();
                    (places, matched)
                }
            };
            dfa.outcome.push(outcomes.intern(&matched).0);
            base.clear();
            some.clear();
            for (classes, to) in places.iter().filter_map(|p| self.places[*p as usize].on) {
                if classes == [u64::MAX; 4] {
                    base.push(to);
                } else {
                    some.push((classes, to));
                }
            }
            let mut without = None;
            for class in 0..self.classes.columns {
                let special = |(set, _): &&(ClassSet, u32)| set[class >> 6] >> (class & 63) & 1 == 1;
                next.clear();
                next.extend(some.iter().filter(special).map(|(_, to)| *to));
                let id = match (next.is_empty(), without) {
                    (true, Some(id)) => id,
                    (plain, _) => {
                        next.extend_from_slice(&base);
                        self.close(&mut next, &mut seen);
                        let id = found.intern(&next).0;
                        if plain {
                            without = Some(id);
                        }
                        id
                    }
                };
                dfa.next.push(id);
            }
            at += 1;
        }
        let size = Size { states: dfa.states(), places: found.total() };
        Ok((dfa, (0..outcomes.len() as u32).map(|id| outcomes.get(id).to_vec()).collect(), size))
    }

    /// Adds what is reached for free, keeps what matters (a byte to take or a match), and sorts.
    fn close(&self, places: &mut Vec<u32>, seen: &mut Marks) {
        seen.clear();
        let mut stack = std::mem::take(places);
        while let Some(place) = stack.pop() {
            if !seen.set(place) {
                continue;
            }
            let entry = &self.places[place as usize];
            if entry.on.is_some() || entry.matched.is_some() {
                places.push(place);
            }
            stack.extend_from_slice(&entry.free);
        }
        places.sort_unstable();
    }
}

/// The least automaton that tells apart what `kind` of the outcome tells apart, its states and outcomes numbered in the
/// order they are reached, so that equal functions of names give equal automata. Gives also, by new outcome, its kind.
///
/// The start is never come back to, and no name ends there: it stays apart, as state 0, with outcome 0.
pub(crate) fn reduce(dfa: &ByteDfa, columns: usize, kind: impl Fn(u32) -> u32) -> (ByteDfa, Vec<u32>) {
    let start = dfa.start as usize;
    let mut class: Vec<u32> = dfa.outcome.iter().map(|outcome| kind(*outcome)).collect();
    class[start] = u32::MAX;
    let mut count = 0;
    let mut signatures = Interner::<u32>::default();
    let mut signature = Vec::new();
    loop {
        signatures.clear();
        let finer: Vec<u32> = (0..dfa.states())
            .map(|q| {
                signature.clear();
                signature.push(class[q]);
                signature.extend(dfa.next[q * columns..][..columns].iter().map(|to| class[*to as usize]));
                signatures.intern(&signature).0
            })
            .collect();
        class = finer;
        if signatures.len() == count {
            break;
        }
        count = signatures.len();
    }
    let mut number = vec![u32::MAX; count];
    let mut order = vec![start];
    number[class[start] as usize] = 0;
    let mut least = ByteDfa::default();
    let mut kinds = Vec::new();
    let mut at = 0;
    while let Some(q) = order.get(at).copied() {
        for to in &dfa.next[q * columns..][..columns] {
            let known = &mut number[class[*to as usize] as usize];
            if *known == u32::MAX {
                *known = order.len() as u32;
                order.push(*to as usize);
            }
            least.next.push(*known);
        }
        least.outcome.push(if q == start { 0 } else { number_of(&mut kinds, kind(dfa.outcome[q])) });
        at += 1;
    }
    (least, kinds)
}

/// The place of `kind` among `kinds`, where it is put if it is new.
fn number_of(kinds: &mut Vec<u32>, kind: u32) -> u32 {
    let at = kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
        kinds.push(kind);
        kinds.len() - 1
    });
    at as u32
}

/// A set of numbers that is emptied in no time.
struct Marks {
    round: u32,
    marked: Vec<u32>,
}

impl Marks {
    fn new(size: usize) -> Marks {
        Marks { round: 0, marked: vec![0; size] }
    }

    fn clear(&mut self) {
        self.round += 1;
    }

    fn set(&mut self, i: u32) -> bool {
        std::mem::replace(&mut self.marked[i as usize], self.round) != self.round
    }
}

/// Bytes are of one class when no set in any glob tells them apart.
fn classes(globs: &[Glob]) -> ByteClasses {
    let mut this = ByteClasses::default();
    for glob in globs {
        split_by(&glob.0, &mut this);
    }
    // No name has these two: any class will do.
    this.class[0] = this.class[1];
    this.class[usize::from(b'/')] = this.class[1];
    let mut numbers: FxHashMap<u8, u8> = FxHashMap::default();
    for class in &mut this.class {
        let next = numbers.len() as u8;
        *class = *numbers.entry(*class).or_insert(next);
    }
    this.columns = numbers.len();
    this
}

fn split_by(parts: &[GlobPart], classes: &mut ByteClasses) {
    for part in parts {
        match part {
            GlobPart::Alt(branches) => branches.iter().for_each(|branch| split_by(branch, classes)),
            GlobPart::Byte(_) | GlobPart::Set { .. } => {
                let mut numbers = FxHashMap::default();
                for byte in 0..=u8::MAX {
                    let next = numbers.len() as u8;
                    let class = &mut classes.class[usize::from(byte)];
                    *class = *numbers.entry((*class, part.matches_byte(byte))).or_insert(next);
                }
                classes.columns = numbers.len();
            }
            GlobPart::Star | GlobPart::One => {}
        }
    }
}
