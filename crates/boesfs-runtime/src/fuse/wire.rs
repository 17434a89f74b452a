//! The messages of the FUSE protocol, as `linux/fuse.h` lays them out: in native byte order, without padding.
//!
//! A request is an [`InHeader`], a fixed part, and names or data; a reply is an [`OutHeader`] and a fixed part or data.

use std::ffi::CStr;

use bytemuck::{Pod, Zeroable};
use rustix::io::Errno;

/// Declares a message part.
macro_rules! messages {
    ($($(#[$doc:meta])* struct $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
        #[repr(C)]
        pub(super) struct $name { $(pub(super) $field: $type),* }
    )*};
}

messages! {
    /// What every request begins with.
    struct InHeader { len: u32, opcode: u32, unique: u64, nodeid: u64, uid: u32, gid: u32, pid: u32, extlen: u16, padding: u16 }
    /// What every reply begins with. `error` is 0 or a negated errno; for a notification, a code, with `unique` 0.
    struct OutHeader { len: u32, error: i32, unique: u64 }
    struct Attr {
        ino: u64, size: u64, blocks: u64, atime: u64, mtime: u64, ctime: u64, atimensec: u32, mtimensec: u32, ctimensec: u32,
        mode: u32, nlink: u32, uid: u32, gid: u32, rdev: u32, blksize: u32, flags: u32,
    }
    struct EntryOut {
        nodeid: u64, generation: u64, entry_valid: u64, attr_valid: u64, entry_valid_nsec: u32, attr_valid_nsec: u32, attr: Attr,
    }
    struct AttrOut { attr_valid: u64, attr_valid_nsec: u32, dummy: u32, attr: Attr }
    struct ForgetIn { nlookup: u64 }
    struct ForgetOne { nodeid: u64, nlookup: u64 }
    struct BatchForgetIn { count: u32, dummy: u32 }
    struct GetattrIn { flags: u32, dummy: u32, fh: u64 }
    struct SetattrIn {
        valid: u32, padding: u32, fh: u64, size: u64, lock_owner: u64, atime: u64, mtime: u64, ctime: u64, atimensec: u32,
        mtimensec: u32, ctimensec: u32, mode: u32, unused4: u32, uid: u32, gid: u32, unused5: u32,
    }
    struct MknodIn { mode: u32, rdev: u32, umask: u32, padding: u32 }
    struct MkdirIn { mode: u32, umask: u32 }
    struct RenameIn { newdir: u64 }
    struct Rename2In { newdir: u64, flags: u32, padding: u32 }
    struct LinkIn { oldnodeid: u64 }
    struct OpenIn { flags: u32, open_flags: u32 }
    struct CreateIn { flags: u32, mode: u32, umask: u32, open_flags: u32 }
    struct OpenOut { fh: u64, open_flags: u32, backing_id: i32 }
    struct ReleaseIn { fh: u64, flags: u32, release_flags: u32, lock_owner: u64 }
    struct FlushIn { fh: u64, unused: u32, padding: u32, lock_owner: u64 }
    /// Also of readdir.
    struct ReadIn { fh: u64, offset: u64, size: u32, read_flags: u32, lock_owner: u64, flags: u32, padding: u32 }
    struct WriteIn { fh: u64, offset: u64, size: u32, write_flags: u32, lock_owner: u64, flags: u32, padding: u32 }
    struct WriteOut { size: u32, padding: u32 }
    struct StatfsOut {
        blocks: u64, bfree: u64, bavail: u64, files: u64, ffree: u64, bsize: u32, namelen: u32, frsize: u32, padding: u32, spare: [u32; 6],
    }
    struct FsyncIn { fh: u64, flags: u32, padding: u32 }
    struct SetxattrIn { size: u32, flags: u32 }
    /// Also of listxattr, and their reply when only a size is asked for.
    struct GetxattrIn { size: u32, padding: u32 }
    struct FileLock { start: u64, end: u64, kind: u32, pid: u32 }
    struct LkIn { fh: u64, owner: u64, lock: FileLock, flags: u32, padding: u32 }
    struct AccessIn { mask: u32, padding: u32 }
    struct InterruptIn { unique: u64 }
    struct IoctlIn { fh: u64, flags: u32, cmd: u32, arg: u64, in_size: u32, out_size: u32 }
    struct IoctlOut { result: i32, flags: u32, in_iovs: u32, out_iovs: u32 }
    struct FallocateIn { fh: u64, offset: u64, length: u64, mode: u32, padding: u32 }
    struct LseekIn { fh: u64, offset: u64, whence: u32, padding: u32 }
    struct LseekOut { offset: u64 }
    struct CopyIn { fh_in: u64, off_in: u64, nodeid_out: u64, fh_out: u64, off_out: u64, len: u64, flags: u64 }
    struct Dirent { ino: u64, off: u64, namelen: u32, kind: u32 }
    struct BackingMap { fd: i32, flags: u32, padding: u64 }
}

/// Request numbers.
pub(super) mod opcode {
    pub(in super::super) const LOOKUP: u32 = 1;
    pub(in super::super) const FORGET: u32 = 2;
    pub(in super::super) const GETATTR: u32 = 3;
    pub(in super::super) const SETATTR: u32 = 4;
    pub(in super::super) const READLINK: u32 = 5;
    pub(in super::super) const SYMLINK: u32 = 6;
    pub(in super::super) const MKNOD: u32 = 8;
    pub(in super::super) const MKDIR: u32 = 9;
    pub(in super::super) const UNLINK: u32 = 10;
    pub(in super::super) const RMDIR: u32 = 11;
    pub(in super::super) const RENAME: u32 = 12;
    pub(in super::super) const LINK: u32 = 13;
    pub(in super::super) const OPEN: u32 = 14;
    pub(in super::super) const READ: u32 = 15;
    pub(in super::super) const WRITE: u32 = 16;
    pub(in super::super) const STATFS: u32 = 17;
    pub(in super::super) const RELEASE: u32 = 18;
    pub(in super::super) const FSYNC: u32 = 20;
    pub(in super::super) const SETXATTR: u32 = 21;
    pub(in super::super) const GETXATTR: u32 = 22;
    pub(in super::super) const LISTXATTR: u32 = 23;
    pub(in super::super) const REMOVEXATTR: u32 = 24;
    pub(in super::super) const FLUSH: u32 = 25;
    pub(in super::super) const OPENDIR: u32 = 27;
    pub(in super::super) const READDIR: u32 = 28;
    pub(in super::super) const RELEASEDIR: u32 = 29;
    pub(in super::super) const FSYNCDIR: u32 = 30;
    pub(in super::super) const GETLK: u32 = 31;
    pub(in super::super) const SETLK: u32 = 32;
    pub(in super::super) const SETLKW: u32 = 33;
    pub(in super::super) const ACCESS: u32 = 34;
    pub(in super::super) const CREATE: u32 = 35;
    pub(in super::super) const INTERRUPT: u32 = 36;
    pub(in super::super) const DESTROY: u32 = 38;
    pub(in super::super) const IOCTL: u32 = 39;
    pub(in super::super) const BATCH_FORGET: u32 = 42;
    pub(in super::super) const FALLOCATE: u32 = 43;
    pub(in super::super) const READDIRPLUS: u32 = 44;
    pub(in super::super) const RENAME2: u32 = 45;
    pub(in super::super) const LSEEK: u32 = 46;
    pub(in super::super) const COPY_FILE_RANGE: u32 = 47;
    pub(in super::super) const TMPFILE: u32 = 51;
}

/// Flag bits.
pub(super) mod flag {
    pub(in super::super) const GETATTR_FH: u32 = 1;
    pub(in super::super) const FATTR_MODE: u32 = 1 << 0;
    pub(in super::super) const FATTR_UID: u32 = 1 << 1;
    pub(in super::super) const FATTR_GID: u32 = 1 << 2;
    pub(in super::super) const FATTR_SIZE: u32 = 1 << 3;
    pub(in super::super) const FATTR_ATIME: u32 = 1 << 4;
    pub(in super::super) const FATTR_MTIME: u32 = 1 << 5;
    pub(in super::super) const FATTR_FH: u32 = 1 << 6;
    pub(in super::super) const FATTR_ATIME_NOW: u32 = 1 << 7;
    pub(in super::super) const FATTR_MTIME_NOW: u32 = 1 << 8;
    pub(in super::super) const FATTR_KILL_SUIDGID: u32 = 1 << 11;
    pub(in super::super) const FOPEN_DIRECT_IO: u32 = 1 << 0;
    pub(in super::super) const FOPEN_KEEP_CACHE: u32 = 1 << 1;
    pub(in super::super) const FOPEN_NOFLUSH: u32 = 1 << 5;
    pub(in super::super) const FOPEN_PASSTHROUGH: u32 = 1 << 7;
    pub(in super::super) const LK_FLOCK: u32 = 1;
    pub(in super::super) const WRITE_CACHE: u32 = 1 << 0;
    pub(in super::super) const WRITE_KILL_SUIDGID: u32 = 1 << 2;
    pub(in super::super) const OPEN_KILL_SUIDGID: u32 = 1;
    pub(in super::super) const FSYNC_FDATASYNC: u32 = 1;
    pub(in super::super) const IOCTL_UNRESTRICTED: u32 = 1 << 1;
    /// `__FMODE_EXEC`: the open is an exec's.
    pub(in super::super) const OPEN_EXEC: u32 = 0x20;
}

/// The rest of a request: taken apart from the front. Whatever is too short is `EIO`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a>(pub(super) &'a [u8]);

impl<'a> Body<'a> {
    /// The next fixed part.
    pub(super) fn take<T: Pod>(&mut self) -> Result<T, Errno> {
        let (head, rest) = self.0.split_at_checked(size_of::<T>()).ok_or(Errno::IO)?;
        self.0 = rest;
        Ok(bytemuck::pod_read_unaligned(head))
    }

    /// The next name, which ends with NUL.
    pub(super) fn name(&mut self) -> Result<&'a CStr, Errno> {
        let name = CStr::from_bytes_until_nul(self.0).map_err(|_| Errno::IO)?;
        self.0 = &self.0[name.count_bytes() + 1..];
        Ok(name)
    }

    /// The next `len` bytes.
    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Errno> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Errno::IO)?;
        self.0 = rest;
        Ok(head)
    }
}

/// A reply under construction, in a buffer that each thread keeps: the header's place, then what is pushed.
#[derive(Debug)]
pub(super) struct Out {
    buffer: Box<[u8]>,
    len: usize,
}

impl Out {
    /// A buffer for replies of at most `data` bytes of data.
    pub(super) fn new(data: usize) -> Out {
        Out { buffer: vec![0; size_of::<OutHeader>() + data].into_boxed_slice(), len: size_of::<OutHeader>() }
    }

    /// Empties it.
    pub(super) fn clear(&mut self) {
        self.len = size_of::<OutHeader>();
    }

    /// Bytes pushed so far.
    pub(super) fn pushed(&self) -> usize {
        self.len - size_of::<OutHeader>()
    }

    /// Appends a fixed part.
    pub(super) fn push<T: Pod>(&mut self, part: &T) {
        self.push_bytes(bytemuck::bytes_of(part));
    }

    /// Appends bytes. What does not fit is a bug of the caller: the reply would be refused by the kernel.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        let Some(room) = self.buffer.get_mut(self.len..self.len + bytes.len()) else { return };
        room.copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Room for `len` bytes, or for as many as fit; to be followed by [`Out::grow`].
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        let end = self.buffer.len().min(self.len.saturating_add(len));
        &mut self.buffer[self.len..end]
    }

    /// Says that `len` bytes of the room were filled.
    pub(super) fn grow(&mut self, len: usize) {
        self.len = self.buffer.len().min(self.len + len);
    }

    /// The message, with its header filled in: what was pushed, or the error alone.
    pub(super) fn message(&mut self, unique: u64, result: Result<(), Errno>) -> &[u8] {
        let error = match result {
            Ok(()) => 0,
            Err(errno) => {
                self.clear();
                -errno.raw_os_error()
            }
        };
        let header = OutHeader { len: self.len as u32, error, unique };
        self.buffer[..size_of::<OutHeader>()].copy_from_slice(bytemuck::bytes_of(&header));
        &self.buffer[..self.len]
    }
}
