//! Pages that are printed from tables in the code. A stale page is an error.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use boesfs_lang::diag::Code;
use boesfs_lang::ops::{GROUPS, Mediation, TABLE};
use clap::Args;

use crate::shell;

/// Options of `cargo xtask docs`.
#[derive(Args)]
pub(crate) struct Options {
    /// Change nothing; fail where a page is stale.
    #[arg(long)]
    check: bool,
}

/// Every generated page: its path below the root, and its text.
fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("docs/operations.md", operations()),
        ("docs/diagnostics.md", diagnostics()),
        ("crates/boesfs-kmod/abi.h", boesfs_codegen::emit::layout::kmod::header()),
    ]
}

/// Writes or checks the pages.
///
/// # Errors
/// A page is stale, or cannot be written.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.check {
        return check();
    }
    for (path, text) in pages() {
        std::fs::write(shell::root().join(path), text).with_context(|| format!("cannot write {path}"))?;
        println!("{path}");
    }
    Ok(())
}

/// Checks the pages.
///
/// # Errors
/// A page is stale.
pub(crate) fn check() -> Result<()> {
    for (path, text) in pages() {
        if std::fs::read_to_string(shell::root().join(path)).unwrap_or_default() != text {
            bail!("{path} is stale\nrun `cargo xtask docs`");
        }
    }
    Ok(())
}

fn operations() -> String {
    let mut page = String::from(
        "# Operations\n\n\
         <!-- Written by `cargo xtask docs` from crates/boesfs-lang/src/ops.rs. -->\n\n\
         The words that rules use. Each operation is asked about the object's own path. Every operation carries the\n\
         arguments `uid`, `gid` and `owner`; the others are listed.\n\n\
         | operation | covers | arguments | FUSE | BPF LSM | kernel module |\n|---|---|---|---|---|---|\n",
    );
    for info in &TABLE {
        let args: Vec<String> = info.args.iter().map(|arg| format!("`{}`", arg.name())).collect();
        let hook = |mediation: Mediation| match mediation {
            Mediation::Asked(place) => format!("asks at {place}"),
            Mediation::Unasked(why) => format!("not asked: {why}"),
            Mediation::Follows(op, why) => format!("follows `{op}`: {why}"),
            Mediation::Unseen(why) => format!("does not see it: {why}"),
        };
        let hooks = [info.fuse, info.lsm, info.kmod].map(hook).join(" | ");
        let _ = writeln!(page, "| `{}` | {} | {} | {hooks} |", info.name, info.about, args.join(", "));
    }
    page.push_str("\n## Groups\n\n| group | for | operations |\n|---|---|---|\n");
    for group in &GROUPS {
        let ops: Vec<String> = group.ops.iter().map(|op| format!("`{op}`")).collect();
        let _ = writeln!(page, "| `{}` | {} | {} |", group.name, group.about, ops.join(" "));
    }
    page
}

fn diagnostics() -> String {
    let mut page = String::from(
        "# Diagnostics\n\n\
         <!-- Written by `cargo xtask docs` from crates/boesfs-lang/src/diag/codes.rs. -->\n\n\
         What can be wrong with a policy. A code is never reused and never changes its meaning. `boesfsc check` shows\n\
         them with the lines they speak of, `boesfsc check --format json` as JSON.\n",
    );
    for code in Code::ALL {
        let _ = write!(page, "\n## {}: {}\n\n{}\n", code.id(), code.title(), code.explanation());
    }
    page
}
