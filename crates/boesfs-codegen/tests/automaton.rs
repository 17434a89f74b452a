//! The automaton and its tables against the meaning of the language.

use boesfs_codegen::arbitrary::{OPS, all_paths, args, policies};
use std::collections::{HashMap, HashSet};

use boesfs_codegen::automaton::{Automaton, Limits, lower};
use boesfs_codegen::explain::{Outcome, explain};
use boesfs_codegen::pack::{compile, pack};
use boesfs_codegen::tables::graph::{Graph, Zone, read_only};
use boesfs_codegen::tables::walk::holds_in;
use boesfs_codegen::tables::{StateId, Tables};
use boesfs_lang::cond::{Arg, Args};
use boesfs_lang::eval::{Cause, Request, eval};
use boesfs_lang::ops::{Op, Ops};
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
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn tables_mean_what_the_policy_means(policy in policies(8), args in prop::collection::vec(args(), 2)) {
        agree(&policy, &args, 3)?;
    }

    #[test]
    fn deep_paths_agree(policy in policies(4), args in args()) {
        agree(&policy, &[args], 4)?;
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
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn no_two_states_are_equal(mut policy in policies(6)) {
        // Their states are apart, and need not be least.
        policy.subjects.exes.clear();
        let automaton = lower(&policy, &Limits::default()).expect("small policies fit");
        let tables = pack(&automaton, &policy).unwrap().tables;
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

/// Whether `after` allows something, for some arguments, that `before` does not allow for the same arguments.
fn gains(policy: &Policy, before: &[&[u8]], after: &[&[u8]], args: &[Args]) -> bool {
    policy.subjects.classes.iter().any(|class| {
        OPS.into_iter().chain([Op::Chown]).any(|op| {
            args.iter().any(|args| {
                let at = |path| eval(policy, &Request { op, path, roles: &class.roles, args: *args }).effect;
                at(after) == Effect::Allow && at(before) != Effect::Allow
            })
        })
    })
}

/// All arguments that conditions of the generator tell apart.
fn all_args() -> Vec<Args> {
    let numbers = (0..4_u64).flat_map(|u| (0..4_u64).flat_map(move |g| (0..4_u64).map(move |o| (u, g, o))));
    let args = |(u, g, o)| Args::default().with(Arg::Uid, u).with(Arg::Gid, g).with(Arg::Owner, o);
    numbers.map(args).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn no_name_gains_rights(policy in policies(5)) {
        let tables = compile(&policy, &Limits::default()).expect("small policies fit").tables;
        let args = all_args();
        let mut pairs = HashSet::new();
        for old in all_paths(2) {
            for new in all_paths(2) {
                let (from, to) = (tables.walk(&old), tables.walk(&new));
                if pairs.insert((from, to)) && tables.may_gain_name(from, to) {
                    prop_assert!(!gains(&policy, &old, &new, &args), "{:?} to {:?}", old, new);
                }
            }
        }
    }

    #[test]
    fn zones_need_no_judgement(policy in policies(4), args in args()) {
        let tables = compile(&policy, &Limits::default()).expect("small policies fit").tables;
        let graph = Graph::new(&tables);
        let classes: Vec<ClassId> = (0..tables.classes).map(ClassId).collect();
        for root in all_paths(1) {
            let Some(zone) = graph.zone(tables.walk(&root), &classes) else { continue };
            for below in all_paths(2) {
                let path = [&root[..], &below].concat();
                for (class, op) in policy.subjects.classes.iter().flat_map(|class| Ops::ALL.iter().map(move |op| (class, op))) {
                    let verdict = eval(&policy, &Request { op, path: &path, roles: &class.roles, args });
                    let expected = zone == Zone::Open || read_only().contains(op);
                    prop_assert_eq!(verdict.effect, if expected { Effect::Allow } else { Effect::Deny });
                    prop_assert!(expected || !matches!(verdict.cause, Cause::Rule(_)));
                    prop_assert!(verdict.record != Record::Audit);
                }
            }
        }
    }

    #[test]
    fn what_is_visible_below_is_known(policy in policies(5), args in args()) {
        let tables = compile(&policy, &Limits::default()).expect("small policies fit").tables;
        let graph = Graph::new(&tables);
        for (class, id) in policy.subjects.classes.iter().zip(0..) {
            let visible = graph.visible_below(ClassId(id));
            for root in all_paths(2) {
                for below in all_paths(2).into_iter().filter(|below| !below.is_empty()) {
                    let path = [&root[..], &below].concat();
                    let stat = eval(&policy, &Request { op: Op::Stat, path: &path, roles: &class.roles, args });
                    let known = visible[tables.walk(&root).0 as usize];
                    prop_assert!(known || stat.effect == Effect::Hide, "{:?} below {:?}", below, root);
                }
            }
        }
    }

    #[test]
    fn explanations_agree(policy in policies(6), args in args()) {
        let packed = compile(&policy, &Limits::default()).expect("small policies fit");
        for path in all_paths(2) {
            for (class, id) in policy.subjects.classes.iter().zip(0..) {
                let told = explain(&policy, &packed, &path, ClassId(id), Op::Read, &args);
                let verdict = eval(&policy, &Request { op: Op::Read, path: &path, roles: &class.roles, args });
                prop_assert_eq!(told.verdict, verdict);
                prop_assert_eq!(told.steps.len(), path.len());
                let first = told.competitors.iter().find(|c| matches!(c.outcome, Outcome::Decides | Outcome::Outranked));
                prop_assert_eq!(first.map(|c| Cause::Rule(c.rule)), Some(verdict.cause).filter(|c| matches!(c, Cause::Rule(_))));
                prop_assert!(first.is_none_or(|c| c.outcome == Outcome::Decides));
            }
        }
    }
}
