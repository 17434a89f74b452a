//! The part of a bench that runs inside a contestant: it times, and prints one JSON object.
//!
//! `bench-inside micro DIR LOOPS` times single system calls; `bench-inside run DIR COMMAND...` times a command, started in
//! DIR, and tells its peak memory; `bench-inside starts N COMMAND...` times N starts of a command, one after the other.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["micro", dir, loops] => micro(Path::new(dir), loops.parse().unwrap_or(1)),
        ["run", dir, command @ ..] => run(dir, command),
        ["starts", n, command @ ..] => starts(n.parse().unwrap_or(1), command),
        _ => Err(anyhow::anyhow!("usage: bench-inside micro|run|starts ...")),
    };
    match done {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench-inside: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Nanoseconds a call, for each kind of call.
fn micro(dir: &Path, loops: u32) -> Result<serde_json::Value> {
    let deep = dir.join("one/two/three");
    fs::create_dir_all(&deep)?;
    let file = deep.join("file");
    fs::write(&file, vec![b'x'; 1 << 16])?;
    let (new, moved) = (deep.join("new"), deep.join("moved"));
    let opened = File::open(&file)?;
    let mut page = [0; 4096];
    Ok(serde_json::json!({
        "open_close": each(loops, || File::open(&file).map(drop))?,
        "stat": each(loops, || fs::metadata(&file).map(drop))?,
        "pread": each(loops, || opened.read_exact_at(&mut page, 4096))?,
        "create_rename_unlink": each(loops.div_ceil(4), || {
            File::create(&new)?;
            fs::rename(&new, &moved)?;
            fs::remove_file(&moved)
        })?,
    }))
}

/// The fastest of five passes: a pass that somebody disturbed says nothing about the call.
fn each(loops: u32, mut call: impl FnMut() -> io::Result<()>) -> Result<f64> {
    call()?;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..loops {
            call()?;
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(loops));
    }
    Ok(best)
}

fn run(dir: &str, command: &[&str]) -> Result<serde_json::Value> {
    let start = Instant::now();
    once(Some(dir), command)?;
    let seconds = start.elapsed().as_secs_f64();
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    Ok(serde_json::json!({ "seconds": seconds, "peak_kib": peak }))
}

fn starts(n: u32, command: &[&str]) -> Result<serde_json::Value> {
    let mut seconds = Vec::new();
    for _ in 0..n {
        let start = Instant::now();
        once(None, command)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(serde_json::json!({ "seconds": seconds }))
}

fn once(dir: Option<&str>, command: &[&str]) -> Result<()> {
    let (program, args) = command.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
    if let Some(dir) = dir {
        command.current_dir(dir);
    }
    let status = command.status().with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        bail!("{program}: {status}");
    }
    Ok(())
}
