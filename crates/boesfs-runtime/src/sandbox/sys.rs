//! The system calls that no kept crate wraps safely, or as needed: fork, exec, signal sets, `mount_setattr`, `close_range`,
//! Landlock.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::process::Pid;

/// Which side of a fork this is.
pub(crate) enum Fork {
    /// The one that called, with the new process's id in its own pid namespace.
    Parent(Pid),
    /// The new one.
    Child,
}

/// Whose child a fork makes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lineage {
    /// The caller's.
    Child,
    /// The caller's parent's: a sibling.
    Sibling,
}

/// Forks the calling process, which must have one thread.
pub(crate) fn fork(lineage: Lineage) -> io::Result<Fork> {
    let flags = match lineage {
        Lineage::Child => libc::SIGCHLD,
        Lineage::Sibling => libc::SIGCHLD | libc::CLONE_PARENT,
    };
    // SAFETY: without CLONE_VM and CLONE_SETTLS the child gets a copy of all memory, and a stack of 0 means to go on on the
    // copied one. Callers have one thread (module rule: nothing starts a thread before the last fork), so no lock is held
    // by a thread that is missing in the copy.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags as libc::c_ulong, 0, 0, 0, 0) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Pid::from_raw(pid as i32).map(Fork::Parent).ok_or_else(|| io::ErrorKind::InvalidData.into()),
    }
}

/// Ends a forked process without running what the original registered to run at its exit.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: _exit has no preconditions and does not return.
    unsafe { libc::_exit(status) }
}

/// Replaces the process by `program`; on return, why not.
pub(super) fn exec(program: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both arrays end in a null pointer and point to NUL-terminated strings that outlive the call.
    unsafe { libc::execve(program.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Marks every descriptor from `first` on close-on-exec.
pub(super) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: close_range takes no pointers; with CLOEXEC it closes nothing that is still in use here.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Closes every descriptor from 0 on except those of `keep`. For a process that owns nothing else any more.
pub(crate) fn close_all_but(mut keep: Vec<BorrowedFd<'_>>) -> io::Result<()> {
    let close = |first: u32, last: u32| {
        // SAFETY: close_range takes no pointers. The caller never uses another descriptor again, and ends by _exit, so
        // no owner of a closed descriptor is dropped.
        let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    keep.sort_by_key(AsRawFd::as_raw_fd);
    let mut first = 0;
    for kept in keep {
        let kept = kept.as_raw_fd() as u32;
        if first < kept {
            close(first, kept - 1)?;
        }
        first = kept + 1;
    }
    close(first, u32::MAX)
}

/// Gives memory that nothing is in back to the kernel.
pub(crate) fn give_back_memory() {
    // SAFETY: the call takes no pointers, and moves nothing that is allocated.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Attributes to add to a mount.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct MountAttrs(u64);

impl MountAttrs {
    pub(super) const NOSUID: MountAttrs = MountAttrs(libc::MOUNT_ATTR_NOSUID);
    pub(super) const NODEV: MountAttrs = MountAttrs(libc::MOUNT_ATTR_NODEV);
    pub(super) const NOEXEC: MountAttrs = MountAttrs(libc::MOUNT_ATTR_NOEXEC);
    pub(super) const READ_ONLY: MountAttrs = MountAttrs(libc::MOUNT_ATTR_RDONLY);

    pub(super) const fn and(self, other: MountAttrs) -> MountAttrs {
        MountAttrs(self.0 | other.0)
    }
}

/// Which mounts a change of attributes concerns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The one.
    This,
    /// It and all below it.
    Below,
}

/// Adds `attrs` to the mount whose root `tree` is.
pub(super) fn set_mount_attrs(tree: impl AsFd, attrs: MountAttrs, reach: Reach) -> io::Result<()> {
    let recursive = match reach {
        Reach::This => 0,
        Reach::Below => libc::AT_RECURSIVE,
    };
    let attr = libc::mount_attr { attr_set: attrs.0, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is a NUL-terminated empty string, and `attr` is a valid mount_attr of the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What a process does with a signal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    Default,
    Ignore,
}

/// Sets what this process does with `signal`.
pub(crate) fn set_disposition(signal: i32, disposition: Disposition) {
    let handler = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
    };
    // SAFETY: neither SIG_DFL nor SIG_IGN is a function that could run at a bad moment.
    unsafe { libc::signal(signal, handler) };
}

/// A set of signals.
#[derive(Clone, Copy)]
pub(crate) struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// The set of `signals`.
    pub(crate) fn of(signals: &[i32]) -> SignalSet {
        // SAFETY: sigset_t is plain data; sigemptyset makes any bytes a valid empty set.
        let mut set = unsafe { std::mem::zeroed() };
        // SAFETY: as above; `set` is valid for writing.
        unsafe { libc::sigemptyset(&raw mut set) };
        signals.iter().fold(SignalSet(set), |set, signal| set.with(*signal))
    }

    /// The set with `signal` in it.
    pub(crate) fn with(mut self, signal: i32) -> SignalSet {
        // SAFETY: the set is valid. A number that is no signal is refused, without effect.
        unsafe { libc::sigaddset(&raw mut self.0, signal) };
        self
    }

    /// All signals.
    pub(crate) fn all() -> SignalSet {
        let mut set = SignalSet::of(&[]);
        // SAFETY: `set` is a valid set.
        unsafe { libc::sigfillset(&raw mut set.0) };
        set
    }

    /// Blocks these signals in the calling thread too; gives the set that was blocked before.
    pub(crate) fn block(&self) -> SignalSet {
        self.mask(libc::SIG_BLOCK)
    }

    /// Makes these the signals that the calling thread blocks.
    pub(crate) fn set(&self) {
        self.mask(libc::SIG_SETMASK);
    }

    fn mask(&self, how: libc::c_int) -> SignalSet {
        let mut old = SignalSet::of(&[]);
        // SAFETY: both sets are valid; `how` is one of the two above, so the call cannot fail.
        unsafe { libc::pthread_sigmask(how, &raw const self.0, &raw mut old.0) };
        old
    }

    /// A descriptor from which these signals are read, once they are blocked.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        // SAFETY: the set is valid; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const self.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd gave a new descriptor, which nobody else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// A signal read from a descriptor of [`SignalSet::descriptor`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) signal: i32,
    /// Whether the kernel sent it, as a terminal does, not a process.
    pub(super) by_kernel: bool,
    /// With sigqueue(3): by which process, 0 for one of a foreign pid namespace, and the value.
    pub(super) queued: Option<(u32, u64)>,
}

/// The next signal that waits at `descriptor`, if one does.
pub(crate) fn next_signal(descriptor: &OwnedFd) -> Option<Received> {
    let mut bytes = [0u8; size_of::<libc::signalfd_siginfo>()];
    let read = rustix::io::read(descriptor, &mut bytes).ok()?;
    if read < bytes.len() {
        return None;
    }
    // SAFETY: signalfd_siginfo is plain data without invalid values, and the kernel filled all of it.
    let info: libc::signalfd_siginfo = unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) };
    Some(Received {
        signal: info.ssi_signo as i32,
        by_kernel: info.ssi_code == libc::SI_KERNEL,
        queued: (info.ssi_code == libc::SI_QUEUE).then_some((info.ssi_pid, info.ssi_ptr)),
    })
}

/// Sends `signal` with `value` to the process `pid`.
pub(super) fn queue(pid: Pid, signal: i32, value: u64) -> io::Result<()> {
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(value as usize) };
    // SAFETY: the value is handed on as it is; nobody takes it for a pointer.
    if unsafe { libc::sigqueue(pid.as_raw_nonzero().get(), signal, value) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sends `signal` to process `pid`, or with [`Target::Group`] to its process group.
pub(super) fn send(target: Target, signal: i32) -> io::Result<()> {
    let pid = match target {
        Target::Process(pid) => pid.as_raw_nonzero().get(),
        Target::Group(pid) => -pid.as_raw_nonzero().get(),
        Target::OwnGroup => 0,
        Target::Self_ => std::process::id() as i32,
    };
    // SAFETY: kill takes no pointers.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Who gets a signal.
#[derive(Clone, Copy)]
pub(super) enum Target {
    Process(Pid),
    Group(Pid),
    OwnGroup,
    Self_,
}

/// Has the kernel provide the memory of `spare` at once, where it can: one system call in place of a page fault for each page.
pub fn provide(spare: &mut [MaybeUninit<u8>]) {
    const PAGE: usize = 4096;
    let range = spare.as_mut_ptr_range();
    let start = range.start.map_addr(|at| at - at % PAGE);
    let length = range.end.addr() - start.addr();
    // SAFETY: the call changes no byte of these pages, of which the first and the last may hold other things too.
    unsafe { libc::madvise(start.cast(), length, libc::MADV_POPULATE_WRITE) };
}

/// A set of Landlock rules that is being made. Rights are those of `linux/landlock.h`, as bits.
///
/// The crate `landlock` looks at the type of each object first, which the policy may refuse.
pub(super) struct Rules(OwnedFd);

impl Rules {
    /// The version of Landlock that this kernel has, from 1; none where it is not there or not on.
    pub(super) fn version() -> Option<u32> {
        const VERSION: u32 = 1;
        let none = std::ptr::null::<u64>();
        // SAFETY: with this flag the kernel takes no attributes: a null pointer and a size of 0.
        let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION) };
        u32::try_from(version).ok().filter(|version| *version > 0)
    }

    /// Rules that will refuse every right of `handled` that no rule grants.
    pub(super) fn new(handled: u64) -> io::Result<Rules> {
        // The first version of struct landlock_ruleset_attr: longer ones end in zeroes.
        let attributes = &raw const handled;
        // SAFETY: the attributes are one u64, of the size given, and outlive the call.
        let fd = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, attributes, size_of::<u64>(), 0_u32) };
        let Ok(fd @ 0..) = i32::try_from(fd) else { return Err(io::Error::last_os_error()) };
        // SAFETY: the kernel gave a new descriptor, which nobody else owns.
        Ok(Rules(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Grants `rights` on `object` and all below it.
    pub(super) fn allow(&self, object: impl AsFd, rights: u64) -> io::Result<()> {
        const PATH_BENEATH: u32 = 1;
        #[repr(C, packed)]
        struct PathBeneath {
            allowed: u64,
            parent: i32,
        }
        let rule = PathBeneath { allowed: rights, parent: object.as_fd().as_raw_fd() };
        let (rules, rule) = (self.0.as_raw_fd(), &raw const rule);
        // SAFETY: `rule` is a struct landlock_path_beneath_attr, packed as the kernel's, and outlives the call.
        let result = unsafe { libc::syscall(libc::SYS_landlock_add_rule, rules, PATH_BENEATH, rule, 0_u32) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Confines the calling thread, for good. `no_new_privs` must be set.
    pub(super) fn confine(&self) -> io::Result<()> {
        // SAFETY: the call takes no pointers.
        let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.0.as_raw_fd(), 0_u32) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
