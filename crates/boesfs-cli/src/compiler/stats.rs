//! `stats`: how large a policy is, and what it compiles to; or how large an object is.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::Context;
use boesfs_codegen::bpf::{Insn, Program};
use boesfs_codegen::emit::layout::Table;
use boesfs_codegen::manifest::Sizes;
use boesfs_codegen::object;
use boesfs_codegen::tables::Tables;
use boesfs_lang::pattern::{Component, Pattern};
use boesfs_lang::policy::Policy;

use super::progress::Progress;
use super::{Failure, Source, output};
use crate::load::{self, LoadError};

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
    if options.source.is_object() {
        return of_object(&options.source);
    }
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
    object_sizes(packed.sizes, &packed.tables, &program, bytes.len() as u64, &mut row);
    if options.time {
        for pair in times.windows(2) {
            row(&format!("time of {}", pair[1].0), format!("{:.1} ms", (pair[1].1 - pair[0].1).as_secs_f64() * 1e3));
        }
    }
    output::print(&out)?;
    Ok(())
}

/// The sizes of an object, and what it knows of its source.
fn of_object(source: &Source) -> Result<(), Failure> {
    let bytes = load::read(&source.policy)?;
    let object = object::read(&bytes).with_context(|| source.policy.display().to_string())?;
    let manifest = &object.manifest;
    let mut out = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name:<28}{value:>12}");
    };
    row("source files", manifest.files.len().to_string());
    row("rules", manifest.rules.len().to_string());
    row("rules with conditions", manifest.rules.iter().filter(|rule| rule.conditional).count().to_string());
    row("roles", manifest.subjects.roles.len().to_string());
    row("classes", manifest.subjects.classes.len().to_string());
    object_sizes(manifest.sizes, &object.tables, &object.program, bytes.len() as u64, &mut row);
    output::print(&out)?;
    Ok(())
}

/// What a policy was compiled to. `bytes` is the length of the object.
fn object_sizes(sizes: Sizes, tables: &Tables, program: &Program, bytes: u64, row: &mut dyn FnMut(&str, String)) {
    row("states", sizes.states.to_string());
    row("literal edges", sizes.edges.to_string());
    row("states of globs", sizes.glob_states.to_string());
    row("distinct rows", sizes.rows.to_string());
    row("decisions", sizes.decisions.to_string());
    row("conditions", sizes.conditions.to_string());
    for table in Table::ALL {
        let bytes = table.entries(tables) * table.entry_bytes();
        row(&format!("bytes of {}", table.section()), bytes.to_string());
    }
    let insns = program.insns().iter().filter(|insn| **insn != Insn::Tail).count();
    row("programs", program.entries().count().to_string());
    row("instructions", insns.to_string());
    row("bytes of the object", bytes.to_string());
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
