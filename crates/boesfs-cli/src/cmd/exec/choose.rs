//! Which hooks can enforce the policy.

use anyhow::{Result, bail};
use boesfs_codegen::manifest::Manifest;
use boesfs_codegen::object::PolicyObject;
use boesfs_runtime::hook::{Hook, Loss};
use boesfs_runtime::sandbox::Privilege;
use boesfs_runtime::sandbox::session::Classes;
use boesfs_runtime::{kmod, lsm};

use super::ExecArgs;
use crate::hooks::Choice;

/// The hook that was asked for, or those that this machine has, the best first. Never none.
pub(super) fn candidates(args: &ExecArgs) -> Vec<Hook> {
    match args.hook {
        Choice::Named(hook) => vec![hook],
        Choice::Auto => Hook::ALL.into_iter().filter(|hook| usable(*hook)).collect(),
    }
}

/// Those of `candidates` that enforce the policy as written. Never none.
///
/// # Errors
/// None can enforce the policy, and `--best-effort` was not given; what is lost has been told.
pub(super) fn hooks(
    args: &ExecArgs,
    object: &PolicyObject,
    classes: &Classes,
    candidates: &[Hook],
) -> Result<Vec<Hook>> {
    let manifest = &object.manifest;
    if args.hook == Choice::Auto {
        let exact = |hook: &&Hook| match inexact(args, **hook, object, classes) {
            Some(why) => {
                if args.verbose {
                    eprintln!("boesfs: not with the {hook} hook: {why}");
                }
                false
            }
            None => true,
        };
        let found: Vec<Hook> = candidates.iter().filter(exact).copied().collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    // The one that works everywhere, if there is no other.
    let hook = if let Choice::Named(hook) = args.hook { hook } else { Hook::Fuse };
    let losses = hook.losses(manifest);
    tell(hook, &losses, manifest);
    if !losses.is_empty() && !args.best_effort {
        bail!("the {hook} hook cannot enforce {} as written", args.policy.display());
    }
    Ok(vec![hook])
}

/// Why the hook does not enforce the policy exactly as it is written, if it does not.
fn inexact(args: &ExecArgs, hook: Hook, object: &PolicyObject, classes: &Classes) -> Option<String> {
    if let Some(loss) = hook.losses(&object.manifest).first() {
        return Some(describe(hook, loss, &object.manifest));
    }
    match hook {
        Hook::Fuse => return None,
        Hook::Kmod => return kmod::fits(object).err().map(|error| error.to_string()),
        Hook::Lsm => {}
    }
    let class = classes.single();
    // It would be asked for each directory of every walk on the machine: who wants that says so.
    if !args.judge_access && lsm::concerns_access(object, class) {
        return Some(
            "`stat` is refused somewhere, and access(2) would not be asked about: give --judge-access".to_owned(),
        );
    }
    // Refusals that no rule asks for.
    lsm::appends_only(object, class).then(|| {
        "something may be appended to that may not be written, so it would refuse fallocate(2) for all files".to_owned()
    })
}

/// Whether this machine has what the hook needs. FUSE says so itself when it mounts.
fn usable(hook: Hook) -> bool {
    match hook {
        Hook::Fuse => true,
        // Loading the policy takes root, and so does mounting.
        Hook::Kmod => Privilege::of_caller() == Privilege::Admin && kmod::module().is_ok(),
        Hook::Lsm => Privilege::of_caller() == Privilege::Admin && lsm::listed().is_ok(),
    }
}

fn tell(hook: Hook, losses: &[Loss], manifest: &Manifest) {
    for loss in losses {
        eprintln!("boesfs: {}: {}", describe(hook, loss, manifest), loss.what.help());
    }
}

/// Where a loss is written, and what it is.
pub(super) fn describe(hook: Hook, loss: &Loss, manifest: &Manifest) -> String {
    let place = loss.rule.and_then(|rule| manifest.place(rule));
    let place = place.map_or_else(|| "default".to_owned(), |(file, line)| format!("{file}:{line}"));
    format!("{place}: the {hook} hook {}", loss.what)
}
