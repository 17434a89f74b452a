//! Asking the policy, and what follows from the answer: an error number, an event, a kill.

use std::time::SystemTime;

use boesfs_codegen::tables::StateId;
use boesfs_lang::cond::{Arg, Args};
use boesfs_lang::eval::{Cause, Verdict};
use boesfs_lang::ops::Op;
use boesfs_lang::policy::{Effect, Record};
use boesfs_lang::subjects::ClassId;
use rustix::fs::Stat;
use rustix::io::Errno;

use super::caller;
use super::event::Event;
use super::fs::{Fs, Request};
use super::node::{Node, lock};

/// The answer for a subject without a class.
const NO_CLASS: Verdict = Verdict { effect: Effect::Deny, record: Record::Refusals, cause: Cause::NotGranted };

/// The error number that a refusal gives.
pub(super) fn errno(effect: Effect) -> Errno {
    if effect == Effect::Hide { Errno::NOENT } else { Errno::ACCESS }
}

impl Fs {
    /// The state of `name` in a directory whose state is `state`.
    pub(super) fn step(&self, state: StateId, name: &[u8]) -> StateId {
        super::fs::step(&self.policy, state, name)
    }

    /// Refuses, or records, or lets pass the operation `op` on an object of state `state`.
    ///
    /// `args` and `path` are asked for only where a condition or an event needs them.
    pub(super) fn judge(
        &self,
        request: &Request<'_>,
        state: StateId,
        op: Op,
        args: impl FnOnce() -> Args,
        path: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), Errno> {
        let class = request.class();
        if class.is_some_and(|class| self.policy.rights.row(state, class).plainly_allows(op)) {
            return Ok(());
        }
        let (args, verdict) = match class {
            Some(class) => {
                let args = with_caller(args(), request);
                (args, self.policy.checker.check(state, class, op, &args))
            }
            None => (Args::default(), NO_CLASS),
        };
        if verdict.recorded() {
            let verdict = class.map_or(verdict, |class| self.policy.checker.decide(state, class, op, &args));
            self.record(request, class, op, path(), verdict);
        }
        match verdict.effect {
            Effect::Allow => Ok(()),
            Effect::Kill => {
                // Deny first, and kill before the answer: until then the asking thread waits and its number is its own.
                let _ = caller::kill(&self.proc, request.header.pid);
                Err(Errno::ACCESS)
            }
            effect => Err(errno(effect)),
        }
    }

    /// Judges `op` on a node, with nothing but the caller and the owner as arguments.
    pub(super) fn judge_node(&self, request: &Request<'_>, node: &Node, op: Op) -> Result<(), Errno> {
        self.judge_node_with(request, node, op, |args, _| args)
    }

    /// Judges `op` on a node; `fill` adds to the arguments, knowing the attributes below.
    pub(super) fn judge_node_with(
        &self,
        request: &Request<'_>,
        node: &Node,
        op: Op,
        fill: impl FnOnce(Args, Option<&Stat>) -> Args,
    ) -> Result<(), Errno> {
        let args = || {
            let stat = node.stat().ok();
            fill(owned_by(stat.as_ref()), stat.as_ref())
        };
        self.judge(request, node.state(), op, args, || node.path())
    }

    /// What the policy says, without consequences. A subject without a class is refused.
    pub(super) fn ask(&self, request: &Request<'_>, state: StateId, op: Op, args: impl FnOnce() -> Args) -> Effect {
        let Some(class) = request.class() else { return Effect::Deny };
        if self.policy.rights.row(state, class).plainly_allows(op) {
            return Effect::Allow;
        }
        self.policy.checker.check(state, class, op, &with_caller(args(), request)).effect
    }

    /// Whether a directory whose `stat` is hidden is absent altogether: nothing below is found either.
    pub(super) fn hides_below(&self, request: &Request<'_>, state: StateId) -> bool {
        let Some(class) = request.class() else { return true };
        if let Some(known) = lock(&self.hidden).get(&(state, class)) {
            return *known;
        }
        let hides = self.policy.rights.hides_below(state, class);
        lock(&self.hidden).insert((state, class), hides);
        hides
    }

    /// Whether the answer for one of `ops` depends on its arguments, for a class of this session.
    pub(super) fn conditional(&self, state: StateId, ops: &[Op]) -> bool {
        let rights = &self.policy.rights;
        self.classes.all().iter().any(|class| ops.iter().any(|op| rights.conditional(state, *class, *op)))
    }

    /// Whether every class of this session may do `op`, unconditionally and unrecorded.
    pub(super) fn all_may(&self, state: StateId, op: Op) -> bool {
        let rights = &self.policy.rights;
        self.classes.all().iter().all(|class| rights.row(state, *class).plainly_allows(op))
    }

    /// Whether some class of this session may do `op`, or may where its arguments are right.
    pub(super) fn somebody_may(&self, state: StateId, op: Op) -> bool {
        let rights = &self.policy.rights;
        self.classes.all().iter().any(|class| {
            let row = rights.row(state, *class);
            row.allowed.contains(op) || row.closer.contains(op)
        })
    }

    /// Whether nobody of this session gains rights when a file moves from `old` to `new`.
    pub(super) fn within(&self, new: StateId, old: StateId) -> bool {
        new == old || self.classes.all().iter().all(|class| self.policy.rights.within(new, old, *class))
    }

    fn record(&self, request: &Request<'_>, class: Option<ClassId>, op: Op, path: Vec<u8>, verdict: Verdict) {
        let pid = request.header.pid;
        let comm = caller::comm_of(&self.proc, pid);
        self.sink.record(Event { time: SystemTime::now(), pid, comm, class, op, path, verdict });
    }
}

fn with_caller(args: Args, request: &Request<'_>) -> Args {
    args.with(Arg::Uid, request.header.uid.into()).with(Arg::Gid, request.header.gid.into())
}

/// Arguments with the owner of an object; of one that cannot be looked at, an owner that nobody is.
pub(super) fn owned_by(stat: Option<&Stat>) -> Args {
    Args::default().with(Arg::Owner, stat.map_or(u64::from(u32::MAX), |stat| stat.st_uid.into()))
}
