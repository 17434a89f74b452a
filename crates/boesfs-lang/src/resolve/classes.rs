//! Classes: the sets of active roles that can occur.
//!
//! A process has one user, any groups, and runs one executable; a session can also be started as one role. So the
//! classes are the unions (one user's roles or none) with (any groups' roles) with (one executable's roles or none),
//! (one role) with (one executable's or none), and nothing. Sets with separated roles are left out.

use std::collections::BTreeSet;

use super::separation::Held;
use crate::subjects::{Class, RoleId, Subjects};

type Set = Vec<RoleId>;

/// There are more classes than the limit.
pub(super) struct TooMany;

/// All classes, sorted; the empty set is the first.
pub(super) fn close(held: &Held, subjects: &Subjects, limit: u32) -> Result<Vec<Class>, TooMany> {
    let limit = limit as usize;
    let bounded = |sets: BTreeSet<Set>| if sets.len() > limit { Err(TooMany) } else { Ok(sets) };
    // A set that separation forbids is dropped at once: whatever it would grow to is forbidden too.
    let possible = |set: &Set| {
        subjects.separations.iter().all(|apart| apart.iter().filter(|role| set.binary_search(role).is_ok()).count() < 2)
    };
    let with = |sets: &BTreeSet<Set>, other: &Set| -> Vec<Set> {
        sets.iter().map(|set| union(set, other)).filter(possible).collect()
    };

    let mut users: BTreeSet<Set> = held.users.iter().cloned().collect();
    users.insert(Set::new());
    let mut sessions = bounded(users)?;
    for group in held.groups.iter().collect::<BTreeSet<_>>() {
        let joined = with(&sessions, group);
        sessions.extend(joined);
        sessions = bounded(sessions)?;
    }
    sessions.extend(subjects.roles.iter().map(|role| role.closure.clone()).filter(possible));
    sessions = bounded(sessions)?;
    let mut all = sessions.clone();
    for exe in held.exes.iter().collect::<BTreeSet<_>>() {
        all.extend(with(&sessions, exe));
        all = bounded(all)?;
    }
    Ok(all.into_iter().map(|roles| Class { roles }).collect())
}

/// The union of two sorted sets.
fn union(a: &Set, b: &Set) -> Set {
    let mut all = [a.as_slice(), b.as_slice()].concat();
    all.sort_unstable();
    all.dedup();
    all
}
