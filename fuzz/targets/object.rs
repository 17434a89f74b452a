//! Object reader: whatever is damaged in an object, the reader refuses it or what it gives can be asked anything.
//!
//! The input is a list of edits, three bytes of place and one of value each, on a good object. With the first byte even,
//! the hash sum is made right again: only then does damage get past the first check.

#![no_main]

use std::sync::OnceLock;

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::object::{build, read, read_functions, reseal};
use boesfs_codegen::pack::compile;
use boesfs_codegen::tables::StateId;
use boesfs_lang::cond::Args;
use boesfs_lang::ops::Op;
use boesfs_lang::subjects::ClassId;
use boesfs_lang::{Input, check};
use boesfs_runtime::checker::Checker;
use boesfs_runtime::policy::LoadedPolicy;
use libfuzzer_sys::fuzz_target;

const POLICY: &str = r#"
default deny;
role a { allow read, write on "/a/", "/b/*.c" when size < 7 or offset & 3 == 1; }
role b : a { hide all on "/a/**/x" except "/a/y/x"; }
user 3 : b;
exe "/bin/x" : a;
kill write on "/[a-c]?/" when uid == 0;
"#;

fn good() -> &'static [u8] {
    static OBJECT: OnceLock<Vec<u8>> = OnceLock::new();
    OBJECT.get_or_init(|| {
        let policy = check(&Input::new("fuzz.bfs", POLICY)).expect("the policy is good").policy;
        let packed = compile(&policy, &Limits::default()).expect("it is small");
        build(&policy, &packed).expect("it has an object")
    })
}

fn edited(data: &[u8]) -> Vec<u8> {
    let mut object = good().to_vec();
    let Some((mode, edits)) = data.split_first() else { return object };
    for [a, b, c, value] in edits.as_chunks::<4>().0 {
        let at = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
        let length = object.len();
        object[at % length] = *value;
    }
    if mode % 2 == 0 {
        reseal(&mut object);
    }
    if mode % 4 == 3 {
        object.truncate(edits.len() * 97 % good().len())
    }
    object
}

fuzz_target!(|data: &[u8]| {
    let _foreign = read(data);
    let bytes = edited(data);
    let functions = read_functions(&bytes, bytes.len() as u64);
    let Ok(object) = read(&bytes) else { return };
    assert!(functions.is_ok(), "a part of what is sound");
    let classes = object.manifest.subjects.classes.len() as u32;
    let Ok(policy) = LoadedPolicy::new(object) else { return };
    let names: [&[u8]; 5] = [b"a", b"b", b"x.c", b"x", &[b'c'; 255]];
    let mut states = vec![StateId::ROOT, StateId::DEAD, StateId(u32::MAX)];
    for name in names {
        states.extend(states.clone().into_iter().map(|state| policy.step(state, name)));
        states.sort();
        states.dedup();
    }
    for state in states {
        for class in 0..=classes.min(16) {
            for op in [Op::Read, Op::Write, Op::Watch] {
                let args = Args([5, 6, 7, 1, 2, 0, 3, 4]);
                let _checked = policy.check(state, ClassId(class), op, &args);
                let _decided = policy.decide(state, ClassId(class), op, &args);
            }
        }
    }
});
