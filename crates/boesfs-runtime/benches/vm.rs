//! The user-space VM: `step` and `check` as the FUSE hook asks them, with 10 and 10,000 rules.

use std::fmt::Write;
use std::hint::black_box;

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::object::build;
use boesfs_codegen::pack::compile;
use boesfs_codegen::tables::StateId;
use boesfs_lang::cond::Args;
use boesfs_lang::ops::Op;
use boesfs_lang::subjects::ClassId;
use boesfs_lang::{Input, check};
use boesfs_runtime::checker::Checker;
use boesfs_runtime::policy::LoadedPolicy;
use criterion::{Criterion, criterion_group, criterion_main};

fn policy(rules: usize) -> LoadedPolicy {
    let mut text = String::from("default deny;\nallow read on \"/srv/\";\nhide read on \"/srv/*.key\";\n");
    text.push_str("allow write on \"/srv/\" when size <= 4 KiB;\n");
    for i in 0..rules {
        let _infallible = writeln!(text, "deny write on \"/srv/directory-{i:06}/\";");
    }
    let policy = check(&Input::new("bench.bfs", &text)).expect("the policy is good").policy;
    let packed = compile(&policy, &Limits::default()).expect("it is within the limits");
    LoadedPolicy::read(&build(&policy, &packed).expect("it has an object")).expect("the VM runs it")
}

fn vm(c: &mut Criterion) {
    for rules in [10, 10_000] {
        let policy = policy(rules);
        let srv = policy.step(StateId::ROOT, b"srv");
        let leaf = policy.step(srv, b"directory-000003");
        let mut group = c.benchmark_group(format!("vm/{rules}"));
        let mut step = |name: &str, state: StateId, component: &'static [u8]| {
            group.bench_function(name, |b| b.iter(|| policy.step(black_box(state), black_box(component))));
        };
        step("step, literal of 16 bytes", srv, b"directory-000003");
        step("step, glob", srv, b"something.key");
        step("step, in a leaf", leaf, b"something");
        let mut ask = |name: &str, op: Op| {
            let (class, args) = (ClassId(0), Args::default());
            group.bench_function(name, |b| b.iter(|| policy.check(black_box(srv), class, black_box(op), &args)));
        };
        ask("check, allowed", Op::Read);
        ask("check, refused by the default", Op::Exec);
        ask("check, with a condition", Op::Write);
        assert_eq!(policy.faults(), 0);
        group.finish();
    }
}

criterion_group!(benches, vm);
criterion_main!(benches);
