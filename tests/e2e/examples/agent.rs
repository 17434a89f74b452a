//! `examples/agent`: an agent edits, builds and commits, and cannot plant code or see secrets.

use std::process::Command;

use crate::rig::{Run, Sandbox, Site};

const MAKEFILE: &str = "hello: hello.o\n\t$(CC) -o $@ $^\n%.o: %.c\n\t$(CC) -O1 -c -o $@ $<\n";
const HELLO: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";

/// A repository with one commit, as a developer has it.
fn repository() -> Site {
    let site = Site::new();
    site.file("repo/Makefile", MAKEFILE);
    site.file("repo/hello.c", HELLO);
    site.file("repo/.gitignore", ".env\n*.o\nhello\n");
    site.file("repo/.github/workflows/ci.yml", "jobs:\n");
    site.file("home/.gitconfig", "[user]\n\tname = Dev\n\temail = dev@example.org\n");
    site.dir("scratch");
    for args in
        [&["init", "--quiet", "--initial-branch=main"][..], &["add", "."], &["commit", "--quiet", "-m", "start"]]
    {
        let status = Command::new("git").args(args).current_dir(site.at("repo")).env("HOME", site.at("home")).status();
        assert!(status.expect("git").success());
    }
    site.file("repo/.env", "TOKEN=secret\n");
    site
}

fn agent(site: &Site, script: &str) -> Run {
    let (repo, home, scratch) = (site.at("repo"), site.at("home"), site.at("scratch"));
    Sandbox::example("agent", &[("repo", &repo), ("home", &home), ("scratch", &scratch)], site.at("audit.jsonl"))
        .env("HOME", &home.display().to_string())
        .env("TMPDIR", &scratch.display().to_string())
        .dir(repo)
        .run(&["/bin/sh", "-e", "-c", script])
}

#[test]
fn it_builds_and_commits() {
    let site = repository();
    let script =
        "make -s -j2; ./hello; sed -i s/hello/bye/ hello.c; git add -A; git commit -q -m change; git status --short";
    let run = agent(&site, script).ok();
    assert_eq!(run.out, "hello\n", "a clean tree after the commit, and no secret in it: {run:#?}");
    let log = Command::new("git").args(["log", "--format=%s"]).current_dir(site.at("repo")).output().expect("git");
    assert_eq!(String::from_utf8_lossy(&log.stdout), "change\nstart\n");
}

#[test]
fn it_branches_merges_and_rebases() {
    let site = repository();
    let script = "git checkout -q -b topic; echo one > one; git add one; git commit -q -m one
        git checkout -q main; echo two > two; git add two; git commit -q -m two
        git checkout -q topic; git rebase -q main; git checkout -q main; git merge -q --ff-only topic
        git stash list; git gc -q; git log --format=%s";
    assert_eq!(agent(&site, script).ok().out, "one\ntwo\nstart\n");
}

#[test]
fn secrets_are_not_there() {
    let site = repository();
    let run = agent(&site, "ls -A; cat .env || true; grep -r TOKEN . || echo none");
    assert!(!run.out.contains("TOKEN") && !run.out.lines().any(|line| line == ".env"), "{run:#?}");
    assert!(run.out.ends_with("none\n"), "{run:#?}");
    assert!(run.err.contains("No such file or directory"), "{run:#?}");
}

#[test]
fn code_for_others_cannot_be_planted() {
    let site = repository();
    let run = agent(
        &site,
        "set +e; echo evil > .git/hooks/pre-commit; echo evil >> .github/workflows/ci.yml; git config core.hooksPath x
         mkdir -p vendored/.github/workflows; echo evil > Jenkinsfile; true",
    )
    .ok();
    assert!(!site.at("repo/.git/hooks/pre-commit").exists());
    assert_eq!(site.text("repo/.github/workflows/ci.yml"), "jobs:\n");
    assert!(!site.text("repo/.git/config").contains("hooksPath"));
    assert!(!site.at("repo/vendored/.github/workflows").exists() && !site.at("repo/Jenkinsfile").exists());
    assert!(run.refused("create", "/.git/hooks/pre-commit"), "{run:#?}");
    assert!(run.refused("mkdir", "/vendored/.github/workflows"), "{run:#?}");
    // The record names the rule: the line that denies editing.
    let record = run.audit.iter().find(|record| record.path.ends_with("/pre-commit")).expect("recorded");
    let place = record.rule.clone().expect("a rule decided");
    let policy = std::fs::read_to_string(crate::rig::repository("examples/agent/agent.bfs")).expect("policy");
    assert_eq!(place.file, "agent.bfs");
    assert!(policy.lines().nth(place.line as usize - 1).is_some_and(|line| line.starts_with("deny edit")), "{place:?}");
}

#[test]
fn the_home_directory_is_out_of_reach() {
    let site = repository();
    site.file("home/.ssh/id_ed25519", "PRIVATE\n");
    let run = agent(&site, "cat $HOME/.ssh/id_ed25519 || echo refused; echo x >> $HOME/.gitconfig || echo refused");
    assert_eq!(run.ok().out, "refused\nrefused\n");
}
