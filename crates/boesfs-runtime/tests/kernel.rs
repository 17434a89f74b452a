//! Policy objects in the kernel that runs the tests: the verifier takes them, and their answers are those of `eval`.
//! Fails where `bpf(2)` is not allowed: run as root.

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::emit::layout::Mode;
use boesfs_codegen::object::{PolicyObject, build, read};
use boesfs_codegen::pack;
use boesfs_codegen::tables::StateId;
use boesfs_lang::check::{Input, check};
use boesfs_lang::cond::{Arg, Args};
use boesfs_lang::eval::{Request, eval};
use boesfs_lang::ops::{self, Op};
use boesfs_lang::policy::Policy;
use boesfs_lang::subjects::ClassId;
use boesfs_runtime::kernel::{KernelChecker, Question};

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
        boesfs_runtime::kernel::KernelError::Refused { log, .. } => {
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
    let policy = policy(SMALL);
    let kernel = load(&object(&policy));
    let path: &[&[u8]] = &[b"usr", b"lib", b"object-name-000001"];
    let question = Question { start: StateId::ROOT, path, class: ClassId(0), op: Op::Read, args: Args::default() };
    for mode in [Mode::Walk, Mode::Step, Mode::Check, Mode::Empty] {
        let best = (0..200).map(|_| kernel.run(&question, mode, 256).unwrap_or_else(|e| panic!("{e}")).ns).min();
        println!("{mode:?}: {:.2} ns", best.unwrap_or_default() as f64 / 256.0);
        assert!(best.is_some_and(|ns| ns > 0));
    }
}
