//! `stats`: how large a policy is, and what it compiles to.

use std::fmt::Write as _;
use std::time::Instant;

use boesfs_codegen::bpf::Insn;
use boesfs_codegen::emit::layout::Table;
use boesfs_codegen::object;
use boesfs_lang::pattern::{Component, Pattern};
use boesfs_lang::policy::Policy;

use super::progress::Progress;
use super::{Failure, Source, output};
use crate::load::LoadError;

/// Options of `stats`.
#[derive(clap::Args, Debug)]
pub struct Stats {
    /// The policy.
    #[command(flatten)]
    source: Source,
    /// Also how long each stage took.
    #[arg(long)]
    time: bool,
}

/// Prints the sizes of a policy.
///
/// # Errors
/// See [`Failure`].
pub fn stats(options: &Stats) -> Result<(), Failure> {
    let progress = Progress::start();
    let mut times = vec![("start", Instant::now())];
    let policy = options.source.check(&progress)?.policy;
    times.push(("check", Instant::now()));
    let packed = options.source.tables(&policy, &progress)?;
    times.push(("automaton", Instant::now()));
    progress.stage("writing the object");
    let bytes = object::build(&policy, &packed).map_err(LoadError::from)?;
    times.push(("object", Instant::now()));
    let program = object::read(&bytes).map_err(anyhow::Error::from)?.program;
    drop(progress);

    let mut out = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name:<28}{value:>12}");
    };
    source_sizes(&policy, &mut row);
    let sizes = packed.sizes;
    row("states", sizes.states.to_string());
    row("literal edges", sizes.edges.to_string());
    row("states of globs", sizes.glob_states.to_string());
    row("distinct rows", sizes.rows.to_string());
    row("decisions", sizes.decisions.to_string());
    row("conditions", sizes.conditions.to_string());
    for table in Table::ALL {
        let bytes = table.entries(&packed.tables) * table.entry_bytes();
        row(&format!("bytes of {}", table.section()), bytes.to_string());
    }
    let insns = program.insns().iter().filter(|insn| **insn != Insn::Tail).count();
    row("instructions", insns.to_string());
    row("bytes of the object", bytes.len().to_string());
    if options.time {
        for pair in times.windows(2) {
            row(&format!("time of {}", pair[1].0), format!("{:.1} ms", (pair[1].1 - pair[0].1).as_secs_f64() * 1e3));
        }
    }
    output::print(&out)?;
    Ok(())
}

fn source_sizes(policy: &Policy, row: &mut dyn FnMut(&str, String)) {
    let patterns = || policy.rules.iter().flat_map(|rule| rule.patterns.iter().chain(&rule.except));
    let literal = |pattern: &&Pattern| pattern.components.iter().all(|part| matches!(part, Component::Literal(_)));
    let (all, literals) = (patterns().count(), patterns().filter(literal).count());
    row("source files", policy.sources.files().len().to_string());
    row("rules", policy.rules.len().to_string());
    row("patterns", all.to_string());
    row("patterns with wildcards", (all - literals).to_string());
    row("rules with conditions", policy.rules.iter().filter(|rule| rule.when.is_some()).count().to_string());
    row("roles", policy.subjects.roles.len().to_string());
    row("classes", policy.subjects.classes.len().to_string());
}
