//! From a policy to the least deterministic automaton over path components.
//!
//! In: a [`Policy`]. Out: an [`Automaton`]. The stages, in order:
//!
//! 1. `trie`: the patterns of all rules as one nondeterministic automaton
//! 2. [`globs`]: globs over one name as byte automata
//! 3. `subset`: determinisation, with the ranks of the rules that cover a place
//! 4. [`answers`]: what such a list of rules answers to each class and operation
//! 5. `minimise`: equal states become one
//! 6. [`exes`]: behind them, the paths of executables that enter roles
//!
//! Holds: for every path, class, operation and arguments, the answer of the state that the path leads to is that of
//! [`boesfs_lang::eval::eval`], cause included. The same policy gives the same automaton.

use boesfs_lang::policy::Policy;

pub mod answers;
pub mod exes;
pub mod globs;
pub mod limits;
mod minimise;
pub mod names;
mod show;
mod subset;
mod trie;

use answers::Answers;
use exes::Exes;
use globs::{ByteClasses, ByteDfa, Globs};
pub use limits::{Culprit, Limits, Resource, TooBig};
use names::Interner;

use crate::tables::StateId;

/// One state of an [`Automaton`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// What it answers: an index into [`Answers::row_of`] and [`Answers::causes`].
    pub answer: u32,
    /// The state of names that no edge matches.
    pub default: StateId,
    /// Its range of [`Automaton::literals`].
    pub literals: (u32, u32),
    /// Its glob edges.
    pub globs: Option<GlobEdges>,
}

/// The glob edges of a state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GlobEdges {
    /// An index into [`Automaton::dfas`].
    pub dfa: u32,
    /// By outcome of the byte automaton; that of outcome 0 is the default.
    pub targets: Vec<StateId>,
}

/// The least deterministic automaton of a policy.
#[derive(Clone, Debug)]
pub struct Automaton {
    /// The states, by [`StateId`]: the dead one, then the root, then the others in the order they are reached.
    pub places: Vec<Place>,
    /// Literal edges: name (an index into `names`) and target.
    pub literals: Vec<(u32, StateId)>,
    /// The names of literal edges.
    pub names: Interner<u8>,
    /// The byte automata of glob edges.
    pub dfas: Vec<ByteDfa>,
    /// The classes of bytes of the byte automata.
    pub byte_classes: ByteClasses,
    /// What the states answer.
    pub answers: Answers,
    /// The number of classes.
    pub classes: u32,
    /// The paths of executables that enter roles.
    pub exes: Exes,
}

/// Makes the automaton of `policy`.
///
/// # Errors
/// When it would exceed one of `limits`.
pub fn lower(policy: &Policy, limits: &Limits) -> Result<Automaton, TooBig> {
    let mut trie = trie::Trie::new(policy);
    let mut globs = Globs::new(&trie.globs);
    let dfa = subset::determinise(policy, &trie, &mut globs, limits)?;
    let (answers, of_list) = answers::answer(policy, limits, &dfa.lists)?;
    let mut minimal = minimise::minimise(&dfa, &globs.dfas, globs.classes.columns, &of_list);
    let exes = exes::append(&policy.subjects, &mut minimal.places, &mut minimal.literals, &mut trie.names);
    Ok(Automaton {
        places: minimal.places,
        literals: minimal.literals,
        names: trie.names,
        dfas: minimal.dfas,
        byte_classes: globs.classes,
        answers,
        classes: policy.subjects.classes.len() as u32,
        exes,
    })
}

impl Automaton {
    /// The literal edges of a state: name and target.
    pub fn literals_of(&self, state: StateId) -> impl Iterator<Item = (&[u8], StateId)> {
        let (start, end) = self.places[state.0 as usize].literals;
        self.literals[start as usize..end as usize].iter().map(|(name, to)| (self.names.get(*name), *to))
    }
}
