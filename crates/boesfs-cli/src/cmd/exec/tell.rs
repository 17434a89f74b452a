//! What `--verbose` shows.

use boesfs_codegen::manifest::Manifest;
use boesfs_runtime::audit::Totals;
use boesfs_runtime::hook::Hook;
use boesfs_runtime::sandbox::Privilege;
use boesfs_runtime::sandbox::plan::Root;
use boesfs_runtime::sandbox::session::Classes;
use boesfs_runtime::sandbox::zones::Access;

/// Tells about the set-up.
pub(super) fn setup(hook: Hook, manifest: &Manifest, classes: &Classes, root: &Root) {
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
        Access::View => "read-only, not executable: refusals there are EROFS or EACCES, and not recorded",
    };
    match root {
        Root::Native(a) => eprintln!("boesfs: native zone / ({}): nothing needs judgement", access(*a)),
        Root::Kmod(tree) => {
            for mount in &tree.mounts {
                eprintln!("boesfs: judged {}", mount.display());
            }
        }
        Root::Fuse(zones) => {
            for zone in zones {
                eprintln!("boesfs: native zone {} ({})", zone.path.display(), access(zone.access));
            }
        }
    }
}

/// Tells what was recorded.
pub(super) fn totals(totals: Totals) {
    let Totals { refused, killed, allowed, lost } = totals;
    eprintln!("boesfs: {refused} refusals recorded ({killed} killed for), {allowed} audited, {lost} records lost");
}
