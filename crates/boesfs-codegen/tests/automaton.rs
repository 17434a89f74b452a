//! The automaton and its tables against the meaning of the language.

use boesfs_codegen::arbitrary::{OPS, all_paths, args, policies};
use std::collections::HashMap;

use boesfs_codegen::automaton::{Automaton, Limits, lower};
use boesfs_codegen::pack::{compile, pack};
use boesfs_codegen::tables::walk::holds_in;
use boesfs_codegen::tables::{StateId, Tables};
use boesfs_lang::cond::Args;
use boesfs_lang::eval::{Request, eval};
use boesfs_lang::policy::{Effect, Policy, Record};
use boesfs_lang::subjects::ClassId;
use proptest::prelude::*;

/// Asks everything about every path of at most `depth` components.
fn agree(policy: &Policy, args: &[Args], depth: usize) -> Result<(), TestCaseError> {
    let packed = compile(policy, &Limits::default()).expect("small policies fit");
    let tables = &packed.tables;
    for path in all_paths(depth) {
        let state = tables.walk(&path);
        for (class, id) in policy.subjects.classes.iter().zip(0..) {
            for op in OPS {
                for args in args {
                    let request = Request { op, path: &path, roles: &class.roles, args: *args };
                    let expected = eval(policy, &request);
                    let holds = holds_in(&packed.conditions, args);
                    prop_assert_eq!(tables.decide(state, ClassId(id), op, &holds), expected, "{:?}", request);
                    let checked = tables.check(state, ClassId(id), op, &holds);
                    if expected.effect == Effect::Allow && expected.record != Record::Audit {
                        prop_assert_eq!(checked.effect, Effect::Allow);
                    } else {
                        prop_assert_eq!(checked, expected);
                    }
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn tables_mean_what_the_policy_means(policy in policies(8), args in prop::collection::vec(args(), 2)) {
        agree(&policy, &args, 3)?;
    }

    #[test]
    fn deep_paths_agree(policy in policies(3), args in args()) {
        agree(&policy, &[args], 5)?;
    }
}

/// Names that tell the globs of the generator apart: all of up to three bytes over its letters, and the long one.
fn distinguishing_names() -> Vec<Vec<u8>> {
    let letters = b"abc.x";
    let mut names: Vec<Vec<u8>> = vec![b"abcdefghi".to_vec()];
    let mut last: Vec<Vec<u8>> = vec![Vec::new()];
    for _ in 0..3 {
        last = last.iter().flat_map(|head| letters.iter().map(move |b| [&head[..], &[*b]].concat())).collect();
        names.extend_from_slice(&last);
    }
    names
}

/// The number of blocks into which repeated splitting by what names lead to divides the states below the root.
fn blocks(automaton: &Automaton, tables: &Tables) -> usize {
    let states: Vec<StateId> = (1..automaton.places.len() as u32).map(StateId).collect();
    let names = distinguishing_names();
    let mut block: Vec<u32> = automaton.places.iter().map(|place| place.answer).collect();
    let mut count = 0;
    loop {
        let mut known = HashMap::new();
        let mut finer = block.clone();
        for state in &states {
            let to: Vec<u32> = names.iter().map(|name| block[tables.step(*state, name).0 as usize]).collect();
            let next = known.len() as u32;
            finer[state.0 as usize] = *known.entry((block[state.0 as usize], to)).or_insert(next);
        }
        block = finer;
        if known.len() == count {
            return count;
        }
        count = known.len();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn no_two_states_are_equal(policy in policies(6)) {
        let automaton = lower(&policy, &Limits::default()).expect("small policies fit");
        let tables = pack(&automaton).tables;
        prop_assert_eq!(blocks(&automaton, &tables), automaton.places.len() - 1);
    }

    #[test]
    fn the_same_policy_gives_the_same_tables(policy in policies(10)) {
        let first = compile(&policy, &Limits::default()).expect("small policies fit");
        let again = compile(&policy.clone(), &Limits::default()).expect("small policies fit");
        prop_assert_eq!(first.tables, again.tables);
        prop_assert_eq!(first.conditions, again.conditions);
    }
}
