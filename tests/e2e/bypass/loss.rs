//! Class 21: when something is missing or breaks, nothing runs unpoliced.

use std::time::{Duration, Instant};

use super::arena::{Arena, Guard};
use crate::rig::{Sandbox, boesfsc};

#[test]
fn without_a_sound_object_nothing_starts() {
    let arena = Arena::new(Guard::Agent);
    let object = arena.site.at("policy.o");
    let status = std::process::Command::new(boesfsc())
        .args(["compile", "-o"])
        .args([&object, &arena.policy])
        .status()
        .expect("boesfsc");
    assert!(status.success());
    let start = |object: &std::path::Path| {
        Sandbox::policy(object.to_owned(), arena.site.at("audit.jsonl")).run(&["/bin/echo", "started"])
    };
    assert_eq!(start(&object).ok().out, "started\n");

    let whole = std::fs::read(&object).expect("object");
    for cut in [0, 1, 63, 64, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&object, &whole[..cut]).expect("write");
        let run = start(&object);
        assert_eq!((run.status, run.out.as_str()), (125, ""), "cut to {cut} bytes: {run:#?}");
    }
    for policy in ["default deny; allow", "default maybe;"] {
        let run = start(&arena.site.file("broken.bfs", policy));
        assert_eq!((run.status, run.out.as_str()), (125, ""), "{run:#?}");
    }
}

#[test]
fn without_its_stream_nothing_starts() {
    let arena = Arena::new(Guard::Agent);
    let run = Sandbox::policy(arena.policy.clone(), arena.site.at("no/such/place")).run(&["/bin/echo", "started"]);
    assert_eq!((run.status, run.out.as_str()), (125, ""), "{run:#?}");
}

#[test]
fn the_workload_dies_with_its_agent() {
    let arena = Arena::new(Guard::Agent);
    let beat = arena.site.file("scratch/beat", "");
    // Deaf to every signal it can be deaf to.
    let script = "trap '' HUP INT TERM PIPE; while :; do echo beat >> $0 || exit; sleep 0.1; done";
    let beating = || beat.metadata().expect("beat").len();
    let mut command = Sandbox::policy(arena.policy.clone(), arena.site.at("audit.jsonl")).command(&[
        "/bin/sh",
        "-c",
        script,
        beat.to_str().expect("UTF-8"),
    ]);
    let mut child = command.spawn().expect("boesfs");
    let start = Instant::now();
    while beating() < 10 {
        assert!(start.elapsed() < Duration::from_secs(60), "never started");
        std::thread::sleep(Duration::from_millis(50));
    }
    // The agent is the child of timeout(1).
    let status =
        std::process::Command::new("pkill").args(["-KILL", "-P", &child.id().to_string()]).status().expect("pkill");
    assert!(status.success());
    child.wait().expect("wait");
    std::thread::sleep(Duration::from_millis(500));
    let then = beating();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(beating(), then, "the workload lives on");
}
