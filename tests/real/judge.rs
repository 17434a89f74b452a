//! What must come of an attempt, by the definition, and whether it did.

use boesfs_codegen::tables::StateId;
use boesfs_lang::cond::{Arg, Args};
use boesfs_lang::eval::{self, Cause, Verdict};
use boesfs_lang::ops::{Mediation, Op};
use boesfs_lang::policy::{Effect, Policy};
use boesfs_lang::subjects::RoleId;
use boesfs_runtime::audit::escape::escape;
use boesfs_runtime::hook::Hook;
use boesfs_runtime::kernel::version;

use crate::actor::Outcome;
use crate::case::{Case, Subject};
use crate::plan::Attempt;
use crate::session::{Batch, Line, is_cut, is_long, is_too_deep};
use crate::site::OTHER;
use crate::ways::{Asks, At, Place};

/// What came of an attempt that came out as it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell {
    Allowed,
    Refused,
    /// By the rule that nothing gains rights by moving.
    Moved,
    /// By the sandbox, whatever the policy; or for its depth.
    Shut,
    /// Also without a policy: nothing was shown.
    Native,
}

/// A question, and every verdict that the definition has for it.
struct Question {
    op: Op,
    path: Vec<Vec<u8>>,
    verdicts: Vec<Verdict>,
}

/// What is known of one attempt.
struct Trial<'a> {
    hook: Hook,
    case: &'a Case,
    batch: &'a Batch,
    attempt: &'a Attempt,
    number: usize,
    /// `None`: roles that nobody may hold together.
    roles: Option<Vec<RoleId>>,
}

/// Judges attempt `number` of a batch.
///
/// # Errors
/// What is wrong.
pub(crate) fn judge(hook: Hook, case: &Case, batch: &Batch, attempt: &Attempt, number: usize) -> Result<Cell, String> {
    let trial = Trial { hook, case, batch, attempt, number, roles: roles(case, batch, attempt, number) };
    let questions: Vec<Question> = attempt.asks.iter().filter_map(|ask| trial.question(ask)).collect();
    trial.records(&questions)?;
    trial.outcome(&questions)
}

fn roles(case: &Case, batch: &Batch, attempt: &Attempt, number: usize) -> Option<Vec<RoleId>> {
    let subjects = &batch.policies[number].subjects;
    let roles = match &case.requests[attempt.request].subject {
        Subject::Roles(names) => names.iter().filter_map(|name| subjects.role_by_name(name)).collect(),
        Subject::Process { .. } => {
            let exe: Option<Vec<&[u8]>> =
                attempt.exe.as_ref().map(|exe| batch.sites[number].iter().chain(exe).map(Vec::as_slice).collect());
            let groups: Vec<u32> = attempt.groups.iter().copied().chain([attempt.gid]).collect();
            subjects.roles_of(Some(attempt.uid), &groups, exe.as_deref())
        }
    };
    subjects.class_of(&roles).map(|class| subjects.classes[class.0 as usize].roles.clone())
}

impl Trial<'_> {
    fn policy(&self) -> &Policy {
        &self.batch.policies[self.number]
    }

    /// The definition's answer.
    fn eval(&self, op: Op, path: &[Vec<u8>], args: Args) -> Verdict {
        let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
        match &self.roles {
            Some(roles) => eval::eval(self.policy(), &eval::Request { op, path: &path, roles, args }),
            None => boesfs_runtime::policy::REFUSED,
        }
    }

    /// Where a place of the way is.
    fn at(&self, place: Place) -> Vec<Vec<u8>> {
        let path = &self.case.requests[self.attempt.request].path;
        let site = self.batch.sites[self.number].iter();
        let parent = path.split_last().map_or(&[][..], |(_, parent)| parent);
        match place {
            Place::Path => site.chain(path).cloned().collect(),
            Place::Other => site.chain(parent).cloned().chain([OTHER.to_vec()]).collect(),
            Place::Unnamed => site.chain(parent).cloned().chain([b"#tmpfile".to_vec()]).collect(),
        }
    }

    /// The question that this hook asks, if it does.
    fn question(&self, ask: &Asks) -> Option<Question> {
        let Asks(op, place, _) = *ask;
        if unasked(self.hook, self.attempt.way.name) {
            return None;
        }
        let op = match self.hook.mediation(op) {
            Mediation::Asked(_) => op,
            Mediation::Follows(leader, _) => leader,
            Mediation::Unasked(_) | Mediation::Unseen(_) => return None,
        };
        let path = self.at(place);
        let mut verdicts: Vec<Verdict> = Vec::new();
        for args in self.attempt.args(ask) {
            let verdict = self.eval(op, &path, args);
            if !verdicts.contains(&verdict) {
                verdicts.push(verdict);
            }
        }
        Some(Question { op, path, verdicts })
    }

    /// What `stat` says of an object, with nothing but the caller and the owner as arguments.
    fn stat(&self, path: &[Vec<u8>], owner: u32) -> Verdict {
        let args = Args::default().with(Arg::Uid, self.attempt.uid.into()).with(Arg::Gid, self.attempt.gid.into());
        self.eval(Op::Stat, path, args.with(Arg::Owner, owner.into()))
    }

    /// Objects that are absent for the caller, where the hook finds names by verdict: existing ones, then their folders.
    fn hidden(&self) -> (bool, bool) {
        if !self.hook.filters_listings() {
            return (false, false);
        }
        let there = [(Place::Path, self.attempt.at), (Place::Other, self.attempt.way.other)];
        let hidden = |path: &[Vec<u8>], owner| self.stat(path, owner).effect == Effect::Hide;
        let object = there
            .iter()
            .filter(|(_, at)| *at != At::Nothing)
            .any(|(place, _)| hidden(&self.at(*place), self.attempt.owner));
        let path = self.at(Place::Path);
        let folder = (self.batch.sites[self.number].len()..path.len()).any(|depth| hidden(&path[..depth], 0));
        (object, folder)
    }

    /// Compares how the attempt ended with what the questions' verdicts say.
    fn outcome(&self, questions: &[Question]) -> Result<Cell, String> {
        let (got, native) = (&self.batch.guarded[self.number], &self.batch.native[self.number]);
        let Outcome::Ended(native, _) = native else { return Err(format!("killed without a policy: {native:?}")) };
        let all = || questions.iter().flat_map(|q| &q.verdicts);
        let effects: Vec<Effect> =
            all().map(|verdict| verdict.effect).filter(|effect| *effect != Effect::Allow).collect();
        let surely = questions.iter().any(|q| q.verdicts.iter().all(|verdict| verdict.effect != Effect::Allow));
        let (object, folder) = self.hidden();
        let refusal = match got {
            Outcome::Killed(9) if effects.contains(&Effect::Kill) => return Ok(Cell::Refused),
            Outcome::Killed(signal) => return Err(format!("killed by signal {signal}")),
            Outcome::Ended(errno, _) => match *errno {
                libc_errno::EACCES => effects.contains(&Effect::Deny) || self.roles.is_none(),
                libc_errno::ENOENT => effects.contains(&Effect::Hide) || object || folder,
                _ => false,
            },
        };
        let Outcome::Ended(errno, step) = got else { return Err("killed".into()) };
        if refusal {
            return Ok(Cell::Refused);
        }
        let is_shut = self.attempt.way.shut && *errno == libc_errno::EPERM;
        if is_shut || (self.is_too_deep() && *errno == libc_errno::EACCES) {
            return Ok(Cell::Shut);
        }
        if *native != 0 && errno == native && !(surely && self.first_call_refuses(step)) {
            return Ok(Cell::Native);
        }
        if surely || object {
            return Err(format!(
                "ended with errno {errno} at `{step}`, but must be refused: {:?}",
                all().collect::<Vec<_>>()
            ));
        }
        let (may_move, must_stay) = self.moves();
        if *errno == libc_errno::EXDEV && !may_move {
            return Ok(Cell::Moved);
        }
        if must_stay && *errno == 0 {
            return Err("rights were gained by moving".into());
        }
        if errno == native || excused(self.hook, self.attempt.way.name, *errno) {
            return Ok(if *errno == 0 { Cell::Allowed } else { Cell::Native });
        }
        Err(format!("ended with errno {errno} at `{step}`, without a policy with {native}; every question is allowed"))
    }

    /// Whether the hook may refuse the object for its depth alone: documented.
    fn is_too_deep(&self) -> bool {
        is_too_deep(self.hook, &self.at(Place::Path))
    }

    /// Whether the failing step is the one that opens the object: a native failure of a later step proves that nothing refused it.
    fn first_call_refuses(&self, step: &str) -> bool {
        step != "open" && self.attempt.asks.len() == 1 && step == "done"
    }

    /// Whether a name may go where this way takes it: surely, and surely not.
    fn moves(&self) -> (bool, bool) {
        let name = self.attempt.way.name;
        let pairs: &[(Place, Place)] = match name {
            _ if name.starts_with("link.") => &[(Place::Path, Place::Other)],
            "create.tmpfile" => &[(Place::Unnamed, Place::Path)],
            "rename.exchange" => &[(Place::Path, Place::Other), (Place::Other, Place::Path)],
            _ if name.ends_with("rename_over") => &[(Place::Other, Place::Path)],
            _ if name.starts_with("rename.") => &[(Place::Path, Place::Other)],
            _ => return (true, false),
        };
        let directory = matches!(name, "rename.directory" | "rmdir.rename_over");
        let mut all = (true, false);
        for (from, to) in pairs {
            let (from, to) = (self.at(*from), self.at(*to));
            let (may, must_stay) = if directory {
                let same = self.state(&from) == self.state(&to);
                (same, !same)
            } else {
                self.within(&to, &from)
            };
            all = (all.0 && may, all.1 || must_stay);
        }
        all
    }

    fn state(&self, path: &[Vec<u8>]) -> StateId {
        path.iter().fold(StateId::ROOT, |state, name| self.batch.packed.tables.step(state, name))
    }

    /// Whether whoever may do something at `new` may do it at `old`: surely for every class; surely not, for the caller's own.
    /// Conditions make it unsure.
    fn within(&self, new: &[Vec<u8>], old: &[Vec<u8>]) -> (bool, bool) {
        let policy = self.policy();
        let gains = |roles: &[RoleId]| {
            let ask = |op, path: &[Vec<u8>]| {
                let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
                let request = eval::Request { op, path: &path, roles, args: Args::default() };
                let unsure = policy.rules.iter().any(|rule| {
                    rule.when.is_some()
                        && rule.ops.contains(op)
                        && eval::concerns(rule, roles)
                        && eval::rank(rule, &path).is_some()
                });
                (eval::eval(policy, &request).effect == Effect::Allow, unsure)
            };
            let mut gain = (false, false);
            for info in boesfs_lang::ops::TABLE {
                let ((new, unsure_new), (old, unsure_old)) = (ask(info.op, new), ask(info.op, old));
                gain.0 |= new && !old && !unsure_new && !unsure_old;
                gain.1 |= (new || unsure_new) && (!old || unsure_old);
            }
            gain
        };
        let anyone = policy.subjects.classes.iter().any(|class| gains(&class.roles).1);
        let own = self.roles.as_ref().is_some_and(|roles| gains(roles).0);
        (!anyone, own)
    }

    /// Compares the stream with the verdicts: each record is one that the definition gives, with its rule; each refusal that
    /// is to be recorded is.
    fn records(&self, questions: &[Question]) -> Result<(), String> {
        let lines = &self.batch.audit[self.number];
        for line in lines {
            let known = questions.iter().any(|q| says(self.hook, line, q.op, &q.path, &q.verdicts));
            let deep = self.is_too_deep() && line.effect == "deny" && line.cause == "default";
            // One that is cut may be of another attempt.
            let cut = is_cut(line) && is_long(self.hook, &self.at(Place::Path));
            if !known && !deep && !cut && !self.aside(line) {
                return Err(format!("a record that the definition does not give: {line:?}"));
            }
        }
        let Outcome::Ended(errno, _) = &self.batch.guarded[self.number] else {
            let killed = lines.iter().any(|line| line.effect == "kill");
            let quietly = questions.iter().flat_map(|q| &q.verdicts).any(|v| v.effect == Effect::Kill && !v.recorded());
            return if killed || quietly { Ok(()) } else { Err("killed without a record".into()) };
        };
        let refusals = questions.iter().flat_map(|q| &q.verdicts).filter(|verdict| verdict.effect != Effect::Allow);
        let (mut silent, mut any) = (false, false);
        for verdict in refusals {
            any = true;
            silent |= !verdict.recorded();
        }
        let (object, folder) = self.hidden();
        let recorded = lines.iter().any(|line| line.effect != "allow");
        silent |= self.attempt.way.name == "create.tmpfile";
        if any
            && !silent
            && !recorded
            && matches!(*errno, libc_errno::EACCES | libc_errno::ENOENT)
            && !object
            && !folder
        {
            return Err(format!("refused with errno {errno}, and not recorded"));
        }
        if *errno == 0 && !self.attempt.way.shut {
            self.audited(questions, lines)?;
        }
        Ok(())
    }

    /// Each allowed question that is to be recorded is.
    fn audited(&self, questions: &[Question], lines: &[Line]) -> Result<(), String> {
        let unnamed = self.at(Place::Unnamed);
        // Once it is made, no name leads to a file without one, and its records stand under no site.
        let nameless = |q: &&Question| q.op == Op::Link && q.path == unnamed;
        let recorded = |q: &&Question| q.verdicts.iter().all(eval::Verdict::recorded);
        for question in questions.iter().filter(recorded).filter(|q| !nameless(q)) {
            if !lines.iter().any(|line| says(self.hook, line, question.op, &question.path, &question.verdicts)) {
                return Err(format!("{} was allowed and is not recorded", question.op));
            }
        }
        Ok(())
    }

    /// A record of a request that the way makes by the way: looking at what stands on the path, mostly.
    fn aside(&self, line: &Line) -> bool {
        let Some(op) = Op::from_name(&line.op) else { return false };
        let Some(bytes) = boesfs_runtime::audit::escape::unescape(&line.path) else { return false };
        let path: Vec<Vec<u8>> =
            bytes.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect();
        let root = rustix::process::geteuid().as_raw();
        [self.attempt.owner, self.attempt.uid, root].iter().any(|owner| {
            let args = Args::default().with(Arg::Uid, self.attempt.uid.into()).with(Arg::Gid, self.attempt.gid.into());
            says(self.hook, line, op, &path, &[self.eval(op, &path, args.with(Arg::Owner, (*owner).into()))])
        })
    }
}

/// Whether a record says that one of these verdicts was given.
fn says(hook: Hook, line: &Line, op: Op, path: &[Vec<u8>], verdicts: &[Verdict]) -> bool {
    let shown: Vec<u8> = path.iter().flat_map(|name| [b"/".as_slice(), name]).flatten().copied().collect();
    let is = |verdict: &Verdict| {
        let cause = match (verdict.cause, &line.rule) {
            (Cause::Rule(rule), Some(place)) => line.cause == "rule" && rule.0 == place.id,
            (Cause::Default, None) => line.cause == "default",
            (Cause::NotGranted, None) => line.cause == "not-granted",
            _ => false,
        };
        let audit = verdict.record == boesfs_lang::policy::Record::Audit;
        cause
            && line.effect == verdict.effect.name()
            && line.audit == audit
            && boesfs_runtime::audit::is_recorded(verdict)
    };
    let named = line.path == escape(&shown) || (is_long(hook, path) && is_cut(line));
    line.op == op.name() && named && verdicts.iter().any(is)
}

/// Where a hook's file system differs from the one below it, documented: hook, way, error.
///
/// Where something may only grow, the sandbox of the LSM hook refuses what could be anything else (docs/lsm.md). A watch by
/// fanotify asks for the statistics of the file system's root as well, which is no part of a site.
const DIFFERENCES: &[(Hook, &str, i32)] = &[
    (Hook::Lsm, "write.fallocate", libc_errno::EOPNOTSUPP),
    (Hook::Lsm, "write.punch_hole", libc_errno::EOPNOTSUPP),
    (Hook::Lsm, "write.aio", libc_errno::EPERM),
    (Hook::Lsm, "read.aio", libc_errno::EPERM),
    (Hook::Lsm, "watch.fanotify", libc_errno::EACCES),
];

/// Ways that a hook does not ask about unless it is told to: `--judge-access`, which `lsm/ways` tries.
const UNASKED: &[(Hook, &str)] = &[(Hook::Lsm, "stat.access"), (Hook::Lsm, "stat.faccessat2")];

/// Ways that kernels before a version lack, or keep to who has CAP_DAC_READ_SEARCH, which nobody has here.
const SINCE: &[(&str, (u32, u32))] = &[("chmod.fchmodat2", (6, 6)), ("link.empty_path", (6, 10))];

/// Whether the hook does not ask about this way, though it does about its operation.
pub(crate) fn unasked(hook: Hook, way: &str) -> bool {
    UNASKED.contains(&(hook, way)) || SINCE.iter().any(|(newer, since)| *newer == way && version() < *since)
}

fn excused(hook: Hook, way: &str, errno: i32) -> bool {
    DIFFERENCES.contains(&(hook, way, errno))
}

/// Error numbers of Linux.
mod libc_errno {
    pub(super) const EPERM: i32 = 1;
    pub(super) const ENOENT: i32 = 2;
    pub(super) const EACCES: i32 = 13;
    pub(super) const EXDEV: i32 = 18;
    pub(super) const EOPNOTSUPP: i32 = 95;
}
