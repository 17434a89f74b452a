//! `cargo xtask bench`: BoesFS beside its peers, in one run.
//!
//! Every comparison is paired: each round runs all contestants in shuffled order, and a figure is the median over rounds
//! of the ratio to native of the same round. `native again` is native against itself: what it is off 1 is the
//! measurement's own error. The work area is a tmpfs, so that no disk takes part.

mod area;
mod checker;
mod compile;
mod contestant;
mod job;
mod report;
mod rounds;
mod start_up;
mod workload;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::shell::{self, cargo, command};
use crate::{release, setup};

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// Few rounds and small sizes: to see that it works, not for figures.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Rounds of each comparison.
    #[arg(long)]
    rounds: Option<u32>,
    /// Where the JSON goes.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    /// Only these parts.
    #[arg(value_enum)]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Single system calls.
    Micro,
    /// Real programs on real trees.
    Macro,
    /// From start to exit of a program that does nothing.
    Startup,
    /// The checker program in the kernel, beside a prototype in C.
    Checker,
    /// Time and memory to compile policies of many rules.
    Compile,
}

impl Options {
    fn rounds(&self, full: u32) -> u32 {
        self.rounds.unwrap_or(if self.quick { 2 } else { full })
    }
}

/// Runs the parts asked for, or all.
///
/// # Errors
/// A contestant is missing or failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run(&setup::Options { bench: true, list: false })?;
    release::build()?;
    shell::run(&mut command(&cargo(), &["build", "--release", "--locked", "--package", "xtask"]))?;
    let wants = |part| options.parts.is_empty() || options.parts.contains(&part);
    let mut report = report::Report::new();
    let area = area::Area::new()?;
    if wants(Part::Startup) {
        start_up::run(options, &area, &mut report)?;
    }
    if wants(Part::Micro) {
        job::micro(options, &area, &mut report)?;
    }
    if wants(Part::Macro) {
        job::real_programs(options, &area, &mut report)?;
    }
    if wants(Part::Checker) {
        checker::run(options, &area, &mut report)?;
    }
    if wants(Part::Compile) {
        compile::run(options, &area, &mut report)?;
    }
    report.write(&shell::root().join(&options.json))
}
