//! The programs of the BPF LSM hook: one for each kernel hook, thin, over functions that they share.
//!
//! ```text
//! entry          not a task of the cgroup -> 0           scope
//!   find         (dentry, mount) -> state                place: the mount's root; dir: the parent's state, kept in its inode;
//!                                                        child: one step down by the last name
//!   rows[state] plainly allows -> 0
//!   answer       check; record; kill; error number       answer
//! ```
//!
//! A state is found without a path: the parent directory's inode keeps it ([`dir_bits`](super::layout::dir_bits)), and where it does not,
//! `climb` walks up to the mount's root and down again. Nothing is allowed that was not found: what cannot be is a
//! [`Doubt`](super::layout::Doubt), refused, counted and recorded.
//!
//! Functions that take kernel objects are *static*: verified with each program's own. Those that take memory alone are global.

mod access;
mod answer;
mod attributes;
mod autoload;
mod climb;
mod entries;
mod executables;
mod family;
mod find;
mod gates;
mod learn;
mod moves;
mod renames;
mod scope;
mod several;
mod sockets;
mod stands;

use boesfs_lang::ops::{Op, Ops};

use crate::bpf::asm::Assembler;

use super::Facts;

pub use autoload::autoloaded;
pub use family::{dispatch, hooks};
pub use gates::{gate, gates};
pub use learn::{ARM, LEARN, learned};

/// What a program is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// The LSM hook of this name.
    Lsm(&'static str),
    /// The return from this kernel function.
    Exit(&'static str),
}

/// A program of the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LsmProgram {
    /// Its name.
    pub name: &'static str,
    /// Its section.
    pub section: &'static str,
    /// Where it is attached.
    pub attach: Attach,
    /// The operations that it judges. Where every one of them is plainly allowed everywhere, it need not be attached.
    pub ops: Ops,
}

impl LsmProgram {
    /// Whether it is the form for kernels whose verifier takes no pointer out of `file.f_path`; where there are two forms, only
    /// one of them is loaded.
    #[must_use]
    pub fn is_path_form(&self) -> bool {
        self.name.ends_with("_path")
    }

    /// Whether it only tells what tasks execute: not needed where no executable has roles of its own.
    #[must_use]
    pub fn tells_executables(&self) -> bool {
        matches!(self.attach, Attach::Lsm("bprm_committed_creds" | "task_alloc"))
    }

    /// Its other form, if there are two, see [`LsmProgram::is_path_form`].
    #[must_use]
    pub fn other_form(&self) -> Option<&'static LsmProgram> {
        PROGRAMS.iter().find(|other| other.section == self.section && other.name != self.name)
    }
}

const fn on(name: &'static str, section: &'static str, hook: &'static str, ops: &[Op]) -> LsmProgram {
    LsmProgram { name, section, attach: Attach::Lsm(hook), ops: Ops::of(ops) }
}

/// What opening a file may mean.
const OPENING: [Op; 6] = [Op::Read, Op::Write, Op::Append, Op::Exec, Op::List, Op::Create];

/// Every program. The sections begin with `?`, which libbpf takes for "not loaded unless asked for": a kernel may lack a hook.
pub const PROGRAMS: [LsmProgram; 48] = [
    on("lsm_file_open", "?lsm/file_open", "file_open", &OPENING),
    on("lsm_file_open_path", "?lsm/file_open", "file_open", &OPENING),
    // What comes from outside of the tree is refused, whatever the rules: asked wherever anything is judged.
    on("lsm_file_receive", "?lsm/file_receive", "file_receive", &[]),
    on("lsm_file_receive_path", "?lsm/file_receive", "file_receive", &[]),
    on("lsm_file_truncate", "?lsm/file_truncate", "file_truncate", &[Op::Truncate]),
    on("lsm_file_truncate_path", "?lsm/file_truncate", "file_truncate", &[Op::Truncate]),
    on("lsm_path_truncate", "?lsm/path_truncate", "path_truncate", &[Op::Truncate]),
    on("lsm_mmap_file", "?lsm/mmap_file", "mmap_file", &[Op::Map, Op::Write]),
    on("lsm_mmap_file_path", "?lsm/mmap_file", "mmap_file", &[Op::Map, Op::Write]),
    on("lsm_file_lock", "?lsm/file_lock", "file_lock", &[Op::Lock]),
    on("lsm_file_lock_path", "?lsm/file_lock", "file_lock", &[Op::Lock]),
    on("lsm_file_fcntl", "?lsm/file_fcntl", "file_fcntl", &[Op::Lock, Op::Write]),
    on("lsm_file_fcntl_path", "?lsm/file_fcntl", "file_fcntl", &[Op::Lock, Op::Write]),
    on("lsm_file_ioctl", "?lsm/file_ioctl", "file_ioctl", &[Op::Ioctl]),
    on("lsm_file_ioctl_path", "?lsm/file_ioctl", "file_ioctl", &[Op::Ioctl]),
    // Of 32-bit programs; older kernels ask the hook before.
    on("lsm_file_ioctl_compat", "?lsm/file_ioctl_compat", "file_ioctl_compat", &[Op::Ioctl]),
    on("lsm_file_ioctl_compat_path", "?lsm/file_ioctl_compat", "file_ioctl_compat", &[Op::Ioctl]),
    on("lsm_path_mkdir", "?lsm/path_mkdir", "path_mkdir", &[Op::Mkdir]),
    on("lsm_path_mknod", "?lsm/path_mknod", "path_mknod", &[Op::Create, Op::Mknod]),
    on("lsm_path_symlink", "?lsm/path_symlink", "path_symlink", &[Op::Symlink]),
    on("lsm_path_unlink", "?lsm/path_unlink", "path_unlink", &[Op::Unlink]),
    on("lsm_path_rmdir", "?lsm/path_rmdir", "path_rmdir", &[Op::Rmdir]),
    // Nothing gains rights by moving: asked wherever anything is judged.
    on("lsm_path_link", "?lsm/path_link", "path_link", &[]),
    on("lsm_path_rename", "?lsm/path_rename", "path_rename", &[]),
    on("lsm_path_chmod", "?lsm/path_chmod", "path_chmod", &[Op::Chmod]),
    on("lsm_path_chown", "?lsm/path_chown", "path_chown", &[Op::Chown]),
    on("lsm_path_notify", "?lsm/path_notify", "path_notify", &[Op::Watch]),
    on("lsm_inode_getattr", "?lsm/inode_getattr", "inode_getattr", &[Op::Stat]),
    on("lsm_inode_setattr", "?lsm/inode_setattr", "inode_setattr", &[Op::Utimes]),
    on("lsm_inode_readlink", "?lsm/inode_readlink", "inode_readlink", &[Op::Readlink]),
    on("lsm_inode_follow_link", "?lsm/inode_follow_link", "inode_follow_link", &[Op::Readlink]),
    on("lsm_inode_getxattr", "?lsm/inode_getxattr", "inode_getxattr", &[Op::Getxattr]),
    on("lsm_inode_setxattr", "?lsm/inode_setxattr", "inode_setxattr", &[Op::Setxattr, Op::Chmod]),
    on("lsm_inode_removexattr", "?lsm/inode_removexattr", "inode_removexattr", &[Op::Setxattr, Op::Chmod]),
    on("lsm_inode_listxattr", "?lsm/inode_listxattr", "inode_listxattr", &[Op::Listxattr]),
    on("lsm_inode_get_acl", "?lsm/inode_get_acl", "inode_get_acl", &[Op::Getxattr]),
    on("lsm_inode_set_acl", "?lsm/inode_set_acl", "inode_set_acl", &[Op::Chmod, Op::Setxattr]),
    on("lsm_inode_remove_acl", "?lsm/inode_remove_acl", "inode_remove_acl", &[Op::Chmod, Op::Setxattr]),
    on("lsm_inode_file_getattr", "?lsm/inode_file_getattr", "inode_file_getattr", &[Op::Ioctl]),
    on("lsm_inode_file_setattr", "?lsm/inode_file_setattr", "inode_file_setattr", &[Op::Ioctl]),
    on("lsm_inode_permission", "?lsm/inode_permission", "inode_permission", &[Op::Stat]),
    on("lsm_unix_stream_connect", "?lsm/unix_stream_connect", "unix_stream_connect", &[Op::Write]),
    on("lsm_unix_may_send", "?lsm/unix_may_send", "unix_may_send", &[Op::Write]),
    on("lsm_sb_statfs", "?lsm/sb_statfs", "sb_statfs", &[Op::Statfs]),
    on("lsm_inode_rename", "?lsm/inode_rename", "inode_rename", &[]),
    on("lsm_bprm_committed_creds", "?lsm/bprm_committed_creds", "bprm_committed_creds", &[]),
    on("lsm_task_alloc", "?lsm/task_alloc", "task_alloc", &[]),
    LsmProgram {
        name: "rename_ends",
        section: "?fexit/vfs_rename",
        attach: Attach::Exit("vfs_rename"),
        ops: Ops::NONE,
    },
];

/// Emits the programs [`LEARN`] and [`ARM`].
pub(super) fn learn(a: &mut Assembler) {
    learn::learn(a);
    learn::arm(a);
}

/// Emits the entry programs. They must stand before the functions of `.text`.
pub(super) fn entries(a: &mut Assembler, facts: Facts<'_>) {
    entries::all(a, facts);
    attributes::all(a, facts);
    access::inode_permission(a, facts);
    sockets::all(a, facts);
    moves::all(a);
    renames::all(a);
    executables::all(a, facts);
}

/// Emits the functions that they share.
pub(super) fn functions(a: &mut Assembler, facts: Facts<'_>) {
    for asker in [scope::Asker::ByAddress, scope::Asker::ByPointer] {
        scope::subject_now(a, facts, asker);
    }
    find::all(a, facts);
    access::named(a);
    climb::all(a, facts);
    moves::judge_function(a, facts);
    answer::answer(a);
}
