//! The same commands, started by root for an ordinary user: user namespaces in place of privileges.

use std::os::unix::fs::chown;
use std::process::Command;

use crate::rig::{Sandbox, Site, boesfs, repository};

const USER: &str = "boesfs-test";

/// The id of an ordinary user, made for the purpose if need be. Without root, it is whoever runs the tests.
fn ordinary() -> Option<u32> {
    let id = |args: &[&str]| {
        let output = Command::new("id").args(args).output().expect("id");
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    if id(&["-u", USER]).is_none() {
        // Another test may be doing the same.
        let _ = Command::new("useradd")
            .args(["--system", "--user-group", "--no-create-home", USER])
            .status()
            .expect("useradd");
    }
    Some(id(&["-u", USER]).expect("user"))
}

#[test]
fn an_ordinary_user_runs_a_function() {
    let site = Site::new();
    site.copy(&repository("examples/function/handler.py"), "functions/resize/code/handler.py");
    site.file("functions/resize/in/text", "mine");
    let out = site.dir("functions/resize/out");
    site.file("functions/billing/key", "PRIVATE\n");
    // The binary may stand where only root may go.
    let boesfs = site.copy(&boesfs(), "bin/boesfs");
    let policy = site.copy(&repository("examples/function/function.bfs"), "function.bfs");
    let functions = site.at("functions");
    let log = site.dir("log");
    let mut sandbox = Sandbox::policy(policy, log.join("audit.jsonl"))
        .binary(boesfs)
        .option("-D")
        .option(&format!("functions={}", functions.display()));
    if let Some(uid) = ordinary() {
        for dir in [&out, &log] {
            chown(dir, Some(uid), Some(uid)).expect("chown");
        }
        sandbox = sandbox.user(uid);
    }
    let handler = functions.join("resize/code/handler.py");
    let run = sandbox.run(&["/usr/bin/python3", handler.to_str().expect("UTF-8")]).ok();
    assert_eq!(site.text("functions/resize/out/counts.json"), r#"{"mine": 1}"#, "{run:#?}");
}
