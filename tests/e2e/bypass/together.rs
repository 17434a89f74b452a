//! Many attacks in one sandbox, each at a tree of its own: where a start takes seconds, as that of the LSM hook does in an emulated guest.
//!
//! The policy is the agent example's, said of every tree. What an attack needs otherwise, such as descriptors or a policy in its reach,
//! it gets in a sandbox of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, OnceLock};

use boesfs_runtime::hook::Hook;

use super::arena::{Arena, Guard};
use super::attack::{Outside, controlled, redirections, word, words};
use super::rows::CELLS;
use crate::rig::{Run, Sandbox, hook};

/// How many share a sandbox: with more, the policy is large.
const TOGETHER: usize = 24;

/// What came of an attack.
pub(super) struct Done {
    pub(super) run: Run,
    /// The protected places of its tree.
    pub(super) before: String,
    pub(super) after: String,
}

/// Program and cell.
type Name = (&'static str, &'static str);

/// What came of an attack of those that share sandboxes here, which all run when the first of them is asked for.
pub(super) fn done(name: &'static str, cell: &'static str) -> Option<&'static Done> {
    static DONE: OnceLock<BTreeMap<Name, Done>> = OnceLock::new();
    if hook() != Hook::Lsm || controlled() {
        return None;
    }
    DONE.get_or_init(all).get(&(name, cell))
}

fn all() -> BTreeMap<Name, Done> {
    let arena = Arena::new(Guard::Agent);
    let sharing = CELLS.iter().filter(|(name, cell, guard)| {
        // Those whose guard this is, and that need nothing but their tree.
        *guard == Guard::Agent && *name != "c22_change_policy" && redirections(&arena, name, &word(cell)).is_empty()
    });
    let sharing: Vec<Name> = sharing.map(|(name, cell, _)| (*name, *cell)).collect();
    let (left, done) = (Mutex::new(sharing.chunks(TOGETHER)), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(some) = { left.lock().expect("no worker panicked").next() } {
                    let new = in_one_sandbox(some);
                    done.lock().expect("no worker panicked").extend(new);
                }
            });
        }
    });
    done.into_inner().expect("no worker panicked")
}

/// Runs attacks one after the other.
fn in_one_sandbox(cells: &[Name]) -> Vec<(Name, Done)> {
    let arenas: Vec<Arena> = cells.iter().map(|_| Arena::new(Guard::Agent)).collect();
    let outsides: Vec<Outside> = arenas.iter().map(Outside::new).collect();
    // What each writes goes through a pipe, as in a sandbox of its own.
    let mut script =
        String::from("attack() { out=$(\"$@\" 2>&1); ended=$?; printf '%s\\n@ %s\\n' \"$out\" $ended; }\n");
    for (((name, cell), arena), outside) in cells.iter().zip(&arenas).zip(&outsides) {
        let cell = word(cell);
        let mut words = words(arena, name, &cell);
        words.extend(outside.words(name, &cell));
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let _ = writeln!(script, "export TMPDIR='{}'; attack {}", arena.site.at("scratch").display(), quoted.join(" "));
    }
    let before: Vec<String> = arenas.iter().map(Arena::protected).collect();
    let first = &arenas[0].site;
    let policy = first.file("tree/policy.bfs", &Arena::agents(&arenas));
    let whole = Sandbox::policy(policy, first.at("audit.jsonl")).run(&["/bin/sh", "-c", &script]);
    let mut ended: Vec<Run> = Vec::new();
    let mut out = String::new();
    for line in whole.out.lines() {
        if let Some(status) = line.strip_prefix("@ ") {
            let status = status.parse().unwrap_or_else(|_| panic!("{whole:#?}"));
            ended.push(Run { status, out: std::mem::take(&mut out), err: String::new(), audit: Vec::new() });
        } else {
            let _ = writeln!(out, "{line}");
        }
    }
    assert_eq!((whole.status, ended.len()), (0, cells.len()), "{whole:#?}");
    let after = arenas.iter().map(Arena::protected);
    let done = ended.into_iter().zip(before).zip(after).map(|((run, before), after)| Done { run, before, after });
    cells.iter().copied().zip(done).collect()
}
