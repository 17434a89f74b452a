//! Time and memory to compile policies of many rules, beside apparmor_parser on the same rules.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::Options;
use super::area::Area;
use super::report::Report;
use super::rounds::median;
use crate::release;

/// Seconds after which a contestant has lost.
const PATIENCE: &str = "60";

pub(super) fn run(options: &Options, area: &Area, report: &mut Report) -> Result<()> {
    let sizes: &[u32] = if options.quick { &[10, 1_000] } else { &[10, 1_000, 10_000, 100_000] };
    let mut rows = Vec::new();
    for &size in sizes {
        let literal = |n: u32| format!("/srv/tenant-{:05}/object-{n:06}", n / 100);
        rows.push(row(options, area, &format!("{size} literal rules"), size, &literal)?);
    }
    if !options.quick {
        let every_twentieth = |n: u32| match n % 20 {
            0 => format!("/srv/tenant-{:05}/cache-{n:06}*.tmp", n / 100),
            _ => format!("/srv/tenant-{:05}/object-{n:06}", n / 100),
        };
        rows.push(row(options, area, "10000 rules, 500 with globs", 10_000, &every_twentieth)?);
    }
    let columns = ["boesfsc", "boesfsc, peak", "apparmor_parser", "apparmor_parser, peak"];
    report.plain("Time and memory to compile a policy", &columns, &rows);
    Ok(())
}

fn row(
    options: &Options,
    area: &Area,
    title: &str,
    size: u32,
    path: &dyn Fn(u32) -> String,
) -> Result<(String, Vec<String>)> {
    let (ours, theirs) = (area.at("many.bfs"), area.at("many.profile"));
    let mut text = String::from("policy many;\ndefault deny;\n");
    let mut profile = String::from("profile many {\n");
    for n in 0..size {
        let _ = writeln!(text, "allow read on \"{}\";", path(n));
        let _ = writeln!(profile, "  {} r,", path(n));
    }
    profile.push_str("}\n");
    std::fs::write(&ours, text)?;
    std::fs::write(&theirs, profile)?;
    let boesfsc = release::binary("boesfsc");
    let compile = |ours: &Path| {
        let mut command = Command::new(&boesfsc);
        command.arg("compile").arg("-o").arg(area.at("many.o")).arg(ours);
        command
    };
    let parse = |theirs: &Path| {
        let mut command = Command::new("apparmor_parser");
        command
            // No jobs: it waits for processes of its own otherwise, in vain where whoever started the bench ignores SIGCHLD.
            .args(["--jobs", "0", "--skip-kernel-load", "--skip-cache", "--quiet"])
            .arg("--ofile")
            .arg(area.at("many.bin"))
            .arg(theirs);
        command
    };
    let rounds = options.rounds(3);
    let mut cells = measure(rounds, || compile(&ours))?;
    cells.extend(measure(rounds, || parse(&theirs))?);
    Ok((title.to_owned(), cells))
}

/// Median seconds and peak memory of a command, as text.
fn measure(rounds: u32, command: impl Fn() -> Command) -> Result<Vec<String>> {
    let (mut seconds, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let inner = command();
        let mut outer = Command::new(release::binary("bench-inside"));
        outer.args(["run", "/", "timeout", PATIENCE]).arg(inner.get_program()).args(inner.get_args());
        let output = outer.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("exit status: 124") {
            return Ok(vec![format!("over {PATIENCE} s"), "-".into()]);
        }
        // A contestant may be unable to: that is a result, and what it said is shown beside the table.
        for end in ["exit status: ", "signal: "] {
            if let Some((_, how)) = said.rsplit_once(end) {
                eprint!("{said}");
                return Ok(vec![format!("fails: {end}{}", how.trim()), "-".into()]);
            }
        }
        let found: serde_json::Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{}: {said}", PathBuf::from(inner.get_program()).display()))?;
        seconds.push(found["seconds"].as_f64().context("no seconds")?);
        peaks.push(found["peak_kib"].as_f64().context("no peak")?);
    }
    Ok(vec![format!("{:.3} s", median(seconds)), format!("{:.0} MiB", median(peaks) / 1024.0)])
}
