//! The ways to enforce a policy, and what each cannot see.

use std::fmt;

use boesfs_codegen::manifest::{MADE_ANEW, Manifest};
use boesfs_lang::ops::{Mediation, Op};
use boesfs_lang::policy::{Effect, RuleId};

/// A way to enforce a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// A FUSE file system served by the agent: everywhere, by anyone.
    Fuse,
}

impl Hook {
    /// Every hook of this release, the one preferred first.
    pub const ALL: [Hook; 1] = [Hook::Fuse];

    /// Its name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Hook::Fuse => "fuse",
        }
    }

    /// How it mediates `op`.
    #[must_use]
    pub const fn mediation(self, op: Op) -> Mediation {
        match self {
            Hook::Fuse => op.info().fuse,
        }
    }

    /// What of the policy behind `manifest` this hook cannot enforce as written; in source order.
    ///
    /// An operation that follows another one has that one's verdict here. A rule that names it, and not the other with it,
    /// means a difference that this hook does not make. A refusal below a directory that the sandbox makes anew is
    /// never asked for.
    #[must_use]
    pub fn losses(self, manifest: &Manifest) -> Vec<Loss> {
        let mut losses = Vec::new();
        for (rule, id) in manifest.rules.iter().zip(0..) {
            let rule_id = RuleId(id);
            for op in rule.named.iter() {
                if let Mediation::Follows(leader, why) = self.mediation(op)
                    && !rule.ops.contains(leader)
                {
                    losses.push(Loss { rule: rule_id, what: Lost::Difference { op, leader, why } });
                }
            }
            if rule.made_anew && rule.effect != Effect::Allow {
                losses.push(Loss { rule: rule_id, what: Lost::Place });
            }
        }
        losses
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rule that a hook cannot enforce as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The rule.
    pub rule: RuleId,
    /// What of it.
    pub what: Lost,
}

/// What of a rule a hook cannot enforce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The difference between two operations.
    Difference {
        /// The operation it names.
        op: Op,
        /// The operation whose verdict `op` has on this hook.
        leader: Op,
        /// Why the hook cannot tell them apart.
        why: &'static str,
    },
    /// A refusal below a directory that the sandbox makes anew.
    Place,
}

impl Lost {
    /// What to do about it.
    #[must_use]
    pub fn help(self) -> String {
        match self {
            Lost::Difference { leader, why, .. } => format!("{why}; name `{leader}` too, or give --best-effort"),
            Lost::Place => format!(
                "the sandbox makes {} anew, with as little in them as programs need; leave the pattern out, or give --best-effort",
                MADE_ANEW.map(|name| format!("/{name}")).join(", ")
            ),
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Difference { op, leader, .. } => write!(f, "cannot tell `{op}` from `{leader}`"),
            Lost::Place => f.write_str("is not asked below the sandbox's own directories"),
        }
    }
}
