//! The jobs: single system calls, and real programs on real trees.

use std::path::Path;

use anyhow::{Context, Result};

use super::Options;
use super::area::Area;
use super::contestant::Contestant;
use super::report::Report;
use super::rounds::{Rounds, shuffled};
use super::workload;
use crate::shell::{self, command};

fn names() -> Vec<String> {
    Contestant::ALL.iter().map(|contestant| contestant.name().to_owned()).collect()
}

/// Single system calls, in a loop.
pub(super) fn micro(options: &Options, area: &Area, report: &mut Report) -> Result<()> {
    const CALLS: [(&str, &str); 4] = [
        ("open_close", "open, close"),
        ("stat", "stat"),
        ("pread", "pread of 4 KiB"),
        ("create_rename_unlink", "create, rename, unlink"),
    ];
    let loops = if options.quick { "200" } else { "5000" };
    let mut figures = vec![Vec::new(); CALLS.len()];
    for _ in 0..options.rounds(9) {
        let mut round = vec![vec![0.0; Contestant::ALL.len()]; CALLS.len()];
        for i in shuffled(Contestant::ALL.len()) {
            let tree = area.fresh("tree")?;
            let found = Contestant::ALL[i].run(area, &tree, &["micro", "DIR", loops])?;
            for (call, (key, _)) in CALLS.iter().enumerate() {
                round[call][i] = found[key].as_f64().with_context(|| format!("no figure for {key}"))?;
            }
        }
        for (call, row) in round.into_iter().enumerate() {
            figures[call].push(row);
        }
    }
    let jobs: Vec<_> = CALLS
        .iter()
        .zip(figures)
        .map(|((_, title), figures)| ((*title).to_owned(), Rounds::of(&names(), figures)))
        .collect();
    report.ratios("System calls: median ratio to native", "µs", 1e-3, &jobs);
    Ok(())
}

/// What the agent example lets nobody make: CI files, keys. No contestant unpacks them.
const REFUSED: [&str; 2] = ["--exclude=.github", "--exclude=*.p12"];

/// Makes the tree of a job.
type Prepare = Box<dyn Fn(&Path) -> Result<()>>;

/// One job over a tree.
struct Job {
    title: String,
    /// Makes the tree.
    prepare: Prepare,
    /// Runs in the tree, by the shell.
    script: &'static str,
}

/// Real programs.
pub(super) fn real_programs(options: &Options, area: &Area, report: &mut Report) -> Result<()> {
    let big = if options.quick { "lua5.4" } else { "git" };
    let mut done = Vec::new();
    for job in jobs(big)? {
        let rounds = Rounds::run(options.rounds(7), &names(), |i| {
            let tree = area.fresh("tree")?;
            (job.prepare)(&tree)?;
            let found = Contestant::ALL[i].run(area, &tree, &["run", "DIR", "/bin/sh", "-e", "-c", job.script])?;
            found["seconds"].as_f64().context("no seconds")
        })?;
        done.push((job.title, rounds));
    }
    report.ratios("Programs: median ratio to native", "s", 1.0, &done);
    Ok(())
}

fn jobs(big: &'static str) -> Result<Vec<Job>> {
    let (big_tar, lua) = (workload::tar(big)?, workload::tar("lua5.4")?);
    let wheels = workload::wheels()?;
    let unpack = |tar: &Path| -> Prepare {
        let tar = tar.to_string_lossy().into_owned();
        Box::new(move |tree| {
            shell::output(&mut command(
                "tar",
                &[
                    "xf",
                    &tar,
                    "--no-same-owner",
                    REFUSED[0],
                    REFUSED[1],
                    "-C",
                    &tree.to_string_lossy(),
                    "--strip-components=1",
                ],
            ))
            .map(drop)
        })
    };
    let copy = |from: &Path, to: &'static str| -> Prepare {
        let from = from.to_string_lossy().into_owned();
        Box::new(move |tree| {
            shell::output(&mut command("cp", &["-r", &from, &tree.join(to).to_string_lossy()])).map(drop)
        })
    };
    let unpack_and = |tar: &Path, script: &'static str| -> Prepare {
        let unpack = unpack(tar);
        Box::new(move |tree| {
            unpack(tree)?;
            shell::output(command("sh", &["-e", "-c", script]).current_dir(tree)).map(drop)
        })
    };
    let job = |title: String, prepare, script| Job { title, prepare, script };
    Ok(vec![
        job(
            format!("untar {big}"),
            copy(&big_tar, "big.tar"),
            "tar xf big.tar --no-same-owner --exclude=.github --exclude='*.p12'",
        ),
        job(format!("tar {big}"), unpack(&big_tar), "tar cf - . | cat > /dev/null"),
        job(format!("find {big}"), unpack(&big_tar), "find . -newer . -o -size +1M > /dev/null"),
        job(format!("grep -r {big}"), unpack(&big_tar), "grep -r no_such_word_anywhere . || true"),
        job("make -j2 lua5.4".into(), unpack(&lua), "make -s -j2 -C src linux > /dev/null"),
        job(
            format!("git status {big}"),
            unpack_and(
                &big_tar,
                "git init -q . && git add -Af . && git -c user.name=b -c user.email=b@b -c gc.auto=0 commit -q -m all",
            ),
            "git status --short",
        ),
        job(
            "pip install flask requests".into(),
            copy(&wheels, "wheels"),
            "/usr/bin/python3 -m pip install --quiet --no-index --no-cache-dir --disable-pip-version-check --find-links wheels \
             --target site flask requests",
        ),
    ])
}
