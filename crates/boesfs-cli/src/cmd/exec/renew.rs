//! The policy as it is written now, for a sandbox that runs already.

use std::sync::Arc;

use boesfs_codegen::manifest::Manifest;
use boesfs_codegen::object::PolicyObject;
use boesfs_lang::subjects::{ClassId, RoleId};
use boesfs_runtime::audit::Names;
use boesfs_runtime::hook::{Hook, Loss, Lost};
use boesfs_runtime::sandbox::session::Classes;
use rustix::thread::CapabilitySet;

use super::choose::describe;
use super::{ExecArgs, audit};

/// A policy that can take the place of the one in force.
pub(super) struct Renewed {
    pub(super) object: PolicyObject,
    pub(super) names: Names,
    /// The class of everyone; none: each subject's own.
    pub(super) class: Option<ClassId>,
    /// All that can occur.
    pub(super) classes: Classes,
}

impl Renewed {
    /// That there are roles of executables where there were some, and none where there were none: the sandbox was set up for that.
    ///
    /// # Errors
    /// Why it cannot take the place of `old`.
    pub(super) fn keeps_executables(&self, old: &Manifest) -> Result<(), String> {
        if self.object.manifest.subjects.exes.is_empty() != old.subjects.exes.is_empty() {
            return Err("roles of executables come or go with it: start the sandbox anew".to_owned());
        }
        Ok(())
    }
}

/// Reads the policy again, for subjects that have the roles of `class` in the policy behind `old`, if they were named on the command line; else for those
/// that the new one assigns, where processes keep the capabilities `keep`.
///
/// # Errors
/// Why it cannot take the other one's place; its mistakes are shown on standard error.
pub(super) fn read(
    args: &ExecArgs,
    hook: Hook,
    old: &Manifest,
    class: Option<ClassId>,
    keep: CapabilitySet,
) -> Result<Renewed, String> {
    let object = super::read(args).map_err(|error| {
        error.show("boesfs");
        error.to_string()
    })?;
    let losses = hook.losses(&object.manifest);
    // Of a cgroup that is there, nothing is made anew.
    let lost = |loss: &&Loss| args.cgroup.is_none() || loss.what != Lost::Place;
    if let Some(loss) = losses.iter().find(lost).filter(|_| !args.best_effort) {
        return Err(describe(hook, loss, &object.manifest));
    }
    let classes = match class {
        Some(class) if !args.role.is_empty() => Classes::fixed(same_roles(old, class, &object.manifest)?),
        _ => super::classes(args, &object.manifest, keep).map_err(|error| error.to_string())?,
    };
    if let Some(file) = &args.audit {
        audit::stays_out_of_reach(file, &object.tables, &classes)?;
    }
    let names = Names(Arc::new(object.manifest.clone()));
    Ok(Renewed { names, class: classes.single(), classes, object })
}

/// The class of `new` whose roles have the names of those of `class` in `old`.
fn same_roles(old: &Manifest, class: ClassId, new: &Manifest) -> Result<ClassId, String> {
    let roles = old.subjects.classes.get(class.0 as usize).map_or(&[][..], |class| &class.roles);
    let mut found: Vec<RoleId> = Vec::new();
    for role in roles {
        let name = &old.subjects.roles[role.0 as usize].name;
        let role = new.subjects.role_by_name(name);
        found.push(role.ok_or_else(|| format!("it has no role `{name}` any more, which the session holds"))?);
    }
    let class = new.subjects.class_of(&found);
    class.ok_or_else(|| "nobody may hold the roles of the session at once any more".to_owned())
}
