//! `--cgroup`: the BPF LSM hook for tasks that are there, such as a container's. They are judged, not put into a sandbox.

use std::path::Path;

use anyhow::{Result, bail};
use boesfs_codegen::object::PolicyObject;
use boesfs_runtime::hook::{Hook, Lost};
use boesfs_runtime::lsm::{Cgroup, Doubts, End, Interrupts, Keeper, Tree};
use boesfs_runtime::sandbox::Ended;
use boesfs_runtime::sandbox::session::Classes;

use super::choose::describe;
use super::{ExecArgs, finish, lsm, recorder};
use crate::hooks::Choice;

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
        bail!(
            "the policy has roles for executables, and what the tasks of a cgroup that is there execute was not seen: \
             name the roles with --role"
        );
    }
    let keeper = Keeper::start(Cgroup::existing(path)?)?;
    let guard = lsm::load(args, object, class, &keeper)?;
    if guard.appends_only() {
        eprintln!(
            "boesfs: fallocate(2), RWF_NOAPPEND and io_submit(2) go around `append` without `write`: nothing filters system calls here"
        );
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
    let armed = guard.arm(&keeper, Tree::Found, &object.tables, recorder.clone(), &doubts)?;
    if !args.quiet {
        eprintln!("boesfs: the tasks of {} are judged by {} until this is interrupted", path.display(), manifest.name);
    }
    let end = interrupts.or_empty(keeper.cgroup());
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
