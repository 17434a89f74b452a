//! The ways: which system calls make a request, what must stand where, and what a hook asks on the way.
//!
//! A way is a function of the actor (`actor.c`, `data.c`, `name.c`, `meta.c`), by its name there.

use boesfs_lang::ops::Op;

/// What stands at the request's path before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    File,
    Dir,
    /// Nothing.
    Nothing,
    /// A symbolic link to the other name.
    Link,
    /// A program that succeeds.
    Program,
}

/// One question that a hook asks, in place of a path and arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks(pub(crate) Op, pub(crate) Place, pub(crate) With);

/// Of which object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The request's own.
    Path,
    /// The name beside it.
    Other,
    /// A file without a name, in the same directory.
    Unnamed,
}

/// With which arguments, besides `uid`, `gid` and `owner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum With {
    /// None.
    Nothing,
    /// Those of an open with these flags.
    Open(u32),
    /// Those of an open with these flags that makes the file.
    Make(u32),
    /// Those of reading or writing what was opened with these flags.
    Data(u32),
    /// Those of appending likewise.
    Append(u32),
    /// The size that is set.
    Size,
    /// The mode that is set.
    Mode,
    /// This mode.
    ModeOf(u32),
    /// These flags.
    Flags(u32),
    /// This size, of a value.
    Value(u32),
}

/// One way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) op: Op,
    /// Its name in the actor.
    pub(crate) name: &'static str,
    pub(crate) at: At,
    /// What stands at the name beside.
    pub(crate) other: At,
    /// What is asked.
    pub(crate) asks: &'static [Asks],
    /// Refused by every sandbox, whatever the policy.
    pub(crate) shut: bool,
}

const fn way(op: Op, name: &'static str, at: At, asks: &'static [Asks]) -> Way {
    Way { op, name, at, other: At::Nothing, asks, shut: false }
}

impl Way {
    const fn beside(self, other: At) -> Way {
        Way { other, ..self }
    }

    /// By a call that the sandbox refuses to all: io_uring.
    const fn shut(self) -> Way {
        Way { shut: true, ..self }
    }

    /// Whether it moves data at the request's offset, and not at the start.
    pub(crate) fn seeks(&self) -> bool {
        ["pread", "pwrite", "write.writev", "write.sendfile", "write.splice", "aio", "fallocate", "punch_hole"]
            .iter()
            .any(|word| self.name.contains(word))
    }

    /// Whether the hook sees exactly the offsets and lengths that the actor names, and the file may be empty.
    pub(crate) fn is_exact(&self) -> bool {
        !["splice", "sendfile", "mmap", "mprotect", "map", "aio", "copy_file_range", "fallocate", "punch_hole"]
            .iter()
            .any(|word| self.name.contains(word))
    }
}

use At::{Dir, File, Link, Nothing as Absent, Program};
use Place::{Other, Path, Unnamed};
use With::{Append, Data, Flags, Make, Mode, ModeOf, Nothing, Open, Size, Value};

const R: u32 = 0;
const W: u32 = 1;
const RW: u32 = 2;
const CREAT: u32 = 0o100;
const EXCL: u32 = 0o200;
const TRUNC: u32 = 0o1000;
const APPEND: u32 = 0o2000;
const NONBLOCK: u32 = 0o4000;
const DIRECTORY: u32 = 0o200_000;
const TMPFILE: u32 = 0o20_200_000;
/// Every descriptor of the actor's is closed at exec.
const CLOEXEC: u32 = 0o2_000_000;

const READ: Asks = Asks(Op::Read, Path, Open(R));
const DATA: Asks = Asks(Op::Read, Path, Data(R));
const WRITE: Asks = Asks(Op::Write, Path, Open(W));
const WRITTEN: Asks = Asks(Op::Write, Path, Data(W));
const BOTH: [Asks; 2] = [Asks(Op::Read, Path, Open(RW)), Asks(Op::Write, Path, Open(RW))];
const CREATED: &[Asks] =
    &[Asks(Op::Create, Path, Make(W | CREAT | EXCL)), Asks(Op::Write, Path, Make(W | CREAT | EXCL))];
const LINKED: &[Asks] = &[Asks(Op::Link, Path, Nothing), Asks(Op::Create, Other, Nothing)];
const fn moved(flags: u32) -> [Asks; 2] {
    [Asks(Op::Rename, Path, Flags(flags)), Asks(Op::Create, Other, ModeOf(0o666))]
}
const MOVED: [Asks; 2] = moved(0);

/// The table: every operation, each way.
#[rustfmt::skip]
pub(crate) const WAYS: &[Way] = &[
    way(Op::Read, "read.open", File, &[READ]),
    way(Op::Read, "read.read", File, &[READ, DATA]),
    way(Op::Read, "read.openat", File, &[READ]),
    way(Op::Read, "read.openat2", File, &[READ]),
    way(Op::Read, "read.rdwr", File, &[BOTH[0], BOTH[1], Asks(Op::Read, Path, Data(RW))]),
    way(Op::Read, "read.pread", File, &[READ, DATA]),
    way(Op::Read, "read.readv", File, &[READ, DATA]),
    way(Op::Read, "read.preadv2", File, &[READ, DATA]),
    way(Op::Read, "read.sendfile", File, &[READ, DATA]),
    way(Op::Read, "read.splice", File, &[READ, DATA]),
    way(Op::Read, "read.copy_file_range", File, &[READ, Asks(Op::Write, Other, Open(W)), DATA, Asks(Op::Write, Other, Data(W))]).beside(File),
    way(Op::Read, "read.aio", File, &[READ, DATA]),
    way(Op::Read, "read.io_uring", File, &[READ]).shut(),
    way(Op::Read, "read.o_path", File, &[READ]),
    way(Op::Map, "map.private", File, &[READ, Asks(Op::Map, Path, Nothing)]),
    way(Op::Map, "map.shared", File, &[READ, Asks(Op::Map, Path, Nothing)]),
    way(Op::Map, "map.exec", File, &[READ, Asks(Op::Map, Path, Nothing)]),
    way(Op::Map, "map.mprotect", File, &[READ, Asks(Op::Map, Path, Nothing)]),
    way(Op::Write, "write.open", File, &[WRITE]),
    way(Op::Write, "write.openat", File, &[WRITE, WRITTEN]),
    way(Op::Write, "write.openat2", File, &[WRITE, WRITTEN]),
    way(Op::Write, "write.rdwr", File, &[BOTH[0], BOTH[1], Asks(Op::Write, Path, Data(RW))]),
    way(Op::Write, "write.creat", File, &[Asks(Op::Write, Path, Open(W | CREAT | TRUNC)), Asks(Op::Truncate, Path, Flags(W | CREAT | TRUNC)), WRITTEN]),
    way(Op::Write, "write.pwrite", File, &[WRITE, WRITTEN]),
    way(Op::Write, "write.writev", File, &[WRITE, WRITTEN]),
    way(Op::Write, "write.pwritev2", File, &[WRITE, WRITTEN]),
    way(Op::Write, "write.mmap", File, &[BOTH[0], BOTH[1], Asks(Op::Map, Path, Nothing)]),
    way(Op::Write, "write.mprotect", File, &[BOTH[0], BOTH[1], Asks(Op::Map, Path, Nothing)]),
    way(Op::Write, "write.fallocate", File, &[WRITE, WRITTEN]),
    way(Op::Write, "write.punch_hole", File, &[WRITE, WRITTEN]),
    way(Op::Write, "write.copy_file_range", File, &[Asks(Op::Read, Other, Open(R)), WRITE, Asks(Op::Read, Other, Data(R)), WRITTEN]).beside(File),
    way(Op::Write, "write.sendfile", File, &[WRITE, WRITTEN]),
    way(Op::Write, "write.splice", File, &[WRITE, WRITTEN]),
    way(Op::Write, "write.aio", File, &[WRITE, WRITTEN]),
    way(Op::Write, "write.io_uring", File, &[WRITE]).shut(),
    way(Op::Write, "write.o_path", File, &[WRITE]),
    way(Op::Append, "append.write", File, &[Asks(Op::Append, Path, Open(W | APPEND)), Asks(Op::Append, Path, Append(W | APPEND))]),
    way(Op::Append, "append.writev", File, &[Asks(Op::Append, Path, Open(W | APPEND)), Asks(Op::Append, Path, Append(W | APPEND))]),
    way(Op::Append, "append.rdwr", File, &[Asks(Op::Read, Path, Open(RW | APPEND)), Asks(Op::Append, Path, Open(RW | APPEND)), Asks(Op::Append, Path, Append(RW | APPEND))]),
    way(Op::Append, "append.openat2", File, &[Asks(Op::Append, Path, Open(W | APPEND)), Asks(Op::Append, Path, Append(W | APPEND))]),
    way(Op::Truncate, "truncate.truncate", File, &[Asks(Op::Truncate, Path, Size)]),
    way(Op::Truncate, "truncate.ftruncate", File, &[WRITE, Asks(Op::Truncate, Path, Size)]),
    way(Op::Truncate, "truncate.o_trunc", File, &[Asks(Op::Write, Path, Open(W | TRUNC)), Asks(Op::Truncate, Path, Flags(W | TRUNC))]),
    way(Op::Truncate, "truncate.o_trunc_rdonly", File, &[Asks(Op::Read, Path, Open(TRUNC)), Asks(Op::Truncate, Path, Flags(TRUNC))]),
    way(Op::Truncate, "truncate.openat2", File, &[Asks(Op::Write, Path, Open(W | TRUNC)), Asks(Op::Truncate, Path, Flags(W | TRUNC))]),
    way(Op::Exec, "exec.execve", Program, &[Asks(Op::Exec, Path, ModeOf(0o755))]),
    way(Op::Exec, "exec.empty_path", Program, &[Asks(Op::Exec, Path, ModeOf(0o755))]),
    way(Op::Exec, "exec.execveat", Program, &[Asks(Op::Exec, Path, ModeOf(0o755))]),
    way(Op::Exec, "exec.fexecve", Program, &[READ, Asks(Op::Exec, Path, ModeOf(0o755))]),
    way(Op::Exec, "exec.magic_link", Program, &[Asks(Op::Exec, Path, ModeOf(0o755))]),
    way(Op::List, "list.open", Dir, &[Asks(Op::List, Path, Open(R))]),
    way(Op::List, "list.o_directory", Dir, &[Asks(Op::List, Path, Open(DIRECTORY | NONBLOCK))]),
    way(Op::List, "list.openat", Dir, &[Asks(Op::List, Path, Open(DIRECTORY))]),
    way(Op::Stat, "stat.stat", File, &[Asks(Op::Stat, Path, Nothing)]),
    way(Op::Stat, "stat.lstat", File, &[Asks(Op::Stat, Path, Nothing)]),
    way(Op::Stat, "stat.fstatat", File, &[Asks(Op::Stat, Path, Nothing)]),
    way(Op::Stat, "stat.empty_path", File, &[Asks(Op::Stat, Path, Nothing)]),
    way(Op::Stat, "stat.statx", File, &[Asks(Op::Stat, Path, Nothing)]),
    way(Op::Stat, "stat.access", File, &[Asks(Op::Stat, Path, Nothing)]),
    way(Op::Stat, "stat.faccessat2", File, &[Asks(Op::Stat, Path, Nothing)]),
    way(Op::Readlink, "readlink.readlink", Link, &[Asks(Op::Readlink, Path, Nothing)]).beside(File),
    way(Op::Readlink, "readlink.empty_path", Link, &[Asks(Op::Readlink, Path, Nothing)]).beside(File),
    way(Op::Readlink, "readlink.follow", Link, &[Asks(Op::Readlink, Path, Nothing), Asks(Op::Read, Other, Open(R))]).beside(File),
    way(Op::Create, "create.o_excl", Absent, CREATED),
    way(Op::Create, "create.o_creat", Absent, &[Asks(Op::Create, Path, Make(W | CREAT)), Asks(Op::Write, Path, Make(W | CREAT))]),
    way(Op::Create, "create.creat", Absent, &[Asks(Op::Create, Path, Make(W | CREAT | TRUNC)), Asks(Op::Write, Path, Make(W | CREAT | TRUNC))]),
    way(Op::Create, "create.openat", Absent, CREATED),
    way(Op::Create, "create.openat2", Absent, CREATED),
    way(Op::Create, "create.mknod", Absent, &[Asks(Op::Create, Path, ModeOf(0o666))]),
    way(Op::Create, "create.tmpfile", Absent, &[Asks(Op::Create, Unnamed, Make(W | TMPFILE)), Asks(Op::Write, Unnamed, Make(W | TMPFILE)),
        Asks(Op::Link, Unnamed, Nothing), Asks(Op::Create, Path, Nothing)]),
    way(Op::Create, "create.io_uring", Absent, CREATED).shut(),
    way(Op::Mkdir, "mkdir.mkdir", Absent, &[Asks(Op::Mkdir, Path, ModeOf(0o777))]),
    way(Op::Mkdir, "mkdir.mkdirat", Absent, &[Asks(Op::Mkdir, Path, ModeOf(0o777))]),
    way(Op::Mkdir, "mkdir.io_uring", Absent, &[Asks(Op::Mkdir, Path, ModeOf(0o777))]).shut(),
    way(Op::Mknod, "mknod.fifo", Absent, &[Asks(Op::Mknod, Path, ModeOf(0o010_666))]),
    way(Op::Mknod, "mknod.fifoat", Absent, &[Asks(Op::Mknod, Path, ModeOf(0o010_666))]),
    way(Op::Mknod, "mknod.socket", Absent, &[Asks(Op::Mknod, Path, ModeOf(0o140_666))]),
    way(Op::Mknod, "mknod.whiteout", Absent, &[Asks(Op::Mknod, Path, ModeOf(0o020_666))]),
    way(Op::Mknod, "mknod.bind", Absent, &[Asks(Op::Mknod, Path, ModeOf(0o140_777))]),
    way(Op::Symlink, "symlink.symlink", Absent, &[Asks(Op::Symlink, Path, Nothing)]),
    way(Op::Symlink, "symlink.symlinkat", Absent, &[Asks(Op::Symlink, Path, Nothing)]),
    way(Op::Symlink, "symlink.io_uring", Absent, &[Asks(Op::Symlink, Path, Nothing)]).shut(),
    way(Op::Link, "link.link", File, LINKED),
    way(Op::Link, "link.linkat", File, LINKED),
    way(Op::Link, "link.magic_link", File, LINKED),
    way(Op::Link, "link.empty_path", File, LINKED),
    way(Op::Link, "link.io_uring", File, LINKED).shut(),
    way(Op::Unlink, "unlink.unlink", File, &[Asks(Op::Unlink, Path, Nothing)]),
    way(Op::Unlink, "unlink.unlinkat", File, &[Asks(Op::Unlink, Path, Nothing)]),
    way(Op::Unlink, "unlink.rename_over", File, &[Asks(Op::Rename, Other, Flags(0)), Asks(Op::Create, Path, ModeOf(0o666)), Asks(Op::Unlink, Path, Nothing)]).beside(File),
    way(Op::Unlink, "unlink.io_uring", File, &[Asks(Op::Unlink, Path, Nothing)]).shut(),
    way(Op::Rmdir, "rmdir.rmdir", Dir, &[Asks(Op::Rmdir, Path, Nothing)]),
    way(Op::Rmdir, "rmdir.unlinkat", Dir, &[Asks(Op::Rmdir, Path, Nothing)]),
    way(Op::Rmdir, "rmdir.rename_over", Dir, &[Asks(Op::Rename, Other, Flags(0)), Asks(Op::Mkdir, Path, ModeOf(0o777)), Asks(Op::Rmdir, Path, Nothing)]).beside(Dir),
    way(Op::Rename, "rename.rename", File, &MOVED),
    way(Op::Rename, "rename.renameat", File, &MOVED),
    way(Op::Rename, "rename.noreplace", File, &moved(1)),
    way(Op::Rename, "rename.exchange", File, &[moved(2)[0], moved(2)[1], Asks(Op::Rename, Other, Flags(2)), Asks(Op::Create, Path, ModeOf(0o666))]).beside(File),
    way(Op::Rename, "rename.whiteout", File, &[moved(4)[0], moved(4)[1], Asks(Op::Mknod, Path, ModeOf(0))]),
    way(Op::Rename, "rename.directory", Dir, &[MOVED[0], Asks(Op::Mkdir, Other, ModeOf(0o777))]),
    way(Op::Rename, "rename.over", File, &[MOVED[0], MOVED[1], Asks(Op::Unlink, Other, Nothing)]).beside(File),
    way(Op::Rename, "rename.io_uring", File, &MOVED).shut(),
    way(Op::Chmod, "chmod.chmod", File, &[Asks(Op::Chmod, Path, Mode)]),
    way(Op::Chmod, "chmod.fchmod", File, &[READ, Asks(Op::Chmod, Path, Mode)]),
    way(Op::Chmod, "chmod.fchmodat", File, &[Asks(Op::Chmod, Path, Mode)]),
    way(Op::Chmod, "chmod.fchmodat2", File, &[Asks(Op::Chmod, Path, Mode)]),
    way(Op::Chmod, "chmod.acl", File, &[Asks(Op::Chmod, Path, ModeOf(0o666)), Asks(Op::Setxattr, Path, Value(28))]),
    way(Op::Chmod, "chmod.remove_acl", File, &[Asks(Op::Chmod, Path, ModeOf(0o666)), Asks(Op::Setxattr, Path, Value(0))]),
    way(Op::Chown, "chown.chown", File, &[Asks(Op::Chown, Path, Nothing)]),
    way(Op::Chown, "chown.lchown", File, &[Asks(Op::Chown, Path, Nothing)]),
    way(Op::Chown, "chown.fchown", File, &[READ, Asks(Op::Chown, Path, Nothing)]),
    way(Op::Chown, "chown.empty_path", File, &[Asks(Op::Chown, Path, Nothing)]),
    way(Op::Utimes, "utimes.utimensat", File, &[Asks(Op::Utimes, Path, Nothing)]),
    way(Op::Utimes, "utimes.now", File, &[Asks(Op::Utimes, Path, Nothing)]),
    way(Op::Utimes, "utimes.futimens", File, &[READ, Asks(Op::Utimes, Path, Nothing)]),
    way(Op::Utimes, "utimes.utimes", File, &[Asks(Op::Utimes, Path, Nothing)]),
    way(Op::Utimes, "utimes.utime", File, &[Asks(Op::Utimes, Path, Nothing)]),
    way(Op::Getxattr, "getxattr.getxattr", File, &[Asks(Op::Getxattr, Path, Value(256))]),
    way(Op::Getxattr, "getxattr.lgetxattr", File, &[Asks(Op::Getxattr, Path, Value(256))]),
    way(Op::Getxattr, "getxattr.fgetxattr", File, &[READ, Asks(Op::Getxattr, Path, Value(256))]),
    way(Op::Getxattr, "getxattr.acl", File, &[Asks(Op::Getxattr, Path, Value(256))]),
    way(Op::Setxattr, "setxattr.setxattr", File, &[Asks(Op::Setxattr, Path, Value(1))]),
    way(Op::Setxattr, "setxattr.lsetxattr", File, &[Asks(Op::Setxattr, Path, Value(1))]),
    way(Op::Setxattr, "setxattr.fsetxattr", File, &[READ, Asks(Op::Setxattr, Path, Value(1))]),
    way(Op::Setxattr, "setxattr.remove", File, &[Asks(Op::Setxattr, Path, Value(0))]),
    way(Op::Setxattr, "setxattr.lremove", File, &[Asks(Op::Setxattr, Path, Value(0))]),
    way(Op::Setxattr, "setxattr.fremove", File, &[READ, Asks(Op::Setxattr, Path, Value(0))]),
    way(Op::Listxattr, "listxattr.listxattr", File, &[Asks(Op::Listxattr, Path, Value(256))]),
    way(Op::Listxattr, "listxattr.llistxattr", File, &[Asks(Op::Listxattr, Path, Value(256))]),
    way(Op::Listxattr, "listxattr.flistxattr", File, &[READ, Asks(Op::Listxattr, Path, Value(256))]),
    way(Op::Lock, "lock.flock", File, &[READ, Asks(Op::Lock, Path, Nothing)]),
    way(Op::Lock, "lock.setlk", File, &[READ, Asks(Op::Lock, Path, Nothing)]),
    way(Op::Lock, "lock.getlk", File, &[READ, Asks(Op::Lock, Path, Nothing)]),
    way(Op::Lock, "lock.ofd", File, &[READ, Asks(Op::Lock, Path, Nothing)]),
    way(Op::Ioctl, "ioctl.getflags", File, &[READ, Asks(Op::Ioctl, Path, Flags(0x8008_6601))]),
    way(Op::Ioctl, "ioctl.getversion", File, &[READ, Asks(Op::Ioctl, Path, Flags(0x8008_7601))]),
    way(Op::Statfs, "statfs.statfs", File, &[Asks(Op::Statfs, Path, Nothing)]),
    way(Op::Statfs, "statfs.fstatfs", File, &[Asks(Op::Statfs, Path, Nothing)]),
    way(Op::Watch, "watch.inotify", File, &[Asks(Op::Watch, Path, Nothing)]),
    way(Op::Watch, "watch.fanotify", File, &[Asks(Op::Watch, Path, Nothing), Asks(Op::Statfs, Path, Nothing)]),
];

/// Flags of an open as the caller gives them, and as they are left where the kernel has acted on some already.
pub(crate) fn seen(flags: u32) -> [u32; 2] {
    let given = flags | CLOEXEC;
    [given, given & !(CREAT | EXCL | CLOEXEC)]
}

/// The questions of `read.open` with flags of a request's own.
pub(crate) fn opened_with(flags: u32) -> Vec<Asks> {
    let mut asks = Vec::new();
    if flags & 3 != W {
        asks.push(Asks(Op::Read, Path, Open(flags)));
    }
    if flags & 3 != R {
        asks.push(Asks(if flags & APPEND != 0 { Op::Append } else { Op::Write }, Path, Open(flags)));
    }
    if flags & TRUNC != 0 {
        asks.push(Asks(Op::Truncate, Path, Flags(flags)));
    }
    asks
}

#[test]
fn every_operation_has_ways_and_every_way_is_the_actors() {
    for info in boesfs_lang::ops::TABLE {
        assert!(WAYS.iter().any(|way| way.op == info.op), "{} has no way", info.name);
    }
    let source: String = ["data.c", "name.c", "meta.c"]
        .map(|file| std::fs::read_to_string(crate::actor::source(file)).expect("the actor's source"))
        .concat();
    for way in WAYS {
        assert!(way.name.starts_with(way.op.name()), "{} is a way of {}", way.name, way.op);
        assert!(source.contains(&format!("{{\"{}\", ", way.name)), "the actor has no way {}", way.name);
    }
    let made = source.matches("{\"").count();
    assert_eq!(made, WAYS.len(), "the actor has ways that stand in no table");
}
