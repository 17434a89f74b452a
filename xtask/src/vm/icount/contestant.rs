//! Who is counted. A new one is one entry of [`CONTESTANTS`], and a shell function of `contestants.sh` if it starts otherwise
//! than those there.

use boesfs_runtime::hook::Hook;

/// A contestant.
pub(crate) struct Contestant {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// The function of `contestants.sh` that runs a command under it, with its arguments.
    pub(crate) under: &'static str,
    /// The hook of this project that it takes: where this build has it not, the contestant is left out.
    pub(crate) hook: Option<&'static str>,
    /// Where the work is done: its own place where the contestant is a file system of its own.
    pub(crate) place: &'static str,
    /// What refuses the open that is refused: `policy`, or `permissions` where there is none.
    pub(crate) refused_by: &'static str,
    /// Modules that it needs, in order.
    pub(crate) modules: &'static [&'static str],
    /// Whether it does the whole jobs besides single operations.
    pub(crate) jobs: Jobs,
}

/// Whether a contestant does whole jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Jobs {
    Done,
    Left,
}

/// One under a policy, or none, on the tree itself.
const fn peer(name: &'static str, under: &'static str, refused_by: &'static str, jobs: Jobs) -> Contestant {
    Contestant { name, under, hook: None, place: "/b", refused_by, modules: &[], jobs }
}

/// One of this project's hooks.
const fn hook(hook: &'static str, name: &'static str, under: &'static str, jobs: Jobs) -> Contestant {
    Contestant { hook: Some(hook), ..peer(name, under, "policy", jobs) }
}

/// A task outside of all sandboxes, where some are.
const fn outside(name: &'static str, under: &'static str) -> Contestant {
    Contestant { refused_by: "permissions", ..hook("lsm", name, under, Jobs::Left) }
}

/// All of them, in the order of the table.
pub(crate) const CONTESTANTS: &[Contestant] = &[
    peer("native-again", "native", "permissions", Jobs::Done),
    peer("landlock-10", "landlock 10", "policy", Jobs::Done),
    peer("landlock-1000", "landlock 1000", "policy", Jobs::Left),
    peer("apparmor-10", "apparmor 10", "policy", Jobs::Done),
    peer("apparmor-1000", "apparmor 1000", "policy", Jobs::Left),
    Contestant { place: "/o", modules: &["overlay"], ..peer("overlayfs", "overlayfs", "permissions", Jobs::Done) },
    hook("fuse", "fuse-10", "sandbox fuse 10", Jobs::Done),
    hook("fuse", "fuse-1000", "sandbox fuse 1000", Jobs::Left),
    hook("fuse", "fuse-100000", "sandbox fuse 100000", Jobs::Left),
    // The least that a program on the hooks of opening and stat can cost, on this kernel.
    peer("lsm-empty", "empty file_open inode_getattr --", "permissions", Jobs::Left),
    hook("lsm", "lsm-10", "sandbox lsm 10", Jobs::Done),
    hook("lsm", "lsm-1000", "sandbox lsm 1000", Jobs::Left),
    hook("lsm", "lsm-100000", "sandbox lsm 100000", Jobs::Left),
    // Where no rule concerns what is counted but opening, and moving, which is asked about wherever anything is judged.
    Contestant { refused_by: "permissions", ..hook("lsm", "lsm-reads", "sandbox lsm reads", Jobs::Left) },
    // Without a sandbox.
    hook("lsm", "lsm-cgroup", "cgroup lsm 10", Jobs::Left),
    outside("lsm-outside-1", "outside lsm 1"),
    outside("lsm-outside-100", "outside lsm 100"),
    Contestant { place: "/k", refused_by: "permissions", ..hook("kmod", "kmod-mount", "mounted all", Jobs::Done) },
    Contestant { refused_by: "permissions", ..hook("kmod", "kmod-all", "sandbox kmod all", Jobs::Done) },
    hook("kmod", "kmod-agent", "sandbox kmod agent", Jobs::Done),
    hook("kmod", "kmod-100000", "sandbox kmod 100000", Jobs::Done),
];

impl Contestant {
    /// Whether this build has the hook that it takes.
    pub(crate) fn is_here(&self) -> bool {
        self.hook.is_none_or(|name| Hook::ALL.iter().any(|hook| hook.name() == name))
    }
}
