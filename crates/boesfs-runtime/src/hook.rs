//! The ways to enforce a policy, and what each cannot see.

use std::fmt;

use boesfs_codegen::manifest::{MADE_ANEW, Manifest};
use boesfs_lang::cond::Arg;
use boesfs_lang::ops::{Mediation, Op, TABLE};
use boesfs_lang::policy::{Default, Effect, RuleId};

/// A way to enforce a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// The stackable file system `boesfs.ko`, which asks the policy's struct_ops programs: root, and the module loaded.
    Kmod,
    /// BPF LSM programs on the host's own tree: root, and a kernel with BPF among its security modules.
    Lsm,
    /// A FUSE file system served by the agent: everywhere, by anyone.
    Fuse,
}

impl Hook {
    /// Every hook of this release, the one preferred first.
    pub const ALL: [Hook; 3] = [Hook::Kmod, Hook::Lsm, Hook::Fuse];

    /// Its name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Hook::Kmod => "kmod",
            Hook::Lsm => "lsm",
            Hook::Fuse => "fuse",
        }
    }

    /// How it mediates `op`.
    #[must_use]
    pub const fn mediation(self, op: Op) -> Mediation {
        match self {
            Hook::Kmod => op.info().kmod,
            Hook::Lsm => op.info().lsm,
            Hook::Fuse => op.info().fuse,
        }
    }

    /// The arguments of `op` that it does not learn.
    #[must_use]
    pub const fn unseen(self, op: Op) -> &'static [Arg] {
        match self {
            Hook::Lsm => op.info().lsm_unseen,
            Hook::Kmod | Hook::Fuse => &[],
        }
    }

    /// Whether what is hidden is also left out of listings.
    #[must_use]
    pub const fn filters_listings(self) -> bool {
        match self {
            Hook::Kmod | Hook::Fuse => true,
            Hook::Lsm => false,
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
        if manifest.default == Default::Deny {
            losses.extend(self.blind().map(|(op, why)| Loss { rule: None, what: Lost::Operation { op, why } }));
        }
        for (rule, id) in manifest.rules.iter().zip(0..) {
            let mut lose = |what| losses.push(Loss { rule: Some(RuleId(id)), what });
            for op in rule.named.iter() {
                if let Mediation::Follows(leader, why) = self.mediation(op)
                    && !rule.ops.contains(leader)
                {
                    lose(Lost::Difference { op, leader, why });
                }
                if let Mediation::Unasked(why) = self.mediation(op)
                    && rule.effect != Effect::Allow
                {
                    lose(Lost::Operation { op, why });
                }
            }
            if rule.effect != Effect::Allow {
                self.blind().filter(|(op, _)| rule.ops.contains(*op)).for_each(|(op, why)| {
                    lose(Lost::Operation { op, why });
                });
            }
            for op in rule.ops.iter() {
                for arg in self.unseen(op).iter().copied().filter(|arg| rule.args.contains(*arg)) {
                    lose(Lost::Argument { op, arg });
                }
            }
            if rule.effect == Effect::Hide && !self.filters_listings() {
                lose(Lost::Listing);
            }
            if rule.made_anew && rule.effect != Effect::Allow {
                lose(Lost::Place);
            }
        }
        losses
    }

    /// The operations that it cannot see, and why.
    fn blind(self) -> impl Iterator<Item = (Op, &'static str)> {
        TABLE.iter().filter_map(move |info| match self.mediation(info.op) {
            Mediation::Unseen(why) => Some((info.op, why)),
            Mediation::Asked(_) | Mediation::Follows(..) | Mediation::Unasked(_) => None,
        })
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rule, or the default, that a hook cannot enforce as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The rule; the default, if none.
    pub rule: Option<RuleId>,
    /// What of it.
    pub what: Lost,
}

/// What of a rule, or of the default, a hook cannot enforce.
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
    /// A refusal of an operation that it does not see.
    Operation {
        /// The operation.
        op: Op,
        /// Why the hook does not see it.
        why: &'static str,
    },
    /// A condition on an argument that it does not learn.
    Argument {
        /// An operation of the rule.
        op: Op,
        /// Its argument.
        arg: Arg,
    },
    /// That what is hidden is not listed either.
    Listing,
    /// A refusal below a directory that the sandbox makes anew.
    Place,
}

impl Lost {
    /// What to do about it.
    #[must_use]
    pub fn help(self) -> String {
        match self {
            Lost::Difference { leader, why, .. } => format!("{why}; name `{leader}` too, or give --best-effort"),
            Lost::Operation { why, .. } => format!("{why}; use another hook, or give --best-effort"),
            Lost::Argument { .. } => "use another hook, or give --best-effort".to_owned(),
            Lost::Listing => "use another hook, `deny` in place of `hide`, or give --best-effort".to_owned(),
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
            Lost::Operation { op, .. } => write!(f, "does not see `{op}`"),
            Lost::Argument { op, arg } => write!(f, "does not learn the `{arg}` of `{op}`"),
            Lost::Listing => f.write_str("cannot keep a hidden name out of listings"),
            Lost::Place => f.write_str("is not asked below the sandbox's own directories"),
        }
    }
}
