//! The conformance corpus by real system calls, on real file systems, under `boesfs exec`.
//!
//! Every request of every case is made in every way that the kernel has for its operation, by a small static program, and how
//! it ends, what is recorded, and by which rule, must be what [`boesfs_lang::eval`] says. `BOESFS_HOOK` names the hook
//! (`fuse`, if it is not set), `BOESFS_CASE` a part of the names of the cases to run. What cannot be made real is listed
//! with the reason, as is what the hook says it cannot enforce: then it must refuse the policy, and say the same.

#[path = "../../crates/boesfs-runtime/tests/agree/case.rs"]
#[expect(dead_code, reason = "engines are asked by class, processes are what they are")]
mod case;

mod actor;
mod judge;
mod plan;
mod refuse;
mod session;
mod site;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use boesfs_lang::ops::Mediation;
use boesfs_lang::policy::Policy;
use boesfs_runtime::hook::Hook;

use judge::Cell;

/// Attempts for one start of the sandbox, each at two sites: a policy with many patterns is large at many sites. A start of the LSM hook
/// takes seconds in an emulated guest, whatever the size.
fn batch(hook: Hook, policy: &Policy) -> usize {
    let patterns: usize = policy.rules.iter().map(|rule| rule.patterns.len() + rule.except.len()).sum();
    let size = (1000 / patterns.max(1)).clamp(8, 64);
    if hook == Hook::Lsm { 4 * size } else { size }
}

fn hook() -> Hook {
    let name = std::env::var("BOESFS_HOOK").unwrap_or_else(|_| "fuse".to_owned());
    Hook::ALL.into_iter().find(|hook| hook.name() == name).unwrap_or_else(|| panic!("this build has no hook `{name}`"))
}

/// What came of all.
#[derive(Default)]
struct Tally {
    cells: BTreeMap<(&'static str, Cell), usize>,
    unreal: BTreeMap<&'static str, BTreeSet<String>>,
    refused: Vec<String>,
    wrong: Vec<String>,
    starts: usize,
    took: BTreeMap<&'static str, Duration>,
}

/// One case under the hook.
fn run(hook: Hook, case: &case::Case) -> Tally {
    let mut tally = Tally::default();
    let start = Instant::now();
    let Some(policy) = refuse::enforceable(hook, case, &mut tally.refused) else { return tally };
    let (attempts, unreal) = plan::plan(case, &policy);
    for plan::Unreal { line, way, why } in unreal {
        tally.unreal.entry(why).or_default().insert(format!("{}:{line} {way}", case.name));
    }
    for batch in session::batches(attempts.clone(), batch(hook, &policy)) {
        let done = session::run(hook, case, &policy, &batch);
        tally.starts += 1;
        tally.spent(&done.took);
        tally
            .wrong
            .extend(done.strays.iter().map(|stray| format!("{}: a refusal outside the sites: {stray}", case.name)));
        let judging = Instant::now();
        for (number, attempt) in batch.iter().chain(&batch).enumerate() {
            match judge::judge(hook, case, &done, attempt, number) {
                Ok(cell) => *tally.cells.entry((attempt.way.name, cell)).or_default() += 1,
                Err(why) => {
                    let line = case.requests[attempt.request].line;
                    tally.wrong.push(format!("{}:{line}: {}: {why}", case.name, attempt.way.name));
                }
            }
        }
        tally.spent(&[("judging", judging.elapsed())]);
    }
    println!("{}: {} attempts, twice, in {:.1}s", case.name, attempts.len(), start.elapsed().as_secs_f64());
    // At once: the whole takes long.
    tally.wrong.iter().for_each(|wrong| println!("wrong: {wrong}"));
    tally
}

#[test]
fn every_request_in_every_way_ends_as_the_definition_says() {
    let hook = hook();
    let only = std::env::var("BOESFS_CASE").unwrap_or_default();
    let mut cases: Vec<case::Case> = case::corpus().into_iter().filter(|case| case.name.contains(&only)).collect();
    cases.sort_by_key(|case| case.requests.len());
    let (cases, tally) = (Mutex::new(cases), Mutex::new(Tally::default()));
    // What a worker cannot go on from is a panic of the scope's.
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from).min(4) {
            scope.spawn(|| {
                while let Some(case) = { cases.lock().expect("no worker panicked").pop() } {
                    let done = run(hook, &case);
                    tally.lock().expect("no worker panicked").add(done);
                }
            });
        }
    });
    let tally = tally.into_inner().expect("no worker panicked");
    tally.show(hook);
    let Tally { wrong, cells, .. } = &tally;
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    if only.is_empty() {
        for way in ways::WAYS {
            let shown = |cell| cells.contains_key(&(way.name, cell));
            // A way that the hook is not asked about can be refused by nothing; one that sandboxes do without, by anything.
            let asked = matches!(hook.mediation(way.op), Mediation::Asked(_)) && !judge::unasked(hook, way.name);
            let refused = !asked || way.shut || shown(Cell::Refused);
            let passed = shown(Cell::Allowed) || shown(Cell::Native) || shown(Cell::Shut);
            assert!(refused && passed, "{} was not shown both ways", way.name);
        }
        assert!(cells.keys().any(|(_, cell)| *cell == Cell::Moved), "nothing was kept from gaining rights by moving");
    }
}

impl Tally {
    fn add(&mut self, other: Tally) {
        for (cell, count) in other.cells {
            *self.cells.entry(cell).or_default() += count;
        }
        for (why, which) in other.unreal {
            self.unreal.entry(why).or_default().extend(which);
        }
        self.refused.extend(other.refused);
        self.wrong.extend(other.wrong);
        self.starts += other.starts;
        self.spent(&other.took.into_iter().collect::<Vec<_>>());
    }

    fn spent(&mut self, parts: &[(&'static str, Duration)]) {
        for (part, took) in parts {
            *self.took.entry(part).or_default() += *took;
        }
    }

    fn show(&self, hook: Hook) {
        let total = |wanted: Cell| -> usize {
            self.cells.iter().filter(|((_, cell), _)| *cell == wanted).map(|(_, n)| n).sum()
        };
        println!(
            "hook {hook}, {} starts: {} requests allowed, {} refused, {} not moved (EXDEV), {} by calls that sandboxes do without, {} that fail without a policy, too",
            self.starts,
            total(Cell::Allowed),
            total(Cell::Refused),
            total(Cell::Moved),
            total(Cell::Shut),
            total(Cell::Native)
        );
        let parts = self.took.iter().map(|(part, took)| format!("{:.0}s {part}", took.as_secs_f64()));
        println!("spent, all workers together: {}", parts.collect::<Vec<_>>().join(", "));
        println!("{:28} {:>8} {:>8} {:>6} {:>6} {:>6}", "way", "allowed", "refused", "moved", "shut", "native");
        for way in ways::WAYS {
            let count = |cell| self.cells.get(&(way.name, cell)).copied().unwrap_or(0);
            println!(
                "{:28} {:>8} {:>8} {:>6} {:>6} {:>6}",
                way.name,
                count(Cell::Allowed),
                count(Cell::Refused),
                count(Cell::Moved),
                count(Cell::Shut),
                count(Cell::Native)
            );
        }
        for refused in &self.refused {
            println!("refused by the hook: {refused}");
        }
        for (why, which) in &self.unreal {
            println!("not made, {} times, since {why}:", which.len());
            for one in which {
                println!("    {one}");
            }
        }
    }
}
