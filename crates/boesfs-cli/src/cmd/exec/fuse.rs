//! The FUSE hook: the agent serves the tree, and native zones stand in it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use boesfs_codegen::object::PolicyObject;
use boesfs_runtime::audit::Recorder;
use boesfs_runtime::fuse::{Config, Identity, Mount, Passthrough, Policy, Session};
use boesfs_runtime::hook::Hook;
use boesfs_runtime::policy::{LoadedPolicy, PolicyError};
use boesfs_runtime::sandbox::layer::Layer;
use boesfs_runtime::sandbox::plan::Root;
use boesfs_runtime::sandbox::session::Classes;
use boesfs_runtime::sandbox::{self, Ended, zones};
use rustix::fs::{Mode, OFlags, open};
use rustix::thread::CapabilitySet;

use super::{ExecArgs, finish, note, plan, recorder, tell};

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
    let session = classes.single().map_or(Session::ByProcess, Session::Fixed);
    // Without these capabilities, every process of the sandbox is of the agent's user and groups.
    let changes_user = plan.keep.intersects(CapabilitySet::SETUID | CapabilitySet::SETGID);
    let parts = Parts {
        object,
        root: directory("/")?,
        proc: directory("/proc")?,
        session,
        identity: if changes_user { Identity::Caller } else { Identity::Own },
        recorder: recorder.clone(),
    };
    let mut layer = Fuse { parts: Some(parts), config: None, served: None };
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
        let policy = Arc::new(LoadedPolicy::new(self.object)?);
        let subjects = policy.manifest().subjects.clone();
        Ok(Config {
            root: self.root,
            policy: Policy { checker: policy.clone(), rights: policy, subjects },
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

/// The FUSE hook at work.
struct Fuse {
    /// Until the policy is ready.
    parts: Option<Parts>,
    /// Until the file system is served.
    config: Option<Config>,
    served: Option<Mount>,
}

impl Layer for Fuse {
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
}

/// How many processors this process may use. `std` looks at the limits of cgroups besides, in a dozen files: while the workload
/// waits for its first answer.
fn processors() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(2, |set| set.count() as usize)
}
