//! What the file system must know of a state besides single verdicts: its row, whether it is a leaf, how two states compare.

use boesfs_codegen::tables::{Decision, StateId, Tables};
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::policy::Effect;
use boesfs_lang::subjects::ClassId;

/// The row of one (state, class).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Operations that are allowed.
    pub allowed: Ops,
    /// Operations of which `allowed` is not the whole answer: audit, hide, kill, a condition.
    pub closer: Ops,
}

impl Row {
    /// Whether `op` is allowed whatever its arguments, and unrecorded.
    #[must_use]
    pub const fn plainly_allows(self, op: Op) -> bool {
        self.allowed.contains(op) && !self.closer.contains(op)
    }
}

/// The shape of a policy: what can be said of a state for all requests at once.
pub trait Rights: Send + Sync {
    /// The row of `class` at `state`.
    fn row(&self, state: StateId, class: ClassId) -> Row;

    /// Whether every name leads from `state` to the same state, and which.
    fn leaf(&self, state: StateId) -> Option<StateId>;

    /// Whether the answer for `op` depends on the operation's arguments.
    fn conditional(&self, state: StateId, class: ClassId, op: Op) -> bool;

    /// Whether whatever `class` may do at `new` it may also do at `old`, whatever the arguments.
    fn within(&self, new: StateId, old: StateId, class: ClassId) -> bool;

    /// Whether, wherever anybody can open something, everybody may lock it, unrecorded: then no lock needs a verdict of its own.
    fn lock_follows_open(&self) -> bool;

    /// Whether the row alone answers for `op`, everywhere and for every class.
    fn never_closer(&self, op: Op) -> bool;
}

impl Rights for Tables {
    fn row(&self, state: StateId, class: ClassId) -> Row {
        let bits = Tables::row(self, state, class);
        Row { allowed: Ops(bits as u32), closer: Ops((bits >> 32) as u32) }
    }

    fn leaf(&self, state: StateId) -> Option<StateId> {
        let entry = self.state(state);
        (entry.out == 0).then_some(StateId(entry.default))
    }

    fn conditional(&self, state: StateId, class: ClassId, op: Op) -> bool {
        Rights::row(self, state, class).closer.contains(op)
            && self.chain(state, class, op).any(|decision| decision.cond != 0)
    }

    fn within(&self, new: StateId, old: StateId, class: ClassId) -> bool {
        new == old || Ops::ALL.iter().all(|op| op_within(self, new, old, class, op))
    }

    fn lock_follows_open(&self) -> bool {
        let opens = Ops::of(&[Op::Read, Op::Write, Op::Append, Op::Exec, Op::List]);
        rows(self).all(|state| {
            let opened = state.iter().any(|row| (row.allowed.0 | row.closer.0) & opens.0 != 0);
            !opened || state.iter().all(|row| row.plainly_allows(Op::Lock))
        })
    }

    fn never_closer(&self, op: Op) -> bool {
        rows(self).all(|state| state.iter().all(|row| !row.closer.contains(op)))
    }
}

/// The rows of every live state, by class.
fn rows(tables: &Tables) -> impl Iterator<Item = Vec<Row>> {
    let live = 1..tables.states.len() as u32;
    live.map(|state| (0..tables.classes).map(|class| Rights::row(tables, StateId(state), ClassId(class))).collect())
}

/// [`Rights::within`] for one operation: either nothing is allowed at `new`, or everything at `old`, or both decide alike.
fn op_within(tables: &Tables, new: StateId, old: StateId, class: ClassId, op: Op) -> bool {
    let allows = |decision: &Decision| decision.verdict & 0xff == Effect::Allow as u64;
    let open = |row: Row| row.allowed.contains(op) && !row.closer.contains(op);
    let (new_row, old_row) = (Rights::row(tables, new, class), Rights::row(tables, old, class));
    if open(old_row) {
        return true;
    }
    if open(new_row) {
        return tables.chain(old, class, op).all(|decision| allows(&decision));
    }
    if !new_row.closer.contains(op) || tables.chain(new, class, op).all(|decision| !allows(&decision)) {
        return true;
    }
    let essence = |state| tables.chain(state, class, op).map(|d| (d.cond, allows(&d))).collect::<Vec<_>>();
    essence(new) == essence(old) || tables.chain(old, class, op).all(|decision| allows(&decision))
}
