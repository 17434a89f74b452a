//! Random policies and requests: every engine against the definition.
//!
//! `BOESFS_SEED` repeats a run: the seed is printed, and part of each failure.

use std::time::{SystemTime, UNIX_EPOCH};

use boesfs_codegen::arbitrary;
use boesfs_lang::ops::Op;
use boesfs_lang::subjects::ClassId;
use boesfs_runtime::engine::Question;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::engines::Engines;

/// Requests of one run, at least.
const REQUESTS: usize = 120_000;
/// Requests for each policy.
const EACH: usize = 200;

fn seed() -> u64 {
    match std::env::var("BOESFS_SEED") {
        Ok(seed) => seed.parse().expect("BOESFS_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64),
    }
}

/// A source of random values, and the seed that repeats them.
pub(crate) fn runner() -> (u64, TestRunner) {
    let seed = seed();
    println!("BOESFS_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    (seed, TestRunner::new_with_rng(Config::default(), rng))
}

/// A name as patterns have them, or one that none has.
fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => arbitrary::names(),
        1 => prop::collection::vec((1..=255_u8).prop_filter("no slash", |byte| *byte != b'/'), 1..20),
        1 => (1..=255_usize).prop_map(|length| vec![b'a'; length]),
    ]
}

fn path() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop_oneof![
        40 => prop::collection::vec(name(), 0..7),
        1 => prop::collection::vec(name(), 120..300),
    ]
}

#[test]
fn every_engine_agrees_with_the_definition() {
    let (seed, mut runner) = runner();
    let ops = prop_oneof![3 => prop::sample::select(arbitrary::OPS.to_vec()), 1 => (0..27_u32).prop_map(|n| Op::from_number(n).expect("it is one"))];
    let request = (path(), any::<prop::sample::Index>(), ops, arbitrary::args());
    let (mut asked, mut policies, mut refused) = (0, 0, 0);
    let mut effects = [0_usize; 4];
    while asked < REQUESTS {
        let policy = arbitrary::policies(12).new_tree(&mut runner).expect("a policy").current();
        let classes = policy.subjects.classes.len();
        let shown = format!("{policy:?}");
        let Some(engines) = Engines::new(policy) else {
            refused += 1;
            continue;
        };
        policies += 1;
        for _ in 0..EACH {
            let (path, class, op, args) = request.new_tree(&mut runner).expect("a request").current();
            let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
            let question = Question { path: &path, class: ClassId(class.index(classes) as u32), op, args };
            let expected = engines.meaning(&question);
            let differing = engines.differing(&question, expected);
            assert!(
                differing.is_empty(),
                "BOESFS_SEED={seed}\n{question:?}\nmeans {expected:?}, but {differing:?}\n{shown}"
            );
            effects[expected.effect as usize] += 1;
            asked += 1;
        }
    }
    println!("{asked} requests to {policies} policies ({refused} beyond the limits); by effect: {effects:?}");
    // Were nearly all answers the same, agreement would say little.
    assert!(effects.iter().all(|count| *count > REQUESTS / 100), "the requests are too alike: {effects:?}");
    assert!(refused * 10 < policies, "too many policies beyond the limits: {refused}");
}
