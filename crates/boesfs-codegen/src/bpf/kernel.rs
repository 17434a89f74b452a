//! Fields of kernel structures that the programs read: their offsets differ between kernels and are set at load (CO-RE).
//!
//! `STRUCTS` declares as much of each structure as the programs need, in the words of the kernel's BTF; loaders find
//! fields by name. What stands here is a declaration for them, not the layout of any kernel.

use std::fmt;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// `unsigned short`
    U16,
    /// `unsigned int`
    U32,
    /// `unsigned long`
    U64,
    /// A pointer to a structure of [`STRUCTS`].
    Pointer(&'static str),
    /// A pointer to bytes or to something else.
    Bytes,
    /// A structure of [`STRUCTS`] itself.
    Inside(&'static str),
    /// A structure without a name of its own, with one `unsigned int`.
    Id(&'static str),
}

/// A structure: its name, and some members.
pub(crate) type Struct = (&'static str, &'static [(&'static str, Member)]);

use Member::{Bytes, Id, Inside, Pointer, U16, U32, U64};

/// The structures; one that lies inside another stands before it.
pub(crate) const STRUCTS: &[Struct] = &[
    ("qstr", &[("len", U32), ("name", Bytes)]),
    ("seqcount", &[("sequence", U32)]),
    ("seqcount_spinlock", &[("seqcount", Inside("seqcount"))]),
    ("super_block", &[("s_flags", U64), ("s_magic", U64)]),
    ("hlist_head", &[("first", Bytes)]),
    ("hlist_node", &[("next", Bytes)]),
    ("hlist_bl_node", &[("pprev", Bytes)]),
    (
        "inode",
        &[
            ("i_mode", U16),
            ("i_uid", Id("val")),
            ("i_sb", Pointer("super_block")),
            ("i_size", U64),
            ("i_dentry", Inside("hlist_head")),
        ],
    ),
    (
        "dentry",
        &[
            ("d_flags", U32),
            ("d_seq", Inside("seqcount_spinlock")),
            ("d_hash", Inside("hlist_bl_node")),
            ("d_parent", Pointer("dentry")),
            ("d_name", Inside("qstr")),
            ("d_inode", Pointer("inode")),
            ("d_sb", Pointer("super_block")),
        ],
    ),
    ("vfsmount", &[("mnt_root", Pointer("dentry")), ("mnt_sb", Pointer("super_block"))]),
    ("mount", &[("mnt_mountpoint", Pointer("dentry")), ("mnt", Inside("vfsmount"))]),
    ("pid", &[("level", U32)]),
    ("path", &[("mnt", Pointer("vfsmount")), ("dentry", Pointer("dentry"))]),
    ("socket", &[("sk", Bytes)]),
    ("unix_sock", &[("path", Inside("path"))]),
    ("posix_acl", &[("a_count", U32)]),
    ("file", &[("f_mode", U32), ("f_flags", U32), ("f_path", Inside("path")), ("f_inode", Pointer("inode"))]),
    ("linux_binprm", &[("file", Pointer("file"))]),
    ("iattr", &[("ia_valid", U32)]),
    ("renamedata", &[("old_dentry", Pointer("dentry")), ("new_dentry", Pointer("dentry")), ("flags", U32)]),
    ("group_info", &[("ngroups", U32)]),
    (
        "cred",
        &[
            ("euid", Id("val")),
            ("fsuid", Id("val")),
            ("fsgid", Id("val")),
            ("group_info", Pointer("group_info")),
            ("non_rcu", U32),
        ],
    ),
    ("fdtable", &[("max_fds", U32), ("fd", Bytes)]),
    ("files_struct", &[("fdt", Pointer("fdtable"))]),
    (
        "task_struct",
        &[
            ("group_leader", Pointer("task_struct")),
            ("thread_pid", Pointer("pid")),
            ("real_cred", Pointer("cred")),
            ("cred", Pointer("cred")),
            ("files", Pointer("files_struct")),
        ],
    ),
];

/// A field of a kernel structure: the structure, and the members that lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    structure: &'static str,
    path: &'static [&'static str],
}

#[expect(missing_docs, reason = "the values say it")]
impl Field {
    pub const PATH_MNT: Field = Field::new("path", &["mnt"]);
    pub const PATH_DENTRY: Field = Field::new("path", &["dentry"]);
    pub const DENTRY_SEQUENCE: Field = Field::new("dentry", &["d_seq", "seqcount", "sequence"]);
    pub const DENTRY_FLAGS: Field = Field::new("dentry", &["d_flags"]);
    pub const DENTRY_HASHED: Field = Field::new("dentry", &["d_hash", "pprev"]);
    pub const DENTRY_PARENT: Field = Field::new("dentry", &["d_parent"]);
    pub const DENTRY_NAME_LENGTH: Field = Field::new("dentry", &["d_name", "len"]);
    pub const DENTRY_NAME: Field = Field::new("dentry", &["d_name", "name"]);
    pub const DENTRY_INODE: Field = Field::new("dentry", &["d_inode"]);
    pub const DENTRY_SUPER: Field = Field::new("dentry", &["d_sb"]);
    pub const INODE_MODE: Field = Field::new("inode", &["i_mode"]);
    pub const INODE_OWNER: Field = Field::new("inode", &["i_uid", "val"]);
    pub const INODE_SUPER: Field = Field::new("inode", &["i_sb"]);
    pub const INODE_SIZE: Field = Field::new("inode", &["i_size"]);
    pub const INODE_DENTRIES: Field = Field::new("inode", &["i_dentry", "first"]);
    pub const NODE_NEXT: Field = Field::new("hlist_node", &["next"]);
    pub const SOCKET_SOCK: Field = Field::new("socket", &["sk"]);
    pub const UNIX_DENTRY: Field = Field::new("unix_sock", &["path", "dentry"]);
    pub const ACL_COUNT: Field = Field::new("posix_acl", &["a_count"]);
    pub const SUPER_FLAGS: Field = Field::new("super_block", &["s_flags"]);
    pub const MOUNT_SUPER: Field = Field::new("vfsmount", &["mnt_sb"]);
    pub const MOUNT_ROOT: Field = Field::new("vfsmount", &["mnt_root"]);
    pub const WHOLE_MOUNT: Field = Field::new("mount", &["mnt"]);
    pub const MOUNT_POINT: Field = Field::new("mount", &["mnt_mountpoint"]);
    pub const FILE_MODE: Field = Field::new("file", &["f_mode"]);
    pub const FILE_FLAGS: Field = Field::new("file", &["f_flags"]);
    pub const FILE_PATH: Field = Field::new("file", &["f_path"]);
    pub const FILE_INODE: Field = Field::new("file", &["f_inode"]);
    pub const FILE_MNT: Field = Field::new("file", &["f_path", "mnt"]);
    pub const FILE_DENTRY: Field = Field::new("file", &["f_path", "dentry"]);
    pub const BINPRM_FILE: Field = Field::new("linux_binprm", &["file"]);
    pub const ATTR_VALID: Field = Field::new("iattr", &["ia_valid"]);
    pub const RENAME_OLD: Field = Field::new("renamedata", &["old_dentry"]);
    pub const RENAME_NEW: Field = Field::new("renamedata", &["new_dentry"]);
    pub const RENAME_FLAGS: Field = Field::new("renamedata", &["flags"]);
    pub const CRED_EFFECTIVE: Field = Field::new("cred", &["euid", "val"]);
    pub const CRED_USER: Field = Field::new("cred", &["fsuid", "val"]);
    pub const CRED_GROUP: Field = Field::new("cred", &["fsgid", "val"]);
    pub const CRED_GROUPS: Field = Field::new("cred", &["group_info"]);
    pub const GROUPS_COUNT: Field = Field::new("group_info", &["ngroups"]);
    pub const CRED_FOR_NOW: Field = Field::new("cred", &["non_rcu"]);
    pub const PID_LEVEL: Field = Field::new("pid", &["level"]);
    pub const TASK_PID: Field = Field::new("task_struct", &["thread_pid"]);
    pub const TASK_LEADER: Field = Field::new("task_struct", &["group_leader"]);
    pub const TASK_CRED: Field = Field::new("task_struct", &["cred"]);
    pub const TASK_REAL_CRED: Field = Field::new("task_struct", &["real_cred"]);
    pub const TASK_FILES: Field = Field::new("task_struct", &["files"]);
    pub const FILES_TABLE: Field = Field::new("files_struct", &["fdt"]);
    pub const TABLE_SIZE: Field = Field::new("fdtable", &["max_fds"]);
    pub const TABLE_FILES: Field = Field::new("fdtable", &["fd"]);

    /// Every field.
    pub const ALL: &'static [Field] = &[
        Field::PATH_MNT,
        Field::PATH_DENTRY,
        Field::DENTRY_SEQUENCE,
        Field::DENTRY_FLAGS,
        Field::DENTRY_HASHED,
        Field::DENTRY_PARENT,
        Field::DENTRY_NAME_LENGTH,
        Field::DENTRY_NAME,
        Field::DENTRY_INODE,
        Field::DENTRY_SUPER,
        Field::INODE_MODE,
        Field::INODE_OWNER,
        Field::INODE_SUPER,
        Field::INODE_SIZE,
        Field::INODE_DENTRIES,
        Field::NODE_NEXT,
        Field::SOCKET_SOCK,
        Field::UNIX_DENTRY,
        Field::ACL_COUNT,
        Field::SUPER_FLAGS,
        Field::MOUNT_SUPER,
        Field::MOUNT_ROOT,
        Field::WHOLE_MOUNT,
        Field::MOUNT_POINT,
        Field::FILE_MODE,
        Field::FILE_FLAGS,
        Field::FILE_PATH,
        Field::FILE_INODE,
        Field::FILE_MNT,
        Field::FILE_DENTRY,
        Field::BINPRM_FILE,
        Field::ATTR_VALID,
        Field::RENAME_OLD,
        Field::RENAME_NEW,
        Field::RENAME_FLAGS,
        Field::CRED_EFFECTIVE,
        Field::CRED_USER,
        Field::CRED_GROUP,
        Field::CRED_GROUPS,
        Field::GROUPS_COUNT,
        Field::CRED_FOR_NOW,
        Field::PID_LEVEL,
        Field::TASK_PID,
        Field::TASK_LEADER,
        Field::TASK_CRED,
        Field::TASK_REAL_CRED,
        Field::TASK_FILES,
        Field::FILES_TABLE,
        Field::TABLE_SIZE,
        Field::TABLE_FILES,
    ];
}

impl Field {
    const fn new(structure: &'static str, path: &'static [&'static str]) -> Field {
        Field { structure, path }
    }

    /// The structure's name.
    #[must_use]
    pub const fn structure(self) -> &'static str {
        self.structure
    }

    /// The members that lead to it: the first of the structure, the next of that member, and so on.
    #[must_use]
    pub const fn path(self) -> &'static [&'static str] {
        self.path
    }

    /// Where it is in the declarations here: what the instructions have before they are relocated.
    pub(crate) fn local_offset(self) -> u32 {
        let mut whole = Inside(self.structure);
        let mut offset = 0;
        for name in self.path {
            let (member, at) = match whole {
                Inside(structure) => find(structure, name).unwrap_or((Bytes, u32::MAX / 2)),
                Id(inner) if inner == *name => (U32, 0),
                _ => (Bytes, u32::MAX / 2),
            };
            offset += at;
            whole = member;
        }
        offset
    }

    /// The path as `.BTF.ext` writes it: numbers of members, after a 0 for the structure itself.
    pub(crate) fn access(self) -> String {
        let mut out = String::from("0");
        let mut structure = Some(self.structure);
        for name in self.path {
            let members = structure.and_then(declared).unwrap_or_default();
            let index = members.iter().position(|(member, _)| member == name);
            out += &format!(":{}", index.unwrap_or(0));
            structure = match index.map(|index| members[index].1) {
                Some(Inside(inside)) => Some(inside),
                _ => None,
            };
        }
        out
    }

    /// The field with this structure and access string.
    pub(crate) fn from_access(structure: &str, access: &str) -> Option<Field> {
        Field::ALL.iter().copied().find(|field| field.structure == structure && field.access() == access)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.structure, self.path.join("."))
    }
}

/// The members of a structure.
fn declared(structure: &str) -> Option<&'static [(&'static str, Member)]> {
    STRUCTS.iter().find(|(name, _)| *name == structure).map(|(_, members)| *members)
}

/// A member, and its offset.
fn find(structure: &str, name: &str) -> Option<(Member, u32)> {
    layout(declared(structure)?).into_iter().find(|(member, ..)| *member == name).map(|(_, kind, at)| (kind, at))
}

/// Members with their offsets: each aligned to its size.
pub(crate) fn layout(members: &[(&'static str, Member)]) -> Vec<(&'static str, Member, u32)> {
    let mut at = 0;
    let mut out = Vec::new();
    for (name, member) in members {
        let (size, align) = size_align(*member);
        at = u32::next_multiple_of(at, align);
        out.push((*name, *member, at));
        at += size;
    }
    out
}

fn size_align(member: Member) -> (u32, u32) {
    match member {
        U16 => (2, 2),
        U32 | Id(_) => (4, 4),
        U64 | Pointer(_) | Bytes => (8, 8),
        Inside(structure) => struct_size(structure),
    }
}

/// Bytes and alignment of a structure.
pub(crate) fn struct_size(structure: &str) -> (u32, u32) {
    let members = declared(structure).unwrap_or_default();
    let align = members.iter().map(|(_, member)| size_align(*member).1).max().unwrap_or(1);
    let end = layout(members).last().map_or(0, |(_, member, at)| at + size_align(*member).0);
    (end.next_multiple_of(align), align)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_declared_and_found_again() {
        for field in Field::ALL {
            assert!(field.local_offset() < 4096, "{field} is not declared");
            assert_eq!(Field::from_access(field.structure, &field.access()), Some(*field), "{field}");
        }
    }
}
