//! How large an automaton may grow, and the error that names the rules at fault when it would grow larger.

use std::fmt;

use boesfs_lang::diag::{Code, Diagnostic};
use boesfs_lang::policy::{Policy, RuleId};
use boesfs_lang::source::Span;

use crate::tables::MAX_CHAIN;

/// Upper bounds of the sizes of an automaton.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// States, before minimisation.
    pub states: u32,
    /// Literal and glob edges, before minimisation.
    pub edges: u32,
    /// States of all byte automata for globs.
    pub glob_states: u32,
    /// In how many states the places of globs stand, counted for each place: what making byte automata costs.
    pub glob_places: u32,
    /// Conditional decisions to try one after another; at most [`MAX_CHAIN`].
    pub chain: u32,
    /// Distinct conditions.
    pub conditions: u32,
    /// Classes.
    pub classes: u32,
    /// Cells of the decision tables: different decisions, times classes.
    pub cells: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            states: 1_000_000,
            edges: 4_000_000,
            glob_states: 65_536,
            glob_places: 1 << 20,
            chain: MAX_CHAIN,
            conditions: 4_096,
            classes: 1_024,
            cells: 1 << 24,
        }
    }
}

/// What a policy needs too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of Limits with the same name")]
pub enum Resource {
    States,
    Edges,
    GlobStates,
    GlobPlaces,
    Chain,
    Conditions,
    Classes,
    Cells,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resource::States => "states",
            Resource::Edges => "edges",
            Resource::GlobStates => "states of globs",
            Resource::GlobPlaces => "places in states of globs",
            Resource::Chain => "conditions on one operation at one place",
            Resource::Conditions => "distinct conditions",
            Resource::Classes => "sets of active roles",
            Resource::Cells => "cells of decision tables",
        })
    }
}

/// A policy whose automaton would exceed a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy needs more than {limit} {resource}")]
pub struct TooBig {
    /// What it needs too much of.
    pub resource: Resource,
    /// The limit.
    pub limit: u32,
    /// The patterns or rules that cause it, those that matter most first; a handful.
    pub at_fault: Vec<Culprit>,
}

/// A place in the policy that makes its automaton large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Culprit {
    /// The rule.
    pub rule: RuleId,
    /// Its pattern, its condition, or the whole rule.
    pub span: Span,
}

impl TooBig {
    /// What its reader can do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self.resource {
            Resource::States | Resource::Edges => {
                "patterns with `**` or globs that overlap many others multiply states: begin them with literal components, or raise the limit"
            }
            Resource::GlobStates | Resource::GlobPlaces => {
                "globs with several `*` in one component, and many with one, multiply: simplify them, or raise the limit"
            }
            Resource::Chain => "join the conditions of these rules into one with `or`",
            Resource::Conditions => "share conditions between rules, or raise the limit",
            Resource::Classes | Resource::Cells => {
                "assign fewer combinations of roles, declare some as separate, or raise the limit"
            }
        }
    }

    /// The error as a diagnostic, labelled with what is at fault.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        let label = match self.resource {
            Resource::States | Resource::Edges | Resource::GlobStates | Resource::GlobPlaces => {
                "multiplies with the others"
            }
            Resource::Chain => "has a condition of its own",
            Resource::Conditions | Resource::Classes | Resource::Cells => "goes over the limit",
        };
        let error = Diagnostic::error(Code::TooBig, self.to_string()).help(self.help());
        self.at_fault.iter().fold(error, |error, culprit| error.at(culprit.span, label))
    }

    pub(crate) fn new(resource: Resource, limit: u32, at_fault: Vec<Culprit>) -> TooBig {
        TooBig { resource, limit, at_fault }
    }
}

impl Culprit {
    /// Pattern number `pattern` of `rule`, or the rule where it has no span of its own.
    pub(crate) fn pattern(policy: &Policy, rule: RuleId, pattern: usize) -> Culprit {
        let r = policy.rule(rule);
        Culprit { rule, span: r.pattern_spans.get(pattern).copied().unwrap_or(r.span) }
    }

    /// All of `rule`.
    pub(crate) fn rule(policy: &Policy, rule: RuleId) -> Culprit {
        Culprit { rule, span: policy.rule(rule).span }
    }
}
