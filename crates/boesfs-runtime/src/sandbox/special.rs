//! File systems that are no trees of files: a view of kernel state for whoever opens them.
//!
//! Opened by the agent for a subject, they would show the agent's view (`/proc/self` would be the agent), so no hook
//! serves them, and a native zone does not hold them. The sandbox mounts its own /proc and /dev.

/// Names in `/proc/self/mountinfo`, with the magic numbers of `statfs` (linux/magic.h and the file systems' sources).
const KINDS: [(&str, u64); 19] = [
    ("autofs", 0x0187),
    ("binder", 0x6c6f_6f70),
    ("binfmt_misc", 0x4249_4e4d),
    ("bpf", 0xcafe_4a11),
    ("cgroup", 0x0027_e0eb),
    ("cgroup2", 0x6367_7270),
    ("configfs", 0x6265_6570),
    ("debugfs", 0x6462_6720),
    ("devpts", 0x1cd1),
    ("efivarfs", 0xde5e_81e4),
    ("fusectl", 0x6573_5543),
    ("mqueue", 0x1980_0202),
    ("nfsd", 0x6e66_7364),
    ("nsfs", 0x6e73_6673),
    ("proc", 0x9fa0),
    ("pstore", 0x6165_676c),
    ("securityfs", 0x7363_6673),
    ("sysfs", 0x6265_6572),
    ("tracefs", 0x7472_6163),
];

/// Whether the file system called `name` in mountinfo is special. `devtmpfs` has the magic number of a tmpfs: by name only.
#[must_use]
pub fn is_special_name(name: &[u8]) -> bool {
    name == b"devtmpfs" || KINDS.iter().any(|(kind, _)| kind.as_bytes() == name)
}

/// Whether `statfs` type `magic` is that of a special file system.
#[must_use]
pub fn is_special_magic(magic: u64) -> bool {
    KINDS.iter().any(|(_, kind)| *kind == magic)
}
