//! The operation table: the only list of operations in the project.
//!
//! The C header, the reference page, the conformance matrix and the diagnostics are views of [`TABLE`].
//! Bit *i* of every operation bitmap, in every table and on every hook, is the operation with number *i* here.
//! Numbers are part of the object format: append, never reorder.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cond::Arg;

/// One operation that a policy can allow or refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is described by its row of TABLE")]
pub enum Op {
    Read = 0,
    Write,
    Append,
    Truncate,
    Exec,
    Map,
    List,
    Stat,
    Readlink,
    Create,
    Mkdir,
    Mknod,
    Symlink,
    Link,
    Unlink,
    Rmdir,
    Rename,
    Chmod,
    Chown,
    Utimes,
    Getxattr,
    Setxattr,
    Listxattr,
    Lock,
    Ioctl,
    Statfs,
    Watch,
}

/// How a hook mediates an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mediation {
    /// The hook asks the policy each time; the text says where.
    Asked(&'static str),
    /// The hook cannot see the operation by itself: it follows the verdict on another one.
    /// A policy that names such an operation apart is refused by the hook.
    Follows(Op, &'static str),
    /// The hook is not asked; what could be learned this way is the session's own doing. A rule that refuses the operation by
    /// name is refused by the hook; a group or the default that does so is not.
    Unasked(&'static str),
    /// The hook cannot see the operation at all. A policy that refuses it anywhere is refused by the hook.
    Unseen(&'static str),
}

/// One row of the operation table.
#[derive(Clone, Copy, Debug)]
pub struct OpInfo {
    /// The operation; its number is the row's index and the bit in every bitmap.
    pub op: Op,
    /// The word used in policies, messages and audit records.
    pub name: &'static str,
    /// What the operation covers, for the reference page.
    pub about: &'static str,
    /// The arguments a `when` condition may speak of, besides `uid`, `gid` and `owner`, which every operation carries.
    pub args: &'static [Arg],
    /// How the FUSE hook mediates it.
    pub fuse: Mediation,
    /// How the BPF LSM hook mediates it.
    pub lsm: Mediation,
    /// How the kernel module mediates it.
    pub kmod: Mediation,
    /// Arguments of `args` that the BPF LSM hook does not learn: a rule with a condition on one is refused by it.
    pub lsm_unseen: &'static [Arg],
}

/// The number of operations.
pub const COUNT: usize = 27;

use Arg::{Flags, Length, Mode, Offset, Size};
use Mediation::{Asked, Follows, Unasked};

/// A row whose operation every hook asks for: where FUSE, BPF LSM and the module do so.
const fn row(
    op: Op,
    name: &'static str,
    about: &'static str,
    args: &'static [Arg],
    asked: [&'static str; 3],
) -> OpInfo {
    let [fuse, lsm, kmod] = asked;
    OpInfo { op, name, about, args, fuse: Asked(fuse), lsm: Asked(lsm), kmod: Asked(kmod), lsm_unseen: &[] }
}

/// For the rows where a hook differs.
impl OpInfo {
    const fn fuse(self, fuse: Mediation) -> OpInfo {
        OpInfo { fuse, ..self }
    }

    const fn lsm_unseen(self, lsm_unseen: &'static [Arg]) -> OpInfo {
        OpInfo { lsm_unseen, ..self }
    }
}

/// The operation table, by number.
#[rustfmt::skip]
pub const TABLE: [OpInfo; COUNT] = [
    row(Op::Read, "read", "open a file for reading, and read from it", &[Flags, Size, Offset, Length],
        ["open; read where a condition concerns it", "file_open", "open; read where a condition concerns it"])
        .lsm_unseen(&[Size, Offset, Length]),
    row(Op::Write, "write", "open a file for writing without O_APPEND, write to it, and allocate or punch its blocks", &[Flags, Size, Offset, Length],
        ["open, write, fallocate, copy_file_range", "file_open; file_fcntl and mmap_file of what was opened for appending; unix_stream_connect and unix_may_send of a socket with a path", "open; write and fallocate where a condition concerns it"])
        .lsm_unseen(&[Size, Offset, Length]),
    row(Op::Append, "append", "open a file with O_APPEND for writing, and write at its end", &[Flags, Size, Offset, Length],
        ["open, write", "file_open", "open; write where a condition concerns it"])
        .lsm_unseen(&[Size, Offset, Length]),
    row(Op::Truncate, "truncate", "set a file's size, also by O_TRUNC", &[Flags, Size],
        ["open with O_TRUNC, setattr of the size", "path_truncate, file_truncate", "setattr of the size, open with O_TRUNC"])
        .lsm_unseen(&[Flags, Size]),
    row(Op::Exec, "exec", "execute a file", &[Flags, Mode],
        ["open for execution", "file_open for execution", "open for execution"]),
    row(Op::Map, "map", "map a file into memory", &[Flags],
        ["", "mmap_file", "mmap"])
        .fuse(Follows(Op::Read, "a descriptor open for reading can be mapped: the kernel does not ask")),
    row(Op::List, "list", "open a directory and read its entries", &[Flags],
        ["opendir", "file_open of a directory", "open of a directory"]),
    row(Op::Stat, "stat", "read an object's attributes, ask whether it exists; walking through a directory is not an operation", &[],
        ["getattr, access; lookup for hide", "inode_getattr; inode_permission of access(2) with --judge-access", "getattr, access; lookup for hide"]),
    row(Op::Readlink, "readlink", "read or follow a symbolic link", &[],
        ["readlink", "inode_readlink, inode_follow_link", "get_link"]),
    row(Op::Create, "create", "make a regular file, also by open with O_CREAT and O_TMPFILE", &[Flags, Mode],
        ["create, tmpfile, mknod of a regular file", "path_mknod of a regular file, file_open with O_TMPFILE", "create, tmpfile, mknod of a regular file"])
        .lsm_unseen(&[Flags]),
    row(Op::Mkdir, "mkdir", "make a directory", &[Mode],
        ["mkdir", "path_mkdir", "mkdir"]),
    row(Op::Mknod, "mknod", "make a device, FIFO or socket", &[Mode],
        ["mknod", "path_mknod", "mknod"]),
    row(Op::Symlink, "symlink", "make a symbolic link", &[],
        ["symlink", "path_symlink", "symlink"]),
    row(Op::Link, "link", "give a file a second name: asked of the old name, besides create of the new", &[],
        ["link", "path_link", "link"]),
    row(Op::Unlink, "unlink", "remove a name that is not a directory's", &[],
        ["unlink; rename over an existing name", "path_unlink; path_rename over an existing name", "unlink; rename over an existing name"]),
    row(Op::Rmdir, "rmdir", "remove a directory", &[],
        ["rmdir; rename over an empty directory", "path_rmdir; path_rename over an empty directory", "rmdir; rename over an empty directory"]),
    row(Op::Rename, "rename", "move an object away from its name: asked of the old name, besides create of the new", &[Flags],
        ["rename", "path_rename", "rename"]),
    row(Op::Chmod, "chmod", "change the permission bits, also through an ACL", &[Mode],
        ["setattr, setxattr of an ACL", "path_chmod, inode_set_acl, inode_remove_acl", "setattr, set_acl"]),
    row(Op::Chown, "chown", "change the owner or group", &[],
        ["setattr", "path_chown", "setattr"]),
    row(Op::Utimes, "utimes", "set the times", &[],
        ["setattr", "inode_setattr", "setattr"]),
    row(Op::Getxattr, "getxattr", "read an extended attribute", &[Size],
        ["getxattr", "inode_getxattr, inode_get_acl", "getxattr, get_acl"])
        .lsm_unseen(&[Size]),
    row(Op::Setxattr, "setxattr", "set or remove an extended attribute", &[Flags, Size],
        ["setxattr, removexattr", "inode_setxattr, inode_removexattr, inode_set_acl, inode_remove_acl", "setxattr, removexattr"]),
    row(Op::Listxattr, "listxattr", "list the names of extended attributes", &[Size],
        ["listxattr", "inode_listxattr", "listxattr"])
        .lsm_unseen(&[Size]),
    row(Op::Lock, "lock", "take or test an advisory lock", &[Flags, Offset, Length],
        ["getlk, setlk, flock", "file_lock, file_fcntl of a test", "lock, flock"])
        .lsm_unseen(&[Flags, Offset, Length]),
    row(Op::Ioctl, "ioctl", "send a device or file-system request", &[Flags],
        ["ioctl", "file_ioctl", "ioctl"]),
    row(Op::Statfs, "statfs", "read a file system's statistics", &[],
        ["statfs", "sb_statfs", "statfs"]),
    row(Op::Watch, "watch", "watch an object for changes (inotify, fanotify)", &[],
        ["", "path_notify", "permission to read, in the two system calls"])
        .fuse(Unasked("the kernel watches FUSE without a request, and shows what happens through this mount: the session's own changes")),
];

impl Op {
    /// The operation with number `number`.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Op> {
        TABLE.get(number as usize).map(|info| info.op)
    }

    /// The operation called `name` in policies.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Op> {
        TABLE.iter().find(|info| info.name == name).map(|info| info.op)
    }

    /// Its number: the bit in every operation bitmap.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Its row of the table.
    #[must_use]
    pub const fn info(self) -> &'static OpInfo {
        &TABLE[self as usize]
    }

    /// The word used in policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// Whether a condition on this operation may speak of `arg`.
    #[must_use]
    pub fn carries(self, arg: Arg) -> bool {
        matches!(arg, Arg::Uid | Arg::Gid | Arg::Owner) || self.info().args.contains(&arg)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of operations: bit *i* is operation *i*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ops(pub u32);

impl Ops {
    /// No operation.
    pub const NONE: Ops = Ops(0);
    /// Every operation: the group `all`.
    pub const ALL: Ops = Ops((1 << COUNT) - 1);

    /// The set of `ops`.
    #[must_use]
    pub const fn of(ops: &[Op]) -> Ops {
        let mut bits = 0;
        let mut i = 0;
        while i < ops.len() {
            bits |= 1 << ops[i] as u32;
            i += 1;
        }
        Ops(bits)
    }

    /// Whether `op` is in the set.
    #[must_use]
    pub const fn contains(self, op: Op) -> bool {
        self.0 >> op as u32 & 1 == 1
    }

    /// Whether every operation of `other` is in the set.
    #[must_use]
    pub const fn is_superset(self, other: Ops) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The operations of the set, by number.
    pub fn iter(self) -> impl Iterator<Item = Op> {
        TABLE.iter().map(|info| info.op).filter(move |op| self.contains(*op))
    }
}

impl std::ops::BitOr for Ops {
    type Output = Ops;
    fn bitor(self, other: Ops) -> Ops {
        Ops(self.0 | other.0)
    }
}

impl From<Op> for Ops {
    fn from(op: Op) -> Ops {
        Ops(1 << op.number())
    }
}

/// A named group of operations.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The word used in policies.
    pub name: &'static str,
    /// Its members.
    pub ops: Ops,
    /// What it is for.
    pub about: &'static str,
}

/// The groups, in the order of the reference page.
pub const GROUPS: [Group; 3] = [
    Group {
        name: "view",
        ops: Ops::of(&[
            Op::Read,
            Op::Map,
            Op::List,
            Op::Stat,
            Op::Readlink,
            Op::Getxattr,
            Op::Listxattr,
            Op::Lock,
            Op::Statfs,
            Op::Watch,
        ]),
        about: "look at everything, change nothing",
    },
    Group {
        name: "edit",
        ops: Ops::of(&[
            Op::Write,
            Op::Append,
            Op::Truncate,
            Op::Create,
            Op::Mkdir,
            Op::Symlink,
            Op::Link,
            Op::Unlink,
            Op::Rmdir,
            Op::Rename,
            Op::Chmod,
            Op::Utimes,
            Op::Setxattr,
            Op::Lock,
        ]),
        about: "change contents, names and plain attributes; not owners, devices or ioctls",
    },
    Group { name: "all", ops: Ops::ALL, about: "every operation" },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_their_numbers() {
        for (i, info) in TABLE.iter().enumerate() {
            assert_eq!(info.op.number() as usize, i, "{}", info.name);
            assert_eq!(Op::from_name(info.name), Some(info.op));
        }
    }
}
