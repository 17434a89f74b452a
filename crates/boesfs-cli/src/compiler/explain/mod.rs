//! `explain`: why a request gets its answer, of a source, or of an object (`object`).
//!
//! The competing rules and their ranks are those of `eval` itself, the walk is that of the tables a hook uses, and
//! the two must agree: this command has no logic of its own that could tell another story.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::anyhow;
use boesfs_codegen::tables::walk::{Taken, holds_in};
use boesfs_codegen::tables::{StateId, Tables};
use boesfs_lang::check::Names;
use boesfs_lang::cond::Args;
use boesfs_lang::eval::{self, Candidate, Cause, Request, Verdict};
use boesfs_lang::ops::Op;
use boesfs_lang::policy::{Effect, Policy, RuleId};
use boesfs_lang::subjects::{RoleId, Subjects};

mod object;

use super::names::Mapping;
use super::progress::Progress;
use super::values::{ArgValue, components};
use super::{Failure, Source, listing, output};

/// Who asks: one part of a subject.
#[derive(Clone, Debug)]
pub enum Who {
    /// `role:NAME`, or just `NAME`.
    Role(String),
    /// `user:NAME` or `user:NUMBER`.
    User(String),
    /// `group:NAME` or `group:NUMBER`.
    Group(String),
    /// `exe:/PATH`.
    Exe(String),
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Who, String> {
        Ok(match text.split_once(':') {
            None => Who::Role(text.into()),
            Some(("role", name)) => Who::Role(name.into()),
            Some(("user", name)) => Who::User(name.into()),
            Some(("group", name)) => Who::Group(name.into()),
            Some(("exe", path)) => Who::Exe(path.into()),
            Some((kind, _)) => return Err(format!("`{kind}:` is none of role:, user:, group:, exe:")),
        })
    }
}

fn operation(text: &str) -> Result<Op, String> {
    Op::from_name(text).ok_or_else(|| {
        let known = boesfs_lang::ops::TABLE.iter().map(|info| info.name);
        boesfs_lang::diag::suggest::did_you_mean(text, known).unwrap_or_else(|| "no such operation".into())
    })
}

/// Options of `explain`.
#[derive(clap::Args, Debug)]
pub struct Explain {
    /// The policy, or an object: that one tells what decides, not what competes.
    #[command(flatten)]
    source: Source,
    /// Who asks: ROLE, role:ROLE, user:NAME, user:1000, group:NAME, exe:/PATH; may be given several times.
    #[arg(long = "as", value_name = "SUBJECT")]
    who: Vec<Who>,
    /// The operation.
    #[arg(long, value_parser = operation)]
    op: Op,
    /// Arguments of the operation: size=4096, flags=O_WRONLY|O_CREAT, mode=0o644 [default: 0].
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    args: Vec<ArgValue>,
    /// The object's path.
    path: PathBuf,
}

/// Explains the answer to a request.
///
/// # Errors
/// See [`Failure`].
pub fn explain(options: &Explain) -> Result<(), Failure> {
    let path = components(&options.path).map_err(Failure::Usage)?;
    let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
    let args = options.args.iter().fold(Args::default(), |args, given| args.with(given.arg, given.value));
    if options.source.is_object() {
        return object::explain(options, &path, &args);
    }
    let progress = Progress::start();
    let policy = options.source.check(&progress)?.policy;
    let packed = options.source.tables(&policy, &progress)?;
    drop(progress);
    let roles = active_roles(&policy.subjects, options)?;
    let request = Request { op: options.op, path: &path, roles: &roles, args };

    let mut out = title(options.op, &path, &policy.subjects, &roles);
    let state = walk(&packed.tables, &path, &mut out);
    let Some(class) = policy.subjects.class_of(&roles) else {
        out.push_str(NEVER_TOGETHER);
        return Ok(output::print(&out)?);
    };
    let verdict = eval::eval(&policy, &request);
    rules(&policy, &request, &verdict, &mut out);
    conclusion(&verdict, |id| listing::place(&policy, policy.rule(id).span), &mut out);

    let decided = packed.tables.decide(state, class, options.op, holds_in(&packed.conditions, &args));
    if decided != verdict {
        return Err(anyhow!(
            "internal error: the definition gives {verdict:?}, the automaton {decided:?}; please report this policy"
        )
        .into());
    }
    Ok(output::print(&out)?)
}

/// What is told of a subject that there cannot be.
const NEVER_TOGETHER: &str =
    "\nthese roles can never be active together (separate, or by no assignment): refused everything\n";

/// The request, on a line.
fn title(op: Op, path: &[&[u8]], subjects: &Subjects, roles: &[RoleId]) -> String {
    format!("{op} on {} as {}\n\n", shown_path(path), listing::roles(subjects, roles))
}

fn shown_path(path: &[&[u8]]) -> String {
    if path.is_empty() { "/".into() } else { path.iter().map(|name| format!("/{}", listing::bytes(name))).collect() }
}

/// The roles that are active in the subject, flattened.
fn active_roles(subjects: &Subjects, options: &Explain) -> Result<Vec<RoleId>, Failure> {
    let names = Mapping::new(options.source.options.users.as_deref(), options.source.options.system_users)?;
    roles_of(subjects, &names, &options.who).map_err(Failure::Usage)
}

fn roles_of(subjects: &Subjects, names: &Mapping, who: &[Who]) -> Result<Vec<RoleId>, String> {
    let mut all: Vec<RoleId> = Vec::new();
    for who in who {
        all.extend(match who {
            Who::Role(name) => {
                let known = subjects.roles.iter().map(|role| role.name.as_str());
                let unknown = || match boesfs_lang::diag::suggest::did_you_mean(name, known) {
                    Some(help) => format!("there is no role `{name}`; {help}"),
                    None => format!("there is no role `{name}`"),
                };
                vec![subjects.role_by_name(name).ok_or_else(unknown)?]
            }
            Who::User(name) => {
                let assigned = subjects.users.iter().find(|given| given.name.as_ref() == Some(name));
                let id = name.parse().ok().or(assigned.map(|given| given.subject.first)).or_else(|| names.user(name));
                subjects.roles_of(Some(id.ok_or_else(|| format!("the user `{name}` has no number here"))?), &[], None)
            }
            Who::Group(name) => {
                let assigned = subjects.groups.iter().find(|given| given.name.as_ref() == Some(name));
                let id = name.parse().ok().or(assigned.map(|given| given.subject.first)).or_else(|| names.group(name));
                subjects.roles_of(None, &[id.ok_or_else(|| format!("the group `{name}` has no number here"))?], None)
            }
            Who::Exe(path) => {
                let path = components(path.as_ref())?;
                let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
                subjects.roles_of(None, &[], Some(&path))
            }
        });
    }
    Ok(subjects.flatten(&all))
}

/// The walk through the automaton, component by component.
fn walk(tables: &Tables, path: &[&[u8]], out: &mut String) -> StateId {
    let width = path.iter().map(|name| listing::bytes(name).chars().count()).max().unwrap_or(0).clamp(1, 40);
    let mut state = StateId::ROOT;
    // Writing to a string cannot fail.
    let _ = writeln!(out, "  {:width$}  state {}", "/", state.0);
    for name in path {
        let (next, taken) = tables.step_by(state, name);
        let how = match taken {
            _ if tables.state(next).out == 0 && next == state => "everything below is alike",
            Taken::Literal => "named by a pattern",
            Taken::Glob => "matches a wildcard",
            Taken::Default | Taken::Stay => "named by no pattern here",
            Taken::Refused => "no name: refused",
        };
        let _ = writeln!(out, "  {:width$}  state {:<6} {how}", listing::bytes(name), next.0);
        state = next;
    }
    state
}

/// The rules that compete, and those whose condition keeps them out.
fn rules(policy: &Policy, request: &Request<'_>, verdict: &Verdict, out: &mut String) {
    let mut candidates: Vec<Candidate> = eval::candidates(policy, request).collect();
    candidates.sort_unstable_by(|a, b| b.cmp(a));
    if candidates.is_empty() {
        out.push_str("\nno rule competes\n");
    } else {
        out.push_str("\ncompeting rules, the one that decides first\n");
    }
    for candidate in &candidates {
        let id = candidate.rule.0;
        let mark = if verdict.cause == Cause::Rule(id) { "=>" } else { "  " };
        let _ = writeln!(out, "{mark} rank {:<3} {}", candidate.rank, rule_line(policy, id));
    }
    let kept_out = policy.rules.iter().zip(0..).filter(|(rule, id)| {
        rule.ops.contains(request.op)
            && eval::concerns(rule, request.roles)
            && rule.when.is_some()
            && eval::rank(rule, request.path).is_some()
            && !candidates.iter().any(|candidate| candidate.rule.0 == RuleId(*id))
    });
    for (i, (_, id)) in kept_out.enumerate() {
        if i == 0 {
            out.push_str("\ntheir condition does not hold\n");
        }
        let _ = writeln!(out, "            {}", rule_line(policy, RuleId(id)));
    }
}

fn rule_line(policy: &Policy, id: RuleId) -> String {
    let rule = policy.rule(id);
    format!("{:<5} {}  {}", rule.effect.name(), listing::place(policy, rule.span), listing::one_line(policy, rule.span))
}

/// The answer; `place` tells where a rule is.
fn conclusion(verdict: &Verdict, place: impl Fn(RuleId) -> String, out: &mut String) {
    let by = match verdict.cause {
        Cause::Rule(id) => format!("by {}", place(id)),
        Cause::Default => "by the default".into(),
        Cause::NotGranted => "by the default: no rule grants the operation to these roles anywhere".into(),
    };
    let seen = match verdict.effect {
        Effect::Allow => "",
        Effect::Deny => " (EACCES)",
        Effect::Hide => " (ENOENT)",
        Effect::Kill => " (EACCES, then SIGKILL)",
    };
    let recorded = if verdict.recorded() { "recorded" } else { "not recorded" };
    let _ = writeln!(out, "\n{}{seen}, {by}; {recorded}", verdict.effect.name());
}
