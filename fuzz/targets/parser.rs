//! Front end: whatever the text is, it is a policy or there are errors, which can be shown; and a policy that is small
//! enough has an object, which the VM runs and answers as the policy means.

#![no_main]

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::object::build;
use boesfs_codegen::pack::compile;
use boesfs_lang::cond::Args;
use boesfs_lang::ops::Op;
use boesfs_lang::subjects::ClassId;
use boesfs_lang::{Input, check};
use boesfs_runtime::engine::{Engine, Meaning, Question};
use boesfs_runtime::policy::LoadedPolicy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let policy = match check(&Input::new("fuzz.bfs", data)) {
        Ok(checked) => checked.policy,
        Err(rejected) => {
            assert!(!rejected.diagnostics.is_empty(), "refused without a reason");
            let _shown = rejected.to_string();
            return;
        }
    };
    if policy.subjects.classes.len() > 64 {
        return;
    }
    let limits = Limits { states: 1 << 12, edges: 1 << 14, glob_states: 1 << 10, ..Limits::default() };
    let Ok(packed) = compile(&policy, &limits) else { return };
    let Ok(object) = build(&policy, &packed) else { return };
    let vm = LoadedPolicy::read(&object).expect("what the compiler writes, the VM runs");
    let paths: [&[&[u8]]; 5] = [&[], &[b"a"], &[b"a", b"b"], &[b"srv", b"x.c"], &[b"\xff", b".git", b"a", b"a"]];
    for path in paths {
        for op in [Op::Read, Op::Write, Op::Rename] {
            for args in [Args::default(), Args([1, 0o4755, 4096, 1, 2, 1000, 5, 1000])] {
                let question = Question { path, class: ClassId(0), op, args };
                let (meant, answered) = (Meaning(&policy).answer(&question), vm.answer(&question));
                assert_eq!(meant.ok(), answered.ok(), "{question:?}");
            }
        }
    }
});
