//! The audit stream: what hooks tell of the requests they judged.
//!
//! In: [`crate::fuse::Event`]s, from any thread of a hook. Out: one line for people on standard error for each refusal, and one
//! JSON object a line where the caller asked for it. Holds: a hook never waits for a reader (the queue is bounded,
//! what does not fit is counted as lost), names cannot forge a line ([`escape`]), and the stream's descriptors
//! are out of the workload's reach.

pub mod escape;
mod json;
mod people;
mod recorder;
mod time;

pub use recorder::{Recorder, Streams, Totals};

use std::sync::Arc;

use boesfs_codegen::manifest::Manifest;
use boesfs_lang::eval::{Cause, Verdict};
use boesfs_lang::policy::{Effect, Record};
use boesfs_lang::subjects::ClassId;

/// Whether the policy wants a request in the stream: as the rule that decided says, and a kill always.
#[must_use]
pub fn is_recorded(verdict: &Verdict) -> bool {
    verdict.recorded() || verdict.effect == Effect::Kill
}

/// What of a policy the stream's lines need: names of roles, places of rules.
#[derive(Clone, Debug)]
pub struct Names(pub Arc<Manifest>);

impl Names {
    /// The names of the active roles of `class`.
    fn roles(&self, class: Option<ClassId>) -> Vec<&str> {
        let subjects = &self.0.subjects;
        let class = class.and_then(|class| subjects.classes.get(class.0 as usize));
        let roles = class.map_or(&[][..], |class| &class.roles);
        roles.iter().filter_map(|role| Some(subjects.roles.get(role.0 as usize)?.name.as_str())).collect()
    }

    /// `file:line` of the rule behind `cause`.
    fn place(&self, cause: Cause) -> Option<(u32, &str, u32)> {
        let Cause::Rule(rule) = cause else { return None };
        let (file, line) = self.0.place(rule)?;
        Some((rule.0, file, line))
    }
}

/// The words for a cause in JSON.
const fn cause_word(cause: Cause) -> &'static str {
    match cause {
        Cause::Rule(_) => "rule",
        Cause::Default => "default",
        Cause::NotGranted => "not-granted",
    }
}

/// Whether the rule behind `verdict` says `audit`.
const fn audited(verdict: &Verdict) -> bool {
    matches!(verdict.record, Record::Audit)
}
