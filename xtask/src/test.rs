//! The one command that checks everything: `cargo xtask test`.

use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::shell::{self, cargo, command};
use crate::tally::Tally;
use crate::{docs, fuzz, setup};

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Install nothing: the machine has what is needed.
    #[arg(long)]
    no_setup: bool,
}

/// Runs every check and stops at the first that fails.
///
/// # Errors
/// A check failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    if !options.no_setup {
        setup::run(&setup::Options::default())?;
    }
    let cargo = cargo();
    shell::run(&mut command(&cargo, &["fmt", "--all", "--check"]))?;
    shell::run(&mut command(&cargo, &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    shell::run(command(&cargo, &["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    docs::check()?;

    let mut tally = Tally::default();
    let nextest = shell::succeeds(&mut command(&cargo, &["nextest", "--version"]));
    let runner: &[&str] = if nextest { &["nextest", "run", "--no-fail-fast"] } else { &["test", "--no-fail-fast"] };
    let kinds: &[&str] = if nextest { &["--all-targets"] } else { &["--lib", "--bins", "--tests", "--examples"] };
    let tests = [runner, &["--workspace", "--locked"], kinds].concat();
    let doc_tests = ["test", "--workspace", "--locked", "--doc"];
    for args in [tests.as_slice(), &doc_tests] {
        let done = shell::run_lines(&mut command(&cargo, args), |line| tally.read(line));
        if done.is_err() {
            println!("{tally}");
            return done;
        }
    }
    fuzz::run(&fuzz::Options::smoke())?;
    println!("\n{tally}; finished in {:.0}s", start.elapsed().as_secs_f64());
    Ok(())
}
