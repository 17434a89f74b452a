//! What hooks ask of the tables besides single verdicts: whether a name may move, and what a state permits as a whole.

use boesfs_lang::eval::Cause;
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::policy::{Effect, Record};
use boesfs_lang::subjects::ClassId;

use super::{StateId, Tables, unpack_verdict};

/// What a class may do in a state, whatever the arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights {
    /// Operations that are allowed whatever the arguments, recorded or not.
    pub allowed: Ops,
    /// Operations that are allowed for some arguments at least.
    pub possible: Ops,
    /// Operations that may be recorded although allowed.
    pub audited: Ops,
    /// Operations that are refused whatever the arguments, by the default alone, with a plain refusal.
    pub by_default: Ops,
    /// Operations that hide the object for some arguments at least.
    pub hidden: Ops,
}

impl Tables {
    /// Whether every name leads from `state` back to it: one row for everything below.
    #[must_use]
    pub fn is_leaf(&self, state: StateId) -> bool {
        let entry = self.state(state);
        entry.out == 0 && entry.default == state.0
    }

    /// The rights of `class` in `state`.
    #[must_use]
    pub fn rights(&self, state: StateId, class: ClassId) -> Rights {
        let mut rights = Rights::default();
        for op in Ops::ALL.iter() {
            let only = Ops::from(op);
            let mut all_allow = true;
            let mut any_decision = false;
            for decision in self.chain(state, class, op) {
                any_decision = true;
                let verdict = unpack_verdict(decision.verdict);
                let allows = verdict.effect == Effect::Allow;
                all_allow &= allows;
                if allows {
                    rights.possible = rights.possible | only;
                }
                if allows && verdict.record == Record::Audit {
                    rights.audited = rights.audited | only;
                }
                if verdict.effect == Effect::Hide {
                    rights.hidden = rights.hidden | only;
                }
                let plain = verdict.effect == Effect::Deny && !matches!(verdict.cause, Cause::Rule(_));
                if plain && decision.cond == 0 && self.first_is_last(state, class, op) {
                    rights.by_default = rights.by_default | only;
                }
            }
            if any_decision && all_allow {
                rights.allowed = rights.allowed | only;
            }
        }
        rights
    }

    fn first_is_last(&self, state: StateId, class: ClassId, op: Op) -> bool {
        self.chain(state, class, op).nth(1).is_none()
    }

    /// Whether a file may get the name in state `new` besides or in place of the one in `old`: whether no class gains an
    /// operation, or escapes a record, by the move. Conditions count against the move, unless they are the same at both.
    #[must_use]
    pub fn may_gain_name(&self, old: StateId, new: StateId) -> bool {
        old == new || (0..self.classes).map(ClassId).all(|class| self.is_subset(old, new, class))
    }

    fn is_subset(&self, old: StateId, new: StateId, class: ClassId) -> bool {
        let cause = |state: StateId| super::walk::at(&self.causes, self.state(state).cause.wrapping_add(class.0));
        if cause(old) == cause(new) {
            return true;
        }
        let (before, after) = (self.rights(old, class), self.rights(new, class));
        let differs = after.possible.iter().filter(|op| !self.chain(old, class, *op).eq(self.chain(new, class, *op)));
        differs.into_iter().all(|op| {
            before.allowed.contains(op) && (!before.audited.contains(op) || self.always_audited(new, class, op))
        })
    }

    /// Whether every allow of `op` is recorded.
    fn always_audited(&self, state: StateId, class: ClassId, op: Op) -> bool {
        self.chain(state, class, op).all(|decision| {
            let verdict = unpack_verdict(decision.verdict);
            verdict.effect != Effect::Allow || verdict.record == Record::Audit
        })
    }

    /// Whether an object in `state` may be visible to `class`: whether its `stat` is not always hidden.
    #[must_use]
    pub fn may_see(&self, state: StateId, class: ClassId) -> bool {
        self.chain(state, class, Op::Stat).any(|decision| unpack_verdict(decision.verdict).effect != Effect::Hide)
    }
}
