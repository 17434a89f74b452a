//! Policy objects in the kernel that runs the tests: the verifier takes them, and their answers are those of `eval`.
//! Fails where `bpf(2)` is not allowed: run as root.

use std::os::fd::{AsFd, AsRawFd};

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::bpf::{Insn, Program};
use boesfs_codegen::emit::layout::Mode;
use boesfs_codegen::object::{PolicyObject, build, read};
use boesfs_codegen::tables::StateId;
use boesfs_codegen::tables::walk::holds_in;
use boesfs_codegen::{arbitrary, pack};
use boesfs_lang::check::{Input, check};
use boesfs_lang::cond::{Arg, Args};
use boesfs_lang::eval::{Cause, Request, eval};
use boesfs_lang::ops::{self, Op};
use boesfs_lang::policy::{Effect, Policy, RuleId};
use boesfs_lang::subjects::ClassId;
use boesfs_runtime::checker::Checker as _;
use boesfs_runtime::kernel::{KernelChecker, KernelError, Question};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

fn policy(text: &str) -> Policy {
    check(&Input::new("test.bfs", text)).unwrap_or_else(|errors| panic!("{errors}")).policy
}

fn object(policy: &Policy) -> PolicyObject {
    let packed = pack::compile(policy, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
    let bytes = build(policy, &packed).unwrap_or_else(|error| panic!("{error}"));
    read(&bytes).unwrap_or_else(|error| panic!("{error}"))
}

fn load(object: &PolicyObject) -> KernelChecker {
    KernelChecker::load(object).unwrap_or_else(|error| match error {
        KernelError::Refused { log, .. } => {
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            panic!("{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
        }
        error => panic!("{error}"),
    })
}

const SMALL: &str = r#"policy small;
default deny;
allow view on "/usr/";
allow all on "/work/";
deny write on "/work/**/*.lock";
deny read on "/**/.env";
hide all on "/home/*/.ssh/";
kill all on "/etc/shadow";
allow write on "/work/quota" when size <= 1048576 and flags & 3 != 2;
deny chmod on "/**" when mode & 0o6000 != 0;
audit allow read on "/etc/hosts";
role admin { allow all on "/etc/"; }
user 1000 : admin;
"#;

#[test]
fn small_policy_loads_and_answers() {
    let policy = policy(SMALL);
    let object = object(&policy);
    let kernel = load(&object);
    println!("verified instructions: {}", kernel.verified_insns());
    let paths: [&[&[u8]]; 12] = [
        &[],
        &[b"usr"],
        &[b"usr", b"bin", b"a-rather-long-name-of-a-program"],
        &[b"work", b"a", b"b", b"Cargo.lock"],
        &[b"work", b".env"],
        &[b"home", b"u", b".ssh", b"id"],
        &[b"etc", b"shadow"],
        &[b"work", b"quota"],
        &[b"etc", b"hosts"],
        &[b"etc", b"hostss"],
        &[b"etc", b"host"],
        &[b"nowhere", &[b'x'; 255]],
    ];
    for path in paths {
        for op in ops::TABLE.map(|info| info.op) {
            for (size, mode) in [(0, 0), (1 << 20, 0o4000), (1 << 21, 0o777)] {
                for (class, active) in policy.subjects.classes.iter().enumerate() {
                    let args = Args::default().with(Arg::Size, size).with(Arg::Mode, mode).with(Arg::Flags, 1);
                    let expected = eval(&policy, &Request { op, path, roles: &active.roles, args });
                    let question = Question { start: StateId::ROOT, path, class: ClassId(class as u32), op, args };
                    let answer = kernel.ask(&question).unwrap_or_else(|error| panic!("{error}"));
                    assert_eq!(answer.decide, expected, "{op} {path:?}");
                    assert_eq!(answer.check.effect, expected.effect, "{op} {path:?}");
                    assert_eq!(answer.check.record, expected.record, "{op} {path:?}");
                }
            }
        }
    }
}

#[test]
fn timing_modes_run() {
    let kernel = load(&object(&many(1000)));
    let path: &[&[u8]] = &[b"srv", b"tenant-00005", b"object-name-000500"];
    let question = Question { start: StateId::ROOT, path, class: ClassId(0), op: Op::Read, args: Args::default() };
    let best = |question: &Question<'_>, mode| {
        let ns = (0..300).map(|_| kernel.run(question, mode, 256).unwrap_or_else(|error| panic!("{error}")).ns).min();
        ns.unwrap_or_default() as f64 / 256.0
    };
    let parent = kernel.step(kernel.step(StateId::ROOT, path[0]), path[1]);
    let object = kernel.step(parent, path[2]);
    let empty = best(&question, Mode::Empty);
    let check = best(&Question { start: object, ..question }, Mode::Check);
    let step = best(&Question { start: parent, path: &path[2..], ..question }, Mode::Step);
    let walk = best(&question, Mode::Walk);
    println!("ns: loop {empty:.2}, check {check:.2}, one step and check {step:.2}, three steps and check {walk:.2}");
    assert!(empty > 0.0 && walk > step && step > check);
}

#[test]
fn every_example_loads() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(root).expect("the examples") {
        let folder = entry.expect("an example").path();
        let Ok(files) = std::fs::read_dir(&folder) else { continue };
        for file in files.map(|file| file.expect("a file").path()) {
            if file.extension().is_none_or(|extension| extension != "bfs") {
                continue;
            }
            let text = std::fs::read(&file).expect("a policy");
            let name = file.file_name().and_then(|name| name.to_str()).expect("a plain name");
            let policy = check(&Input::new(name, &text));
            let policy = policy.unwrap_or_else(|errors| panic!("{errors}")).policy;
            let kernel = load(&object(&policy));
            println!("{name}: {} instructions verified", kernel.verified_insns());
            assert!(kernel.verified_insns() < VERIFIED_MOST, "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 5, "only {seen} examples");
}

/// Far below the kernel's million: what one policy may cost its verifier.
const VERIFIED_MOST: u32 = 50_000;

/// `rules` literal rules below one directory for each hundred.
fn many(rules: usize) -> Policy {
    let mut text = String::from("policy many;\ndefault deny;\n");
    for i in 0..rules {
        text += &format!("allow read on \"/srv/tenant-{:05}/object-name-{i:06}\";\n", i / 100);
    }
    policy(&text)
}

#[test]
fn a_hundred_thousand_rules_load_and_answer() {
    let (small, large) = (load(&object(&many(10))), object(&many(100_000)));
    let kernel = load(&large);
    println!("instructions verified: 10 rules {}, 100,000 rules {}", small.verified_insns(), kernel.verified_insns());
    assert!(kernel.verified_insns() < VERIFIED_MOST);
    for i in (0..100_100).step_by(77) {
        let (tenant, name) = (format!("tenant-{:05}", i / 100), format!("object-name-{i:06}"));
        let path: &[&[u8]] = &[b"srv", tenant.as_bytes(), name.as_bytes()];
        let question = Question { start: StateId::ROOT, path, class: ClassId(0), op: Op::Read, args: Args::default() };
        let answer = kernel.ask(&question).unwrap_or_else(|error| panic!("{error}"));
        let cause = if i < 100_000 { Cause::Rule(RuleId(i as u32)) } else { Cause::Default };
        assert_eq!(answer.decide.cause, cause, "{name}");
        assert_eq!(answer.check.effect, if i < 100_000 { Effect::Allow } else { Effect::Deny }, "{name}");
    }
}

/// Random policies, and for each every class, and random paths, operations and arguments: `eval`, the tables and the
/// kernel agree on verdict and cause. 100,000 requests in all.
#[test]
fn random_requests_get_the_same_answers_from_eval_tables_and_kernel() {
    const POLICIES: usize = 50;
    const REQUESTS: usize = 2000;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let paths = arbitrary::all_paths(4);
    for _ in 0..POLICIES {
        let policy = arbitrary::policies(12).new_tree(&mut runner).expect("a policy").current();
        let object = object(&policy);
        let packed = pack::compile(&policy, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
        let kernel = load(&object);
        for _ in 0..REQUESTS {
            let path = &paths[runner.rng().random_range(0..paths.len())];
            let class = ClassId(runner.rng().random_range(0..policy.subjects.classes.len() as u32));
            let op = arbitrary::OPS[runner.rng().random_range(0..arbitrary::OPS.len())];
            let args = arbitrary::args().new_tree(&mut runner).expect("arguments").current();
            let roles = &policy.subjects.classes[class.0 as usize].roles;
            let expected = eval(&policy, &Request { op, path, roles, args });
            let state = object.tables.walk(path);
            let holds = holds_in(&packed.conditions, &args);
            assert_eq!(object.tables.decide(state, class, op, &holds), expected, "tables: {op} {path:?} {policy:?}");
            let answer = kernel.ask(&Question { start: StateId::ROOT, path, class, op, args });
            let answer = answer.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(answer.state, state, "kernel: {path:?} {policy:?}");
            assert_eq!(answer.decide, expected, "kernel: {op} {path:?} {policy:?}");
            assert_eq!(answer.check, object.tables.check(state, class, op, &holds), "kernel: {op} {path:?} {policy:?}");
        }
    }
}

/// What comes from outside and is out of range: refused, and the dead state.
#[test]
fn the_programs_refuse_what_is_out_of_range() {
    let policy = policy("policy open;\ndefault allow;\n");
    let kernel = load(&object(&policy));
    let path: [&[u8]; 1] = [b"a"];
    let question =
        Question { start: StateId::ROOT, path: &path, class: ClassId(0), op: Op::Read, args: Args::default() };
    let ask = |question| kernel.ask(&question).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(ask(question).check.effect, Effect::Allow, "in range");
    let deep: Vec<&[u8]> = vec![b"a"; 129];
    let long = [b'x'; 300];
    let long: [&[u8]; 1] = [&long];
    let empty: [&[u8]; 1] = [b""];
    for wrong in [
        Question { class: ClassId(1), ..question },
        Question { class: ClassId(u32::MAX), ..question },
        Question { start: StateId(1 << 20), ..question },
        Question { start: StateId(u32::MAX), ..question },
        Question { start: StateId::DEAD, ..question },
        Question { path: &deep, ..question },
        Question { path: &long, ..question },
        Question { path: &empty, ..question },
    ] {
        let answer = ask(wrong);
        assert_eq!((answer.check.effect, answer.decide.effect), (Effect::Deny, Effect::Deny), "{wrong:?}");
    }
    assert_eq!(kernel.step(StateId::ROOT, &[b'x'; 256]), StateId::DEAD);
}

/// So many conditions that they need several functions, and one in each half of the tree is asked.
#[test]
fn many_conditions_spread_over_functions() {
    let mut text = String::from("policy many;\ndefault deny;\n");
    for i in 0..3000 {
        text += &format!("allow write on \"/d/f{i}\" when size <= {} and flags & 1 == 1;\n", i + 1);
    }
    let policy = policy(&text);
    let object = object(&policy);
    assert!(object.program.function("cond_1").is_some(), "the conditions fit into one function");
    let kernel = load(&object);
    println!("3,000 conditions: {} instructions verified", kernel.verified_insns());
    for i in [0, 1, 749, 1500, 2999] {
        for (size, effect) in [(i + 1, Effect::Allow), (i + 2, Effect::Deny)] {
            let name = format!("f{i}");
            let path: &[&[u8]] = &[b"d", name.as_bytes()];
            let args = Args::default().with(Arg::Size, size).with(Arg::Flags, 1);
            let question = Question { start: StateId::ROOT, path, class: ClassId(0), op: Op::Write, args };
            let answer = kernel.ask(&question).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(answer.check.effect, effect, "{name} with {size} bytes");
        }
    }
}

/// A program that the verifier cannot like: its error names the line it is about.
#[test]
fn a_refusal_names_the_line() {
    let mut object = object(&policy(SMALL));
    // The conditions read the arguments; behind them there is nothing.
    let mut insns = object.program.insns().to_vec();
    let (_, cond) = object.program.function("cond").expect("a function");
    let load = insns[cond.start..cond.end].iter_mut().find_map(|insn| match insn {
        Insn::Load { offset, .. } => Some(offset),
        _ => None,
    });
    *load.expect("a load") = 4096;
    let parts =
        (object.program.functions().to_vec(), object.program.lines().to_vec(), object.program.fields().to_vec());
    object.program = Program::new(insns, parts.0, parts.1, parts.2).expect("still a program");
    let error = KernelChecker::load(&object).expect_err("the verifier refuses it").to_string();
    assert!(error.contains("when size <= 1048576"), "{error}");
    assert!(error.contains("memory"), "{error}");
}

/// The loader that everyone else uses takes the object as it is, and the kernel's verifier what it makes of it.
#[test]
fn libbpf_loads_it() {
    let policy = policy(SMALL);
    let packed = pack::compile(&policy, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
    let bytes = build(&policy, &packed).unwrap_or_else(|error| panic!("{error}"));
    let mut open = libbpf_rs::ObjectBuilder::default().open_memory(&bytes).expect("libbpf opens the object");
    // Made by itself where the module is, which not every kernel has loaded.
    let mut ops = open.maps_mut().find(|map| map.name() == "boesfs_policy").expect("the policy as a struct_ops");
    ops.set_autocreate(false).expect("a map that is not made");
    let object = open.load().expect("libbpf loads the object");
    // The programs of hooks are there too, and loaded only where somebody asks for them.
    let entry = object.progs().find(|program| program.name() == "boesfs_walk").expect("the entry program");
    assert!(entry.as_fd().as_raw_fd() >= 0, "it is loaded");
}
