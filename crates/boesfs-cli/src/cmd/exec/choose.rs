//! Which hooks can enforce the policy.

use anyhow::{Result, bail};
use boesfs_codegen::manifest::Manifest;
use boesfs_runtime::hook::{Hook, Loss};
use boesfs_runtime::sandbox::Privilege;
use boesfs_runtime::{kmod, lsm};

use super::ExecArgs;
use crate::hooks::Choice;

/// The hook that was asked for, or those that this machine has and that enforce the policy as written, the best first. Never none.
///
/// # Errors
/// None can enforce the policy, and `--best-effort` was not given; what is lost has been told.
pub(super) fn hooks(args: &ExecArgs, manifest: &Manifest) -> Result<Vec<Hook>> {
    if args.hook == Choice::Auto {
        // The LSM hook has not been compared with the definition to the end (docs/lsm.md): it is taken by name alone.
        let exact = |hook: &Hook| *hook != Hook::Lsm && hook.losses(manifest).is_empty() && usable(*hook);
        let found: Vec<Hook> = Hook::ALL.into_iter().filter(exact).collect();
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

/// Whether the policy can only be asked in this process: none of the kernel's hooks is to be had, or wanted.
pub(super) fn asks_here(args: &ExecArgs) -> bool {
    match args.hook {
        Choice::Named(hook) => hook == Hook::Fuse,
        Choice::Auto => args.cgroup.is_none() && !usable(Hook::Kmod),
    }
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
