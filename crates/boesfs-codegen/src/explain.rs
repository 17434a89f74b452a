//! Why a request gets its verdict: the walk, and the rules that competed.
//!
//! In: a policy, its tables, a request. Out: an [`Explanation`]. The verdict is the tables'; ranks are those of
//! [`boesfs_lang::eval`].

use std::cmp::Reverse;

use boesfs_lang::cond::Args;
use boesfs_lang::eval::{Verdict, concerns, rank};
use boesfs_lang::ops::Op;
use boesfs_lang::policy::{Policy, RuleId};
use boesfs_lang::subjects::ClassId;

use crate::tables::walk::{Taken, holds_in};
use crate::tables::{Packed, StateId};

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The walk from the root, component by component.
    pub steps: Vec<Step>,
    /// The rules that name the operation and cover the path, in the order they decide.
    pub competitors: Vec<Competitor>,
    /// The verdict.
    pub verdict: Verdict,
}

/// One component of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The component.
    pub name: Vec<u8>,
    /// The edge taken.
    pub taken: Taken,
    /// The state reached.
    pub state: StateId,
}

/// A rule that competed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Competitor {
    /// The rule.
    pub rule: RuleId,
    /// Its rank at the path.
    pub rank: u32,
    /// Why it does not decide, or that it does.
    pub outcome: Outcome,
}

/// What became of a rule that competed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It decides.
    Decides,
    /// Another one comes first.
    Outranked,
    /// Its condition does not hold.
    ConditionFails,
    /// Its role is not active.
    OtherRole,
}

/// Explains the verdict on `op` at `path` for `class`.
#[must_use]
pub fn explain(policy: &Policy, packed: &Packed, path: &[&[u8]], class: ClassId, op: Op, args: &Args) -> Explanation {
    let tables = &packed.tables;
    let mut state = StateId::ROOT;
    let steps = path.iter().map(|name| {
        let (next, taken) = tables.step_by(state, name);
        state = next;
        Step { name: name.to_vec(), taken, state }
    });
    let steps: Vec<Step> = steps.collect();
    let roles = policy.subjects.classes.get(class.0 as usize).map_or(&[][..], |class| &class.roles);
    let competitors = policy.rules.iter().zip(0..).filter(|(rule, _)| rule.ops.contains(op)).filter_map(|(rule, i)| {
        let outcome = if !concerns(rule, roles) {
            Outcome::OtherRole
        } else if rule.when.as_ref().is_some_and(|when| !when.holds(args)) {
            Outcome::ConditionFails
        } else {
            Outcome::Outranked
        };
        Some(Competitor { rule: RuleId(i), rank: rank(rule, path)?, outcome })
    });
    let mut competitors: Vec<Competitor> = competitors.collect();
    competitors.sort_by_key(|competitor| {
        let rule = policy.rule(competitor.rule);
        (Reverse(competitor.rank), Reverse(rule.effect), rule.record, competitor.rule)
    });
    let verdict = tables.decide(state, class, op, holds_in(&packed.conditions, args));
    for competitor in &mut competitors {
        if verdict.cause == boesfs_lang::eval::Cause::Rule(competitor.rule) {
            competitor.outcome = Outcome::Decides;
        }
    }
    Explanation { steps, competitors, verdict }
}
