//! What programs do with files, through a mount: contents, names, locks, mappings, roles, time. Run as root.

#![expect(clippy::unwrap_used, reason = "the helpers of tests, too, stop at the first surprise")]

mod fuse_support;

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use boesfs_lang::ops::Op;
use boesfs_lang::policy::Effect;
use boesfs_runtime::fuse::Passthrough;
use fuse_support::{Choice, Fixture, code, errno};
use rustix::fs::{FallocateFlags, Mode, OFlags, SeekFrom};

const ALL: &str = "default allow;";

fn open(path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o644))
}

fn both_ways(policy: &str, prepare: fn(&Path), test: fn(&Fixture)) {
    for passthrough in [Passthrough::Auto, Passthrough::Off] {
        let fixture = Fixture::with(policy, Choice { passthrough, ..Choice::default() }, prepare);
        test(&fixture);
        fixture.unmount();
    }
}

#[test]
fn hidden_names_are_absent_and_denied_ones_are_not() {
    let policy = "default allow; hide all on \"/d/.ssh/\"; hide all on \"/**/*.key\"; deny all on \"/d/shut\";";
    let fixture = Fixture::new(policy, |below| {
        fs::create_dir_all(below.join("d/.ssh")).unwrap();
        for name in ["d/.ssh/id", "d/a.key", "d/shut", "d/seen"] {
            fs::write(below.join(name), "x").unwrap();
        }
    });
    let mut names: Vec<_> =
        fs::read_dir(fixture.at("d")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["seen", "shut"]);
    for name in ["d/.ssh", "d/.ssh/id", "d/a.key", "d/none"] {
        assert_eq!(errno(fs::metadata(fixture.at(name))), libc::ENOENT, "{name}");
        assert_eq!(errno(fs::read(fixture.at(name))), libc::ENOENT, "{name}");
        assert_eq!(errno(fs::remove_file(fixture.at(name))), libc::ENOENT, "{name}");
        assert_eq!(errno(fs::symlink_metadata(fixture.at(name))), libc::ENOENT, "{name}");
    }
    assert_eq!(errno(fs::metadata(fixture.at("d/shut"))), libc::EACCES);
    // Also a name that comes to be later.
    fs::write(fixture.below("d/later.key"), "x").unwrap();
    assert_eq!(errno(fs::metadata(fixture.at("d/later.key"))), libc::ENOENT);
    assert_eq!(errno(File::create(fixture.at("d/mine.key"))), libc::ENOENT);
    assert!(fixture.seen().contains(&(Op::Stat, "/d/a.key".into(), Effect::Hide)));
}

#[test]
fn refused_attributes_do_not_leak_from_what_the_kernel_holds() {
    let fixture =
        Fixture::new("default allow; deny stat on \"/f\";", |below| fs::write(below.join("f"), "12345").unwrap());
    assert_eq!(fs::read(fixture.at("f")).unwrap(), b"12345");
    let flags = rustix::fs::AtFlags::STATX_DONT_SYNC;
    let held = rustix::fs::statx(rustix::fs::CWD, fixture.at("f"), flags, rustix::fs::StatxFlags::BASIC_STATS).unwrap();
    assert_eq!((held.stx_mtime.tv_sec, held.stx_blocks), (0, 0));
    assert_eq!(errno(fs::metadata(fixture.at("f"))), libc::EACCES);
}

#[test]
fn walking_needs_no_right_and_refused_directories_stay_refused() {
    let fixture = Fixture::new("default deny; allow read, stat on \"/a/b/c\";", |below| {
        fs::create_dir_all(below.join("a/b")).unwrap();
        fs::write(below.join("a/b/c"), "deep").unwrap();
        fs::write(below.join("a/b/d"), "other").unwrap();
    });
    assert_eq!(fs::read(fixture.at("a/b/c")).unwrap(), b"deep");
    assert_eq!(errno(fs::read(fixture.at("a/b/d"))), libc::EACCES);
    assert_eq!(errno(fs::metadata(fixture.at("a/b"))), libc::EACCES);
    assert_eq!(code(open(&fixture.at("a/b"), OFlags::RDONLY | OFlags::DIRECTORY)), libc::EACCES);
    assert_eq!(errno(fs::create_dir(fixture.at("a/b/e"))), libc::EACCES);
}

#[test]
fn an_unlinked_file_stays_usable() {
    both_ways(
        ALL,
        |_| {},
        |fixture| {
            let path = fixture.at("gone");
            let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
            file.write_all(b"first").unwrap();
            fs::remove_file(&path).unwrap();
            assert_eq!(errno(fs::metadata(&path)), libc::ENOENT);
            file.write_all(b" second").unwrap();
            assert_eq!(file.metadata().unwrap().nlink(), 0);
            assert_eq!(file.metadata().unwrap().len(), 12);
            file.set_len(5).unwrap();
            file.rewind().unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "first");
            // The name can be had again, by another file.
            fs::write(&path, "new").unwrap();
            assert_ne!(file.metadata().unwrap().ino(), fs::metadata(&path).unwrap().ino());
        },
    );
}

#[test]
fn mappings_are_read_and_written() {
    both_ways(
        ALL,
        |below| fs::write(below.join("m"), vec![b'a'; 8192]).unwrap(),
        |fixture| {
            let script = "import mmap,os,sys
fd=os.open('m',os.O_RDWR)
s=mmap.mmap(fd,8192); p=mmap.mmap(fd,8192,mmap.MAP_PRIVATE)
assert s[:4]==b'aaaa'
s[0:4]=b'WXYZ'; p[100:104]=b'priv'; s.flush()
assert open('m','rb').read(4)==b'WXYZ'
assert open('m','rb').read()[100:104]==b'aaaa'";
            let output = Command::new("python3").args(["-c", script]).current_dir(fixture.at("")).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(&fs::read(fixture.below("m")).unwrap()[..6], b"WXYZaa");
        },
    );
}

#[test]
fn sparse_and_big_files() {
    both_ways(
        ALL,
        |_| {},
        |fixture| {
            let file = File::options().read(true).write(true).create_new(true).open(fixture.at("big")).unwrap();
            let far = 5 << 30;
            file.write_all_at(b"end", far).unwrap();
            assert_eq!(file.metadata().unwrap().len(), far + 3);
            assert!(file.metadata().unwrap().blocks() < 1000);
            let data = rustix::fs::seek(&file, SeekFrom::Data(0)).unwrap();
            assert!(data > 0 && data <= far, "{data}");
            assert_eq!(rustix::fs::seek(&file, SeekFrom::Hole(0)).unwrap(), 0);
            rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 1 << 20).unwrap();
            rustix::fs::fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 4096, 4096).unwrap();
            let to = File::options().read(true).write(true).create_new(true).open(fixture.at("copy")).unwrap();
            let (mut from_at, mut to_at) = (far, 10);
            let copied = rustix::fs::copy_file_range(&file, Some(&mut from_at), &to, Some(&mut to_at), 3).unwrap();
            assert_eq!(copied, 3);
            let mut end = [0; 3];
            to.read_exact_at(&mut end, 10).unwrap();
            assert_eq!(&end, b"end");
            file.sync_all().unwrap();
        },
    );
}

#[test]
fn names_are_bytes() {
    let policy = r#"default allow; deny read on "/d/\xff*";"#;
    let fixture = Fixture::new(policy, |below| fs::create_dir(below.join("d")).unwrap());
    let name = |bytes: &[u8]| fixture.at("d").join(std::ffi::OsStr::from_bytes(bytes));
    for bytes in [&b"new\nline"[..], b"\xfe\xfd", b" ", b"-rf", &[b'x'; 255]] {
        fs::write(name(bytes), bytes).unwrap();
        assert_eq!(fs::read(name(bytes)).unwrap(), bytes);
    }
    fs::write(name(b"\xff!"), "x").unwrap();
    assert_eq!(errno(fs::read(name(b"\xff!"))), libc::EACCES);
    assert_eq!(errno(fs::write(name(&[b'x'; 256]), "x")), libc::ENAMETOOLONG);
    assert_eq!(fs::read_dir(fixture.at("d")).unwrap().count(), 6);
}

#[test]
fn append_only_files_grow_and_nothing_else() {
    both_ways(
        "default allow; deny write, truncate on \"/log\";",
        |below| fs::write(below.join("log"), "first\n").unwrap(),
        |fixture| {
            let log = fixture.at("log");
            assert_eq!(errno(fs::write(&log, "x")), libc::EACCES);
            assert_eq!(errno(File::options().write(true).open(&log)), libc::EACCES);
            let mut file = File::options().append(true).open(&log).unwrap();
            file.write_all(b"second\n").unwrap();
            // Without O_APPEND the descriptor still appends below.
            rustix::fs::fcntl_setfl(&file, OFlags::empty()).unwrap();
            let _ = file.write_at(b"FORGED", 0);
            assert!(file.set_len(0).is_err());
            assert!(fs::read_to_string(fixture.below("log")).unwrap().starts_with("first\nsecond\n"));
            // And cannot be mapped for writing.
            let both = File::options().read(true).append(true).open(&log).unwrap();
            // SAFETY: a new mapping at a place of the kernel's choice.
            let map = unsafe {
                let access = libc::PROT_READ | libc::PROT_WRITE;
                libc::mmap(std::ptr::null_mut(), 4096, access, libc::MAP_SHARED, both.as_raw_fd(), 0)
            };
            assert_eq!(map, libc::MAP_FAILED);
        },
    );
}

#[test]
fn conditions_see_each_write() {
    let policy =
        "default allow; deny write, append on \"/quota\" when size > 10; deny read on \"/head\" when offset >= 4096;";
    both_ways(
        policy,
        |below| fs::write(below.join("head"), vec![b'h'; 8192]).unwrap(),
        |fixture| {
            let quota = File::options().write(true).create(true).truncate(true).open(fixture.at("quota")).unwrap();
            quota.write_all_at(b"0123456789", 0).unwrap();
            assert_eq!(errno(quota.write_at(b"!", 10)), libc::EACCES);
            assert_eq!(errno(quota.write_at(b"!!", 9)), libc::EACCES);
            quota.write_all_at(b"x", 9).unwrap();
            assert_eq!(fs::metadata(fixture.below("quota")).unwrap().len(), 10);
            let head = File::open(fixture.at("head")).unwrap();
            let mut buffer = [0; 512];
            head.read_exact_at(&mut buffer, 0).unwrap();
            assert_eq!(errno(head.read_at(&mut buffer, 4096)), libc::EACCES);
        },
    );
}

#[test]
fn locks_hold_between_processes_and_can_be_waited_for() {
    // A policy that tells `lock` apart, so that locks are forwarded, and one that does not.
    for policy in [ALL, "default allow; deny lock on \"/unlocked\";"] {
        let fixture = Fixture::new(policy, |below| fs::write(below.join("f"), "x").unwrap());
        let script = "
import fcntl,os,sys,time,signal
f=open('f','r+'); fcntl.lockf(f,fcntl.LOCK_EX)
r,w=os.pipe()
pid=os.fork()
if pid==0:
    g=open('f','r+')
    try:
        fcntl.lockf(g,fcntl.LOCK_EX|fcntl.LOCK_NB); os._exit(1)
    except OSError: pass
    try:
        fcntl.flock(g,fcntl.LOCK_EX|fcntl.LOCK_NB)
    except OSError: os._exit(2)
    os.write(w,b'x')
    t=time.time(); fcntl.lockf(g,fcntl.LOCK_EX)
    os._exit(0 if time.time()-t>0.15 else 3)
os.read(r,1); time.sleep(0.3)
open('f').close()   # drops this process's locks, as POSIX wants
_,s=os.waitpid(pid,0)
assert s==0, s
fcntl.flock(f,fcntl.LOCK_EX)
pid=os.fork()
if pid==0:
    g=open('f'); signal.alarm(1); fcntl.flock(g,fcntl.LOCK_SH); os._exit(4)
_,s=os.waitpid(pid,0)
assert os.WTERMSIG(s)==signal.SIGALRM, s";
        let output = Command::new("timeout").args(["20", "python3", "-c", script]).current_dir(fixture.at("")).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{policy}: {}", String::from_utf8_lossy(&output.stderr));
        fixture.unmount();
    }
}

#[test]
fn changes_below_are_seen_in_time() {
    let lifetime = Duration::from_millis(500);
    let fixture = Fixture::with(ALL, Choice { lifetime, ..Choice::default() }, |below| {
        fs::write(below.join("f"), "old").unwrap();
    });
    assert_eq!(fs::read(fixture.at("f")).unwrap(), b"old");
    assert_eq!(errno(fs::metadata(fixture.at("new"))), libc::ENOENT);
    fs::write(fixture.below("f"), "newer").unwrap();
    fs::write(fixture.below("new"), "n").unwrap();
    fs::write(fixture.below("replacement"), "third version").unwrap();
    let wait = || std::thread::sleep(lifetime + Duration::from_millis(100));
    wait();
    assert_eq!(fs::read(fixture.at("f")).unwrap(), b"newer");
    assert_eq!(fs::read(fixture.at("new")).unwrap(), b"n");
    fs::rename(fixture.below("replacement"), fixture.below("f")).unwrap();
    wait();
    assert_eq!(fs::read(fixture.at("f")).unwrap(), b"third version");
    fs::remove_file(fixture.below("new")).unwrap();
    wait();
    assert_eq!(errno(fs::metadata(fixture.at("new"))), libc::ENOENT);
}

#[test]
fn permissions_below_hold_for_each_caller_at_once() {
    let fixture = Fixture::new(ALL, |below| {
        fs::create_dir(below.join("d")).unwrap();
        fs::write(below.join("d/f"), "x").unwrap();
        fs::set_permissions(below.join("d/f"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(below.join("d"), fs::Permissions::from_mode(0o755)).unwrap();
    });
    let as_nobody = |command: &str| {
        let path = fixture.at("");
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", command]).current_dir(path);
        setpriv.output().unwrap().status.success()
    };
    assert!(as_nobody("cat d/f"));
    assert!(!as_nobody("echo x >> d/f"));
    assert!(!as_nobody("touch d/new"));
    // What the kernel has cached for others does not open a closed directory.
    fs::set_permissions(fixture.at("d"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(fs::read(fixture.at("d/f")).unwrap(), b"x");
    assert!(!as_nobody("cat d/f"));
    assert!(!as_nobody("stat d/f"));
    fs::set_permissions(fixture.at("d"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(as_nobody("touch d/mine; chmod 4755 d/mine"));
    assert_eq!(fs::metadata(fixture.below("d/mine")).unwrap().uid(), 65534);
    // A write by others than root clears set-user-id, root's keeps it, as on any Linux file system.
    assert!(as_nobody("echo x >> d/mine"));
    assert_eq!(fs::metadata(fixture.below("d/mine")).unwrap().mode() & 0o7000, 0);
}

#[test]
fn roles_follow_user_group_and_executable() {
    let policy = "default allow; role guest {} role tool {} user 65534 : guest; exe \"/bin/tool\" : tool;
        deny read on \"/secret\"; role reader { allow read on \"/secret\"; } group 12345 : reader;";
    // An allow of the same depth does not beat a deny: the roles speak of their own files.
    let policy = policy.to_owned()
        + " role a { deny read on \"/for-others\"; } user 65533 : a; role t { deny stat on \"/not-for-tool\"; } exe \"/bin/busybox-t\" : t;";
    let fixture = Fixture::new(&policy, |below| {
        fs::create_dir(below.join("bin")).unwrap();
        fs::copy("/bin/busybox", below.join("bin/busybox-t")).unwrap();
        fs::copy("/bin/busybox", below.join("bin/busybox-u")).unwrap();
        for name in ["for-others", "not-for-tool"] {
            fs::write(below.join(name), "x").unwrap();
            fs::set_permissions(below.join(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
    });
    let run = |uid: &str, command: &[&str]| {
        let uid = format!("--reuid={uid}");
        let mut setpriv = Command::new("setpriv");
        setpriv.args([&uid, "--regid=65534", "--clear-groups"]).args(command).current_dir(fixture.at(""));
        setpriv.output().unwrap().status.success()
    };
    assert!(run("65534", &["cat", "for-others"]));
    assert!(!run("65533", &["cat", "for-others"]));
    assert!(run("65534", &["bin/busybox-u", "stat", "not-for-tool"]));
    assert!(!run("65534", &["bin/busybox-t", "stat", "not-for-tool"]));
    // Cached attributes of one subject are not another's.
    assert!(run("65534", &["bin/busybox-u", "stat", "not-for-tool"]));
    assert!(!run("65534", &["bin/busybox-t", "stat", "not-for-tool"]));
}

#[test]
fn a_mount_ends_cleanly_and_a_busy_one_says_so() {
    let fixture = Fixture::new(ALL, |below| fs::write(below.join("f"), "x").unwrap());
    let file = File::open(fixture.at("f")).unwrap();
    drop(file);
    let path = fixture.at("");
    let start = Instant::now();
    fixture.unmount();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(!path.exists() || fs::read_dir(path).unwrap().next().is_none());
}
