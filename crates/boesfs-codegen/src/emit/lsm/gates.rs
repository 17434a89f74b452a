//! The gates: programs of the family that refuse to a sandbox's tasks what reaches around its tree or out of it, whatever the policy says.
//!
//! A filter of system calls does the same, and costs every call that there is some 150 instructions; these cost the calls that they refuse. The rest of what the
//! filter refuses needs capabilities that nobody in a sandbox has: the mount family, other roots, modules.
//!
//! | hook | refused |
//! |---|---|
//! | `userns_create` | user namespaces, in which one has every capability |
//! | `task_alloc` | tasks of another cgroup (`CLONE_INTO_CGROUP`), children of the agent (`CLONE_PARENT`) |
//! | `bpf`, `perf_event_open` | both calls |
//! | `inode_init_security_anon` | io_uring, userfaultfd(2), and what else has a secure anonymous inode, but for memfd_create(2) |
//! | `key_alloc`, `key_permission` | keys, by a call for them: the kernel looks for its own on behalf of tasks |

use crate::bpf::asm::{AsmError, Assembler, Label};
use crate::bpf::{AluOp, Program, Reg, Size, Test};

use super::family::{hooks, unless_set, word_of_the_task};
use super::scope::system_call;

use Reg as R;

const EPERM: i32 = 1;

/// `CLONE_PARENT` and `CLONE_INTO_CGROUP`.
const KIN: u64 = 0x8000 | 0x2_0000_0000;

/// The first of the numbers of add_key(2), request_key(2) and keyctl(2): native, and of 32-bit programs. In either table, the calls with the numbers that
/// these have in the other one do not look for keys.
const KEY_CALLS: [i32; 2] = [248, 286];

/// The numbers of memfd_create(2): native, where it has that of no 32-bit call that is about such inodes, and of 32-bit programs, where there is no
/// native one. Memory files have a secure inode on newer kernels; they reach nothing.
const MEMORY_FILE_CALLS: [i32; 2] = [319, 356];

/// The hooks of the gates.
const HOOKS: [&str; 7] = [
    "userns_create",
    "task_alloc",
    "bpf",
    "perf_event_open",
    "inode_init_security_anon",
    "key_alloc",
    "key_permission",
];

/// The hooks of the gates, with their numbers, which go on from those of [`hooks`].
pub fn gates() -> impl Iterator<Item = (u32, &'static str)> {
    (hooks().count() as u32..).zip(HOOKS)
}

/// The gate with this number, for sandboxes.
///
/// # Errors
/// There is none.
pub fn gate(number: u32) -> Result<Program, AsmError> {
    let (_, hook) = gates().find(|(known, _)| *known == number).unwrap_or_default();
    let mut asm = Assembler::default();
    let a = &mut asm;
    a.entry(hook, "?lsm");
    let pass = a.label();
    match hook {
        "task_alloc" => {
            a.note("flags of a clone");
            a.load(Size::B8, R::R1, R::R1, 8);
            a.wide(R::R2, KIN);
            a.alu(AluOp::And, R::R1, R::R2);
            a.branch(Test::Eq, R::R1, 0, pass);
        }
        "key_alloc" | "key_permission" => unless_about_keys(a, pass),
        "inode_init_security_anon" => {
            a.note("a memory file");
            system_call(a);
            for call in MEMORY_FILE_CALLS {
                a.branch32(Test::Eq, R::R0, call, pass);
            }
        }
        _ => {}
    }
    a.note("the row of the task's cgroup");
    word_of_the_task(a, 0, pass);
    a.note("a sandbox without a filter");
    unless_set(a, number, pass);
    a.mov(R::R0, -EPERM);
    a.exit();
    asm.finish()
}

/// Goes to `pass` unless the task is in one of the [`KEY_CALLS`].
fn unless_about_keys(a: &mut Assembler, pass: Label) {
    let refused = a.label();
    a.note("a call for keys");
    system_call(a);
    for first in KEY_CALLS {
        a.mov(R::R1, R::R0);
        a.alu(AluOp::Sub, R::R1, first);
        a.branch(Test::Lt, R::R1, 3, refused);
    }
    a.jump(pass);
    a.bind(refused);
}
