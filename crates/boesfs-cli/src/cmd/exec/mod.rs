//! `exec`: runs a command under a policy.

mod audit;
mod choose;
mod fuse;
mod kmod;
mod lsm;
mod police;
mod renew;
mod tell;

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use boesfs_codegen::manifest::Manifest;
use boesfs_codegen::object::PolicyObject;
use boesfs_codegen::tables::Tables;
use boesfs_lang::check::{Define, Limits};
use boesfs_runtime::audit::{Names, Recorder, Streams};
use boesfs_runtime::hook::Hook;
use boesfs_runtime::sandbox::plan::{Command, Plan, Root, StartDir, Sys};
use boesfs_runtime::sandbox::session::Classes;
use boesfs_runtime::sandbox::{Allocation, Calls, Ended, RunError, SetupError, Tracing, privileges};
use clap::{ArgAction, Args};
use rustix::thread::CapabilitySet;

use super::environment;
use crate::causes::with_causes;
use crate::hooks::{self, Choice};
use crate::load::{self, LoadError, Setting, SystemNames};

/// What tasks of a cgroup that is there may have: nobody knows whose they are.
const CHANGES_USER: CapabilitySet = CapabilitySet::SETUID.union(CapabilitySet::SETGID);

/// The exit status of a failed set-up, as of env(1).
pub const SETUP_FAILED: u8 = 125;

/// Run a command under a policy.
///
/// The command gets a tree of its own, in which the policy judges every access. When it ends, so does everything it
/// started, and nothing of the sandbox is left.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: that of the command, or 128 plus the signal that ended it; 127 if it was not found, 126 if it could not be \
executed, 125 if the sandbox could not be set up or the options are wrong (then nothing ran).

Examples:
  boesfs exec agent.bfs -- claude                    a coding agent, kept to its repository
  boesfs exec --role reader web.bfs -- ls /srv       as the role `reader`, whoever runs it
  boesfs exec --cgroup /sys/fs/cgroup/system.slice/docker-ID.scope web.bfs
                                                     a container that runs already
  boesfs exec --audit log.jsonl faas.bfs -- python3 handler.py
  boesfs exec -v --clean-env build.o -- make         an object made by `boesfsc compile`")]
pub struct ExecArgs {
    /// How to enforce the policy: `auto` takes the best hook that can
    #[arg(long, value_name = "HOOK", default_value = "auto", value_parser = hooks::named_or_auto())]
    hook: Choice,

    /// Judge everything as this role, in place of the roles that the policy assigns; repeat for several
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,

    /// Write the audit stream as JSON lines to FILE, `-` for standard output (shared with the command)
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,

    /// Tell about the set-up, native zones and totals on standard error
    #[arg(short, long)]
    verbose: bool,

    /// Do not show refusals on standard error
    #[arg(short, long)]
    quiet: bool,

    /// Judge every access, also where the whole directory needs no judgement
    #[arg(long)]
    no_native: bool,

    /// Run even if the hook cannot enforce every rule; tells which
    #[arg(long)]
    best_effort: bool,

    /// With the lsm hook, have access(2) ask for `stat`: it costs every task of the machine some 200 instructions for each directory on
    /// each path that it opens. Without it access(2) tells also where `stat` is refused that an object is there, and what its
    /// permissions, an ACL and a read-only mount give, and `auto` takes another hook; the other hooks always ask
    #[arg(long)]
    judge_access: bool,

    /// Give a `let` of the policy another value
    #[arg(short = 'D', value_name = "NAME=VALUE", value_parser = define)]
    define: Vec<Define>,

    /// Start with an environment of only PATH, HOME, USER, LOGNAME, SHELL, TERM, TZ, LANG and LC_*
    #[arg(long)]
    clean_env: bool,

    /// Keep these variables too; implies --clean-env
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    keep_env: Vec<OsString>,

    /// Set a variable
    #[arg(long, value_name = "NAME=VALUE")]
    set_env: Vec<OsString>,

    /// Show the host's /sys, read-only
    #[arg(long)]
    sys: bool,

    /// Start in DIR, a directory of the sandbox
    #[arg(long, value_name = "DIR")]
    chdir: Option<PathBuf>,

    /// Leave the command a capability (for root): setuid,setgid for a server that changes its user
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = capability)]
    cap: Vec<CapabilitySet>,

    /// Judge the tasks of this cgroup, and of those below it, in place of a command's: a directory of a mounted cgroup2 hierarchy. They
    /// are judged as they are, with the mounts that they see, and not put into a sandbox; ends when interrupted, or with the last of them
    #[arg(long, value_name = "PATH", conflicts_with = "command")]
    cgroup: Option<PathBuf>,

    /// The policy: source (.bfs) or object (.o)
    policy: PathBuf,

    /// The command and its arguments
    #[arg(last = true, required_unless_present = "cgroup", num_args = 1.., action = ArgAction::Append, value_name = "CMD")]
    command: Vec<OsString>,
}

fn define(text: &str) -> Result<Define, String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok(Define { name: name.to_owned(), value: value.into() })
}

fn capability(name: &str) -> Result<CapabilitySet, String> {
    privileges::keepable(name).ok_or_else(|| {
        let names: Vec<&str> = privileges::KEEPABLE.iter().map(|(name, _)| *name).collect();
        format!("not one that a sandbox may keep: {}", names.join(", "))
    })
}

/// Runs the command; gives its exit status.
#[must_use]
pub fn exec(args: ExecArgs) -> ExitCode {
    match try_exec(&args) {
        Ok(Ended::Exited(status)) => ExitCode::from(status as u8),
        Ok(Ended::Signaled(signal)) => ExitCode::from(128 + signal as u8),
        Ok(Ended::Interrupted) => {
            // The terminal told the command's process group alone. A script that waits here is to stop as well.
            let _ = rustix::process::kill_current_process_group(rustix::process::Signal::INT);
            ExitCode::from(130)
        }
        Err(error) => show(&error),
    }
}

/// Shows why nothing ran, and gives the exit status for it.
fn show(error: &anyhow::Error) -> ExitCode {
    if let Some(error) = error.downcast_ref::<LoadError>() {
        error.show("boesfs");
        return ExitCode::from(SETUP_FAILED);
    }
    eprintln!("boesfs: {}", with_causes(error.as_ref()));
    match error.downcast_ref::<RunError>() {
        Some(RunError::NotExecuted(source)) if source.kind() == io::ErrorKind::NotFound => ExitCode::from(127),
        Some(RunError::NotExecuted(_)) => ExitCode::from(126),
        Some(RunError::Setup(SetupError { help: Some(help), .. })) => {
            eprintln!("help: {help}");
            ExitCode::from(SETUP_FAILED)
        }
        _ => ExitCode::from(SETUP_FAILED),
    }
}

fn try_exec(args: &ExecArgs) -> Result<Ended> {
    let candidates = choose::candidates(args);
    // Where the policy can only be asked in this process, the programs for the kernel are left out.
    let asked_here = args.cgroup.is_none() && candidates == [Hook::Fuse];
    let object = if asked_here { load::functions(&args.policy, &setting(args))? } else { read(args)? };
    if let Some(path) = &args.cgroup {
        return police::run(args, &object, &classes(args, &object.manifest, CHANGES_USER)?, path);
    }
    let keep = args.cap.iter().copied().collect::<CapabilitySet>();
    let classes = classes(args, &object.manifest, keep)?;
    let hooks = choose::hooks(args, &object, &classes, &candidates)?;
    let mut left = hooks.iter().peekable();
    while let Some(hook) = left.next() {
        let refused = match hook {
            Hook::Fuse => return fuse::run(args, object, &classes, keep),
            Hook::Kmod => match kmod::prepare(&object, &classes) {
                Ok(registered) => return kmod::run(args, object, &classes, keep, registered),
                Err(error) => error,
            },
            Hook::Lsm => match lsm::prepare(args, &object, &classes) {
                Ok(prepared) => return lsm::run(args, object, &classes, keep, prepared),
                Err(error) => error,
            },
        };
        // Nothing has been done for the sandbox yet.
        let Some(next) = left.peek() else { return Err(refused) };
        eprintln!("boesfs: not with the {hook} hook but with {next}: {}", with_causes(refused.as_ref()));
    }
    Err(anyhow!("no hook can enforce {}", args.policy.display()))
}

/// The policy, as it is written now.
fn read(args: &ExecArgs) -> Result<PolicyObject, LoadError> {
    load::object(&args.policy, &setting(args))
}

fn setting(args: &ExecArgs) -> Setting<'_> {
    Setting { names: &SystemNames, defines: &args.define, limits: Limits::default() }
}

/// What every hook's plan has in common.
fn plan(args: &ExecArgs, manifest: &Manifest, root: Root, keep: CapabilitySet) -> Result<Plan> {
    Ok(Plan {
        root,
        sys: if args.sys { Sys::ReadOnly } else { Sys::Absent },
        keep,
        // Whoever traces the holder of a role holds it too.
        tracing: if manifest.subjects.exes.is_empty() { Tracing::Allowed } else { Tracing::Refused },
        allocation: Allocation::Judged,
        calls: Calls::Filtered,
        cgroup: None,
        command: command(args)?,
    })
}

/// The record of refusals that the options ask for.
fn recorder(args: &ExecArgs, manifest: &Manifest, tables: &Tables, classes: &Classes) -> Result<Recorder> {
    let json = args.audit.as_deref().map(|file| audit::stream(file, tables, classes)).transpose()?;
    let streams = Streams { people: (!args.quiet).then(|| Box::new(io::stderr()) as Box<_>), json };
    Ok(Recorder::new(Names(Arc::new(manifest.clone())), streams))
}

/// Where what people may want to know goes.
fn note(args: &ExecArgs) -> impl FnMut(&str) {
    let verbose = args.verbose;
    move |text| {
        if verbose {
            eprintln!("boesfs: {text}");
        }
    }
}

/// Ends the record, and tells what became of it.
fn finish(args: &ExecArgs, recorder: Recorder) {
    let totals = recorder.finish();
    if args.verbose {
        tell::totals(totals);
    }
}

/// The classes that can occur: one, where roles were given.
fn classes(args: &ExecArgs, manifest: &Manifest, keep: CapabilitySet) -> Result<Classes> {
    let subjects = &manifest.subjects;
    if args.role.is_empty() {
        return Ok(Classes::of_caller(subjects, keep));
    }
    let mut roles = Vec::new();
    for name in &args.role {
        roles.push(subjects.role_by_name(name).ok_or_else(|| {
            let known: Vec<&str> = subjects.roles.iter().map(|role| role.name.as_str()).collect();
            match known.as_slice() {
                [] => anyhow!("the policy has no role `{name}`: it declares none"),
                known => anyhow!("the policy has no role `{name}`: it declares {}", known.join(", ")),
            }
        })?);
    }
    let class = subjects
        .class_of(&roles)
        .ok_or_else(|| anyhow!("no subject of the policy can hold the roles {} at once", args.role.join(", ")))?;
    Ok(Classes::fixed(class))
}

fn command(args: &ExecArgs) -> Result<Command> {
    let word = |word: OsString| CString::new(word.into_vec()).context("a word of the command has a NUL byte");
    let env = if args.clean_env || !args.keep_env.is_empty() {
        environment::scrubbed(&args.keep_env)
    } else {
        environment::inherited()
    };
    let env = environment::with(env, &args.set_env)?;
    let dir = match &args.chdir {
        Some(dir) => StartDir::Named(dir.clone()),
        None => StartDir::Current(std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))),
    };
    Ok(Command {
        args: args.command.iter().cloned().map(word).collect::<Result<_>>()?,
        env: env.into_iter().map(word).collect::<Result<_>>()?,
        dir,
    })
}
