//! `exec`: runs a command under a policy.

use std::ffi::{CString, OsString};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use boesfs_codegen::manifest::Manifest;
use boesfs_codegen::tables::{StateId, Tables};
use boesfs_lang::check::{Define, Limits};
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::subjects::ClassId;
use boesfs_runtime::audit::{Names, Recorder, Streams, Totals};
use boesfs_runtime::fuse::{Config, Identity, Mount, Passthrough, Policy, Session};
use boesfs_runtime::hook::Hook;
use boesfs_runtime::policy::LoadedPolicy;
use boesfs_runtime::sandbox::plan::{Command, Plan, Root, StartDir, Sys};
use boesfs_runtime::sandbox::session::{Classes, Unclassed};
use boesfs_runtime::sandbox::zones::{self, Access};
use boesfs_runtime::sandbox::{Ended, Privilege, RunError, SetupError, Tracing, privileges, run};
use clap::{ArgAction, Args, ValueEnum};
use rustix::fs::{Mode, OFlags, open};
use rustix::thread::CapabilitySet;

use super::environment;
use crate::load::{self, LoadError, Setting, SystemNames};

/// The exit status of a failed set-up, as of env(1).
const SETUP_FAILED: u8 = 125;

/// How long the kernel may keep names and attributes: a change made below the mount is seen within this time.
const LIFETIME: Duration = Duration::from_secs(1);

/// Run a command under a policy.
///
/// The command gets a tree of its own, in which the policy judges every access. When it ends, so does everything it
/// started, and nothing of the sandbox is left.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: that of the command, or 128 plus the signal that ended it; 127 if it was not found, 126 if it could not be \
executed, 125 if the sandbox could not be set up (then nothing ran).

Examples:
  boesfs exec agent.bfs -- claude                    a coding agent, kept to its repository
  boesfs exec --role reader web.bfs -- ls /srv       as the role `reader`, whoever runs it
  boesfs exec --audit log.jsonl faas.bfs -- python3 handler.py
  boesfs exec -v --clean-env build.o -- make         an object made by `boesfsc compile`")]
pub struct ExecArgs {
    /// How to enforce the policy: `auto` takes the best hook that can
    #[arg(long, value_enum, default_value_t = HookChoice::Auto)]
    hook: HookChoice,

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

    /// The policy: source (.bfs) or object (.o)
    policy: PathBuf,

    /// The command and its arguments
    #[arg(last = true, required = true, num_args = 1.., action = ArgAction::Append, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HookChoice {
    Auto,
    Fuse,
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
        Ok(Outcome { ended, .. }) => match ended {
            Ended::Exited(status) => ExitCode::from(status as u8),
            Ended::Signaled(signal) => ExitCode::from(128 + signal as u8),
            Ended::Interrupted => {
                // The terminal told the command's process group alone. A script that waits here is to stop as well.
                let _ = rustix::process::kill_current_process_group(rustix::process::Signal::INT);
                ExitCode::from(130)
            }
        },
        Err(error) => show(&error),
    }
}

struct Outcome {
    ended: Ended,
}

/// Shows why nothing ran, and gives the exit status for it.
fn show(error: &anyhow::Error) -> ExitCode {
    if let Some(error) = error.downcast_ref::<LoadError>() {
        error.show("boesfs");
        return ExitCode::from(SETUP_FAILED);
    }
    eprintln!("boesfs: {error:#}");
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

fn try_exec(args: &ExecArgs) -> Result<Outcome> {
    let hook = match args.hook {
        HookChoice::Auto | HookChoice::Fuse => Hook::Fuse,
    };
    let setting = Setting { names: &SystemNames, defines: &args.define, limits: Limits::default() };
    let policy = LoadedPolicy::new(load::object(&args.policy, &setting)?)
        .with_context(|| format!("cannot use {}", args.policy.display()))?;
    let manifest = policy.manifest();
    refuse_losses(args, hook, manifest)?;

    let keep = args.cap.iter().copied().collect::<CapabilitySet>();
    let classes = classes(args, manifest, keep)?;
    let zones = if args.no_native { Vec::new() } else { zones::find(policy.tables(), &classes) };
    let root = match zones.as_slice() {
        [zone] if zone.path == Path::new("/") => Root::Native(zone.access),
        _ => Root::Fuse(zones),
    };
    if args.verbose {
        tell_setup(hook, manifest, &classes, &root);
    }
    let plan = Plan {
        root,
        sys: if args.sys { Sys::ReadOnly } else { Sys::Absent },
        keep,
        // Whoever traces the holder of a role holds it too.
        tracing: if manifest.subjects.exes.is_empty() { Tracing::Allowed } else { Tracing::Refused },
        command: command(args)?,
    };
    let streams = Streams {
        people: (!args.quiet).then(|| Box::new(io::stderr()) as Box<_>),
        json: args.audit.as_deref().map(|file| audit_stream(file, policy.tables(), &classes)).transpose()?,
    };
    let recorder = Recorder::new(Names(Arc::new(manifest.clone())), streams);
    let ended = supervise(policy, &plan, &classes, &recorder, args);
    let totals = recorder.finish();
    if args.verbose {
        tell_totals(totals);
    }
    Ok(Outcome { ended: ended? })
}

fn supervise(
    policy: LoadedPolicy,
    plan: &Plan,
    classes: &Classes,
    recorder: &Recorder,
    args: &ExecArgs,
) -> Result<Ended> {
    let directory = |path: &str| -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(path, flags, Mode::empty()).with_context(|| format!("cannot open {path}"))
    };
    let (root, proc) = (directory("/")?, directory("/proc")?);
    let sink = Arc::new(recorder.clone());
    let subjects = policy.manifest().subjects.clone();
    let session = match (classes.list.as_slice(), classes.without) {
        ([class], Unclassed::Impossible) => Session::Fixed(*class),
        _ => Session::ByProcess,
    };
    // Without these capabilities, every process of the sandbox is of the agent's user and groups.
    let changes_user = plan.keep.intersects(CapabilitySet::SETUID | CapabilitySet::SETGID);
    let identity = if changes_user { Identity::Caller } else { Identity::Own };
    let serve = move |device: OwnedFd| {
        let policy = Arc::new(policy);
        let config = Config {
            root,
            policy: Policy { checker: policy.clone(), rights: policy, subjects },
            session,
            identity,
            sink,
            proc,
            seen_at: PathBuf::from("/"),
            lifetime: LIFETIME,
            passthrough: Passthrough::Auto,
            threads: std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8),
        };
        let mount = Mount::serve(device, config).map_err(io::Error::other)?;
        Ok(Box::new(mount) as Box<_>)
    };
    let mut note = |text: &str| {
        if args.verbose {
            eprintln!("boesfs: {text}");
        }
    };
    Ok(run(plan, Box::new(serve), &mut note)?)
}

/// A hook that cannot enforce a rule as written refuses the policy.
fn refuse_losses(args: &ExecArgs, hook: Hook, manifest: &Manifest) -> Result<()> {
    let losses = hook.losses(manifest);
    for loss in &losses {
        let (file, line) = manifest.place(loss.rule).unwrap_or(("?", 0));
        eprintln!("boesfs: {file}:{line}: the {hook} hook {}: {}", loss.what, loss.what.help());
    }
    if losses.is_empty() || args.best_effort {
        return Ok(());
    }
    bail!("the {hook} hook cannot enforce {} as written", args.policy.display());
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

/// Opens the audit stream, before anything of the workload runs.
fn audit_stream(file: &Path, tables: &Tables, classes: &Classes) -> Result<Box<dyn io::Write + Send>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdout()));
    }
    let stream = OpenOptions::new().append(true).create(true).mode(0o600).open(file);
    let stream = stream.with_context(|| format!("cannot open the audit stream {}", file.display()))?;
    let kind = stream.metadata().context("cannot look at the audit stream")?.file_type();
    let is_file = !(kind.is_fifo() || kind.is_char_device() || kind.is_socket());
    if is_file {
        // Where the kernel says it is: the name given may lead through links.
        let path = std::fs::read_link(format!("/proc/self/fd/{}", stream.as_raw_fd()))
            .context("cannot tell where the audit stream is")?;
        if is_within_reach(&path, tables, classes) {
            bail!("the policy lets the command change {}: put the audit stream elsewhere", path.display());
        }
    }
    Ok(Box::new(stream))
}

/// Whether a subject of `classes` may perhaps change what stands at `path`, or move it away.
fn is_within_reach(path: &Path, tables: &Tables, classes: &Classes) -> bool {
    let change = Ops::of(&[Op::Write, Op::Append, Op::Truncate, Op::Unlink, Op::Rename]);
    let moving = Ops::of(&[Op::Rename]);
    let names: Vec<&[u8]> = path.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|n| !n.is_empty()).collect();
    let may = |state: StateId, ops: Ops| {
        classes.list.iter().any(|class| ops.iter().any(|op| may_be_allowed(tables, state, *class, op)))
    };
    let mut state = StateId::ROOT;
    for (i, name) in names.iter().enumerate() {
        state = tables.step(state, name);
        let is_last = i + 1 == names.len();
        if may(state, if is_last { change } else { moving }) {
            return true;
        }
    }
    false
}

fn may_be_allowed(tables: &Tables, state: StateId, class: ClassId, op: Op) -> bool {
    use boesfs_codegen::tables::unpack_verdict;
    use boesfs_lang::policy::Effect;
    tables.chain(state, class, op).any(|decision| unpack_verdict(decision.verdict).effect == Effect::Allow)
}

fn tell_setup(hook: Hook, manifest: &Manifest, classes: &Classes, root: &Root) {
    let who = match Privilege::of_caller() {
        Privilege::Admin => "with privileges of its own",
        Privilege::Ordinary => "in a user namespace",
    };
    eprintln!("boesfs: policy {}, hook {hook}, {who}", manifest.name);
    for class in &classes.list {
        let roles = manifest.subjects.classes.get(class.0 as usize).map_or(&[][..], |class| &class.roles);
        let names: Vec<&str> =
            roles.iter().filter_map(|role| Some(manifest.subjects.roles.get(role.0 as usize)?.name.as_str())).collect();
        eprintln!("boesfs: subjects act as {}", if names.is_empty() { "no role".to_owned() } else { names.join(", ") });
    }
    let access = |access: Access| match access {
        Access::Full => "everything allowed",
        Access::ReadOnly => "read-only: refusals there are EROFS, and not recorded",
    };
    match root {
        Root::Native(a) => eprintln!("boesfs: native zone / ({}): nothing needs judgement", access(*a)),
        Root::Fuse(zones) => {
            for zone in zones {
                eprintln!("boesfs: native zone {} ({})", zone.path.display(), access(zone.access));
            }
        }
    }
}

fn tell_totals(totals: Totals) {
    let Totals { refused, killed, allowed, lost } = totals;
    eprintln!("boesfs: {refused} refusals recorded ({killed} killed for), {allowed} audited, {lost} records lost");
}
