//! The BPF LSM hook: programs in the kernel judge the sandbox's tasks on the host's own tree.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use anyhow::Result;
use boesfs_codegen::manifest::Manifest;
use boesfs_codegen::object::PolicyObject;
use boesfs_lang::subjects::ClassId;
use boesfs_runtime::audit::Recorder;
use boesfs_runtime::hook::Hook;
use boesfs_runtime::lsm::{self, Access, Armed, Cgroup, Doubts, Guard, Keeper, Reason, Terms, Tree};
use boesfs_runtime::sandbox::layer::{Layer, Members};
use boesfs_runtime::sandbox::plan::{Plan, Root};
use boesfs_runtime::sandbox::session::Classes;
use boesfs_runtime::sandbox::zones;
use boesfs_runtime::sandbox::{self, Allocation, Calls, Ended};
use rustix::thread::CapabilitySet;

use super::{ExecArgs, finish, note, plan, recorder, renew, tell};
use crate::causes::with_causes;

/// A policy that the kernel has.
pub(super) struct Prepared {
    /// That of everyone; none: each subject's own.
    class: Option<ClassId>,
    keeper: Keeper,
    guard: Guard,
    /// Why system calls are filtered, if they are.
    filtered: Option<Reason>,
}

/// Has the kernel take the policy, for a cgroup that has no task yet.
///
/// # Errors
/// It cannot enforce it for these subjects, or does not take it.
pub(super) fn prepare(args: &ExecArgs, object: &PolicyObject, classes: &Classes) -> Result<Prepared> {
    let class = classes.single();
    lsm::fits(object)?;
    // Forked first: there is one thread.
    let keeper = Keeper::start(Cgroup::new()?)?;
    let filtered = lsm::need_filter(object, class)?;
    let guard = load(args, object, class, &keeper, Some(lsm::refused_by(filtered.as_ref())), None)?;
    let filtered = filtered.or((guard.gates() == 0).then_some(Reason::Ungated));
    Ok(Prepared { class, keeper, guard, filtered })
}

/// Loads the programs for the keeper's cgroup; shows what the verifier has to say, if anything.
pub(super) fn load(
    args: &ExecArgs,
    object: &PolicyObject,
    class: Option<ClassId>,
    keeper: &Keeper,
    calls: Option<Calls>,
    replaced: Option<&Armed>,
) -> Result<Guard> {
    let access = if args.judge_access { Access::Judged } else { Access::Unasked };
    let terms = Terms { class, scope: keeper.cgroup().scope(), access, calls };
    let guard = Guard::load(object, terms, replaced).inspect_err(|error| {
        if let (true, Some(log)) = (args.verbose, error.log()) {
            eprintln!("{log}");
        }
    })?;
    Ok(guard)
}

/// Runs the command under `object`.
pub(super) fn run(
    args: &ExecArgs,
    object: PolicyObject,
    classes: &Classes,
    keep: CapabilitySet,
    Prepared { class, keeper, guard, filtered }: Prepared,
) -> Result<Ended> {
    let root = Root::Native(zones::Access::Full);
    if args.verbose {
        tell::setup(Hook::Lsm, &object.manifest, classes, &root);
        match &filtered {
            Some(reason) => eprintln!("boesfs: each system call passes through a filter: {reason}"),
            None => eprintln!(
                "boesfs: no system call is filtered: {} programs that all sandboxes share refuse what reaches around the tree",
                guard.gates()
            ),
        }
        tell_programs(&guard);
    }
    let calls = lsm::refused_by(filtered.as_ref());
    let allocation = if guard.appends_only() { Allocation::Unsupported } else { Allocation::Judged };
    let plan = plan(args, &object.manifest, root, keep)?;
    let plan = Plan { allocation, calls, cgroup: Some(Arc::new(keeper.cgroup().procs()?)), ..plan };
    let recorder = recorder(args, &object.manifest, &object.tables, classes)?;
    let doubts = Doubts::default();
    let mut layer = Lsm {
        args,
        keep,
        object,
        class,
        keeper: &keeper,
        calls,
        allocation,
        guard: Some(guard),
        recorder: recorder.clone(),
        doubts: doubts.clone(),
        armed: None,
    };
    let ended = sandbox::run(&plan, &mut layer, &mut note(args));
    drop(layer);
    drop(plan);
    // Every task of the cgroup is gone: it lets the programs go, and removes it.
    drop(keeper);
    finish(args, recorder);
    for (count, what) in doubts.told() {
        eprintln!("boesfs: {count} {what}");
    }
    Ok(ended?)
}

/// Tells which programs there are, what the verifier had to do for them, and what none of them sees.
pub(super) fn tell_programs(guard: &Guard) {
    if guard.access_unasked() {
        eprintln!("boesfs: access(2) is not asked about: --judge-access has it ask for `stat`");
    }
    match (guard.shared(), guard.unshared()) {
        (Some(count), _) => eprintln!("boesfs: programs are reached from {count} that all sandboxes share"),
        (None, Some(error)) => eprintln!("boesfs: programs are attached by themselves, not shared: {error}"),
        (None, None) => {}
    }
    let programs = guard.programs();
    for (program, instructions) in &programs {
        eprintln!("boesfs: program {program}: {instructions} instructions verified");
    }
    let (all, took) = (programs.iter().map(|(_, instructions)| instructions).sum::<u32>(), guard.took());
    eprintln!(
        "boesfs: {} programs of {all} instructions verified: maps {} ms, load {} ms, attach {} ms",
        programs.len(),
        took.maps.as_millis(),
        took.load.as_millis(),
        took.attach.as_millis()
    );
}

/// The hook at work.
struct Lsm<'a> {
    args: &'a ExecArgs,
    /// The capabilities that processes keep.
    keep: CapabilitySet,
    /// The policy in force.
    object: PolicyObject,
    /// That of everyone; none: each subject's own.
    class: Option<ClassId>,
    keeper: &'a Keeper,
    /// What the sandbox was set up with.
    calls: Calls,
    allocation: Allocation,
    guard: Option<Guard>,
    recorder: Recorder,
    doubts: Doubts,
    /// The programs at work, and the sandbox that they judge.
    armed: Option<(Armed, Members)>,
}

impl Layer for Lsm<'_> {
    fn guards(&self) -> bool {
        true
    }

    fn guard(&mut self, members: Members) -> io::Result<()> {
        let guard = self.guard.take().ok_or(io::ErrorKind::AlreadyExists)?;
        let armed = guard.arm(
            self.keeper,
            Tree::Sandbox(members.init),
            &self.object.tables,
            self.recorder.clone(),
            &self.doubts,
        );
        self.armed = Some((armed.map_err(io::Error::other)?, members));
        Ok(())
    }

    fn stands(&self) -> bool {
        self.keeper.lives()
    }

    /// The new programs take the place of the old ones at once; or, where they are attached by themselves, before the old ones are detached: in
    /// between, both must allow.
    fn reload(&mut self) -> Result<String, String> {
        let Some((armed, members)) = &self.armed else { return Err("the command has not been started yet".to_owned()) };
        let new = renew::read(self.args, Hook::Lsm, &self.object.manifest, self.class, self.keep)?;
        let class = new.class;
        let executables = |manifest: &Manifest| -> BTreeSet<_> {
            manifest.subjects.exes.iter().map(|exe| exe.subject.clone()).collect()
        };
        let now = executables(&new.object.manifest);
        let told = self.class.is_none() && now == executables(&self.object.manifest);
        if class.is_none() && !now.is_empty() && !told {
            return Err(format!(
                "the {} hook remembers which of the executables with roles a task runs, and they are other ones in the new policy: give roles to \
                 the same executables, or start the sandbox anew",
                Hook::Lsm
            ));
        }
        if self.allocation == Allocation::Judged && lsm::appends_only(&new.object, class) {
            return Err("something may be appended to that may not be written, and fallocate(2), which the hook does not see apart, is open to \
                        the command: start the sandbox anew"
                .to_owned());
        }
        let members = *members;
        let guard = load(self.args, &new.object, class, self.keeper, Some(self.calls), Some(armed))
            .map_err(|error| with_causes(error.as_ref()))?;
        let recorder = self.recorder.named(new.names);
        let armed = guard.arm(self.keeper, Tree::Sandbox(members.init), &new.object.tables, recorder, &self.doubts);
        self.armed = Some((armed.map_err(|error| error.to_string())?, members));
        (self.object, self.class) = (new.object, class);
        Ok(format!("policy {} is in force, as it is written now", self.object.manifest.name))
    }
}
