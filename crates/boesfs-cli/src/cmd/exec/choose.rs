//! Which hook enforces the policy.

use anyhow::{Result, bail};
use boesfs_codegen::manifest::Manifest;
use boesfs_runtime::hook::{Hook, Loss};
use boesfs_runtime::sandbox::Privilege;
use boesfs_runtime::{kmod, lsm};

use super::ExecArgs;
use crate::hooks::Choice;

/// The hook that was asked for, or the best one that this machine has and that enforces the policy as written.
///
/// # Errors
/// It cannot enforce the policy, and `--best-effort` was not given; what is lost has been told.
pub(super) fn hook(args: &ExecArgs, manifest: &Manifest) -> Result<Hook> {
    let hook = match args.hook {
        Choice::Named(hook) => hook,
        Choice::Auto => best(manifest),
    };
    let losses = hook.losses(manifest);
    tell(hook, &losses, manifest);
    if !losses.is_empty() && !args.best_effort {
        bail!("the {hook} hook cannot enforce {} as written", args.policy.display());
    }
    Ok(hook)
}

/// The first that is usable and exact; the one that works everywhere, if there is none.
fn best(manifest: &Manifest) -> Hook {
    // The LSM hook leaves the host's sockets in reach (docs/lsm.md): it is taken by name alone.
    let exact = |hook: &Hook| *hook != Hook::Lsm && hook.losses(manifest).is_empty() && usable(*hook);
    Hook::ALL.into_iter().find(exact).unwrap_or(Hook::Fuse)
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
