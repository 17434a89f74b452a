//! Trees on a real file system: one site for each attempt, so that no attempt meets what another left.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, XattrFlags};
use rustix::io::Errno;

use crate::case::{Kind, Object};
use crate::ways::At;

/// The name beside the object of a request.
pub(crate) const OTHER: &[u8] = b"zz-other";

/// A directory for sites, removed with all that is in it.
pub(crate) struct Ground(PathBuf);

impl Ground {
    /// Below `$BOESFS_REAL_DIR`, or the system's directory for temporary files.
    pub(crate) fn new() -> Ground {
        let parent = std::env::var_os("BOESFS_REAL_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let dir = tempfile::Builder::new().prefix("boesfs-real-").tempdir_in(parent).expect("a directory").keep();
        let dir = dir.canonicalize().expect("the directory is there");
        open_to_all(&dir);
        for below in ["s", "n"] {
            std::fs::create_dir(dir.join(below)).expect("a directory");
            open_to_all(&dir.join(below));
        }
        Ground(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The components of the site with this number, in the tree of this name.
    pub(crate) fn site(&self, tree: &str, number: usize) -> Vec<Vec<u8>> {
        let mut components: Vec<Vec<u8>> = Vec::new();
        for part in self.0.join(tree).join(number.to_string()).components().skip(1) {
            components.push(part.as_os_str().as_bytes().to_vec());
        }
        components
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Trees deeper than there may be open files, with paths longer than calls take: rm(1) knows how.
        let _ = std::process::Command::new("rm").arg("-rf").arg(&self.0).stderr(std::process::Stdio::null()).status();
    }
}

fn open_to_all(dir: &Path) {
    rustix::fs::chmod(dir, Mode::from_raw_mode(0o777)).expect("chmod");
}

/// What an attempt finds.
pub(crate) struct Wanted<'a> {
    pub(crate) tree: &'a [Object],
    pub(crate) path: &'a [Vec<u8>],
    pub(crate) at: At,
    pub(crate) other: At,
    /// Bytes of the file.
    pub(crate) size: u64,
    pub(crate) owner: (u32, u32),
    /// The actor, for programs.
    pub(crate) program: &'a Path,
    /// An executable of the policy's, which is the actor too.
    pub(crate) exe: Option<&'a [Vec<u8>]>,
}

/// Makes a site: the case's tree, and what the way needs at the request's path and beside it.
pub(crate) fn make(site: &Path, wanted: &Wanted<'_>) {
    let maker = Maker { wanted, root: directory(CWD, site.as_os_str()) };
    for object in wanted.tree {
        match &object.kind {
            Kind::Dir => drop(maker.walk(&object.path)),
            Kind::File => maker.put(&object.path, At::File, 8),
            Kind::Link(to) => maker.link(&object.path, to),
        }
    }
    maker.put(wanted.path, wanted.at, wanted.size);
    if let Some((_, parent)) = wanted.path.split_last()
        && wanted.other != At::Nothing
    {
        let other: Vec<Vec<u8>> = parent.iter().cloned().chain([OTHER.to_vec()]).collect();
        maker.put(&other, wanted.other, 8);
    }
    if let Some(exe) = wanted.exe {
        maker.put(exe, At::Program, 0);
    }
}

struct Maker<'a> {
    wanted: &'a Wanted<'a>,
    root: OwnedFd,
}

/// Opens a directory, and makes it where it is not one.
fn directory(parent: impl AsFd, name: &OsStr) -> OwnedFd {
    let open = || {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&parent, name, flags, Mode::empty())
    };
    match open() {
        Ok(fd) => fd,
        Err(errno) => {
            if errno != Errno::NOENT {
                rustix::fs::unlinkat(&parent, name, AtFlags::empty()).expect("unlink");
            }
            rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o777)).expect("mkdir");
            let fd = open().expect("the directory was made");
            // The umask of a test is not ours.
            rustix::fs::chmodat(&fd, ".", Mode::from_raw_mode(0o777), AtFlags::empty()).expect("chmod");
            fd
        }
    }
}

impl Maker<'_> {
    fn walk(&self, path: &[Vec<u8>]) -> OwnedFd {
        let mut at = self.root.try_clone().expect("a descriptor");
        for name in path {
            at = directory(&at, OsStr::from_bytes(name));
        }
        at
    }

    fn clear(&self, parent: &OwnedFd, name: &OsStr) {
        match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(_) => {
                let path =
                    PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(parent))).join(name);
                std::fs::remove_dir_all(path).expect("remove");
            }
        }
    }

    fn link(&self, path: &[Vec<u8>], to: &[u8]) {
        let (name, parent) = path.split_last().expect("the root is no link");
        let (parent, name) = (self.walk(parent), OsStr::from_bytes(name));
        self.clear(&parent, name);
        rustix::fs::symlinkat(OsStr::from_bytes(to), &parent, name).expect("symlink");
    }

    fn put(&self, path: &[Vec<u8>], at: At, size: u64) {
        let (uid, gid) = self.wanted.owner;
        let own = |parent: &OwnedFd, name: &OsStr| {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).expect("chown");
        };
        let Some((name, parent)) = path.split_last() else {
            assert_eq!(at, At::Dir, "the root is a directory");
            own(&self.root, OsStr::new("."));
            return;
        };
        let (parent, name) = (self.walk(parent), OsStr::from_bytes(name));
        if at == At::Dir {
            drop(directory(&parent, name));
            own(&parent, name);
            return;
        }
        self.clear(&parent, name);
        match at {
            At::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o666)).expect("make a file");
                rustix::fs::fchmod(&file, Mode::from_raw_mode(0o666)).expect("chmod");
                rustix::fs::ftruncate(&file, size).expect("truncate");
                // File systems without such attributes have none in the run without a policy either.
                let _ = rustix::fs::fsetxattr(&file, c"user.there", b"v", XattrFlags::empty());
                own(&parent, name);
            }
            At::Link => {
                rustix::fs::symlinkat(OsStr::from_bytes(OTHER), &parent, name).expect("symlink");
                own(&parent, name);
            }
            At::Program => {
                rustix::fs::linkat(CWD, self.wanted.program, &parent, name, AtFlags::empty())
                    .expect("link the program");
            }
            // Who makes the object there: `owner` is the directory's.
            At::Nothing => own(&parent, OsStr::new(".")),
            At::Dir => {}
        }
    }
}
