//! The BPF LSM hook: programs in the kernel judge the tasks of a cgroup on the host's own tree.
//!
//! In: a policy object and the class of the session. Out: programs attached to the kernel's hooks, and events. Holds:
//!
//! - everything is loaded and attached before the command runs; what a rule needs and this kernel lacks is an error;
//! - a hook that no rule needs is left alone;
//! - programs are attached by descriptors of the agent and of the [`Keeper`]: they outlive the last process of the sandbox.

mod calls;
mod cgroup;
mod family;
mod keeper;
mod mounts;
mod police;

use std::io;
use std::num::NonZero;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use boesfs_codegen::bpf::Field;
use boesfs_codegen::emit::layout::{Data, Doubt, Map, live, session};
use boesfs_codegen::emit::lsm::{ARM, Attach, LEARN, LsmProgram, PROGRAMS, learned};
use boesfs_codegen::object::PolicyObject;
use boesfs_codegen::tables::{StateId, Tables};
use boesfs_lang::cond::Arg;
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::subjects::ClassId;

use crate::audit::Recorder;
use crate::fuse::{Rights, Row};
use crate::kernel::events::{Below, Reader};
use crate::kernel::program::{Loaded, create_moves};
use crate::kernel::sys::{self, Kind};
use crate::kernel::{KernelError, KernelTypes};
use crate::sandbox::{Calls, handed};

use family::{Holder, Seat};

pub use calls::{Reason, need_filter, refused_by};
pub use cgroup::{Cgroup, Scope};
pub use keeper::Keeper;
pub use mounts::Tree;
pub use police::{End, Interrupts};

/// Why the hook cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LsmError {
    /// The kernel refuses the programs, or lacks what they need.
    #[error("{program}: {source}")]
    Kernel {
        /// The program, or what was to be done.
        program: &'static str,
        /// Why.
        source: KernelError,
    },
    /// The kernel has no hook for an operation that a rule refuses.
    #[error("this kernel has no hook {hook}, which `{op}` needs: use another hook")]
    NoHook {
        /// The hook.
        hook: &'static str,
        /// The operation.
        op: Op,
    },
    /// The object has no program for a hook that a rule needs.
    #[error(
        "the object has no program for the hook {hook}, which `{op}` needs on this kernel: compile the policy without --autoload"
    )]
    NoProgram {
        /// The hook.
        hook: &'static str,
        /// The operation.
        op: Op,
    },
    /// The object has no program that judges access(2).
    #[error(
        "the object has no program that judges access(2): compile the policy without --autoload, or leave --judge-access out"
    )]
    NoAccess,
    /// The kernel refuses a program that the object has in one form alone.
    #[error("the object has {program} for Linux 6.12 and later alone, compile the policy without --autoload: {source}")]
    OneForm {
        /// The program.
        program: &'static str,
        /// Why.
        source: KernelError,
    },
    /// As many programs are attached to a kernel function as there can be.
    #[error(
        "{program}: the kernel attaches no more than 38 programs there: end sandboxes that have programs of their own, or use --hook fuse"
    )]
    Full {
        /// The program.
        program: &'static str,
    },
    /// BPF is not among the security modules.
    #[error(
        "BPF is not among the active security modules: add bpf to lsm= on the kernel's command line, or use --hook fuse"
    )]
    Inactive,
    /// Programs rely on the order in which this processor does not read memory.
    #[error("the programs look at what changes meanwhile in an order that only x86-64 keeps: use --hook fuse")]
    Processor,
    /// A mount maps ids, and a rule asks for the owner, of which programs see what is on disk.
    #[error(
        "{} maps user ids, and the policy has conditions on `owner`: use --hook fuse", .0.display()
    )]
    Mapped(std::path::PathBuf),
    /// A file system was mounted meanwhile that the sandbox would have a filter of system calls for.
    #[error("{} was mounted while the sandbox was set up: start it again", .0.display())]
    Mounted(std::path::PathBuf),
    /// The sandbox's cgroup or mounts cannot be looked at.
    #[error("cannot {what}: {source}")]
    System {
        /// What follows "cannot".
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl LsmError {
    /// All that the kernel's verifier said, where it refused a program.
    #[must_use]
    pub fn log(&self) -> Option<&str> {
        match self {
            LsmError::Kernel { source: KernelError::Refused { log, .. }, .. }
            | LsmError::OneForm { source: KernelError::Refused { log, .. }, .. } => Some(log),
            _ => None,
        }
    }
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> LsmError {
    move |source| LsmError::System { what, source }
}

/// Whether BPF is among the active security modules of this machine.
///
/// # Errors
/// It is not, or that cannot be told.
pub fn listed() -> Result<(), LsmError> {
    match std::fs::read_to_string("/sys/kernel/security/lsm") {
        Ok(list) if list.trim().split(',').any(|name| name == "bpf") => Ok(()),
        Ok(_) => Err(LsmError::Inactive),
        Err(error) => Err(system("read /sys/kernel/security/lsm (is securityfs mounted there?)")(error)),
    }
}

/// The programs of a policy, loaded for the tasks of one cgroup and attached, or to be reached from those that all sandboxes share. They allow
/// everything until they are armed.
#[derive(Debug)]
pub struct Guard {
    loaded: Loaded,
    programs: Vec<(&'static LsmProgram, OwnedFd)>,
    /// Of programs that are attached by themselves.
    links: Vec<OwnedFd>,
    seat: Option<Seat>,
    unshared: Option<LsmError>,
    took: Took,
    learn: OwnedFd,
    arm: OwnedFd,
    appends_only: bool,
    access_unasked: bool,
    asks_owner: bool,
}

/// Whether access(2) is asked about, where `stat` is refused somewhere.
///
/// The kernel asks the hook that sees it for each directory of every walk on the machine, whoever walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is: everybody's walks take longer.
    Judged,
    /// It is not: it tells what there is, and what its permissions, an ACL and a read-only mount give.
    Unasked,
}

/// What programs are loaded for, besides the policy.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The class of all subjects; none: each has that of its user, its groups and its executable.
    pub class: Option<ClassId>,
    /// Whose tasks they judge.
    pub scope: Scope,
    /// Whether access(2) is asked about.
    pub access: Access,
    /// Who refuses the calls that reach around the tree: these programs, or a filter; none: nobody, it is no sandbox.
    pub calls: Option<Calls>,
}

/// How long the steps of [`Guard::load`] took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took {
    /// Reading the kernel's types, making and filling maps.
    pub maps: Duration,
    /// Loading the programs: the verifier, mostly.
    pub load: Duration,
    /// Attaching them.
    pub attach: Duration,
}

/// Hooks that older kernels lack, where another one is asked as well.
const COVERED: [(&str, &str); 7] = [
    ("file_truncate", "path_truncate"),
    ("file_ioctl_compat", "file_ioctl"),
    // These have no such system calls either.
    ("inode_file_getattr", "file_ioctl"),
    ("inode_file_setattr", "file_ioctl"),
    ("inode_set_acl", "inode_setxattr"),
    ("inode_remove_acl", "inode_removexattr"),
    ("inode_get_acl", "inode_getxattr"),
];

/// Bytes of `struct upid`, which begins with a number.
const NUMBER_BYTES: u32 = 16;

impl Guard {
    /// Loads and attaches the programs that `object` needs on these terms.
    ///
    /// Threads share the work, and are gone when it is done. `replaced` is what judges them now, if something does.
    ///
    /// # Errors
    /// The kernel lacks a hook that a rule needs, or refuses a program.
    pub fn load(object: &PolicyObject, terms: Terms, replaced: Option<&Armed>) -> Result<Guard, LsmError> {
        let Terms { class, scope, access, calls } = terms;
        if cfg!(not(target_arch = "x86_64")) {
            return Err(LsmError::Processor);
        }
        // Programs load and attach where BPF is no active module too, and are never asked.
        listed()?;
        let start = Instant::now();
        let kernel = |program: &'static str| move |source| LsmError::Kernel { program, source };
        let types = KernelTypes::of_this_kernel().map_err(system("read the kernel's types"))?;
        let mut content = [0; session::BYTES];
        content[session::CGROUP..][..8].copy_from_slice(&scope.id.to_le_bytes());
        content[session::LEVEL..][..4].copy_from_slice(&scope.level.to_le_bytes());
        content[session::CLASS..][..4].copy_from_slice(&class.map_or(session::EACH, |class| class.0).to_le_bytes());
        let unmapped = types.function("bpf_lsm_inode_setattr").is_some_and(|(_, arguments)| arguments == 2);
        content[session::SETATTR_UNMAPPED..][..4].copy_from_slice(&u32::from(unmapped).to_le_bytes());
        // It is in a union, which has lost its name in Linux 7.
        let alias = types.at("dentry", &["d_u", "d_alias"]).or_else(|| types.at("dentry", &["d_alias"]));
        let alias = alias.ok_or(KernelError::Types(Some("dentry.d_alias".to_owned()))).map_err(kernel("maps"))?;
        content[session::ALIAS..][..4].copy_from_slice(&alias.to_le_bytes());
        // It has another name from Linux 6.14 on; where it has a third, names are read as long ones are.
        let short = types.at("dentry", &["d_shortname"]).or_else(|| types.at("dentry", &["d_iname"])).unwrap_or(0);
        content[session::SHORT..][..4].copy_from_slice(&short.to_le_bytes());
        // An array, of which no field can be told.
        let numbers = types.at("pid", &["numbers"]);
        let numbers = numbers.ok_or(KernelError::Types(Some("pid.numbers".to_owned()))).map_err(kernel("maps"))?;
        let (mut chosen, mut access_unasked) = (Vec::new(), false);
        let mut restricted = restricted(object, class);
        if scope.level == 0 && handed::is_file() {
            // It is used for what it was handed in for, whatever the policy.
            restricted.0 |= Ops::of(&[Op::Read, Op::Write, Op::Append, Op::Exec, Op::Truncate]).0;
        }
        let appends = appends_only(object, class);
        let in_union = types.in_union(Field::FILE_PATH);
        for program in &PROGRAMS {
            let mut asked = Ops(restricted.0 & program.ops.0);
            if !appends && matches!(program.attach, Attach::Lsm("mmap_file" | "file_fcntl")) {
                asked.0 &= !Ops::from(Op::Write).0;
            }
            if restricted.is_empty() || (asked.is_empty() && !program.ops.is_empty()) {
                continue;
            }
            if program.tells_executables() && (class.is_some() || object.manifest.subjects.exes.is_empty()) {
                continue;
            }
            if program.attach == Attach::Lsm("inode_permission") && access == Access::Unasked {
                access_unasked = true;
                continue;
            }
            if !is_form(object, program, in_union) {
                continue;
            }
            if calls == Some(Calls::Filtered) && calls::FILE_ATTRIBUTES.contains(&program.name) {
                continue;
            }
            let (Attach::Lsm(hook) | Attach::Exit(hook)) = program.attach;
            let has = |hook| family::kind_of(&types, Attach::Lsm(hook)).is_some();
            let op = asked.iter().next().unwrap_or(Op::Rename);
            match family::kind_of(&types, program.attach) {
                Some(kind) if object.has(program.name) => chosen.push((program, kind)),
                Some(_) if hook == "inode_permission" => return Err(LsmError::NoAccess),
                Some(_) => return Err(LsmError::NoProgram { hook, op }),
                None if COVERED.iter().any(|(missing, by)| *missing == hook && has(by)) => {}
                None => return Err(LsmError::NoHook { hook, op }),
            }
        }
        let (mut seat, mut shared, mut unshared) = (None, None, None);
        let wanted = chosen.iter().filter_map(|(program, _)| bit(program)).fold(0, |all, bit| all | 1 << bit);
        let joins = replaced.map_or(wanted != 0 && scope.id != 0, |armed| armed.seat.is_some());
        if joins {
            let holder = match replaced.and_then(|armed| armed.seat.as_ref()) {
                Some(seat) => Holder::Own(seat),
                None if scope.is_locked => Holder::Gone,
                None => Holder::Unknown,
            };
            let refusing = if calls == Some(Calls::Gated) { family::all_gates(&types) } else { 0 };
            match Seat::take(scope, holder, wanted, refusing, object, &types) {
                Ok((taken, moves)) => {
                    (seat, shared) = (Some(taken), Some(moves));
                    chosen.retain(|(program, _)| !family::is_about_renames(program.attach));
                    content[session::SHARED..][..4].copy_from_slice(&1u32.to_le_bytes());
                }
                Err(error) if replaced.is_some() => return Err(error),
                Err(error) => unshared = Some(error),
            }
        }
        let moves = match shared {
            Some(moves) => moves,
            None => create_moves().map_err(kernel("maps"))?,
        };
        let loaded =
            Loaded::new(object, &content, &moves, replaced.map(|armed| &armed.loaded)).map_err(kernel("maps"))?;
        let learn = loaded.load(object, &types, LEARN, Kind::Syscall).map_err(kernel(LEARN))?;
        let arm = loaded.load(object, &types, ARM, Kind::Syscall).map_err(kernel(ARM))?;
        let maps = start.elapsed();
        let programs = load_each(object, &loaded, &types, &chosen)?;
        let load = start.elapsed() - maps;
        let mut own = [0; learned::BYTES];
        own[learned::DESCRIPTOR..][..8].copy_from_slice(&(learn.as_raw_fd() as u64).to_le_bytes());
        sys::test_run(&learn, &mut own).map_err(kernel(LEARN))?;
        let level = u32::from(own[learned::LEVEL]);
        // Not touched any more: from the moment when they are attached, programs count there.
        let mut live = [0; live::BYTES];
        live[live::NUMBER..][..4].copy_from_slice(&(numbers + NUMBER_BYTES * level).to_le_bytes());
        sys::update(loaded.data(Data::Live), &live).map_err(kernel("maps"))?;
        let mut links = Vec::new();
        // What ends first: an end without a beginning does nothing, but a beginning without an end stays for good.
        let alone = programs.iter().filter(|_| seat.is_none());
        let (ends, others): (Vec<_>, Vec<_>) =
            alone.partition(|(program, _)| matches!(program.attach, Attach::Exit(_)));
        for (program, fd) in ends.into_iter().chain(others) {
            links.push(sys::attach(fd).map_err(|source| match source {
                KernelError::System { source, .. } if source.raw_os_error() == Some(libc::E2BIG) => {
                    LsmError::Full { program: program.name }
                }
                source => LsmError::Kernel { program: program.name, source },
            })?);
        }
        let asks_owner = asks_owner(object);
        let took = Took { maps, load, attach: start.elapsed() - maps - load };
        Ok(Guard {
            loaded,
            programs,
            links,
            seat,
            unshared,
            took,
            learn,
            arm,
            appends_only: appends,
            access_unasked,
            asks_owner,
        })
    }

    /// Whether something may be appended to that may not be written: fallocate(2) must be refused then, which no hook sees apart.
    #[must_use]
    pub fn appends_only(&self) -> bool {
        self.appends_only
    }

    /// Whether access(2) is not asked about, though `stat` is refused somewhere.
    #[must_use]
    pub fn access_unasked(&self) -> bool {
        self.access_unasked
    }

    /// How long it took.
    #[must_use]
    pub fn took(&self) -> Took {
        self.took
    }

    /// How many programs that all sandboxes share lead to these; none, where they are attached by themselves.
    #[must_use]
    pub fn shared(&self) -> Option<usize> {
        self.seat.as_ref().map(Seat::hooks)
    }

    /// How many gates refuse the calls that a filter would; none, where there must be one.
    #[must_use]
    pub fn gates(&self) -> u32 {
        self.seat.as_ref().map_or(0, Seat::gates)
    }

    /// Why the programs are attached by themselves, where that was not meant to be.
    #[must_use]
    pub fn unshared(&self) -> Option<&LsmError> {
        self.unshared.as_ref()
    }

    /// The programs that are used, and how many instructions the verifier looked at for each.
    #[must_use]
    pub fn programs(&self) -> Vec<(&'static str, u32)> {
        let insns = |program: &OwnedFd| sys::verified_insns(program).unwrap_or(0);
        self.programs.iter().map(|(program, fd)| (program.name, insns(fd))).collect()
    }

    /// Tells the programs the mounts of `tree`, and has them judge.
    ///
    /// # Errors
    /// A mount cannot be looked at, the keeper is gone, or the kernel refuses.
    pub fn arm(
        mut self,
        keeper: &Keeper,
        tree: Tree,
        tables: &Tables,
        recorder: Recorder,
        totals: &Doubts,
    ) -> Result<Armed, LsmError> {
        let kernel = |program: &'static str| move |source| LsmError::Kernel { program, source };
        if let (Tree::Sandbox(init), 1..) = (tree, self.gates())
            && let Some(path) = mounts::with_requests(Some(init))?
        {
            return Err(LsmError::Mounted(path));
        }
        let told = mounts::tell(&self.loaded, &self.learn, keeper.cgroup(), tree, tables, self.asks_owner)?;
        let mut change = None;
        let held = match &mut self.seat {
            None => keeper.hold(&self.links),
            Some(seat) => {
                let programs = self.programs.iter().filter_map(|(program, fd)| Some((bit(program)?, fd)));
                change = Some(seat.put(programs)?);
                keeper.hold_seat(seat).inspect(|()| seat.lend())
            }
        };
        held.map_err(system("hand the programs to the sandbox's keeper"))?;
        let (events, live) = (self.loaded.map(Map::Events), self.loaded.data(Data::Live));
        let reader =
            Reader::start(events, live, told.paths, Below::Backwards, recorder).map_err(system("read events"))?;
        sys::test_run(&self.arm, &mut [0; learned::BYTES]).map_err(kernel(ARM))?;
        if let (Some(seat), Some(change)) = (&self.seat, change) {
            seat.judge(change);
        }
        Ok(Armed {
            links: self.links,
            seat: self.seat,
            _pins: told.pins,
            reader: Some(reader),
            loaded: self.loaded,
            doubts: Arc::clone(&totals.0),
        })
    }
}

/// The number of the hook that a program is for, in a family.
fn bit(program: &LsmProgram) -> Option<u32> {
    match program.attach {
        Attach::Lsm(hook) => family::hook(hook),
        Attach::Exit(_) => None,
    }
}

/// Whether `program` is the form that is loaded, where there are two: the one for this kernel, if the object has both.
fn is_form(object: &PolicyObject, program: &LsmProgram, in_union: bool) -> bool {
    let Some(other) = program.other_form() else { return true };
    let has = object.has(program.name);
    if has == object.has(other.name) { program.is_path_form() == in_union } else { has }
}

/// Loads each of the programs, several at a time: the verifier takes its time for each.
fn load_each(
    object: &PolicyObject,
    loaded: &Loaded,
    types: &KernelTypes,
    chosen: &[(&'static LsmProgram, Kind<'static>)],
) -> Result<Vec<(&'static LsmProgram, OwnedFd)>, LsmError> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((program, kind)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let fd = loaded.load(object, types, program.name, *kind);
            let refused = |source| match program.other_form() {
                Some(other) if !object.has(other.name) => LsmError::OneForm { program: program.name, source },
                _ => LsmError::Kernel { program: program.name, source },
            };
            done.push((*program, fd.map_err(refused)?));
        }
        Ok(done)
    };
    let helpers = thread::available_parallelism().map_or(1, NonZero::get).min(chosen.len()).saturating_sub(1);
    thread::scope(|scope| {
        let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
        let mut programs = work()?;
        for helper in helpers {
            let broken = |_| system("load programs")(io::Error::other("a thread has ended early"));
            programs.extend(helper.join().map_err(broken)??);
        }
        programs.sort_by_key(|(program, _)| PROGRAMS.iter().position(|known| known.name == program.name));
        Ok(programs)
    })
}

/// The operations that are not plainly allowed everywhere for `class`, or for each class and for who has none.
fn restricted(object: &PolicyObject, class: Option<ClassId>) -> Ops {
    if class.is_none() && !object.manifest.subjects.separations.is_empty() {
        return Ops::ALL;
    }
    let allowed = rows(object, class).fold(Ops::ALL.0, |all, Row { allowed, closer }| all & allowed.0 & !closer.0);
    Ops(Ops::ALL.0 & !allowed)
}

/// Whether a rule has a condition on the owner of an object.
fn asks_owner(object: &PolicyObject) -> bool {
    object.manifest.rules.iter().any(|rule| rule.args.contains(Arg::Owner))
}

/// Whether the hook can judge by `object` what this process sees, which is what a sandbox gets to see.
///
/// # Errors
/// A mount maps ids, and the policy asks for owners.
pub fn fits(object: &PolicyObject) -> Result<(), LsmError> {
    if asks_owner(object) { mounts::refuse_mapped() } else { Ok(()) }
}

/// Whether access(2) would say, where the hook is not told to judge it, something that the policy does not let every class see.
#[must_use]
pub fn concerns_access(object: &PolicyObject, class: Option<ClassId>) -> bool {
    restricted(object, class).contains(Op::Stat)
}

/// Whether something may be appended to that may not be written: then the sandbox refuses fallocate(2), which no hook sees apart.
#[must_use]
pub fn appends_only(object: &PolicyObject, class: Option<ClassId>) -> bool {
    let may_append = |row: &Row| row.allowed.contains(Op::Append) || row.closer.contains(Op::Append);
    rows(object, class).any(|row| may_append(&row) && !row.plainly_allows(Op::Write))
}

/// The rows of `class`, or of each, at every state but the dead one. The table goes on with padding, which no path leads to.
fn rows(object: &PolicyObject, class: Option<ClassId>) -> impl Iterator<Item = Row> {
    let states = object.tables.states.len().min(object.manifest.sizes.states as usize);
    let classes = class.map_or(0..object.tables.classes, |class| class.0..class.0 + 1);
    (1..states as u32)
        .flat_map(move |state| classes.clone().map(move |class| (StateId(state), ClassId(class))))
        .map(|(state, class)| <Tables as Rights>::row(&object.tables, state, class))
}

/// How often something was refused without a verdict, by reason.
#[derive(Clone, Debug, Default)]
pub struct Doubts(Arc<Mutex<[u64; Doubt::ALL.len()]>>);

impl Doubts {
    /// The counts, each with what people should read. Records that were lost are told by the audit stream.
    #[must_use]
    pub fn told(&self) -> Vec<(u64, &'static str)> {
        let counts = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |doubt| match doubt {
            Doubt::None => "records were lost",
            Doubt::Foreign => "requests were refused: of a file system or mount outside of the sandbox's tree",
            Doubt::Deep => "requests were refused: deeper below their mount than 128 directories",
            Doubt::Raced => "requests were refused: renamed while they were judged",
            Doubt::Nowhere => {
                "requests were refused: of something moved out of its mount, or of a mount that was moved"
            }
            Doubt::Room => "requests were refused: no memory to judge them with",
            Doubt::Inexact => {
                "requests were refused: of a file system that ignores case, where the rules depend on names"
            }
            Doubt::Several => {
                "requests were refused: of what several mounts show, or several names, with different rules"
            }
        };
        let told = |(doubt, count): &(Doubt, u64)| *doubt != Doubt::None && *count > 0;
        Doubt::ALL.into_iter().zip(counts).filter(told).map(|(doubt, n)| (n, text(doubt))).collect()
    }
}

/// Attached programs. Dropping it detaches them, unless the keeper holds them.
#[derive(Debug)]
pub struct Armed {
    links: Vec<OwnedFd>,
    seat: Option<Seat>,
    /// Each mount: while it is held, no other one can be at its address.
    _pins: Vec<OwnedFd>,
    reader: Option<Reader>,
    loaded: Loaded,
    doubts: Arc<Mutex<[u64; Doubt::ALL.len()]>>,
}

impl Drop for Armed {
    fn drop(&mut self) {
        self.links.clear();
        self.seat = None;
        // It reads what is left first.
        drop(self.reader.take());
        if let Ok(content) = sys::read_data(self.loaded.data(Data::Live), Data::Live) {
            let mut counts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
            for (count, bytes) in counts.iter_mut().zip(content[live::COUNTERS..].as_chunks().0) {
                *count += u64::from_le_bytes(*bytes);
            }
        }
    }
}
