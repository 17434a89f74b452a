//! `examples/ledger`: roles decide, and the combination that must not be is not.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::rig::{Run, Sandbox, Site, boesfs, repository};

fn books() -> Site {
    let site = Site::new();
    site.file("books/journal", "opened\n");
    site.file("books/vouchers/2026-11/rent.txt", "500\n");
    site.file("books/vouchers/2025-12/rent.txt", "450\n");
    site.file("books/salaries/2026.txt", "all of them\n");
    site.dir("books/reports");
    site
}

fn act(site: &Site, role: &str, script: &str) -> Run {
    Sandbox::example("ledger", &[("books", &site.at("books"))], site.at("audit.jsonl"))
        .option("--role")
        .option(role)
        .dir(site.at("books"))
        .run(&["/bin/sh", "-c", script])
}

#[test]
fn a_clerk_enters_vouchers_for_open_months() {
    let site = books();
    let script = "echo 12 > vouchers/2026-11/tea.txt && mkdir vouchers/2026-12 && echo entered
        echo 1 > vouchers/2025-12/late.txt || echo closed; echo x >> journal || echo not mine; cat salaries/2026.txt || echo secret";
    assert_eq!(act(&site, "clerk", script).ok().out, "entered\nclosed\nnot mine\nsecret\n");
    assert_eq!(site.text("books/vouchers/2026-11/tea.txt"), "12\n");
}

#[test]
fn the_journal_only_grows() {
    let site = books();
    let script =
        "echo november >> journal && echo appended; echo nothing > journal || echo kept; rm journal || echo kept
        echo sum > reports/november && echo reported";
    let run = act(&site, "accountant", script).ok();
    assert_eq!(run.out, "appended\nkept\nkept\nreported\n", "{run:#?}");
    assert_eq!(site.text("books/journal"), "opened\nnovember\n");
}

#[test]
fn an_auditor_looks_on_record_and_touches_nothing() {
    let site = books();
    let run = act(&site, "auditor", "cat salaries/2026.txt journal; touch journal || echo untouched").ok();
    assert_eq!(run.out, "all of them\nopened\nuntouched\n");
    let look = run.audit.iter().find(|record| record.path.ends_with("/salaries/2026.txt")).expect("recorded");
    assert_eq!((look.op.as_str(), look.effect.as_str()), ("read", "allow"));
    assert!(look.roles.contains(&"auditor".to_owned()), "{look:?}");
}

#[test]
fn requests_are_answered_by_user_and_group() {
    // (subject, op, path, effect)
    let table = [
        (r#""user":1003"#, "create", "/srv/ledger/vouchers/2026-11/a.txt", "allow"),
        (r#""user":1003"#, "create", "/srv/ledger/vouchers/2026-11/a.exe", "deny"),
        (r#""user":1100"#, "append", "/srv/ledger/journal", "allow"),
        (r#""user":1100"#, "write", "/srv/ledger/journal", "deny"),
        (r#""user":1500"#, "list", "/srv/ledger", "deny"),
        (r#""group":2000"#, "read", "/srv/ledger/salaries/2026.txt", "allow"),
    ];
    let mut child = Command::new(boesfs())
        .arg("eval")
        .arg(repository("examples/ledger/ledger.bfs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("boesfs");
    let mut requests = String::new();
    for (subject, op, path, _) in table {
        requests += &format!("{{{subject},\"op\":\"{op}\",\"path\":\"{path}\"}}\n");
    }
    child.stdin.take().expect("stdin").write_all(requests.as_bytes()).expect("write");
    let output = child.wait_with_output().expect("wait");
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(answers.lines().count(), table.len(), "{answers}");
    for ((subject, op, path, effect), line) in table.iter().zip(answers.lines()) {
        let answer: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(answer["effect"], *effect, "{subject} {op} {path}: {line}");
    }
}
