//! The audit stream: what hooks tell of the requests they judged.
//!
//! In: [`Event`]s, from any thread of a hook. Out: one line for people on standard error for each refusal, and one
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
use boesfs_lang::ops::Op;
use boesfs_lang::policy::{Effect, Record};
use boesfs_lang::subjects::ClassId;

/// A request that was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The thread that asked, as this process sees it; 0 where the hook cannot tell.
    pub pid: u32,
    /// Its user id, as this process sees it.
    pub uid: u32,
    /// The class it was judged as; none for a subject that no class fits, which is refused everything.
    pub class: Option<ClassId>,
    /// What it asked for.
    pub op: Op,
    /// The object's path in the policed tree, in bytes, beginning with `/`.
    pub path: Vec<u8>,
    /// The answer, with its cause (from `decide`, not `check`).
    pub verdict: Verdict,
    /// Why, where it was not a rule or the default: a move that would gain rights, a path too deep to follow.
    pub note: Option<&'static str>,
}

/// Where a hook sends what it judged.
pub trait Sink: Send + Sync {
    /// Takes `event` if it is to be recorded. Called before the answer is given, while the subject still waits for it;
    /// does not block.
    ///
    /// Where the verdict is [`Effect::Kill`], the subject's thread group has `SIGKILL` pending on return.
    fn record(&self, event: Event);
}

impl Event {
    /// Whether the policy wants this event in the stream: as the rule that decided says, and a kill always.
    #[must_use]
    pub fn recorded(&self) -> bool {
        self.verdict.recorded() || self.verdict.effect == Effect::Kill
    }
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
