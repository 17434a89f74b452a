//! The automaton and its tables against the meaning of the language.

use boesfs_codegen::arbitrary::{OPS, all_paths, args, policies};
use boesfs_codegen::automaton::Limits;
use boesfs_codegen::pack::compile;
use boesfs_codegen::tables::walk::holds_in;
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
