//! `--cgroup`: the BPF LSM hook for tasks that are there, such as a container's. They are judged, not put into a sandbox.

use std::path::Path;

use anyhow::{Result, bail};
use boesfs_codegen::manifest::Manifest;
use boesfs_codegen::object::PolicyObject;
use boesfs_lang::subjects::ClassId;
use boesfs_runtime::hook::{Hook, Lost};
use boesfs_runtime::lsm::{Cgroup, Doubts, End, Interrupts, Keeper, Tree};
use boesfs_runtime::sandbox::Ended;
use boesfs_runtime::sandbox::session::Classes;

use super::choose::describe;
use super::renew::{self, Renewed};
use super::{ExecArgs, finish, lsm, recorder};
use crate::causes::with_causes;
use crate::hooks::Choice;

/// Why a policy in which something may only be appended to is not held here.
const GOES_AROUND: &str =
    "fallocate(2), RWF_NOAPPEND and io_submit(2) go around `append` without `write`: nothing filters system calls here";

/// Why roles of executables are refused.
const UNTOLD: &str = "the policy has roles for executables, and what the tasks of a cgroup that is there execute was not seen: \
                      name the roles with --role";

/// The policy in force.
struct Policed {
    manifest: Manifest,
    /// That of everyone; none: each subject's own.
    class: Option<ClassId>,
}

impl Policed {
    /// The policy as it is written now, if it can take the place of this one.
    fn renewed(&self, args: &ExecArgs) -> Result<Renewed, String> {
        let new = renew::read(args, Hook::Lsm, &self.manifest, self.class, super::CHANGES_USER)?;
        if new.class.is_none() && !new.object.manifest.subjects.exes.is_empty() {
            return Err(UNTOLD.to_owned());
        }
        Ok(new)
    }
}

/// Judges the tasks of the cgroup at `path` until it is interrupted, or none is left.
pub(super) fn run(args: &ExecArgs, object: &PolicyObject, classes: &Classes, path: &Path) -> Result<Ended> {
    if !matches!(args.hook, Choice::Auto | Choice::Named(Hook::Lsm)) {
        bail!("only the {} hook judges a cgroup that is there: give --hook lsm", Hook::Lsm);
    }
    let manifest = &object.manifest;
    let mut losses = Hook::Lsm.losses(manifest);
    // Nothing is made anew: /proc, /dev and /sys are those of the tasks, and judged.
    losses.retain(|loss| loss.what != Lost::Place);
    for loss in &losses {
        eprintln!("boesfs: {}: {}", describe(Hook::Lsm, loss, manifest), loss.what.help());
    }
    let class = classes.single();
    if class.is_none() && !manifest.subjects.exes.is_empty() {
        bail!(UNTOLD);
    }
    let keeper = Keeper::start(Cgroup::existing(path)?)?;
    let guard = lsm::load(args, object, class, &keeper, None, None)?;
    if guard.appends_only() {
        eprintln!("boesfs: {GOES_AROUND}");
    }
    if !args.best_effort && (!losses.is_empty() || guard.appends_only()) {
        bail!("the {} hook cannot enforce {} as written on a cgroup", Hook::Lsm, args.policy.display());
    }
    let recorder = recorder(args, manifest, &object.tables, classes)?;
    let doubts = Doubts::default();
    // Before there is a thread that could get them.
    let interrupts = Interrupts::take()?;
    if args.verbose {
        lsm::tell_programs(&guard);
    }
    let mut armed = guard.arm(&keeper, Tree::Found, &object.tables, recorder.clone(), &doubts)?;
    if !args.quiet {
        eprintln!("boesfs: the tasks of {} are judged by {} until this is interrupted", path.display(), manifest.name);
    }
    let mut policy = Policed { manifest: manifest.clone(), class };
    let end = interrupts.or_empty(keeper.cgroup(), &mut || {
        let new = policy.renewed(args)?;
        let guard = lsm::load(args, &new.object, new.class, &keeper, None, Some(&armed))
            .map_err(|error| with_causes(error.as_ref()))?;
        if guard.appends_only() && !args.best_effort {
            return Err(format!("something may be appended to that may not be written: {GOES_AROUND}"));
        }
        // The new programs take the place of the old ones at once; or judge before those go: in between, both must allow.
        let recorder = recorder.named(new.names);
        let renewed = guard.arm(&keeper, Tree::Found, &new.object.tables, recorder, &doubts);
        armed = renewed.map_err(|error| error.to_string())?;
        policy = Policed { manifest: new.object.manifest, class: new.class };
        Ok(format!("policy {} is in force, as it is written now", policy.manifest.name))
    });
    drop(armed);
    drop(keeper);
    finish(args, recorder);
    for (count, what) in doubts.told() {
        eprintln!("boesfs: {count} {what}");
    }
    Ok(match end? {
        End::Empty => Ended::Exited(0),
        End::Signal(signal) => Ended::Signaled(signal),
    })
}
