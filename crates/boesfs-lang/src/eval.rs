//! The meaning of a policy. Every other implementation (automaton, bytecode, hooks) is tested against [`eval`],
//! which is written to be read beside this equation:
//!
//! ```text
//! candidates = rules that name the operation, concern an active role, cover the path, and whose condition holds
//! rank(allow rule)            = most literal leading components of its patterns that cover the path
//! rank(deny, hide, kill rule) = longest prefix of the path (in components) that such a pattern matched
//! decides  = the candidate of highest rank; at equal rank the harsher effect; then `audit` before plain before `quiet`;
//!            then the first in the source, which matters for the name of the cause alone
//! verdict  = effect of the rule that decides, or the default
//! ```

use std::cmp::Reverse;

use crate::cond::Args;
use crate::ops::Op;
use crate::policy::{Default, Effect, Policy, Record, Rule, RuleId};
use crate::subjects::RoleId;

/// One question: may a subject with these active roles do this here?
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The operation.
    pub op: Op,
    /// The object's path, in components from the root; empty for the root itself.
    pub path: &'a [&'a [u8]],
    /// The active roles, flattened (see [`crate::subjects::Subjects::flatten`]).
    pub roles: &'a [RoleId],
    /// The operation's arguments.
    pub args: Args,
}

/// What made a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// This rule.
    Rule(RuleId),
    /// No rule: the default.
    Default,
    /// No rule, and under `default deny` no rule for the active roles allows the operation anywhere.
    NotGranted,
}

/// The answer to a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// What happens.
    pub effect: Effect,
    /// The recording qualifier of the rule that decided.
    pub record: Record,
    /// Why.
    pub cause: Cause,
}

impl Verdict {
    /// Whether the request is to be recorded.
    #[must_use]
    pub fn recorded(&self) -> bool {
        match self.record {
            Record::Audit => true,
            Record::Quiet => false,
            Record::Refusals => self.effect != Effect::Allow,
        }
    }
}

/// A rule that competes for a request. The greatest decides: candidates compare as the equation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Its rank at the path: the greater the deeper.
    pub rank: u32,
    /// Its effect: the harsher the greater.
    pub effect: Effect,
    /// What it records: `audit` is the greatest.
    pub record: Reverse<Record>,
    /// The rule: the first in the source is the greatest.
    pub rule: Reverse<RuleId>,
}

/// Answers `request` under `policy`.
#[must_use]
pub fn eval(policy: &Policy, request: &Request<'_>) -> Verdict {
    match candidates(policy, request).max() {
        Some(decides) => {
            Verdict { effect: decides.effect, record: decides.record.0, cause: Cause::Rule(decides.rule.0) }
        }
        None => by_default(policy, request.op, request.roles),
    }
}

/// The rules that name the operation, concern an active role, cover the path, and whose condition holds.
pub fn candidates<'a>(policy: &'a Policy, request: &'a Request<'_>) -> impl Iterator<Item = Candidate> + 'a {
    policy.rules.iter().zip(0..).filter_map(|(rule, id)| {
        let names = rule.ops.contains(request.op);
        let holds = rule.when.as_ref().is_none_or(|when| when.holds(&request.args));
        if !(names && concerns(rule, request.roles) && holds) {
            return None;
        }
        let rank = rank(rule, request.path)?;
        Some(Candidate { rank, effect: rule.effect, record: Reverse(rule.record), rule: Reverse(RuleId(id)) })
    })
}

/// The rank of `rule` at `path`, or `None` where the rule does not cover the path.
#[must_use]
pub fn rank(rule: &Rule, path: &[&[u8]]) -> Option<u32> {
    if rule.except.iter().any(|pattern| pattern.match_depth(path).is_some()) {
        return None;
    }
    rule.patterns
        .iter()
        .filter_map(|pattern| {
            let depth = pattern.match_depth(path)?;
            Some(if rule.effect == Effect::Allow { pattern.literal_prefix() } else { depth })
        })
        .max()
}

/// Whether `rule` concerns a subject with these active roles.
#[must_use]
pub fn concerns(rule: &Rule, roles: &[RoleId]) -> bool {
    rule.role.is_none_or(|role| roles.contains(&role))
}

/// The verdict where no rule decides.
#[must_use]
pub fn by_default(policy: &Policy, op: Op, roles: &[RoleId]) -> Verdict {
    let granted = || {
        policy.rules.iter().any(|rule| rule.effect == Effect::Allow && rule.ops.contains(op) && concerns(rule, roles))
    };
    let (effect, cause) = match policy.default {
        Default::Allow => (Effect::Allow, Cause::Default),
        Default::Deny if granted() => (Effect::Deny, Cause::Default),
        Default::Deny => (Effect::Deny, Cause::NotGranted),
    };
    Verdict { effect, record: Record::Refusals, cause }
}
