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

/// Answers `request` under `policy`.
#[must_use]
pub fn eval(policy: &Policy, request: &Request<'_>) -> Verdict {
    let candidates = policy.rules.iter().enumerate().filter_map(|(i, rule)| {
        let concerns = rule.ops.contains(request.op) && concerns(rule, request.roles);
        let holds = rule.when.as_ref().is_none_or(|when| when.holds(&request.args));
        let rank = rank(rule, request.path)?;
        (concerns && holds).then_some((rank, rule.effect, Reverse(rule.record), Reverse(i)))
    });
    match candidates.max() {
        Some((_, effect, Reverse(record), Reverse(i))) => {
            Verdict { effect, record, cause: Cause::Rule(RuleId(i as u32)) }
        }
        None => by_default(policy, request.op, request.roles),
    }
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
