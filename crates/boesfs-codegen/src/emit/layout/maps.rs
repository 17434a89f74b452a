//! Maps and sections of data that programs share with whoever loads them.

use super::{REQUEST_BYTES, REQUEST_MAP};

/// A map of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Map {
    /// The names of a request to `boesfs_walk`.
    Request,
    /// By address of a mount (`struct vfsmount`): a [`place`].
    Mounts,
    /// By address of a super block: the [`place`]s that show it, see [`supers`].
    Supers,
    /// By address of a dentry: the objects behind the descriptors that the sandbox was handed, see [`handed`].
    Handed,
    /// By inode of a directory: its state, see [`super::dir_bits`].
    Dirs,
    /// By task: room for what does not fit on the stack, see [`scratch`].
    Scratch,
    /// What is recorded: see [`event`].
    Events,
    /// By task: the address of the dentry of a directory that it is renaming; 0 if it is renaming none.
    Renaming,
    /// By number of a place, and from 0 on: what its mount stands on, and what is above that, see [`above`].
    Above,
    /// By task: its executable, as its state counted from the root of executables, which is 1; 0: no rule speaks of it, [`UNTOLD`]: it could not be told.
    Executable,
}

/// In [`Map::Executable`]: what a task runs could not be told. It is nobody.
pub const UNTOLD: u64 = u32::MAX as u64;

/// The kind of a map, by its number in `include/uapi/linux/bpf.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
#[repr(u32)]
pub enum MapKind {
    Hash = 1,
    Array = 2,
    RingBuffer = 27,
    InodeStorage = 28,
    TaskStorage = 29,
}

impl Map {
    /// Every map, in the order of their definitions.
    pub const ALL: [Map; 10] = [
        Map::Request,
        Map::Mounts,
        Map::Supers,
        Map::Handed,
        Map::Dirs,
        Map::Scratch,
        Map::Events,
        Map::Renaming,
        Map::Above,
        Map::Executable,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Map::Request => REQUEST_MAP,
            Map::Mounts => "mounts",
            Map::Supers => "supers",
            Map::Handed => "handed",
            Map::Dirs => "dirs",
            Map::Scratch => "scratch",
            Map::Events => "events",
            Map::Renaming => "renaming",
            Map::Above => "above",
            Map::Executable => "executable",
        }
    }

    /// The map called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Map> {
        Map::ALL.into_iter().find(|map| map.name() == name)
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(self) -> MapKind {
        match self {
            Map::Request => MapKind::Array,
            Map::Mounts | Map::Supers | Map::Handed | Map::Above => MapKind::Hash,
            Map::Dirs => MapKind::InodeStorage,
            Map::Scratch | Map::Renaming | Map::Executable => MapKind::TaskStorage,
            Map::Events => MapKind::RingBuffer,
        }
    }

    /// Bytes of a key; 0 if it has none.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Map::Request | Map::Dirs | Map::Scratch | Map::Renaming | Map::Executable => 4,
            Map::Mounts | Map::Supers | Map::Handed | Map::Above => 8,
            Map::Events => 0,
        }
    }

    /// Bytes of a value; 0 if it has none.
    #[must_use]
    pub const fn value_bytes(self) -> usize {
        match self {
            Map::Request => REQUEST_BYTES,
            Map::Mounts => place::BYTES,
            Map::Supers => supers::BYTES,
            Map::Handed | Map::Dirs | Map::Renaming | Map::Executable => 8,
            Map::Above => above::BYTES,
            Map::Scratch => scratch::BYTES,
            Map::Events => 0,
        }
    }

    /// The most entries; for a ring buffer, its bytes. 0 for storage, which has one in each of its owners.
    #[must_use]
    pub const fn entries(self) -> u32 {
        match self {
            Map::Request => 1,
            Map::Mounts | Map::Supers => 4096,
            Map::Handed => 16,
            Map::Above => 1 << 14,
            Map::Dirs | Map::Scratch | Map::Renaming | Map::Executable => 0,
            Map::Events => 1 << 22,
        }
    }

    /// `BPF_F_NO_PREALLOC` for storage, which must have it, and for what has few entries of the many that there can be.
    #[must_use]
    pub const fn flags(self) -> u32 {
        (matches!(self.kind(), MapKind::InodeStorage | MapKind::TaskStorage) || matches!(self, Map::Above)) as u32
    }
}

/// A section of data that is not a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Data {
    /// What is fixed for a session, see [`session`]: zero in the object, filled in by whoever loads it.
    Session,
    /// What changes during a session, see [`live`].
    Live,
    /// What renames of directories change, whoever makes them, see [`moves`].
    Moves,
    /// `u64`s: the address of each mount of the tree, by its number, see [`place::NUMBER`]. What is told before anything is judged.
    Places,
}

impl Data {
    /// Every section.
    pub const ALL: [Data; 4] = [Data::Session, Data::Live, Data::Moves, Data::Places];

    /// Its name.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Data::Session => ".rodata.session",
            Data::Live => ".data.live",
            Data::Moves => ".data.moves",
            Data::Places => ".data.places",
        }
    }

    /// The variable in it.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Data::Session => "session",
            Data::Live => "live",
            Data::Moves => "moves",
            Data::Places => "places",
        }
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Data::Session => session::BYTES,
            Data::Live => live::BYTES,
            Data::Moves => moves::BYTES,
            Data::Places => 8 * super::dir_bits::PLACES as usize,
        }
    }

    /// Whether it is written after the programs were loaded.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        !matches!(self, Data::Session)
    }
}

/// What the descriptors of an object are for that the sandbox was handed, in [`Map::Handed`].
pub mod handed {
    /// To be read.
    pub const READ: u32 = 1;
    /// To be written.
    pub const WRITE: u32 = 2;
    /// Always set.
    pub const MARK: u32 = 4;
}

/// Offsets in [`Data::Session`].
pub mod session {
    /// `u64`: the id of the cgroup whose tasks are judged. 0: nobody's.
    pub const CGROUP: usize = 0;
    /// `u32`: the class of every subject, or [`EACH`].
    pub const CLASS: usize = 8;
    /// In [`CLASS`]: each subject has its own, by its user, its groups and its executable.
    pub const EACH: u32 = u32::MAX;
    /// `u32`: not 0 where the hook `inode_setattr` has no mapping of ids as its first argument, as on older kernels.
    pub const SETATTR_UNMAPPED: usize = 12;
    /// `u32`: where `d_alias` is in a dentry, which kernels declare in different ways.
    pub const ALIAS: usize = 16;
    /// `u32`: how many cgroups are above that one, where the tasks of cgroups below it are judged too. 0: they are not.
    pub const LEVEL: usize = 20;
    /// `u32`: not 0 where the verifier takes memory on the stack that was not set.
    pub const UNSET: usize = 24;
    /// `u32`: where a dentry has a short name in itself, which kernels declare in different ways. 0: not known.
    pub const SHORT: usize = 28;
    /// `u32`: not 0 where the programs are reached from those that all sandboxes share ([`super::super::family`]), which have asked whose task it is, and
    /// only once they are to judge.
    pub const SHARED: usize = 32;
    /// Bytes of it.
    pub const BYTES: usize = 64;
}

/// Offsets in [`Data::Live`].
pub mod live {
    use super::super::dir_bits;

    /// `u64`: not 0 once tasks of the cgroup are judged.
    pub const ARMED: usize = 0;
    /// `u64`s: how often something was refused without a verdict, by [`super::Doubt`], or an event was lost.
    pub const COUNTERS: usize = 8;
    /// `u32`: where the number of a process in the agent's PID namespace is in its `struct pid`.
    pub const NUMBER: usize = 72;
    /// `u64`s: by number of a place, what [`super::Data::Moves`] was when its mount was last seen to stand where it was told to.
    pub const STOOD: usize = 128;
    /// Bytes of it.
    pub const BYTES: usize = STOOD + 8 * dir_bits::PLACES as usize;
}

/// Offsets in [`Data::Moves`].
pub mod moves {
    /// `u32`: directories that are being renamed right now, by anybody.
    pub const MOVING: usize = 0;
    /// `u32`: how often that began and ended: the generation of the states that [`super::Map::Dirs`] holds. It stays where it
    /// is from [`super::super::dir_bits::GENERATIONS`] on, and nothing is kept any more.
    pub const GENERATION: usize = 4;
    /// Bytes of it.
    pub const BYTES: usize = 64;
}

/// One of the dentries that a mount stands on or below. While it has the sequence number that it had, nobody has renamed it.
pub mod above {
    /// Of the key, `u32`: the number of the place.
    pub const PLACE: usize = 0;
    /// Of the key, `u32`: which of its dentries, from 0 on without a gap.
    pub const INDEX: usize = 4;
    /// `u64`: the address of the dentry.
    pub const DENTRY: usize = 0;
    /// `u64`: its sequence number.
    pub const SEQUENCE: usize = 8;
    /// Bytes of it.
    pub const BYTES: usize = 16;
    /// The most of a place that are looked at.
    pub const MOST: usize = 144;
}

/// Why there is no verdict: refused, counted and recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Doubt {
    /// No doubt, in events. As a counter: events that found no room.
    None = 0,
    /// A mount, or a file system, that is not of the sandbox's tree.
    Foreign = 1,
    /// More than [`DEPTH`] components below the root of its mount.
    Deep = 2,
    /// Renamed while it was looked at, again and again.
    Raced = 3,
    /// Not below the root of its mount: moved out of it. Or that mount is not where it was.
    Nowhere = 4,
    /// No room to work in.
    Room = 5,
    /// Several mounts show its file system, or several names lead to it, and not all of them say the same.
    Several = 6,
    /// Its file system takes different names for one, and the state depends on the name.
    Inexact = 7,
}

impl Doubt {
    /// Every one, by number.
    pub const ALL: [Doubt; 8] = [
        Doubt::None,
        Doubt::Foreign,
        Doubt::Deep,
        Doubt::Raced,
        Doubt::Nowhere,
        Doubt::Room,
        Doubt::Several,
        Doubt::Inexact,
    ];
}

/// The most components between the root of a mount and an object whose state is looked for.
pub const DEPTH: usize = 128;

/// Offsets of a mount of the sandbox's tree.
pub mod place {
    /// `u64`: the address of its root dentry.
    pub const ROOT: usize = 0;
    /// `u32`: the state of its root.
    pub const STATE: usize = 8;
    /// `u32`: its number, from 1: below [`super::super::dir_bits::PLACES`] if states may be kept.
    pub const NUMBER: usize = 12;
    /// `u32`: 1 if it is judged, 0 if everything is allowed there.
    pub const JUDGED: usize = 16;
    /// `u32`: 1 if the states of its directories may be kept.
    pub const KEPT: usize = 20;
    /// `u32`: the state of its root from the root of executables; 0: no rule speaks of executables there.
    pub const EXECUTABLES: usize = 24;
    /// Bytes of it.
    pub const BYTES: usize = 32;
}

/// Offsets of what is known of a super block.
pub mod supers {
    use super::place;

    /// `u32`: how many [`place`]s show it; more than [`MOST`]: too many to judge by.
    pub const COUNT: usize = 0;
    /// The places.
    pub const PLACES: usize = 8;
    /// The most places.
    pub const MOST: usize = 4;
    /// Bytes of it.
    pub const BYTES: usize = PLACES + MOST * place::BYTES;
}

/// Offsets of a task's scratch memory.
pub mod scratch {
    use super::super::NAME_BYTES;
    use super::{DEPTH, event};

    /// `u64`: the address of the dentry to start from.
    pub const FROM: usize = 0;
    /// `u64`: the address of the root of its mount.
    pub const ROOT: usize = 8;
    /// `u64`: the state of that root.
    pub const STATE: usize = 16;
    /// `u64`: a word read from the kernel.
    pub const WORD: usize = 24;
    /// `u64`: the number of dentries in [`CHAIN`].
    pub const COUNT: usize = 32;
    /// `u64`: how many of them are still to be looked at. Of what a mount stands on: how many were.
    pub const LEFT: usize = 40;
    /// A name, zero-padded.
    pub const NAME: usize = 48;
    /// `u64`: the state of the parent of the object at [`FROM`].
    pub const ABOVE: usize = NAME + NAME_BYTES;
    /// `u64`s: the dentries from [`FROM`] up, then the root.
    pub const CHAIN: usize = ABOVE + 8;
    /// `u64`s: the sequence number of each when it was looked at.
    pub const SEQUENCES: usize = CHAIN + 8 * (DEPTH + 1);
    /// An [`event`].
    pub const EVENT: usize = SEQUENCES + 8 * DEPTH;
    /// Bytes of it.
    pub const BYTES: usize = EVENT + event::BYTES;
}

/// Offsets of an event.
pub mod event {
    /// `u32`: the thread that asked, by its number in the PID namespace of whoever loaded the programs; in the first one, where the module tells.
    pub const THREAD: usize = 0;
    /// `u32`: its process.
    pub const PROCESS: usize = 4;
    /// `u64`: the verdict, as `tables::pack_verdict` writes it.
    pub const VERDICT: usize = 8;
    /// `u32`: the class.
    pub const CLASS: usize = 16;
    /// `u32`: the operation.
    pub const OP: usize = 20;
    /// `u32`: bytes of [`PATH`].
    pub const LENGTH: usize = 24;
    /// `u32`: not 0 if the path does not reach up to the root of the mount.
    pub const CUT: usize = 28;
    /// `u32`: the number of the mount; 0: of no mount of the tree.
    pub const PLACE: usize = 32;
    /// `u32`: a [`super::Doubt`].
    pub const DOUBT: usize = 36;
    /// `u32`: its effective user.
    pub const USER: usize = 40;
    /// `u64`: when, by the clock `CLOCK_MONOTONIC`, in nanoseconds.
    pub const WHEN: usize = 48;
    /// 16 bytes: the thread's name.
    pub const COMM: usize = 56;
    /// The components below the root of the mount, the last one first, each with a `/` after it.
    pub const PATH: usize = 72;
    /// The most bytes of a path.
    pub const PATH_BYTES: usize = 4096;
    /// Room after them, so that the longest name fits wherever the path ends.
    pub const SLACK: usize = 264;
    /// Bytes of the longest event, with slack.
    pub const BYTES: usize = PATH + PATH_BYTES + SLACK;
}
