//! System calls that would reach around the policed tree are refused.
//!
//! | calls | because |
//! |---|---|
//! | the mount family, `pivot_root`, `chroot` | a new mount or root is a tree without the layer |
//! | `open_by_handle_at`, `name_to_handle_at` | a handle opens a file without its path |
//! | `unshare`, `clone` with a namespace flag, `setns`, `clone3` | a new user namespace gives capabilities to mount with; `clone3` hides its flags from a filter, `ENOSYS` makes libc use `clone` |
//! | `clone` with `CLONE_PARENT` | the command's siblings are the agent's children: one that it never waits for keeps the pid namespace, and so the agent, from ending |
//! | `bpf`, `perf_event_open`, kexec, modules, `userfaultfd`, keyrings, `io_uring_*` | kernel surface that a file sandbox has no use for; keyrings outlive it |
//! | `ioctl(TIOCSTI)`, `ioctl(TIOCLINUX)` | types into the terminal that the shell outside reads next |
//! | the ioctls of btrfs and bcachefs that make, copy and remove subvolumes, and that of ocfs2 that copies a file | they do to trees what no rule was asked about: a snapshot has its files under new names |
//! | `file_getattr`, `file_setattr` | ioctls by another way, which hooks do not see |
//! | every call of a 32-bit ABI, or x32 | the filter would have to know each call twice |

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter, sock_filter,
};

use super::error::SetupError;
use super::plan::Plan;

/// Whether a file that was opened to be appended to can be changed elsewhere by calls that a hook may not see: fallocate(2)
/// and its kin, pwritev2(2) with `RWF_NOAPPEND`, and io_submit(2), whose requests may say so too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// As the hook says.
    Judged,
    /// `EOPNOTSUPP`, as where a file system or a kernel cannot (io_submit: `EPERM`): for a hook that does not see them, where
    /// something may be appended to but not written.
    Unsupported,
}

/// Who refuses the system calls that reach around the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// A filter, through which every call passes.
    Filtered,
    /// The hook, where the kernel comes to what such a call would do. Not for [`Allocation::Unsupported`] and [`Tracing::Refused`].
    Gated,
}

/// Whether the workload may look into the memory of its own processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracing {
    /// Debuggers work. What a subject may do, another of its user may then make it do.
    Allowed,
    /// For policies that give roles to executables: a role is not taken over by tracing who holds it.
    Refused,
}

/// Refused with `EPERM`, whatever the arguments.
const REFUSED: &[i64] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    // open_tree_attr: newer than the libc crate's table, the number is the same on every architecture.
    467,
    // file_getattr and file_setattr: likewise.
    468,
    469,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
];

/// Refused besides where tracing is.
const TRACING: &[i64] =
    &[libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_pidfd_getfd];

/// Flags of `clone` and `unshare` that make a namespace.
const NAMESPACES: [i32; 8] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
    // CLONE_NEWTIME: for unshare; in clone's flags the bit belongs to the exit signal, which is never 128 or more.
    0x80,
];

/// Requests that allocate, punch or exchange blocks, without their size: `FS_IOC_RESVSP`, `_UNRESVSP`, the same with 64 bits,
/// `FS_IOC_ZERO_RANGE`, `XFS_IOC_SWAPEXT`, `XFS_IOC_EXCHANGE_RANGE`, `EXT4_IOC_MOVE_EXT`.
const ALLOCATING: [u32; 8] = [0x5828, 0x5829, 0x582a, 0x582b, 0x5839, 0x586d, 0x5881, 0x660f];

/// `RWF_NOAPPEND`: newer than the libc crate's table.
const NOAPPEND: u32 = 0x20;

/// Requests that are refused: what types into a terminal, and what makes, copies and removes trees of btrfs
/// (`BTRFS_IOC_SNAP_CREATE`, `SUBVOL_CREATE`, `SNAP_DESTROY`, `SNAP_CREATE_V2`, `SUBVOL_CREATE_V2`, `SNAP_DESTROY_V2`) and of bcachefs
/// (`BCH_IOCTL_SUBVOLUME_CREATE`, `_DESTROY`), and `OCFS2_IOC_REFLINK`.
const REQUESTS: [libc::c_ulong; 11] = [
    libc::TIOCSTI,
    libc::TIOCLINUX,
    0x5000_9401,
    0x5000_940e,
    0x5000_940f,
    0x5000_9417,
    0x5000_9418,
    0x5000_943f,
    0x4020_bc10,
    0x4020_bc11,
    0x4018_6f04,
];

/// The filter, ready to be applied.
pub(super) struct Filter(BpfProgram);

impl Filter {
    /// The filter that `plan` asks for, if it does.
    pub(super) fn of(plan: &Plan) -> Result<Option<Filter>, SetupError> {
        let gated =
            plan.calls == Calls::Gated && plan.tracing == Tracing::Allowed && plan.allocation == Allocation::Judged;
        if gated { Ok(None) } else { Filter::new(plan.tracing, plan.allocation).map(Some) }
    }

    /// Compiles the filter for this machine.
    fn new(tracing: Tracing, allocation: Allocation) -> Result<Filter, SetupError> {
        compile(tracing, allocation)
            .map_err(|error| SetupError::new("make the system call filter", std::io::Error::other(error.to_string())))
    }

    /// Applies it to the calling thread, for good. `no_new_privs` must be set.
    pub(super) fn apply(&self) -> Result<(), SetupError> {
        apply_filter(&self.0)
            .map_err(|error| SetupError::new("apply the system call filter", std::io::Error::other(error.to_string())))
    }
}

fn compile(tracing: Tracing, allocation: Allocation) -> Result<Filter, seccompiler::BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, vec![])).collect();
    if tracing == Tracing::Refused {
        refused.extend(TRACING.iter().map(|call| (*call, vec![])));
    }
    let request = |request: libc::c_ulong| {
        // The kernel looks at the low half of the request alone.
        SeccompRule::new(vec![SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request)?])
    };
    refused.insert(libc::SYS_ioctl, REQUESTS.iter().map(|number| request(*number)).collect::<Result<_, _>>()?);
    let (allow, refuse) = (SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32));
    let program: BpfProgram = SeccompFilter::new(refused, allow, refuse, arch)?.try_into()?;
    Ok(Filter(with_prefix(program, allocation)))
}

/// `program` after what seccompiler cannot say: calls of other ABIs, which its own check kills the process for (or takes for native
/// ones, x32), are answered by `ENOSYS` as by a kernel without them, and so is `clone3`; a call is refused for *any* of some flags.
///
/// One filter, and a short one: the kernel runs through it for every call there is when it is applied.
fn with_prefix(mut program: BpfProgram, allocation: Allocation) -> BpfProgram {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const ANY: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const ABSENT: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    const REFUSED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    const MASK: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    /// Offsets in struct seccomp_data: the call's number, and the low half of its first argument. The flags are all there.
    const NUMBER: u32 = 0;
    const FLAGS: u32 = if cfg!(target_endian = "little") { 16 } else { 20 };
    /// The bit that x32 calls have in their number; native numbers are far below it.
    const X32: u32 = 0x4000_0000;

    for step in &mut program {
        if step.code == RETURN && step.k == libc::SECCOMP_RET_KILL_PROCESS {
            step.k = ABSENT;
        }
    }
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let namespaces = NAMESPACES.iter().fold(0, |all, bits| all | *bits) as u32;
    // Jumps are relative: a prefix moves nothing. On another architecture the number means something else, but this
    // prefix only ever refuses.
    let mut prefix = vec![
        step(LOAD, 0, 0, NUMBER),
        step(AT_LEAST, 1, 0, X32),
        step(EQUAL, 0, 1, libc::SYS_clone3 as u32),
        step(RETURN, 0, 0, ABSENT),
    ];
    for (call, flags) in [(libc::SYS_clone, namespaces | libc::CLONE_PARENT as u32), (libc::SYS_unshare, namespaces)] {
        prefix.extend([
            step(EQUAL, 0, 4, call as u32),
            step(LOAD, 0, 0, FLAGS),
            step(ANY, 0, 1, flags),
            step(RETURN, 0, 0, REFUSED),
            step(LOAD, 0, 0, NUMBER),
        ]);
    }
    if allocation == Allocation::Unsupported {
        const UNSUPPORTED: u32 = libc::SECCOMP_RET_ERRNO | libc::EOPNOTSUPP as u32;
        prefix.extend([
            step(EQUAL, 0, 1, libc::SYS_fallocate as u32),
            step(RETURN, 0, 0, UNSUPPORTED),
            step(EQUAL, 0, 1, libc::SYS_io_submit as u32),
            step(RETURN, 0, 0, REFUSED),
            step(EQUAL, 0, 4, libc::SYS_pwritev2 as u32),
            step(LOAD, 0, 0, FLAGS + 5 * 8),
            step(ANY, 0, 1, NOAPPEND),
            step(RETURN, 0, 0, UNSUPPORTED),
            step(LOAD, 0, 0, NUMBER),
            step(EQUAL, 0, 3 + 2 * ALLOCATING.len() as u8, libc::SYS_ioctl as u32),
            step(LOAD, 0, 0, FLAGS + 8),
            step(MASK, 0, 0, 0xffff),
        ]);
        for request in ALLOCATING {
            prefix.extend([step(EQUAL, 0, 1, request), step(RETURN, 0, 0, UNSUPPORTED)]);
        }
        prefix.push(step(LOAD, 0, 0, NUMBER));
    }
    prefix.into_iter().chain(program).collect()
}
