//! Files that the caller hands in as standard input, output or error may be used as they were opened, not opened anew
//! with more rights through `/proc/self/fd`.
//!
//! Such a file lies outside of the sandbox's tree, so the policy is not asked about it. Landlock is: below the tree's root it
//! leaves everything to the policy, and of a file from outside it grants what the descriptor's mode does. Where the tree is the host's own it cannot
//! tell the two apart: there the LSM hook's programs do. Landlock costs something
//! at each open, so it is used only where such a file was handed in. A kernel without Landlock leaves them open to be
//! opened anew, which the documentation says.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, open};

use super::error::{SetupError, Step};
use super::plan::{Plan, Root};
use super::sys::Rules;

/// `LANDLOCK_ACCESS_FS_WRITE_FILE`
const WRITE: u64 = 1 << 1;
/// `LANDLOCK_ACCESS_FS_READ_FILE`
const READ: u64 = 1 << 2;
/// `LANDLOCK_ACCESS_FS_TRUNCATE`
const TRUNCATE: u64 = 1 << 14;

/// All rights of version 1: the bits up to `LANDLOCK_ACCESS_FS_MAKE_SYM`.
const FIRST: u64 = (1 << 13) - 1;
/// All rights of version 2, with `LANDLOCK_ACCESS_FS_REFER`: without it, Landlock refuses every move between directories.
const SECOND: u64 = (1 << 14) - 1;
/// All rights of version 3, with the one to truncate. Nothing newer is of use here.
const THIRD: u64 = (1 << 15) - 1;

/// Confines the calling thread, for good, if a file was handed in. `/` must be the sandbox's root, and `no_new_privs` set.
pub(super) fn confine(plan: &Plan) -> Result<(), SetupError> {
    let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
    let handed: Vec<Handed<'_>> =
        [input.as_fd(), output.as_fd(), error.as_fd()].into_iter().filter_map(Handed::new).collect();
    if !handed.iter().any(|handed| handed.holds_data) {
        return Ok(());
    }
    let known = match Rules::version() {
        None => return Ok(()),
        Some(1) => FIRST,
        Some(2) => SECOND,
        Some(_) => THIRD,
    };
    let what = "confine the files that were handed in";
    let rules = Rules::new(known).step(what)?;
    allow_below(&rules, Path::new("/"), known).step(what)?;
    if let Root::Fuse(zones) = &plan.root {
        // What `/` grants, once more: the kernel looks from a file upwards, and has less far to go.
        for zone in zones {
            // One that is hidden from here is none, and nothing is lost.
            let _ = allow_below(&rules, &zone.path, known);
        }
    }
    for handed in handed {
        match rules.allow(handed.fd, handed.rights & known) {
            // A pipe, or a file in memory: of no tree that Landlock looks at.
            Err(error) if error.raw_os_error() == Some(libc::EBADFD) => {}
            result => result.step(what)?,
        }
    }
    rules.confine().step(what)
}

fn allow_below(rules: &Rules, directory: &Path, rights: u64) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rules.allow(open(directory, flags, Mode::empty())?, rights)
}

/// Whether a file was handed in as standard input, output or error that could be opened anew for more.
pub(crate) fn is_file() -> bool {
    let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
    [input.as_fd(), output.as_fd(), error.as_fd()].into_iter().filter_map(Handed::new).any(|handed| handed.holds_data)
}

/// What a descriptor is for that may be handed in; none, if it is not of an object with a name.
pub(crate) fn used(fd: BorrowedFd<'_>) -> Option<Handed<'_>> {
    Handed::new(fd)
}

/// A descriptor that was handed in, of an object with a name outside of the sandbox.
pub(crate) struct Handed<'a> {
    fd: BorrowedFd<'a>,
    /// What may be done with the object.
    rights: u64,
    /// Whether more rights than the descriptor has would mean something.
    holds_data: bool,
}

impl<'a> Handed<'a> {
    /// Whether the object may be read.
    pub(crate) fn reads(&self) -> bool {
        self.rights & READ != 0
    }

    /// Whether it may be written.
    pub(crate) fn writes(&self) -> bool {
        self.rights & WRITE != 0
    }

    fn new(fd: BorrowedFd<'a>) -> Option<Handed<'a>> {
        let kind = FileType::from_raw_mode(fstat(fd).ok()?.st_mode);
        let mode = match fcntl_getfl(fd).ok()? & OFlags::ACCMODE {
            OFlags::RDONLY => READ,
            OFlags::WRONLY => WRITE | TRUNCATE,
            _ => READ | WRITE | TRUNCATE,
        };
        match kind {
            FileType::RegularFile | FileType::BlockDevice => Some(Handed { fd, rights: mode, holds_data: true }),
            // A terminal, /dev/null: what they give does not depend on how they are opened.
            FileType::CharacterDevice | FileType::Fifo => {
                Some(Handed { fd, rights: READ | WRITE | TRUNCATE, holds_data: false })
            }
            _ => None,
        }
    }
}
