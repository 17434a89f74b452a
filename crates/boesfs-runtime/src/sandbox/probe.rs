//! Tries out what a sandbox needs, for real, in a process that is gone afterwards.

use std::io;
use std::mem::MaybeUninit;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use rustix::process::{WaitOptions, waitpid};

use super::channel::{self, Report};
use super::error::{SetupError, Step};
use super::namespaces::{self, Privilege};
use super::sys::{self, Fork, Lineage};
use super::tree;

/// What the kernel's side of a FUSE file system offers: the start of `struct fuse_init_in` (linux/fuse.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuseInit {
    /// Protocol version: major, minor.
    pub version: (u32, u32),
    /// Feature bits, `flags` low and `flags2` high.
    pub flags: u64,
}

impl FuseInit {
    /// Whether the kernel can pass data on to the lower file itself (`FUSE_PASSTHROUGH`, bit 37).
    #[must_use]
    pub fn passthrough(&self) -> bool {
        self.flags >> 37 & 1 == 1
    }
}

/// Makes the namespaces that a sandbox lives in. The calling process must have one thread.
///
/// # Errors
/// The step that failed.
pub fn namespaces() -> Result<(), SetupError> {
    in_child(|| namespaces::enter(Privilege::of_caller()).map(|()| String::new())).map(drop)
}

/// Mounts a FUSE file system in namespaces of its own, and reads what the kernel offers. The calling process must have one thread.
///
/// # Errors
/// The step that failed.
pub fn fuse() -> Result<FuseInit, SetupError> {
    let text = in_child(|| {
        namespaces::enter(Privilege::of_caller())?;
        let (_root, device) = tree::fuse_root()?;
        let mut request = [MaybeUninit::uninit(); 1 << 16];
        // The kernel asks first; a second is long for that.
        let mut ready = [PollFd::new(&device, PollFlags::IN)];
        poll(&mut ready, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })).step("wait for the FUSE handshake")?;
        let (request, _) = rustix::io::read(&device, &mut request).step("read the FUSE handshake")?;
        // struct fuse_in_header is 40 bytes; then major, minor, max_readahead, flags, flags2.
        let word = |index: usize| {
            let at = 40 + 4 * index;
            let bytes = request.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u32::from_ne_bytes)
        };
        Ok(format!("{} {} {} {}", word(0), word(1), word(3), word(4)))
    })?;
    let words: Vec<u32> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [major, minor, flags, flags2] = words[..] else {
        return Err(SetupError::new("read the FUSE handshake", io::Error::from(io::ErrorKind::InvalidData)));
    };
    Ok(FuseInit { version: (major, minor), flags: u64::from(flags) | u64::from(flags2) << 32 })
}

/// Runs `probe` in a child, and gives what it found.
fn in_child(probe: impl FnOnce() -> Result<String, SetupError>) -> Result<String, SetupError> {
    let (ours, theirs) = channel::pair().step("make a socket pair")?;
    let pid = match sys::fork(Lineage::Child).step("start a process")? {
        Fork::Child => {
            drop(ours);
            let report = match probe() {
                Ok(found) => Report::Note(found),
                Err(SetupError { step, source, .. }) => {
                    Report::Failed { step, errno: source.raw_os_error().unwrap_or(libc::EIO) }
                }
            };
            // Nothing told is told as such.
            let _ = channel::send(&theirs, &report);
            sys::exit(0)
        }
        Fork::Parent(pid) => pid,
    };
    drop(theirs);
    let report = channel::receive(&ours, RecvFlags::empty());
    while let Err(rustix::io::Errno::INTR) = waitpid(Some(pid), WaitOptions::empty()) {}
    match report.step("hear from the probe")? {
        Some(Report::Note(found)) => Ok(found),
        Some(Report::Failed { step, errno }) => Err(SetupError::new(step, io::Error::from_raw_os_error(errno))),
        _ => Err(SetupError::new("hear from the probe", io::Error::from(io::ErrorKind::UnexpectedEof))),
    }
}
