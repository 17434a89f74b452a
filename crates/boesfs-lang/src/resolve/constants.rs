//! Named numbers for conditions on `flags` and `mode`: Linux on x86-64, whatever machine compiles.
//!
//! Sources: `include/uapi/asm-generic/fcntl.h`, `include/uapi/linux/stat.h`, `fs.h` and `xattr.h` of Linux.

use crate::cond::Arg;

/// A named number.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    /// The word used in policies.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// The argument it makes sense with.
    pub of: Arg,
}

const fn flag(name: &'static str, value: u64) -> Constant {
    Constant { name, value, of: Arg::Flags }
}

const fn mode(name: &'static str, value: u64) -> Constant {
    Constant { name, value, of: Arg::Mode }
}

/// All named numbers, in the order of the reference page.
pub const CONSTANTS: &[Constant] = &[
    flag("O_RDONLY", 0),
    flag("O_WRONLY", 0o1),
    flag("O_RDWR", 0o2),
    flag("O_ACCMODE", 0o3),
    flag("O_CREAT", 0o100),
    flag("O_EXCL", 0o200),
    flag("O_NOCTTY", 0o400),
    flag("O_TRUNC", 0o1000),
    flag("O_APPEND", 0o2000),
    flag("O_NONBLOCK", 0o4000),
    flag("O_DSYNC", 0o10000),
    flag("O_DIRECT", 0o40000),
    flag("O_LARGEFILE", 0o100_000),
    flag("O_DIRECTORY", 0o200_000),
    flag("O_NOFOLLOW", 0o400_000),
    flag("O_NOATIME", 0o1_000_000),
    flag("O_CLOEXEC", 0o2_000_000),
    flag("O_SYNC", 0o4_010_000),
    flag("O_PATH", 0o10_000_000),
    flag("O_TMPFILE", 0o20_200_000),
    flag("RENAME_NOREPLACE", 1),
    flag("RENAME_EXCHANGE", 2),
    flag("RENAME_WHITEOUT", 4),
    flag("XATTR_CREATE", 1),
    flag("XATTR_REPLACE", 2),
    mode("S_IFMT", 0o170_000),
    mode("S_IFSOCK", 0o140_000),
    mode("S_IFLNK", 0o120_000),
    mode("S_IFREG", 0o100_000),
    mode("S_IFBLK", 0o060_000),
    mode("S_IFDIR", 0o040_000),
    mode("S_IFCHR", 0o020_000),
    mode("S_IFIFO", 0o010_000),
    mode("S_ISUID", 0o4000),
    mode("S_ISGID", 0o2000),
    mode("S_ISVTX", 0o1000),
    mode("S_IRWXU", 0o700),
    mode("S_IRUSR", 0o400),
    mode("S_IWUSR", 0o200),
    mode("S_IXUSR", 0o100),
    mode("S_IRWXG", 0o70),
    mode("S_IRGRP", 0o40),
    mode("S_IWGRP", 0o20),
    mode("S_IXGRP", 0o10),
    mode("S_IRWXO", 0o7),
    mode("S_IROTH", 0o4),
    mode("S_IWOTH", 0o2),
    mode("S_IXOTH", 0o1),
];

/// The constant called `name`.
#[must_use]
pub fn by_name(name: &str) -> Option<Constant> {
    CONSTANTS.iter().copied().find(|constant| constant.name == name)
}
