//! The system calls that no safe wrapper offers: identity of one thread, directory reading, ioctls, locks.
//!
//! One of the crate's system modules: each `unsafe` block is one call with the memory it needs.
#![expect(unsafe_code, reason = "system calls without a safe wrapper")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::wire::BackingMap;

/// `FUSE_DEV_IOC_CLONE`, `FUSE_DEV_IOC_BACKING_OPEN`, `FUSE_DEV_IOC_BACKING_CLOSE` of `linux/fuse.h`.
const IOC_CLONE: libc::c_ulong = 0x8004_e500;
const IOC_BACKING_OPEN: libc::c_ulong = 0x4010_e501;
const IOC_BACKING_CLOSE: libc::c_ulong = 0x4004_e502;

fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result < 0 { Err(last()) } else { Ok(result) }
}

fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Sets the user id that this thread has towards file systems. The ids of other threads stay.
pub(super) fn set_fsuid(uid: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers only. The raw call concerns the calling thread alone.
    let now = unsafe {
        libc::syscall(libc::SYS_setfsuid, uid);
        libc::syscall(libc::SYS_setfsuid, u32::MAX)
    };
    // An invalid id changes nothing and gives the id in force.
    if now as u32 == uid { Ok(()) } else { Err(Errno::ACCESS) }
}

/// Sets the group id that this thread has towards file systems.
pub(super) fn set_fsgid(gid: u32) -> Result<(), Errno> {
    // SAFETY: as above.
    let now = unsafe {
        libc::syscall(libc::SYS_setfsgid, gid);
        libc::syscall(libc::SYS_setfsgid, u32::MAX)
    };
    if now as u32 == gid { Ok(()) } else { Err(Errno::ACCESS) }
}

/// Sets the supplementary groups of this thread.
pub(super) fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: the kernel reads `groups.len()` ids from the slice.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(|_| ())
}

/// Gives this thread its own umask, root and working directory.
pub(super) fn unshare_fs() -> Result<(), Errno> {
    // SAFETY: takes a flag only. Other threads keep theirs.
    check(unsafe { libc::unshare(libc::CLONE_FS) }.into()).map(|_| ())
}

/// Reads raw `linux_dirent64` records.
pub(super) fn getdents(dir: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes into the slice.
    let read = unsafe { libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
    check(read).map(|n| n as usize)
}

/// A further channel to the same FUSE connection.
pub(super) fn clone_channel(device: BorrowedFd<'_>, fresh: BorrowedFd<'_>) -> Result<(), Errno> {
    let source = device.as_raw_fd() as u32;
    // SAFETY: the kernel reads one u32.
    check(unsafe { libc::ioctl(fresh.as_raw_fd(), IOC_CLONE, &raw const source) }.into()).map(|_| ())
}

/// Registers a file below for passthrough, and gives its number.
pub(super) fn backing_open(device: BorrowedFd<'_>, file: BorrowedFd<'_>) -> Result<i32, Errno> {
    let map = BackingMap { fd: file.as_raw_fd(), flags: 0, padding: 0 };
    // SAFETY: the kernel reads one `fuse_backing_map`.
    check(unsafe { libc::ioctl(device.as_raw_fd(), IOC_BACKING_OPEN, &raw const map) }.into()).map(|id| id as i32)
}

/// Ends a registration.
pub(super) fn backing_close(device: BorrowedFd<'_>, id: i32) -> Result<(), Errno> {
    let id = id as u32;
    // SAFETY: the kernel reads one u32.
    check(unsafe { libc::ioctl(device.as_raw_fd(), IOC_BACKING_CLOSE, &raw const id) }.into()).map(|_| ())
}

/// An ioctl whose argument is memory of at most `argument.len()` bytes, which the command number must not exceed.
pub(super) fn ioctl(file: BorrowedFd<'_>, cmd: u32, argument: &mut [u8; 64]) -> Result<i32, Errno> {
    if (cmd >> 16 & 0x3fff) as usize > argument.len() {
        return Err(Errno::NOTTY);
    }
    // SAFETY: the size in the command number, which the caller's short list of commands keeps to, fits the array.
    check(unsafe { libc::ioctl(file.as_raw_fd(), cmd as libc::c_ulong, argument.as_mut_ptr()) }.into())
        .map(|n| n as i32)
}

/// A lock that belongs to the open file description: `F_OFD_SETLK` or `F_OFD_GETLK`, which fills in what it found.
pub(super) fn ofd_lock(file: BorrowedFd<'_>, cmd: i32, lock: &mut libc::flock) -> Result<(), Errno> {
    // SAFETY: the kernel reads and writes one `struct flock`.
    check(unsafe { libc::fcntl(file.as_raw_fd(), cmd, &raw mut *lock) }.into()).map(|_| ())
}

/// Sends a signal to the process behind an open `/proc/PID` directory.
pub(super) fn signal_process(proc_pid: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: takes numbers and no siginfo.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, proc_pid.as_raw_fd(), signal, none, 0) }).map(|_| ())
}

/// truncate(2).
pub(super) fn truncate(path: &CStr, size: u64) -> Result<(), Errno> {
    let size = libc::off_t::try_from(size).map_err(|_| Errno::FBIG)?;
    // SAFETY: the path ends with NUL.
    check(unsafe { libc::truncate(path.as_ptr(), size) }.into()).map(|_| ())
}

/// Whether this thread, with the ids it acts with, may do what `mask` (`R_OK`, `W_OK`, `X_OK`) says to an object.
pub(super) fn access(object: BorrowedFd<'_>, mask: u32) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_EACCESS;
    // SAFETY: the path is a constant that ends with NUL.
    check(unsafe { libc::syscall(libc::SYS_faccessat2, object.as_raw_fd(), c"".as_ptr(), mask & 7, flags) }).map(|_| ())
}
