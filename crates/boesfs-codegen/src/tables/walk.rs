//! The reference walker: `step`, `check` and `decide` as the head of [`super`] writes them, in safe Rust.
//!
//! Every index is masked as in the programs, so that damaged tables give a wrong verdict at worst, never a panic.

use boesfs_lang::cond::Args;
use boesfs_lang::eval::{Cause, Verdict};
use boesfs_lang::ops::Op;
use boesfs_lang::pattern::NAME_MAX;
use boesfs_lang::policy::{Effect, Record};
use boesfs_lang::subjects::ClassId;

use super::{
    CauseRef, Condition, Decision, HAS_LITERALS, HASH_DISPLACEMENT_SHIFT, IdClass, MAX_CHAIN, NOBODY, ROW_ABSENT,
    ROW_LISTED, State, StateId, Tables, hash, name_words, unpack_verdict,
};

/// Which edge a [`Tables::step_by`] took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taken {
    /// The name is none: empty or longer than [`NAME_MAX`].
    Refused,
    /// A literal edge.
    Literal,
    /// A glob edge.
    Glob,
    /// The default edge, into another state.
    Default,
    /// The default edge, back into the same state.
    Stay,
}

/// The entry of `table` at `index`, masked; zero where the table is empty.
pub(super) fn at<T: Copy + Default>(table: &[T], index: u32) -> T {
    let mask = table.len().next_power_of_two() - 1;
    table.get(index as usize & mask).copied().unwrap_or_default()
}

impl Tables {
    /// The class of a process: of its user, its groups, and the state that its executable's path leads to from
    /// [`Tables::exe_root`] ([`StateId::DEAD`], if it is not known). `None`: it holds roles that may not be held together.
    #[must_use]
    pub fn subject(&self, uid: u32, gids: &[u32], exe: StateId) -> Option<ClassId> {
        let of_id = |table: &[IdClass], id: u32| {
            let after = table.partition_point(|entry| entry.first <= id);
            table.get(after.wrapping_sub(1)).map_or(NOBODY, |entry| entry.class)
        };
        let join = |a: u32, b: u32| match a < self.classes && b < self.classes {
            true => self.joins.get((a * self.classes + b) as usize).map_or(NOBODY, |class| u32::from(*class)),
            false => NOBODY,
        };
        let user = of_id(&self.users, uid);
        let class = gids.iter().fold(user, |class, gid| join(class, of_id(&self.groups, *gid)));
        let exe = if exe == StateId::DEAD { None } else { self.exes.get(exe.0.wrapping_sub(self.exe_root) as usize) };
        let class = exe.map_or(class, |exe| join(class, *exe));
        (class < self.classes).then_some(ClassId(class))
    }

    /// The entry of state `state`.
    #[must_use]
    pub fn state(&self, state: StateId) -> State {
        at(&self.states, state.0)
    }

    /// One path component further down from `state`.
    #[must_use]
    pub fn step(&self, state: StateId, name: &[u8]) -> StateId {
        self.step_by(state, name).0
    }

    /// The state of the object at `path`.
    #[must_use]
    pub fn walk(&self, path: &[&[u8]]) -> StateId {
        path.iter().fold(StateId::ROOT, |state, name| self.step(state, name))
    }

    /// The same as [`Tables::step`], with the kind of edge taken.
    #[must_use]
    pub fn step_by(&self, state: StateId, name: &[u8]) -> (StateId, Taken) {
        if name.is_empty() || name.len() > NAME_MAX {
            return (StateId::DEAD, Taken::Refused);
        }
        let entry = self.state(state);
        let default = StateId(entry.default);
        let by_default = (default, if default == state { Taken::Stay } else { Taken::Default });
        if entry.out & HAS_LITERALS != 0
            && let Some(next) = self.literal(state, name)
        {
            return (next, Taken::Literal);
        }
        match entry.out & !HAS_LITERALS {
            0 => by_default,
            globs => match self.glob(globs, name) {
                (0, _) => by_default,
                (_, next) => (next, Taken::Glob),
            },
        }
    }

    fn literal(&self, state: StateId, name: &[u8]) -> Option<StateId> {
        let h = hash(self.seed, state, name);
        let displacement = at(&self.displacements, (h >> HASH_DISPLACEMENT_SHIFT) as u32);
        let edge = at(&self.edges, (h as u32).wrapping_add(displacement.into()));
        let same_name =
            || name_words(name).zip(0..).all(|(word, i)| at(&self.names, edge.name.wrapping_add(i)) == word);
        (edge.state == state.0 && edge.length as usize == name.len() && same_name()).then_some(StateId(edge.next))
    }

    /// The outcome of the byte automaton of `globs` for `name`, and the state it leads to.
    fn glob(&self, globs: u32, name: &[u8]) -> (u32, StateId) {
        let globs = at(&self.globs, globs);
        let end = name.iter().fold(globs.start, |q, byte| {
            at(&self.glob_next, q << self.glob_shift | u32::from(at(&self.glob_class, u32::from(*byte))))
        });
        let outcome = at(&self.glob_outcome, end);
        (outcome, StateId(at(&self.glob_targets, globs.targets.wrapping_add(outcome))))
    }

    /// The row of `class` at `state`: low half: allowed operations, high half: those that need a closer look.
    #[must_use]
    pub fn row(&self, state: StateId, class: ClassId) -> u64 {
        if class.0 >= self.classes {
            return 0;
        }
        at(&self.rows, self.state(state).row.wrapping_add(class.0)) & !(ROW_LISTED | ROW_ABSENT)
    }

    /// May a subject of `class` do `op` at an object in `state`? The cause of an allow that the row answers is left out.
    ///
    /// `holds(n)` says whether condition number `n` (from 1) holds for the request's arguments.
    #[must_use]
    pub fn check(&self, state: StateId, class: ClassId, op: Op, holds: impl Fn(u32) -> bool) -> Verdict {
        let row = self.row(state, class);
        if row >> 32 >> op.number() & 1 == 0 && row >> op.number() & 1 == 1 {
            return Verdict { effect: Effect::Allow, record: Record::Refusals, cause: Cause::Default };
        }
        self.decide(state, class, op, holds)
    }

    /// The same verdict, with its cause in every case.
    #[must_use]
    pub fn decide(&self, state: StateId, class: ClassId, op: Op, holds: impl Fn(u32) -> bool) -> Verdict {
        let decided = self.chain(state, class, op).find(|decision| decision.cond == 0 || holds(decision.cond));
        decided.map_or(REFUSED, |decision| unpack_verdict(decision.verdict))
    }

    /// The decisions to try for (`state`, `class`, `op`), in order; the last one has no condition.
    pub fn chain(&self, state: StateId, class: ClassId, op: Op) -> impl Iterator<Item = Decision> {
        let cause: CauseRef = match class.0 < self.classes {
            true => at(&self.causes, self.state(state).cause.wrapping_add(class.0)),
            false => CauseRef::default(),
        };
        let offset = at(&self.shapes, cause.shape)[op.number() as usize];
        let first = at(&self.decisions, at(&self.links, cause.base.wrapping_add(offset.into())));
        std::iter::successors(Some(first), |decision| (decision.cond != 0).then(|| at(&self.decisions, decision.next)))
            .take(MAX_CHAIN as usize)
    }
}

/// What a chain without end gives.
const REFUSED: Verdict = Verdict { effect: Effect::Deny, record: Record::Refusals, cause: Cause::Default };

/// Whether condition `number` (from 1) of `conditions` holds: what [`Tables::check`] asks.
pub fn holds_in<'a>(conditions: &'a [Condition], args: &'a Args) -> impl Fn(u32) -> bool + 'a {
    move |number| conditions.get((number as usize).wrapping_sub(1)).is_some_and(|c| c.cond.holds(args))
}
