//! The FUSE hook: the agent serves the tree, and native zones stand in it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use boesfs_codegen::object::PolicyObject;
use boesfs_lang::subjects::ClassId;
use boesfs_runtime::audit::Recorder;
use boesfs_runtime::fuse::{Config, Identity, Mount, Passthrough, Policy, Replacement, Session};
use boesfs_runtime::hook::Hook;
use boesfs_runtime::policy::{LoadedPolicy, PolicyError};
use boesfs_runtime::sandbox::layer::Layer;
use boesfs_runtime::sandbox::plan::{Plan, Root};
use boesfs_runtime::sandbox::session::Classes;
use boesfs_runtime::sandbox::{self, Ended, zones};
use rustix::fs::{Mode, OFlags, open};
use rustix::thread::CapabilitySet;

use super::{ExecArgs, finish, note, plan, recorder, renew, tell};

/// How long the kernel may keep names and attributes: a change made below the mount is seen within this time.
const LIFETIME: Duration = Duration::from_secs(1);

/// Runs the command under `object`.
pub(super) fn run(args: &ExecArgs, object: PolicyObject, classes: &Classes, keep: CapabilitySet) -> Result<Ended> {
    let zones = if args.no_native { Vec::new() } else { zones::find(&object.tables, classes) };
    let root = match zones.as_slice() {
        [zone] if zone.path == Path::new("/") => Root::Native(zone.access),
        _ => Root::Fuse(zones),
    };
    if args.verbose {
        tell::setup(Hook::Fuse, &object.manifest, classes, &root);
    }
    let plan = plan(args, &object.manifest, root, keep)?;
    let recorder = recorder(args, &object.manifest, &object.tables, classes)?;
    let directory = |path: &str| -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(path, flags, Mode::empty()).with_context(|| format!("cannot open {path}"))
    };
    // Without these capabilities, every process of the sandbox is of the agent's user and groups.
    let changes_user = plan.keep.intersects(CapabilitySet::SETUID | CapabilitySet::SETGID);
    let parts = Parts {
        object,
        root: directory("/")?,
        proc: directory("/proc")?,
        session: session(classes.single()),
        identity: if changes_user { Identity::Caller } else { Identity::Own },
        recorder: recorder.clone(),
    };
    let mut layer = Fuse {
        parts: Some(parts),
        config: None,
        served: None,
        args,
        plan: &plan,
        class: classes.single(),
        recorder: recorder.clone(),
    };
    let ended = sandbox::run(&plan, &mut layer, &mut note(args));
    drop(layer);
    finish(args, recorder);
    Ok(ended?)
}

/// What the file system is made of.
struct Parts {
    object: PolicyObject,
    root: OwnedFd,
    proc: OwnedFd,
    session: Session,
    identity: Identity,
    recorder: Recorder,
}

impl Parts {
    /// Readies the policy's functions.
    fn config(self) -> Result<Config, PolicyError> {
        Ok(Config {
            root: self.root,
            policy: policy(self.object)?,
            session: self.session,
            identity: self.identity,
            sink: Arc::new(self.recorder),
            proc: self.proc,
            seen_at: PathBuf::from("/"),
            lifetime: LIFETIME,
            passthrough: Passthrough::Auto,
            threads: processors().clamp(2, 8),
        })
    }
}

/// Readies the functions of `object`.
fn policy(object: PolicyObject) -> Result<Policy, PolicyError> {
    let policy = Arc::new(LoadedPolicy::new(object)?);
    let subjects = policy.manifest().subjects.clone();
    Ok(Policy { checker: policy.clone(), rights: policy, subjects })
}

/// Whose class requests are judged by: `class` is that of everyone, if there is one.
fn session(class: Option<ClassId>) -> Session {
    class.map_or(Session::ByProcess, Session::Fixed)
}

/// The FUSE hook at work.
struct Fuse<'a> {
    /// Until the policy is ready.
    parts: Option<Parts>,
    /// Until the file system is served.
    config: Option<Config>,
    served: Option<Mount>,
    args: &'a ExecArgs,
    plan: &'a Plan,
    /// The class of everyone; none: each subject's own.
    class: Option<ClassId>,
    /// Its names are those of the policy in force.
    recorder: Recorder,
}

impl Fuse<'_> {
    /// The first zone in which requests would have to be judged by `object`, for subjects of `classes`.
    fn needs_judgement(&self, object: &PolicyObject, classes: &Classes) -> Option<&Path> {
        let stay = zones::find(&object.tables, classes);
        let stays = |path: &Path, access| stay.iter().any(|new| new.access == access && path.starts_with(&new.path));
        match &self.plan.root {
            Root::Native(access) => Some(Path::new("/")).filter(|root| !stays(root, *access)),
            Root::Fuse(zones) => {
                zones.iter().find(|zone| !stays(&zone.path, zone.access)).map(|zone| zone.path.as_path())
            }
            Root::Kmod(_) => None,
        }
    }
}

impl Layer for Fuse<'_> {
    fn prepare(&mut self) -> io::Result<()> {
        let parts = self.parts.take().ok_or(io::ErrorKind::AlreadyExists)?;
        self.config = Some(parts.config().map_err(io::Error::other)?);
        Ok(())
    }

    fn serve(&mut self, device: OwnedFd) -> io::Result<()> {
        let config = self.config.take().ok_or(io::ErrorKind::AlreadyExists)?;
        self.served = Some(Mount::serve(device, config).map_err(io::Error::other)?);
        Ok(())
    }

    fn reload(&mut self) -> Result<String, String> {
        let old = self.recorder.names();
        let new = renew::read(self.args, Hook::Fuse, old, self.class, self.plan.keep)?;
        new.keeps_executables(old)?;
        if let Some(zone) = self.needs_judgement(&new.object, &new.classes) {
            return Err(format!(
                "{} is a native zone, where nothing is asked, and needs judgement by it: start the sandbox anew, with --no-native if rules for it may change again",
                zone.display()
            ));
        }
        let recorder = self.recorder.named(new.names);
        if let Some(served) = &self.served {
            let replacement = Replacement {
                policy: policy(new.object).map_err(|error| error.to_string())?,
                session: session(new.class),
                sink: Arc::new(recorder.clone()),
            };
            served.replace(replacement).map_err(|error| error.to_string())?;
        }
        (self.class, self.recorder) = (new.class, recorder);
        let name = &self.recorder.names().name;
        Ok(format!("policy {name} is in force, as it is written now; files that are open stay open"))
    }
}

/// How many processors this process may use. `std` looks at the limits of cgroups besides, in a dozen files: while the workload
/// waits for its first answer.
fn processors() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(2, |set| set.count() as usize)
}
