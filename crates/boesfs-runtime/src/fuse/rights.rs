//! What the file system must know of a state besides single verdicts: its row, whether it is a leaf, how two states compare.

use boesfs_codegen::tables::{Decision, HAS_LITERALS, StateId, Tables};
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::policy::Effect;
use boesfs_lang::subjects::ClassId;
use rustc_hash::FxHashSet;

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

    /// Whether `class` finds nothing below `state`: every object there is absent for it.
    fn hides_below(&self, state: StateId, class: ClassId) -> bool;

    /// Whether, wherever anybody can open something, everybody may lock it, unrecorded: then no lock needs a verdict of its own.
    fn lock_follows_open(&self) -> bool;

    /// Whether whoever may do `op` somewhere may do it whatever its arguments, and unrecorded.
    fn always_plain(&self, op: Op) -> bool;
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

    fn hides_below(&self, state: StateId, class: ClassId) -> bool {
        let mut seen = FxHashSet::from_iter([state.0]);
        let mut front = seen.clone();
        while !front.is_empty() {
            let mut next = FxHashSet::default();
            for state in &front {
                next.insert(self.state(StateId(*state)).default);
                next.extend(glob_targets(self, StateId(*state)));
            }
            next.extend(self.edges.iter().filter(|edge| front.contains(&edge.state)).map(|edge| edge.next));
            next.retain(|state| *state != StateId::DEAD.0 && seen.insert(*state));
            // A search without an end in sight is given up: names are found then, as under any directory with exceptions.
            if seen.len() > SEARCH || next.iter().any(|state| !is_hidden(self, StateId(*state), class)) {
                return false;
            }
            front = next;
        }
        true
    }

    fn lock_follows_open(&self) -> bool {
        let opens = Ops::of(&[Op::Read, Op::Write, Op::Append, Op::Exec, Op::List]);
        rows(self).all(|state| {
            let opened = state.iter().any(|row| (row.allowed.0 | row.closer.0) & opens.0 != 0);
            !opened || state.iter().all(|row| row.plainly_allows(Op::Lock))
        })
    }

    fn always_plain(&self, op: Op) -> bool {
        let live = (1..self.states.len() as u32).map(StateId);
        let mut pairs = live.flat_map(|state| (0..self.classes).map(move |class| (state, ClassId(class))));
        pairs.all(|(state, class)| {
            !Rights::row(self, state, class).closer.contains(op)
                || self.chain(state, class, op).all(|decision| !allows(&decision))
        })
    }
}

/// The most states that a search below a hidden directory looks at.
const SEARCH: usize = 4096;

/// Whether objects of this state are absent for `class`, whatever the arguments.
fn is_hidden(tables: &Tables, state: StateId, class: ClassId) -> bool {
    let mut chain = tables.chain(state, class, Op::Stat);
    Rights::row(tables, state, class).closer.contains(Op::Stat)
        && chain.all(|d| d.verdict & 0xff == Effect::Hide as u64)
}

/// The states that the glob edges of a state lead to.
fn glob_targets(tables: &Tables, state: StateId) -> Vec<u32> {
    let number = (tables.state(state).out & !HAS_LITERALS) as usize;
    let Some(globs) = tables.globs.get(number).filter(|_| number != 0) else { return Vec::new() };
    let columns = 1_u32 << tables.glob_shift;
    let mut seen = FxHashSet::from_iter([globs.start]);
    let mut open = vec![globs.start];
    let mut targets = Vec::new();
    while let Some(at) = open.pop() {
        let outcome = tables.glob_outcome.get(at as usize).copied().unwrap_or(0);
        targets.extend(tables.glob_targets.get((globs.targets + outcome) as usize).filter(|_| outcome != 0));
        let next = (0..columns).filter_map(|column| tables.glob_next.get((at << tables.glob_shift | column) as usize));
        open.extend(next.copied().filter(|next| seen.insert(*next)));
    }
    targets
}

/// The rows of every live state, by class.
fn rows(tables: &Tables) -> impl Iterator<Item = Vec<Row>> {
    let live = 1..tables.states.len() as u32;
    live.map(|state| (0..tables.classes).map(|class| Rights::row(tables, StateId(state), ClassId(class))).collect())
}

fn allows(decision: &Decision) -> bool {
    decision.verdict & 0xff == Effect::Allow as u64
}

/// [`Rights::within`] for one operation: either nothing is allowed at `new`, or everything at `old`, or both decide alike.
fn op_within(tables: &Tables, new: StateId, old: StateId, class: ClassId, op: Op) -> bool {
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
