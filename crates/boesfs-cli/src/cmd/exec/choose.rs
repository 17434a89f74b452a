//! Which hooks can enforce the policy.

use anyhow::{Result, bail};
use boesfs_codegen::manifest::Manifest;
use boesfs_runtime::hook::{Hook, Loss};
use boesfs_runtime::sandbox::Privilege;
use boesfs_runtime::{kmod, lsm};

use super::ExecArgs;
use crate::hooks::Choice;

/// The hook that was asked for, or those that this machine has, the best first. Never none.
pub(super) fn candidates(args: &ExecArgs) -> Vec<Hook> {
    match args.hook {
        Choice::Named(hook) => vec![hook],
        // The LSM hook has not been compared with the definition to the end (docs/lsm.md): it is taken by name alone.
        Choice::Auto => Hook::ALL.into_iter().filter(|hook| *hook != Hook::Lsm && usable(*hook)).collect(),
    }
}

/// Those of `candidates` that enforce the policy as written. Never none.
///
/// # Errors
/// None can enforce the policy, and `--best-effort` was not given; what is lost has been told.
pub(super) fn hooks(args: &ExecArgs, manifest: &Manifest, candidates: &[Hook]) -> Result<Vec<Hook>> {
    if args.hook == Choice::Auto {
        let exact = |hook: &&Hook| hook.losses(manifest).is_empty();
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
