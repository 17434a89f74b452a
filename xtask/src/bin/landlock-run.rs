//! A contestant of the bench: runs a command under a Landlock rule set like the agent example's.
//!
//! `landlock-run DIR COMMAND...`: all of DIR, and the system to read and execute.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use landlock::{ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, path_beneath_rules};

/// Ten rules in all.
const SYSTEM: [&str; 8] = ["/usr", "/etc", "/proc", "/sys", "/opt", "/var/lib", "/run", "/srv"];

fn main() -> ExitCode {
    match run() {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("landlock-run: {error:#}");
            ExitCode::from(125)
        }
    }
}

fn run() -> Result<std::convert::Infallible> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [dir, program, args @ ..] = words.as_slice() else { bail!("usage: landlock-run DIR COMMAND...") };
    let abi = ABI::V3;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules([dir.as_str(), "/dev"], AccessFs::from_all(abi)))?
        .restrict_self()?;
    if status.ruleset != RulesetStatus::FullyEnforced {
        bail!("this kernel does not enforce Landlock");
    }
    Err(Command::new(program).args(args).exec()).with_context(|| format!("cannot run {program}"))
}
