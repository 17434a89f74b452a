//! `explain` of an object: the walk, and what its programs decide. An object has the rules' texts, but not their patterns,
//! so it does not tell which others competed.

use std::fmt::Write as _;

use boesfs_lang::cond::Args;
use boesfs_lang::eval::Cause;
use boesfs_runtime::checker::Checker as _;

use super::{Explain, NEVER_TOGETHER, active_roles, conclusion, title, walk};
use crate::compiler::{Failure, output};

/// Explains what the object answers to a request.
///
/// # Errors
/// See [`Failure`].
pub(super) fn explain(options: &Explain, path: &[&[u8]], args: &Args) -> Result<(), Failure> {
    let policy = options.source.object()?;
    let manifest = policy.manifest();
    let roles = active_roles(&manifest.subjects, options)?;
    let mut out = title(options.op, path, &manifest.subjects, &roles);
    let state = walk(policy.tables(), path, &mut out);
    let Some(class) = manifest.subjects.class_of(&roles) else {
        out.push_str(NEVER_TOGETHER);
        return Ok(output::print(&out)?);
    };
    let verdict = policy.decide(state, class, options.op, args);
    let place = |rule| manifest.place(rule).map_or_else(String::new, |(file, line)| format!("{file}:{line}"));
    if let Cause::Rule(rule) = verdict.cause
        && let Some(info) = manifest.rules.get(rule.0 as usize)
    {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "\nthe rule that decides\n=> {:<5} {}  {}", info.effect.name(), place(rule), info.text);
    }
    conclusion(&verdict, place, &mut out);
    Ok(output::print(&out)?)
}
