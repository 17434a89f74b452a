//! Every operation of the table, under every effect, with real system calls on a real mount: run as root.
//!
//! Each policy refuses one operation below `/t`, and everything else is allowed. Each action lists the operations it must be
//! asked about, in order; what it gives is compared with what the checker says of them.

#![expect(clippy::unwrap_used, reason = "the helpers of tests, too, stop at the first surprise")]

mod fuse_support;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use boesfs_lang::ops::{Mediation, Op, TABLE};
use boesfs_lang::policy::Effect;
use fuse_support::{Fixture, code, errno};
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags,
};

/// One system call, the operations it asks about, and where.
struct Action {
    name: &'static str,
    asks: &'static [(Op, &'static str)],
    run: fn(&Path) -> i32,
}

fn open(path: &Path, flags: OFlags) -> rustix::io::Result<std::os::fd::OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o644))
}

/// opendir(3) would ask for attributes as well.
fn list(path: &Path) -> rustix::io::Result<()> {
    let dir = open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    rustix::fs::RawDir::new(dir, &mut buffer).next().transpose().map(|_| ())
}

fn times() -> Timestamps {
    let time = Timespec { tv_sec: 1, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

/// A path for libc.
fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

const ACTIONS: &[Action] = &[
    Action { name: "stat", asks: &[(Op::Stat, "/t/f")], run: |t| code(rustix::fs::stat(t.join("f"))) },
    Action { name: "open to read", asks: &[(Op::Read, "/t/f")], run: |t| code(open(&t.join("f"), OFlags::RDONLY)) },
    Action { name: "open to write", asks: &[(Op::Write, "/t/f")], run: |t| code(open(&t.join("f"), OFlags::WRONLY)) },
    Action {
        name: "open for both",
        asks: &[(Op::Read, "/t/f"), (Op::Write, "/t/f")],
        run: |t| code(open(&t.join("f"), OFlags::RDWR)),
    },
    Action {
        name: "open to append",
        asks: &[(Op::Append, "/t/f")],
        run: |t| code(open(&t.join("f"), OFlags::WRONLY | OFlags::APPEND)),
    },
    Action {
        name: "open and truncate",
        asks: &[(Op::Write, "/t/f"), (Op::Truncate, "/t/f")],
        run: |t| code(open(&t.join("f"), OFlags::WRONLY | OFlags::TRUNC)),
    },
    Action {
        name: "truncate",
        asks: &[(Op::Truncate, "/t/f")],
        run: |t| {
            let path = c(&t.join("f"));
            // SAFETY: the path ends with NUL.
            if unsafe { libc::truncate(path.as_ptr(), 3) } == 0 {
                0
            } else {
                errno::<()>(Err(std::io::Error::last_os_error()))
            }
        },
    },
    Action {
        name: "exec",
        asks: &[(Op::Exec, "/t/x")],
        run: |t| errno(Command::new(t.join("x")).args(["true"]).output()),
    },
    Action { name: "opendir", asks: &[(Op::List, "/t/d")], run: |t| code(list(&t.join("d"))) },
    Action { name: "readlink", asks: &[(Op::Readlink, "/t/l")], run: |t| errno(std::fs::read_link(t.join("l"))) },
    Action {
        name: "create",
        asks: &[(Op::Create, "/t/new"), (Op::Write, "/t/new")],
        run: |t| code(open(&t.join("new"), OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)),
    },
    Action {
        name: "tmpfile",
        asks: &[(Op::Create, "/t/#tmpfile"), (Op::Read, "/t/#tmpfile"), (Op::Write, "/t/#tmpfile")],
        run: |t| code(open(t, OFlags::RDWR | OFlags::TMPFILE)),
    },
    Action {
        name: "mknod of a file",
        asks: &[(Op::Create, "/t/new")],
        run: |t| {
            let kind = rustix::fs::FileType::RegularFile;
            code(rustix::fs::mknodat(CWD, t.join("new"), kind, Mode::from_raw_mode(0o644), 0))
        },
    },
    Action { name: "mkdir", asks: &[(Op::Mkdir, "/t/new")], run: |t| errno(std::fs::create_dir(t.join("new"))) },
    Action {
        name: "mkfifo",
        asks: &[(Op::Mknod, "/t/new")],
        run: |t| {
            code(rustix::fs::mknodat(CWD, t.join("new"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o644), 0))
        },
    },
    Action {
        name: "bind a socket",
        asks: &[(Op::Mknod, "/t/new")],
        run: |t| errno(std::os::unix::net::UnixListener::bind(t.join("new"))),
    },
    Action {
        name: "symlink",
        asks: &[(Op::Symlink, "/t/new")],
        run: |t| code(rustix::fs::symlink("f", t.join("new"))),
    },
    Action {
        name: "link",
        asks: &[(Op::Link, "/t/f"), (Op::Create, "/t/new")],
        run: |t| errno(std::fs::hard_link(t.join("f"), t.join("new"))),
    },
    Action { name: "unlink", asks: &[(Op::Unlink, "/t/f")], run: |t| errno(std::fs::remove_file(t.join("f"))) },
    Action { name: "rmdir", asks: &[(Op::Rmdir, "/t/empty")], run: |t| errno(std::fs::remove_dir(t.join("empty"))) },
    Action {
        name: "rename",
        asks: &[(Op::Rename, "/t/f"), (Op::Create, "/t/new")],
        run: |t| errno(std::fs::rename(t.join("f"), t.join("new"))),
    },
    Action {
        name: "rename of a directory",
        asks: &[(Op::Rename, "/t/empty"), (Op::Mkdir, "/t/new")],
        run: |t| errno(std::fs::rename(t.join("empty"), t.join("new"))),
    },
    Action {
        name: "rename over a file",
        asks: &[(Op::Rename, "/t/f"), (Op::Create, "/t/x"), (Op::Unlink, "/t/x")],
        run: |t| errno(std::fs::rename(t.join("f"), t.join("x"))),
    },
    Action {
        name: "rename over a directory",
        asks: &[(Op::Rename, "/t/d"), (Op::Mkdir, "/t/empty"), (Op::Rmdir, "/t/empty")],
        run: |t| errno(std::fs::rename(t.join("d"), t.join("empty"))),
    },
    Action {
        name: "exchange",
        asks: &[(Op::Rename, "/t/f"), (Op::Create, "/t/d"), (Op::Rename, "/t/d"), (Op::Mkdir, "/t/f")],
        run: |t| code(rustix::fs::renameat_with(CWD, t.join("f"), CWD, t.join("d"), RenameFlags::EXCHANGE)),
    },
    Action {
        name: "chmod",
        asks: &[(Op::Chmod, "/t/f")],
        run: |t| code(rustix::fs::chmod(t.join("f"), Mode::from_raw_mode(0o600))),
    },
    Action {
        name: "chown",
        asks: &[(Op::Chown, "/t/f")],
        run: |t| errno(std::os::unix::fs::chown(t.join("f"), Some(1), None)),
    },
    Action {
        name: "utimensat",
        asks: &[(Op::Utimes, "/t/f")],
        run: |t| code(rustix::fs::utimensat(CWD, t.join("f"), &times(), AtFlags::empty())),
    },
    Action {
        name: "getxattr",
        asks: &[(Op::Getxattr, "/t/f")],
        run: |t| code(rustix::fs::getxattr(t.join("f"), c"user.there", &mut [0u8; 16])),
    },
    Action {
        name: "setxattr",
        asks: &[(Op::Setxattr, "/t/f")],
        run: |t| code(rustix::fs::setxattr(t.join("f"), c"user.new", b"v", XattrFlags::empty())),
    },
    Action {
        name: "removexattr",
        asks: &[(Op::Setxattr, "/t/f")],
        run: |t| code(rustix::fs::removexattr(t.join("f"), c"user.there")),
    },
    Action {
        name: "listxattr",
        asks: &[(Op::Listxattr, "/t/f")],
        run: |t| code(rustix::fs::listxattr(t.join("f"), &mut [0u8; 256])),
    },
    Action {
        name: "flock",
        asks: &[(Op::Read, "/t/f"), (Op::Lock, "/t/f")],
        run: |t| match open(&t.join("f"), OFlags::RDONLY) {
            Ok(file) => code(rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)),
            Err(errno) => errno.raw_os_error(),
        },
    },
    Action {
        name: "fcntl lock",
        asks: &[(Op::Read, "/t/f"), (Op::Lock, "/t/f")],
        run: |t| match open(&t.join("f"), OFlags::RDONLY) {
            Ok(file) => code(rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockShared)),
            Err(errno) => errno.raw_os_error(),
        },
    },
    Action {
        name: "fallocate",
        asks: &[(Op::Write, "/t/f"), (Op::Write, "/t/f")],
        run: |t| match open(&t.join("f"), OFlags::WRONLY) {
            Ok(file) => code(rustix::fs::fallocate(file, FallocateFlags::empty(), 0, 4096)),
            Err(errno) => errno.raw_os_error(),
        },
    },
    Action {
        name: "ioctl",
        asks: &[(Op::Read, "/t/f"), (Op::Ioctl, "/t/f")],
        run: |t| match open(&t.join("f"), OFlags::RDONLY) {
            Ok(file) => code(rustix::fs::ioctl_getflags(file)),
            Err(errno) => errno.raw_os_error(),
        },
    },
    Action { name: "statfs", asks: &[(Op::Statfs, "/t/f")], run: |t| code(rustix::fs::statfs(t.join("f"))) },
    Action {
        name: "access",
        asks: &[(Op::Stat, "/t/f")],
        run: |t| code(rustix::fs::access(t.join("f"), rustix::fs::Access::EXISTS)),
    },
];

fn prepare(below: &Path) {
    let t = below.join("t");
    std::fs::create_dir_all(t.join("d/sub")).unwrap();
    std::fs::remove_dir(t.join("d/sub")).unwrap();
    std::fs::create_dir(t.join("empty")).unwrap();
    std::fs::write(t.join("f"), "contents").unwrap();
    std::fs::copy("/bin/busybox", t.join("x")).expect("busybox-static is needed");
    rustix::fs::symlink("f", t.join("l")).unwrap();
    rustix::fs::setxattr(t.join("f"), c"user.there", b"v", XattrFlags::empty()).unwrap();
}

/// What the first operation that is not allowed gives.
fn expected(fixture: &Fixture, asks: &[(Op, &str)]) -> i32 {
    let made = |op: Op| matches!(op, Op::Create | Op::Mkdir | Op::Mknod | Op::Symlink);
    // A name whose stat is hidden is absent, before anything else: all but the names that an action makes.
    let hidden = asks.iter().any(|(op, path)| {
        !made(*op) && !path.contains("new") && !path.contains('#') && fixture.effect(Op::Stat, path) == Effect::Hide
    });
    if hidden {
        return libc::ENOENT;
    }
    let refused = asks.iter().map(|(op, path)| fixture.effect(*op, path)).find(|effect| *effect != Effect::Allow);
    match refused {
        None => 0,
        Some(Effect::Hide) => libc::ENOENT,
        Some(_) => libc::EACCES,
    }
}

#[test]
fn each_operation_under_each_effect_gives_what_the_policy_says() {
    let mut wrong = Vec::new();
    let mut refusals = 0;
    for info in TABLE.iter().filter(|info| matches!(info.fuse, Mediation::Asked(_))) {
        for effect in ["deny", "hide", "audit allow"] {
            let policy = format!("default allow; {effect} {} on \"/t/**\";", info.name);
            for action in ACTIONS {
                let concerned = action.asks.iter().any(|(op, _)| *op == info.op);
                // Unconcerned actions are tried once an operation: they must not be hit.
                if !concerned && effect != "deny" {
                    continue;
                }
                let fixture = Fixture::new(&policy, prepare);
                let got = (action.run)(&fixture.at("t"));
                let want = expected(&fixture, action.asks);
                refusals += usize::from(want != 0);
                if got != want {
                    wrong.push(format!("{policy}: {}: got errno {got}, want {want}", action.name));
                }
                let recorded = fixture.seen().iter().any(|(op, ..)| *op == info.op);
                let cut_short = want == libc::ENOENT && info.op != Op::Stat;
                if concerned && !recorded && (want != 0 || effect == "audit allow") && !cut_short {
                    wrong.push(format!("{policy}: {}: not recorded: {:?}", action.name, fixture.seen()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refusals > 50, "too few refusals to mean anything: {refusals}");
}

#[test]
fn kill_ends_the_whole_process_after_a_refusal() {
    let fixture = Fixture::new("default allow; kill read on \"/t/f\"; kill write, create on \"/t/no\";", prepare);
    let run = |script: &str| Command::new("sh").arg("-c").arg(script).current_dir(fixture.at("t")).output().unwrap();
    assert_eq!(run("exec cat f").status.signal(), Some(libc::SIGKILL));
    assert_eq!(run("echo x > no; echo survived").status.signal(), Some(libc::SIGKILL));
    assert!(!fixture.below("t/no").exists());
    assert_eq!(run("cat x > /dev/null").status.code(), Some(0));
    // A thread that is not the leader takes its whole process down.
    let threaded = "import threading,time\nt=threading.Thread(target=lambda: open('f').read())\nt.start()\ntime.sleep(20)\nprint('alive')";
    let output = Command::new("python3").arg("-c").arg(threaded).current_dir(fixture.at("t")).output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGKILL));
    let kills = fixture.seen().iter().filter(|(.., effect)| *effect == Effect::Kill).count();
    assert_eq!(kills, 3);
    fixture.unmount();
}
