//! A checked policy: what the resolver makes of the syntax tree, and all that later stages may rely on.
//!
//! Holds: names are resolved, roles form a DAG and are flattened, every pattern is well-formed, every condition
//! speaks only of arguments that all operations of its rule carry, the classes cover every subject that can occur,
//! and no class holds two separated roles.

use serde::{Deserialize, Serialize};

use crate::cond::Cond;
use crate::ops::Ops;
use crate::pattern::Pattern;
use crate::source::{SourceMap, Span};
use crate::subjects::{RoleId, Subjects};

/// Index of a rule in [`Policy::rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleId(pub u32);

/// What a rule does with a request, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Effect {
    /// Goes through.
    Allow = 0,
    /// Fails with `EACCES`.
    Deny = 1,
    /// Fails with `ENOENT`; the object is absent from listings.
    Hide = 2,
    /// Fails with `EACCES`, and the offender is killed with `SIGKILL`.
    Kill = 3,
}

impl Effect {
    /// The word used in policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
            Effect::Hide => "hide",
            Effect::Kill => "kill",
        }
    }
}

/// Which requests that a rule decides are recorded, most first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// All: the `audit` qualifier.
    Audit,
    /// Refusals.
    #[default]
    Refusals,
    /// None: the `quiet` qualifier.
    Quiet,
}

/// The answer where no rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Default {
    /// `default allow;`
    Allow,
    /// `default deny;`
    Deny,
}

/// One rule. A statement in the source is one rule, with all its patterns.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it does.
    pub effect: Effect,
    /// What is recorded.
    pub record: Record,
    /// On which operations; never empty.
    pub ops: Ops,
    /// Those of `ops` that it names one by one, not through a group.
    pub named: Ops,
    /// For which role; everyone, if none.
    pub role: Option<RoleId>,
    /// On which objects: those that one of these patterns covers; never empty.
    pub patterns: Vec<Pattern>,
    /// But not those that one of these covers.
    pub except: Vec<Pattern>,
    /// When this holds.
    pub when: Option<Cond>,
    /// Where it is written.
    pub span: Span,
    /// Where each of `patterns` is written.
    pub pattern_spans: Vec<Span>,
    /// Where the condition is written.
    pub when_span: Option<Span>,
}

/// A checked policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name, from `policy NAME;`, or the file's stem.
    pub name: String,
    /// The answer where no rule decides.
    pub default: Default,
    /// The rules, in source order, includes in place.
    pub rules: Vec<Rule>,
    /// Roles, who holds them, and the classes that follow.
    pub subjects: Subjects,
    /// Where each role is declared.
    pub role_spans: Vec<Span>,
    /// The text it was made from.
    pub sources: SourceMap,
}

impl Policy {
    /// The rule with id `id`.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.0 as usize]
    }
}
