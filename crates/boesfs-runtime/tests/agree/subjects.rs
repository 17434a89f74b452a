//! The class of a process, by its user, groups and executable: every engine against the definition of roles.

use boesfs_codegen::arbitrary;
use boesfs_codegen::emit::layout::who::GROUPS_MAX;
use boesfs_codegen::tables::StateId;
use boesfs_runtime::kernel::Who;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::engines::Engines;
use crate::random::runner;

/// Policies of one run.
const POLICIES: usize = 60;
/// Subjects for each.
const EACH: usize = 100;

#[test]
fn every_engine_finds_the_class_that_the_roles_make() {
    let (seed, mut runner) = runner();
    let id = || prop_oneof![6 => 0..=arbitrary::LAST_ID + 1, 1 => Just(u32::MAX), 1 => Just(1 << 31)];
    let groups = prop_oneof![
        4 => prop::collection::vec(id(), 0..4),
        1 => prop::collection::vec(id(), 4..GROUPS_MAX),
        1 => prop::collection::vec(id(), GROUPS_MAX),
    ];
    let path = prop::collection::vec(arbitrary::names(), 0..4);
    let subject = (id(), id(), groups, path, any::<prop::sample::Index>(), any::<bool>());
    let (mut nobody, mut by_exe) = (0, 0);
    for _ in 0..POLICIES {
        let policy = arbitrary::policies(2).new_tree(&mut runner).expect("a policy").current();
        let Some(engines) = Engines::new(policy) else { continue };
        let subjects = engines.subjects();
        for _ in 0..EACH {
            let (uid, gid, groups, random, known, is_known) = subject.new_tree(&mut runner).expect("one").current();
            let path = match subjects.exes.as_slice() {
                [_, ..] if is_known => subjects.exes[known.index(subjects.exes.len())].subject.clone(),
                _ => random,
            };
            let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
            let gids: Vec<u32> = std::iter::once(gid).chain(groups.iter().copied()).collect();
            let roles = subjects.roles_of(Some(uid), &gids, Some(&path));
            let expected = subjects.classes.iter().position(|class| class.roles == roles).map(|i| i as u32);
            let who = Who { uid, gid, groups: &groups, exe: engines.exe(&path) };
            for (engine, class) in engines.classes(&who) {
                assert_eq!(class.map(|class| class.0), expected, "BOESFS_SEED={seed} {engine} {who:?} {subjects:?}");
            }
            nobody += usize::from(expected.is_none());
            by_exe += usize::from(who.exe != StateId::DEAD && is_known);
        }
    }
    assert!(nobody > 0 && by_exe > 0, "the subjects are too alike: {nobody} nobody, {by_exe} by executable");
}

#[test]
fn more_groups_than_can_be_told_are_nobody() {
    let source = "policy p; default deny; role r { allow read on \"/\"; } group 7 : r;";
    let checked = boesfs_lang::check(&boesfs_lang::Input::new("p.bfs", source)).expect("a policy");
    let engines = Engines::new(checked.policy).expect("within limits");
    let groups = vec![7; GROUPS_MAX + 1];
    let who = Who { uid: 1, gid: 1, groups: &groups, exe: StateId::DEAD };
    let classes = engines.classes(&who);
    assert!(classes.iter().filter(|(engine, _)| *engine != "tables").all(|(_, class)| class.is_none()), "{classes:?}");
}
