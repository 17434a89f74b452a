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
//! | every call of a 32-bit ABI, or x32 | the filter would have to know each call twice |

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter, sock_filter,
};

use super::error::SetupError;

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

/// Requests that type into a terminal.
const TYPING: [libc::c_ulong; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// The filters, ready to be applied in order.
pub(super) struct Filters([BpfProgram; 2]);

impl Filters {
    /// Compiles the filters for this machine.
    pub(super) fn new(tracing: Tracing) -> Result<Filters, SetupError> {
        compile(tracing)
            .map_err(|error| SetupError::new("make the system call filter", std::io::Error::other(error.to_string())))
    }

    /// Applies them to the calling thread, for good. `no_new_privs` must be set.
    pub(super) fn apply(&self) -> Result<(), SetupError> {
        for program in &self.0 {
            apply_filter(program).map_err(|error| {
                SetupError::new("apply the system call filter", std::io::Error::other(error.to_string()))
            })?;
        }
        Ok(())
    }
}

fn compile(tracing: Tracing) -> Result<Filters, seccompiler::BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, vec![])).collect();
    if tracing == Tracing::Refused {
        refused.extend(TRACING.iter().map(|call| (*call, vec![])));
    }
    let flags = |bits: i32| {
        let bits = bits as u64;
        SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bits), bits)?])
    };
    refused.insert(libc::SYS_unshare, NAMESPACES.iter().map(|bits| flags(*bits)).collect::<Result<_, _>>()?);
    let of_clone = NAMESPACES.iter().chain([&libc::CLONE_PARENT]);
    refused.insert(libc::SYS_clone, of_clone.map(|bits| flags(*bits)).collect::<Result<_, _>>()?);
    let typing = |request: libc::c_ulong| {
        // The kernel looks at the low half of the request alone.
        SeccompRule::new(vec![SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request)?])
    };
    refused.insert(libc::SYS_ioctl, TYPING.iter().map(|request| typing(*request)).collect::<Result<_, _>>()?);

    let filter = |rules, errno: i32| {
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch)?.try_into()
    };
    let absent: BpfProgram = filter([(libc::SYS_clone3, vec![])].into(), libc::ENOSYS)?;
    let refused: BpfProgram = filter(refused, libc::EPERM)?;
    Ok(Filters([foreign_abi_absent(absent), foreign_abi_absent(refused)]))
}

/// `program` with calls of other ABIs answered by `ENOSYS`, as by a kernel without them: seccompiler's own check kills
/// the process, and takes x32 for the native ABI.
fn foreign_abi_absent(mut program: BpfProgram) -> BpfProgram {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const ABSENT: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    /// Offset of the call's number in struct seccomp_data.
    const NUMBER: u32 = 0;
    /// The bit that x32 calls have in their number; native numbers are far below it.
    const X32: u32 = 0x4000_0000;

    for step in &mut program {
        if step.code == RETURN && step.k == libc::SECCOMP_RET_KILL_PROCESS {
            step.k = ABSENT;
        }
    }
    // Jumps are relative: a prefix moves nothing. On another architecture the number means something else, but this
    // prefix only ever refuses.
    let prefix = [
        sock_filter { code: LOAD, jt: 0, jf: 0, k: NUMBER },
        sock_filter { code: AT_LEAST, jt: 0, jf: 1, k: X32 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: ABSENT },
    ];
    prefix.into_iter().chain(program).collect()
}
