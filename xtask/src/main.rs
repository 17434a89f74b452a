//! Development tasks of BoesFS: `cargo xtask --help`.
//!
//! A task is a module. Tasks run other programs and never reach into the crates, except for [`docs`], which prints
//! the tables that live there.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod demo;
mod docs;
mod fuzz;
mod install;
mod release;
mod setup;
mod shell;
mod suites;
mod tally;
mod test;
mod vm;

/// Development tasks of BoesFS.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the project needs to build and test itself, then run every check.
    Test(test::Options),
    /// Install the Debian packages that the tests need (and, with `--bench`, the benches).
    Setup(setup::Options),
    /// Write the generated pages below `docs/`, or check that they are up to date.
    Docs(docs::Options),
    /// Run each fuzz target for a short while.
    Fuzz(fuzz::Options),
    /// Run the shipped function example and its evil twin under their policy, and show what becomes of them.
    Demo,
    /// Measure against peers; prints tables and writes JSON.
    Bench(bench::Options),
    /// Run outside file-system suites: pjdfstest, fsx, stress-ng.
    Suites(suites::Options),
    /// Run the tests that need other kernels than this one, in emulated machines.
    Vm(vm::Options),
    /// Count the instructions that each hook and its peers add, in a guest whose clock counts them.
    Icount(vm::icount::Options),
    /// Build the two binaries with optimisation and copy them to `PREFIX/bin`.
    Install(install::Options),
}

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Test(options) => test::run(&options),
        Task::Setup(options) => setup::run(&options),
        Task::Docs(options) => docs::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Demo => demo::run(),
        Task::Bench(options) => bench::run(&options),
        Task::Suites(options) => suites::run(&options),
        Task::Vm(options) => vm::main(&options),
        Task::Icount(options) => vm::icount::run(&options),
        Task::Install(options) => install::run(&options),
    }
}
