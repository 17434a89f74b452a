//! The ways to enforce a policy, and what each cannot see.

use std::fmt;

use boesfs_codegen::manifest::Manifest;
use boesfs_lang::ops::{Mediation, Op};
use boesfs_lang::policy::RuleId;

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
    /// means a difference that this hook does not make.
    #[must_use]
    pub fn losses(self, manifest: &Manifest) -> Vec<Loss> {
        let mut losses = Vec::new();
        for (rule, id) in manifest.rules.iter().zip(0..) {
            for op in rule.named.iter() {
                if let Mediation::Follows(leader, why) = self.mediation(op)
                    && !rule.ops.contains(leader)
                {
                    losses.push(Loss { rule: RuleId(id), op, leader, why });
                }
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
    /// The operation it names.
    pub op: Op,
    /// The operation whose verdict `op` has on this hook.
    pub leader: Op,
    /// Why the hook cannot tell them apart.
    pub why: &'static str,
}
