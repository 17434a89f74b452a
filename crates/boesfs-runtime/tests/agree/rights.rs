//! What is said of a state for all requests at once: the functions of the object against the tables.

use boesfs_codegen::arbitrary;
use boesfs_codegen::automaton::Limits;
use boesfs_codegen::tables::StateId;
use boesfs_lang::ops::Op;
use boesfs_lang::subjects::ClassId;
use boesfs_runtime::fuse::Rights as _;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::engines::Engines;
use crate::random::runner;

/// Policies of one run.
const POLICIES: usize = 60;
/// Pairs of states for each.
const EACH: usize = 60;

#[test]
fn functions_agree_with_the_tables() {
    let (seed, mut runner) = runner();
    let pair = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let (mut within, mut some, mut not, mut conditional, mut absent) = (0, 0, 0, 0, 0);
    for _ in 0..POLICIES {
        let policy = arbitrary::policies(6).new_tree(&mut runner).expect("a policy").current();
        let Some(engines) = Engines::new(policy) else { continue };
        let (states, classes) = engines.sizes();
        for _ in 0..EACH {
            let (to, from, class) = pair.new_tree(&mut runner).expect("one").current();
            let state = |index: prop::sample::Index| StateId(1 + index.index(states - 1) as u32);
            let (to, from, class) = (state(to), state(from), ClassId(class.index(classes) as u32));
            let what = || format!("BOESFS_SEED={seed} {to:?} {from:?} {class:?} {:?}", engines.policy());
            let (expected, rights) = (engines.rights(to, from, class), engines.rights_by_functions(to, from, class));
            assert_eq!(rights, expected, "{}", what());
            let all = (0..classes as u32).all(|class| engines.rights(to, from, ClassId(class)).within);
            assert_eq!(engines.call("within_all", [to.0, from.0, 0, 0]), u64::from(all), "{}", what());
            some += usize::from(expected.within && !all);
            within += usize::from(expected.within && to != from);
            not += usize::from(!expected.within);
            conditional += usize::from(expected.conditional.0 != 0);
            absent += usize::from(expected.absent == Some(true));
        }
    }
    let seen = [within, some, not, conditional, absent];
    assert!(seen.iter().all(|count| *count > 0), "the policies are too alike: {seen:?}");
}

#[test]
fn a_place_that_is_none_has_no_rights() {
    let source = "policy p; default allow;";
    let checked = boesfs_lang::check(&boesfs_lang::Input::new("p.bfs", source)).expect("a policy");
    let engines = Engines::new(checked.policy).expect("within limits");
    let (nowhere, root, class) = (StateId(1 << 30), StateId::ROOT, ClassId(0));
    assert_eq!(engines.call("row", [nowhere.0, class.0, 0, 0]), 0);
    assert_eq!(engines.call("row", [root.0, 1 << 20, 0, 0]), 0);
    assert_eq!(engines.call("within", [root.0, nowhere.0, class.0, 0]), 0);
    assert_eq!(engines.call("within", [root.0, root.0, class.0, 0]), 1);
    assert_eq!(engines.call("conditional", [root.0, class.0, Op::Read.number(), 0]), 0);
}

#[test]
fn what_the_kernel_may_keep_of_a_link() {
    let plain = |rules: &str| {
        let source = format!("policy p; default allow; {rules}");
        let checked = boesfs_lang::check(&boesfs_lang::Input::new("p.bfs", &source)).expect("a policy");
        let tables = boesfs_codegen::pack::compile(&checked.policy, &Limits::default()).expect("within limits").tables;
        tables.always_plain(Op::Readlink)
    };
    assert!(plain(""));
    assert!(plain("hide all on \"/secret/\"; deny readlink on \"/no\"; kill readlink on \"/trap\";"));
    assert!(!plain("audit allow readlink on \"/seen\";"));
    assert!(!plain("deny readlink on \"/theirs\" when owner != 0;"));
}
