//! The checker programs in this kernel, by `BPF_PROG_TEST_RUN`, beside a prototype that a person wrote in C.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use boesfs_codegen::automaton::Limits;
use boesfs_codegen::emit::layout::{MAX_REPEAT, Mode};
use boesfs_codegen::tables::StateId;
use boesfs_codegen::{object, pack};
use boesfs_lang::cond::Args;
use boesfs_lang::ops::Op;
use boesfs_lang::policy::Effect;
use boesfs_lang::subjects::ClassId;
use boesfs_lang::{Input, check};
use boesfs_runtime::kernel::{KernelChecker, Question};

use super::Options;
use super::area::Area;
use super::report::Report;
use super::rounds::Rounds;
use crate::shell::{self, command};

/// Runs of a program of which the fastest counts.
const RUNS: usize = 400;

pub(super) fn run(options: &Options, area: &Area, report: &mut Report) -> Result<()> {
    let prototype = build(area)?;
    let sizes: &[u32] = if options.quick { &[10, 1_000] } else { &[10, 1_000, 100_000] };
    let names = ["prototype in C".to_owned(), "boesfs".to_owned()];
    let mut jobs = Vec::new();
    let mut verified = Vec::new();
    for &size in sizes {
        let ours = Ours::load(size)?;
        verified.push((format!("{size} rules"), vec![ours.kernel.verified_insns().to_string()]));
        for (asked, key, title) in [
            (Asked::Check, "check", "check"),
            (Asked::Refusal, "check", "check that refuses, with its cause, to one without"),
            (Asked::Step, "step", "step and check"),
            (Asked::Walk, "walk", "three steps and check"),
        ] {
            // Once for each figure: whatever slows the machine down for a while slows both.
            let rounds = Rounds::run(options.rounds(5), &names, |i| match i {
                0 => theirs(&prototype, size, key),
                _ => ours.time(asked),
            })?;
            jobs.push((format!("{title}, {size} rules"), rounds));
        }
    }
    report.ratios(
        "The checker in the kernel: ratio to a prototype in C (without the loop around it)",
        "ns",
        1.0,
        &jobs,
    );
    report.plain("Instructions that the verifier processes", &["boesfs_walk"], &verified);
    Ok(())
}

/// Compiles the prototype; returns its object and the program that fills and runs it.
fn build(area: &Area) -> Result<(PathBuf, PathBuf)> {
    let (object, runner) = (area.at("prototype.o"), area.at("prototype"));
    let triple = shell::output(&mut command("gcc", &["-print-multiarch"]))?;
    let (include, source) = (format!("-I/usr/include/{}", triple.trim()), shell::root().join("xtask/bench"));
    let (to, run) = (object.to_string_lossy(), runner.to_string_lossy());
    let clang = ["-O2", "-g", "-target", "bpf", &include, "-c", "prototype.bpf.c", "-o", &to];
    shell::run(command("clang", &clang).current_dir(&source))?;
    shell::run(command("gcc", &["-O2", "-o", &run, "prototype.c", "-lbpf", "-lelf", "-lz"]).current_dir(&source))?;
    Ok((object, runner))
}

fn theirs((object, runner): &(PathBuf, PathBuf), size: u32, key: &str) -> Result<f64> {
    let text = shell::output(&mut command(&runner.to_string_lossy(), &[&object.to_string_lossy(), &size.to_string()]))?;
    let found: serde_json::Value = serde_json::from_str(&text)?;
    let ns = |key: &str| found[key].as_f64().with_context(|| format!("no figure for {key}"));
    Ok(ns(key)? - ns("empty")?)
}

/// What the compiled policy is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// At the object, which may be read.
    Check,
    /// At the root, which may not: the answer names what decided.
    Refusal,
    /// From the directory above the object.
    Step,
    /// From the root.
    Walk,
}

/// The compiled policy, in the kernel.
struct Ours {
    kernel: KernelChecker,
    path: [String; 3],
    last: StateId,
    reached: StateId,
}

impl Ours {
    fn load(size: u32) -> Result<Ours> {
        let mut text = String::from("policy many; default deny;\n");
        for n in 0..size {
            let _ = writeln!(text, "allow read on \"/srv/tenant-{:05}/object-{n:06}/\";", n / 100);
        }
        let policy = check(&Input::new("many.bfs", &text)).map_err(|errors| anyhow!("{errors}"))?.policy;
        let packed = pack::compile(&policy, &Limits::default()).map_err(|error| anyhow!("{error}"))?;
        let object = object::read(&object::build(&policy, &packed)?)?;
        let kernel = KernelChecker::load(&object)?;
        let n = size / 2;
        let path = ["srv".to_owned(), format!("tenant-{:05}", n / 100), format!("object-{n:06}")];
        let above = kernel.ask(&question(StateId::ROOT, &[path[0].as_bytes(), path[1].as_bytes()]))?;
        let object = kernel.ask(&question(above.state, &[path[2].as_bytes()]))?;
        Ok(Ours { kernel, path, last: above.state, reached: object.state })
    }

    /// Nanoseconds a call, without the loop.
    fn time(&self, asked: Asked) -> Result<f64> {
        let path: Vec<&[u8]> = self.path.iter().map(String::as_bytes).collect();
        let (mode, question) = match asked {
            Asked::Check => (Mode::Check, question(self.reached, &[])),
            Asked::Refusal => (Mode::Check, question(StateId::ROOT, &[])),
            Asked::Step => (Mode::Step, question(self.last, &path[2..])),
            Asked::Walk => (Mode::Walk, question(StateId::ROOT, &path)),
        };
        let best = |mode| -> Result<f64> {
            let mut best = f64::INFINITY;
            for _ in 0..RUNS {
                let answer = self.kernel.run(&question, mode, MAX_REPEAT)?;
                if mode != Mode::Empty && (answer.check.effect == Effect::Allow) == (asked == Asked::Refusal) {
                    return Err(anyhow!("wrong answer"));
                }
                best = best.min(answer.ns as f64 / f64::from(MAX_REPEAT));
            }
            Ok(best)
        };
        Ok(best(mode)? - best(Mode::Empty)?)
    }
}

fn question<'a>(start: StateId, path: &'a [&'a [u8]]) -> Question<'a> {
    Question { start, path, class: ClassId(0), op: Op::Read, args: Args::default() }
}
