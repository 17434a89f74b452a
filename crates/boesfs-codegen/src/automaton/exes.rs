//! The paths of executables that enter roles, as literal edges of their own behind the states of the rules.
//!
//! Apart from them, so that an executable below a directory that needs no judgement does not make it need some.

use std::collections::BTreeMap;

use boesfs_lang::subjects::Subjects;

use super::Place;
use super::names::Interner;
use crate::tables::StateId;

/// A directory of executables' paths, or an executable.
#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<Vec<u8>, usize>,
    exe: Option<u32>,
}

/// The states of executables' paths.
#[derive(Clone, Debug, Default)]
pub struct Exes {
    /// The state of `/`, from which paths are walked; [`StateId::DEAD`] if no executable enters a role.
    pub root: StateId,
    /// By number of the state after `root`: the executable whose path ends there, an index into [`Subjects::exes`].
    pub ends: Vec<Option<u32>>,
}

/// Adds the states and edges of the executables of `subjects`.
pub(super) fn append(
    subjects: &Subjects,
    places: &mut Vec<Place>,
    literals: &mut Vec<(u32, StateId)>,
    names: &mut Interner<u8>,
) -> Exes {
    if subjects.exes.is_empty() {
        return Exes::default();
    }
    let mut nodes = vec![Node::default()];
    // By path: two policies with the same executables number them alike, in whatever order they are written.
    let sorted: BTreeMap<_, _> = subjects.exes.iter().zip(0..).map(|(exe, number)| (&exe.subject, number)).collect();
    for (path, number) in sorted {
        let mut at = 0;
        for name in path {
            let next = nodes.len();
            at = *nodes[at].children.entry(name.clone()).or_insert(next);
            if at == next {
                nodes.push(Node::default());
            }
        }
        // The same path twice has the same roles: `pack` asks for those of the path.
        nodes[at].exe = Some(number);
    }
    let first = places.len() as u32;
    for node in &nodes {
        let start = literals.len() as u32;
        literals.extend(node.children.iter().map(|(name, to)| (names.intern(name).0, StateId(first + *to as u32))));
        // Answer 0 refuses, and names that are on no path lead to the dead state.
        places.push(Place { literals: (start, literals.len() as u32), ..Place::default() });
    }
    Exes { root: StateId(first), ends: nodes.iter().map(|node| node.exe).collect() }
}
