//! Nothing gains rights by moving: links, renames, exchanges, directories. Run as root.

#![expect(clippy::unwrap_used, reason = "the helpers of tests, too, stop at the first surprise")]

mod fuse_support;

use std::fs;
use std::path::Path;

use boesfs_lang::ops::Op;
use boesfs_lang::policy::Effect;
use fuse_support::{Fixture, code, errno};
use rustix::fs::{CWD, OFlags, RenameFlags};

/// `/open` is free, `/kept` cannot be read, `/still` cannot be written; `.env` files are secret everywhere.
const POLICY: &str = "default allow;
    deny read on \"/kept/**\";
    deny write, append, truncate on \"/still/**\";
    deny read on \"/**/*.env\";";

fn prepare(below: &Path) {
    for dir in ["open/sub", "kept/sub", "still"] {
        fs::create_dir_all(below.join(dir)).unwrap();
    }
    for file in ["open/f", "kept/f", "still/f", "open/sub/g", "kept/sub/g", "open/a.env"] {
        fs::write(below.join(file), file).unwrap();
    }
}

#[test]
fn files_move_and_are_linked_only_where_nobody_gains_rights() {
    let fixture = Fixture::new(POLICY, prepare);
    let at = |name: &str| fixture.at(name);
    for (from, to) in [("kept/f", "open/k"), ("still/f", "open/s"), ("kept/f", "still/k"), ("open/a.env", "open/a.txt")]
    {
        assert_eq!(errno(fs::rename(at(from), at(to))), libc::EXDEV, "{from} to {to}");
        assert_eq!(errno(fs::hard_link(at(from), at(to))), libc::EXDEV, "{from} to {to}");
    }
    assert_eq!(fs::read(at("open/f")).unwrap(), b"open/f");
    // Down is fine, and takes effect at once, also for what the kernel has cached.
    assert_eq!(errno(fs::hard_link(at("open/f"), at("kept/l"))), 0);
    assert_eq!(errno(fs::read(at("kept/l"))), libc::EACCES);
    assert_eq!(fs::read(at("open/f")).unwrap(), b"open/f");
    assert_eq!(errno(fs::rename(at("open/f"), at("kept/m"))), 0);
    assert_eq!(errno(fs::read(at("kept/m"))), libc::EACCES);
    assert_eq!(errno(fs::rename(at("kept/m"), at("kept/n"))), 0);
    assert_eq!(errno(fs::rename(at("kept/n"), at("open/back"))), libc::EXDEV);
    // What mv falls back to: each step is judged.
    assert_eq!(errno(fs::copy(at("still/f"), at("open/copy"))), 0);
    assert_eq!(errno(fs::copy(at("kept/f"), at("open/copy2"))), libc::EACCES);
    fixture.unmount();
}

#[test]
fn refused_operations_give_their_own_error() {
    let policy =
        format!("{POLICY} deny rename on \"/kept/f\"; deny link on \"/still/f\"; deny create on \"/open/no\";");
    let fixture = Fixture::new(&policy, prepare);
    let at = |name: &str| fixture.at(name);
    assert_eq!(errno(fs::rename(at("kept/f"), at("open/k"))), libc::EACCES);
    assert_eq!(errno(fs::hard_link(at("still/f"), at("open/s"))), libc::EACCES);
    assert_eq!(errno(fs::rename(at("open/f"), at("open/no"))), libc::EACCES);
    assert!(fixture.seen().contains(&(Op::Rename, "/kept/f".into(), Effect::Deny)));
}

#[test]
fn directories_move_only_where_their_state_stays() {
    let fixture = Fixture::new(POLICY, prepare);
    let at = |name: &str| fixture.at(name);
    assert_eq!(errno(fs::rename(at("open/sub"), at("kept/sub2"))), libc::EXDEV);
    assert_eq!(errno(fs::rename(at("kept/sub"), at("open/sub2"))), libc::EXDEV);
    // `/open` is like any other directory.
    assert_eq!(errno(fs::rename(at("open/sub"), at("sub"))), 0);
    assert_eq!(fs::read(at("sub/g")).unwrap(), b"open/sub/g");
    assert_eq!(errno(fs::rename(at("sub"), at("open/sub"))), 0);
    // The anchor of a rule cannot be moved away, nor something else put in its place.
    assert_eq!(errno(fs::rename(at("kept"), at("was"))), libc::EXDEV);
    assert_eq!(errno(fs::remove_dir_all(at("still"))), 0);
    assert_eq!(errno(fs::rename(at("open"), at("still"))), libc::EXDEV);
}

#[test]
fn an_exchange_is_judged_both_ways() {
    let fixture = Fixture::new(POLICY, prepare);
    let swap = |a: &str, b: &str| {
        code(rustix::fs::renameat_with(CWD, fixture.at(a), CWD, fixture.at(b), RenameFlags::EXCHANGE))
    };
    assert_eq!(swap("open/f", "kept/f"), libc::EXDEV);
    assert_eq!(swap("kept/f", "open/f"), libc::EXDEV);
    assert_eq!(swap("open/f", "open/sub/g"), 0);
    assert_eq!(fs::read(fixture.at("open/f")).unwrap(), b"open/sub/g");
    let keep =
        rustix::fs::renameat_with(CWD, fixture.at("open/f"), CWD, fixture.at("open/sub/g"), RenameFlags::NOREPLACE);
    assert_eq!(code(keep), libc::EEXIST);
    let whiteout =
        rustix::fs::renameat_with(CWD, fixture.at("open/f"), CWD, fixture.at("open/w"), RenameFlags::WHITEOUT);
    // ext4 and tmpfs both know whiteouts.
    assert_eq!(code(whiteout), 0);
    assert!(fixture.at("open/w").exists());
}

#[test]
fn existing_hard_links_have_the_rights_of_each_name() {
    let fixture = Fixture::new(POLICY, |below| {
        prepare(below);
        fs::hard_link(below.join("open/f"), below.join("kept/same")).unwrap();
    });
    use std::os::unix::fs::MetadataExt;
    let (open, kept) = (fs::metadata(fixture.at("open/f")).unwrap(), fs::metadata(fixture.at("kept/same")).unwrap());
    assert_eq!((open.ino(), open.nlink()), (kept.ino(), 2));
    assert_eq!(fs::read(fixture.at("open/f")).unwrap(), b"open/f");
    assert_eq!(errno(fs::read(fixture.at("kept/same"))), libc::EACCES);
    assert_eq!(errno(fs::write(fixture.at("kept/same"), "new")), 0);
    assert_eq!(fs::read(fixture.at("open/f")).unwrap(), b"new");
}

#[test]
fn a_tmpfile_gets_a_name_only_where_it_gains_no_rights() {
    let policy = "default deny; allow all on \"/pool/\"; allow all on \"/drop/\"; deny write on \"/pool/**\"; deny all on \"/no/\";
        allow list, stat on \"/\";";
    let fixture = Fixture::new(policy, |below| {
        fs::create_dir(below.join("drop")).unwrap();
        fs::create_dir(below.join("pool")).unwrap();
    });
    let open =
        |dir: &str| rustix::fs::open(fixture.at(dir), OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, 0o600.into());
    assert_eq!(code(open("pool")), libc::EACCES);
    let file = open("drop").unwrap();
    rustix::io::write(&file, b"text").unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let link = |to: &str| rustix::fs::linkat(CWD, &path, CWD, fixture.at(to), rustix::fs::AtFlags::SYMLINK_FOLLOW);
    assert_eq!(code(link("drop/named")), 0);
    assert_eq!(code(link("pool/named")), 0);
    assert_eq!(fs::read(fixture.at("drop/named")).unwrap(), b"text");
    assert_eq!(errno(fs::write(fixture.at("pool/named"), "x")), libc::EACCES);
}
