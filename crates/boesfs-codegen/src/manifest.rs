//! What an object says of itself besides its programs and tables: section `boesfs.manifest`.

use boesfs_lang::cond::{ArgSet, Cond};
use boesfs_lang::ops::Ops;
use boesfs_lang::pattern::{Component, Pattern};
use boesfs_lang::policy::{Default, Effect, Policy, Record, Rule, RuleId};
use boesfs_lang::subjects::Subjects;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the object format: tables, context, manifest. Readers refuse any other.
pub const FORMAT: u32 = 3;

/// The manifest of a policy object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The policy's name.
    pub name: String,
    /// The answer where no rule decides.
    pub default: Default,
    /// SHA-256 of the source files, in order: each one's name, then its text, both after their length as `u64`.
    pub source_hash: [u8; 32],
    /// Names of the source files, relative to the policy's folder; the first is the policy itself.
    pub files: Vec<String>,
    /// The rules, by [`RuleId`].
    pub rules: Vec<RuleInfo>,
    /// Roles, who holds them, and the classes.
    pub subjects: Subjects,
    /// Sizes of the automaton.
    pub sizes: Sizes,
}

/// What is kept of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleInfo {
    /// Index into [`Manifest::files`].
    pub file: u32,
    /// Line of its first byte, from 1.
    pub line: u32,
    /// First byte in the file.
    pub start: u32,
    /// One past its last byte.
    pub end: u32,
    /// Its text, on one line.
    pub text: String,
    /// Its effect.
    pub effect: Effect,
    /// What it records.
    pub record: Record,
    /// The operations it names.
    pub ops: Ops,
    /// The operations it names one by one, not through a group: a hook that cannot tell them apart refuses the rule.
    pub named: Ops,
    /// Whether it has a condition.
    pub conditional: bool,
    /// The arguments that the condition speaks of.
    pub args: ArgSet,
    /// Whether one of its patterns begins with a directory of [`MADE_ANEW`].
    pub made_anew: bool,
}

/// Directories of `/` that a sandbox makes anew: hooks that guard the host's tree do not see what is asked of these.
pub const MADE_ANEW: [&str; 3] = ["dev", "proc", "sys"];

/// Whether a pattern of `rule` begins with a directory of [`MADE_ANEW`].
fn made_anew(rule: &Rule) -> bool {
    let begins = |pattern: &Pattern| match pattern.components.first() {
        Some(Component::Literal(name)) => MADE_ANEW.iter().any(|made| made.as_bytes() == name),
        _ => false,
    };
    rule.patterns.iter().any(begins)
}

/// Sizes of the automaton, for `stats` and the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// States, without padding.
    pub states: u32,
    /// Literal edges.
    pub edges: u32,
    /// States of the byte automata for globs.
    pub glob_states: u32,
    /// Distinct rows.
    pub rows: u32,
    /// Decisions.
    pub decisions: u32,
    /// Distinct conditions.
    pub conditions: u32,
}

impl Manifest {
    /// The manifest of `policy`, whose automaton has these sizes.
    #[must_use]
    pub fn new(policy: &Policy, sizes: Sizes) -> Manifest {
        let mut hash = Sha256::new();
        for file in policy.sources.files() {
            for part in [&file.name, &file.text] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        let info = |rule: &Rule| RuleInfo {
            file: rule.span.file.0,
            line: policy.sources.line_col(rule.span).0,
            start: rule.span.start,
            end: rule.span.end,
            text: policy.sources.text(rule.span).split_whitespace().collect::<Vec<_>>().join(" "),
            effect: rule.effect,
            record: rule.record,
            ops: rule.ops,
            named: rule.named,
            conditional: rule.when.is_some(),
            args: rule.when.as_ref().map(Cond::args).unwrap_or_default(),
            made_anew: made_anew(rule),
        };
        Manifest {
            format: FORMAT,
            name: policy.name.clone(),
            default: policy.default,
            source_hash: hash.finalize().into(),
            files: policy.sources.files().iter().map(|file| file.name.clone()).collect(),
            rules: policy.rules.iter().map(info).collect(),
            subjects: policy.subjects.clone(),
            sizes,
        }
    }

    /// `file:line` of a rule, for people.
    #[must_use]
    pub fn place(&self, rule: RuleId) -> Option<(&str, u32)> {
        let info = self.rules.get(rule.0 as usize)?;
        Some((self.files.get(info.file as usize)?, info.line))
    }
}
