//! A contestant of the bench: runs a command under a Landlock rule set like the agent example's.
//!
//! `landlock-run DIR COMMAND...`: all of DIR, and the system to read and execute. With `LANDLOCK_MORE` in the environment, the
//! directories in that one besides, to read: as many rules more.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use landlock::{ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, path_beneath_rules};

/// Ten rules in all, with those for DIR and /dev, where there is no /lab, which only guests have.
const SYSTEM: [&str; 9] = ["/usr", "/etc", "/proc", "/sys", "/opt", "/var/lib", "/run", "/srv", "/lab"];

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
    let more = match std::env::var_os("LANDLOCK_MORE") {
        Some(dir) => std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?,
        None => Vec::new(),
    };
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules([dir.as_str(), "/dev"], AccessFs::from_all(abi)))?
        .add_rules(path_beneath_rules(more, AccessFs::from_read(abi)))?
        .restrict_self()?;
    if status.ruleset != RulesetStatus::FullyEnforced {
        bail!("this kernel does not enforce Landlock");
    }
    Err(Command::new(program).args(args).exec()).with_context(|| format!("cannot run {program}"))
}
