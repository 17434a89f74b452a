//! The kernel module's hook: `boesfs.ko` judges, and this process only listens.

use std::io;
use std::os::fd::OwnedFd;

use anyhow::Result;
use boesfs_codegen::manifest::Manifest;
use boesfs_codegen::object::PolicyObject;
use boesfs_lang::subjects::ClassId;
use boesfs_runtime::audit::Recorder;
use boesfs_runtime::hook::Hook;
use boesfs_runtime::kmod::{KmodTree, Policy, Watch};
use boesfs_runtime::sandbox::layer::Layer;
use boesfs_runtime::sandbox::plan::Root;
use boesfs_runtime::sandbox::session::Classes;
use boesfs_runtime::sandbox::{self, Ended};
use rustix::thread::CapabilitySet;

use super::{ExecArgs, finish, note, plan, recorder, renew, tell};

/// A policy that the module has.
pub(super) struct Registered {
    class: Option<ClassId>,
    policy: Policy,
    tree: KmodTree,
}

/// Has the module take the policy.
///
/// # Errors
/// It cannot enforce it for these subjects, or does not take it.
pub(super) fn prepare(object: &PolicyObject, classes: &Classes) -> Result<Registered> {
    // Where there is none, the module finds out who asks.
    let class = classes.single();
    let policy = Policy::register(object)?;
    let tree = policy.tree(class)?;
    Ok(Registered { class, policy, tree })
}

/// Runs the command under `object`.
pub(super) fn run(
    args: &ExecArgs,
    object: PolicyObject,
    classes: &Classes,
    keep: CapabilitySet,
    Registered { class, policy: registered, tree }: Registered,
) -> Result<Ended> {
    let root = Root::Kmod(tree.clone());
    if args.verbose {
        tell::setup(Hook::Kmod, &object.manifest, classes, &root);
    }
    let plan = plan(args, &object.manifest, root, keep)?;
    let recorder = recorder(args, &object.manifest, &object.tables, classes)?;
    // What the kernel has of it is in the kernel.
    let manifest = object.manifest;
    let mut layer = Kmod { args, keep, manifest, class, registered, tree, recorder: recorder.clone(), watch: None };
    let ended = sandbox::run(&plan, &mut layer, &mut note(args));
    drop(layer);
    finish(args, recorder);
    Ok(ended?)
}

/// The kernel module's hook at work. What listens ends before the policy goes.
struct Kmod<'a> {
    args: &'a ExecArgs,
    /// The capabilities that processes keep.
    keep: CapabilitySet,
    /// Of the policy in force.
    manifest: Manifest,
    class: Option<ClassId>,
    watch: Option<Watch>,
    registered: Policy,
    tree: KmodTree,
    recorder: Recorder,
}

impl Layer for Kmod<'_> {
    /// The tree is mounted: from here on there may be events.
    fn serve(&mut self, _token: OwnedFd) -> io::Result<()> {
        let watch = self.registered.watch(&self.tree, self.recorder.clone()).map_err(io::Error::other)?;
        self.watch = Some(watch);
        Ok(())
    }

    fn reload(&mut self) -> Result<String, String> {
        let new = renew::read(self.args, Hook::Kmod, &self.manifest, self.class, self.keep)?;
        if new.class != self.class {
            return Err("the session's roles have another number in it: start the sandbox anew".to_owned());
        }
        new.keeps_executables(&self.manifest)?;
        self.registered.replace(&new.object).map_err(|error| error.to_string())?;
        let recorder = self.recorder.named(new.names);
        let told = format!("policy {} is in force, as it is written now", new.object.manifest.name);
        self.manifest = new.object.manifest;
        // What the old one has recorded is passed on before its reader ends.
        match self.registered.watch(&self.tree, recorder) {
            Ok(watch) => {
                self.watch = Some(watch);
                Ok(told)
            }
            Err(error) => Ok(format!("{told}, but its records cannot be read: {error}")),
        }
    }
}
