//! Open files: open, read, write, and what else is done through a descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use boesfs_codegen::tables::StateId;
use boesfs_lang::cond::{Arg, Args};
use boesfs_lang::ops::Op;
use rustix::fs::{FallocateFlags, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

use super::caller::FdPath;
use super::descriptors::{self, Use};
use super::fs::{Fs, Request};
use super::handle::{Handle, Way};
use super::judge::owned_by;
use super::node::{Node, lock};
use super::sys;
use super::wire::{
    Body, CopyIn, FallocateIn, FlushIn, FsyncIn, LseekIn, LseekOut, OpenIn, OpenOut, Out, ReadIn, ReleaseIn, WriteIn,
    WriteOut, flag,
};

/// The open flags that a condition sees: those of the caller, without what the kernel adds for itself.
pub(super) const USER_FLAGS: u32 = !(flag::OPEN_EXEC | 0o100_000);

/// The most that copy_file_range moves at once: its reply has 32 bits.
const COPY_MAX: u64 = 0x7fff_f000;

/// The flags to open the file below with. Not `O_DIRECT`: buffers here are not aligned; `O_TRUNC` comes after a look at the inode.
pub(super) fn flags_below(flags: u32) -> OFlags {
    let kept = libc::O_ACCMODE | libc::O_APPEND | libc::O_DSYNC | libc::O_SYNC | libc::O_NOATIME;
    OFlags::from_bits_retain(flags & kept as u32) | OFlags::CLOEXEC
}

impl Fs {
    pub(super) fn open(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let open: OpenIn = body.take()?;
        let node = request.node()?;
        let opened = self.open_node(request, &node, open.flags)?;
        if open.open_flags & flag::OPEN_KILL_SUIDGID != 0 {
            self.clear_set_ids(node.fd()?)?;
        }
        out.push(&opened);
        Ok(())
    }

    /// Judges an open and opens the file below.
    pub(super) fn open_node(&self, request: &Request<'_>, node: &Arc<Node>, flags: u32) -> Result<OpenOut, Errno> {
        let args = || {
            let stat = node.stat().ok();
            let size = stat.as_ref().map_or(0, |stat| stat.st_size as u64);
            let mode = stat.as_ref().map_or(0, |stat| u64::from(stat.st_mode & 0o7777));
            let mut args = owned_by(stat.as_ref()).with(Arg::Flags, (flags & USER_FLAGS).into()).with(Arg::Size, size);
            if flags & flag::OPEN_EXEC != 0 {
                args = args.with(Arg::Mode, mode).with(Arg::Size, 0);
            }
            args
        };
        if node.is_settling() {
            // Another node is to be opened: this one has open files by the rules from before.
            return Err(Errno::STALE);
        }
        self.judge_open(request, node.state(), flags, args, || node.path())?;
        descriptors::room(Use::Handle)?;
        let truncates = flags & libc::O_TRUNC as u32 != 0;
        if truncates {
            let fill = |args: Args, _: Option<&Stat>| args.with(Arg::Flags, (flags & USER_FLAGS).into());
            self.judge_node_with(request, node, Op::Truncate, fill)?;
        }
        let (fd, stat) = {
            let _acting = request.act()?;
            if flags & flag::OPEN_EXEC != 0 {
                self.may_execute(node)?;
            }
            let fd = self.open_below(node, flags_below(flags))?;
            if truncates {
                match flags as i32 & libc::O_ACCMODE {
                    libc::O_RDONLY => sys::truncate(&FdPath::new(&fd).to_c(), 0)?,
                    _ => rustix::fs::ftruncate(&fd, 0)?,
                }
            }
            let stat = rustix::fs::fstat(&fd)?;
            (fd, stat)
        };
        let (way, backing_id, open_flags) = self.choose_way(node, flags, Some(&fd), &stat);
        let mut handle = Handle::new(node.clone(), flags as i32, way, Some(fd));
        self.mark(&mut handle, open_flags);
        Ok(OpenOut { fh: self.handles.add(handle), open_flags, backing_id })
    }

    /// Asks for what the open mode means: `exec`, or `read`, and `write` or `append`.
    pub(super) fn judge_open(
        &self,
        request: &Request<'_>,
        state: StateId,
        flags: u32,
        args: impl Fn() -> Args,
        path: impl Fn() -> Vec<u8>,
    ) -> Result<(), Errno> {
        if flags & flag::OPEN_EXEC != 0 {
            return self.judge(request, state, Op::Exec, args, path);
        }
        let mode = flags as i32 & libc::O_ACCMODE;
        if mode != libc::O_WRONLY {
            self.judge(request, state, Op::Read, &args, &path)?;
        }
        if mode != libc::O_RDONLY {
            let op = if flags & libc::O_APPEND as u32 != 0 { Op::Append } else { Op::Write };
            self.judge(request, state, op, args, path)?;
        }
        Ok(())
    }

    /// Whether the tree below lets the identity of this thread execute a file.
    fn may_execute(&self, node: &Node) -> Result<(), Errno> {
        sys::access(node.fd()?, libc::X_OK as u32)
    }

    /// Marks which single reads and writes of a handle are judged, and whether its closes are heard of.
    pub(super) fn mark(&self, handle: &mut Handle, open_flags: u32) {
        handle.closes_unheard = open_flags & flag::FOPEN_NOFLUSH != 0;
        let state = handle.node.state();
        handle.judge(self.conditional(state, &[Op::Read, Op::Exec]), self.conditional(state, &[Op::Write, Op::Append]));
    }

    /// Whether data of files of this state may flow past this process, and be mapped from a writable descriptor.
    ///
    /// Not where a condition may want to see single reads and writes, nor where somebody may append but not write: a
    /// descriptor can lose `O_APPEND` and be mapped without a request.
    fn is_free(&self, state: StateId) -> bool {
        let rights = &self.policy.rights;
        !self.conditional(state, &[Op::Read, Op::Exec, Op::Write, Op::Append])
            && self.classes.all().iter().all(|class| {
                let row = rights.row(state, *class);
                let appends = row.allowed.contains(Op::Append) || row.closer.contains(Op::Append);
                !appends || row.allowed.contains(Op::Write)
            })
    }

    /// Chooses how the data of an open file flows, and gives the number of the file below and the flags for the kernel.
    pub(super) fn choose_way(&self, node: &Node, flags: u32, fd: Option<&OwnedFd>, stat: &Stat) -> (Way, i32, u32) {
        // A close matters to locks alone.
        let lockable = self.locks.forwarded() && self.somebody_may(node.state(), Op::Lock);
        let close = if lockable { 0 } else { flag::FOPEN_NOFLUSH };
        let free = self.is_free(node.state());
        if !free {
            // Every read and write comes here, with its own offset and length; a shared mapping is refused by the kernel.
            let mut backing = lock(&node.backing);
            backing.plain += 1;
            return (Way::Plain, 0, flag::FOPEN_DIRECT_IO | close);
        }
        let mut backing = lock(&node.backing);
        let writes = flags as i32 & libc::O_ACCMODE != libc::O_RDONLY;
        // The kernel would not clear set-id bits on a write that passes by.
        let keeps_ids = writes && stat.st_mode & 0o6000 != 0;
        if self.passthrough && backing.plain == 0 && (backing.passing > 0 || !keeps_ids) {
            if backing.passing == 0 {
                match fd.map(|fd| sys::backing_open(self.device(), fd.as_fd())) {
                    Some(Ok(id)) => backing.id = id,
                    _ => {
                        backing.plain += 1;
                        return (Way::Plain, 0, flag::FOPEN_KEEP_CACHE | close);
                    }
                }
            }
            backing.passing += 1;
            let direct = if keeps_ids { flag::FOPEN_DIRECT_IO } else { 0 };
            return (Way::Passing, backing.id, flag::FOPEN_PASSTHROUGH | direct | close);
        }
        backing.plain += 1;
        (Way::Plain, 0, flag::FOPEN_KEEP_CACHE | close)
    }

    pub(super) fn release(&self, _request: &Request<'_>, body: &mut Body<'_>) -> Result<(), Errno> {
        let release: ReleaseIn = body.take()?;
        let Some(handle) = self.handles.remove(release.fh) else { return Ok(()) };
        let mut backing = lock(&handle.node.backing);
        match handle.way {
            Way::Plain => backing.plain = backing.plain.saturating_sub(1),
            Way::Passing => {
                backing.passing = backing.passing.saturating_sub(1);
                if backing.passing == 0 {
                    // The kernel keeps what it still needs of it.
                    let _ = sys::backing_close(self.device(), backing.id);
                }
            }
            Way::None => {}
        }
        drop(backing);
        if self.locks.forwarded() {
            drop(handle);
            self.locks.changed();
        }
        Ok(())
    }

    pub(super) fn flush(&self, request: &Request<'_>, body: &mut Body<'_>) -> Result<(), Errno> {
        let flush: FlushIn = body.take()?;
        if !self.locks.forwarded() {
            // The kernel does not ask again.
            return Err(Errno::NOSYS);
        }
        self.locks.closed(request.header.nodeid, flush.lock_owner);
        Ok(())
    }

    /// The descriptor below of an open file.
    pub(super) fn fd_of<'a>(&self, handle: &'a Handle) -> Result<BorrowedFd<'a>, Errno> {
        handle.fd(|| self.open_below(&handle.node, flags_below(handle.flags as u32)))
    }

    pub(super) fn read(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let read: ReadIn = body.take()?;
        let handle = self.handles.get(read.fh)?;
        let fd = self.fd_of(&handle)?;
        if handle.judges_reads() {
            let op = if handle.flags as u32 & flag::OPEN_EXEC != 0 { Op::Exec } else { Op::Read };
            self.judge_data(request, &handle, fd, op, read.offset, read.size.into())?;
        }
        let len = rustix::io::pread(fd, out.room(read.size as usize), read.offset)?;
        out.grow(len);
        Ok(())
    }

    pub(super) fn write(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let write: WriteIn = body.take()?;
        let data = body.bytes(write.size as usize)?;
        let handle = self.handles.get(write.fh)?;
        let fd = self.fd_of(&handle)?;
        // What a mapping has changed was allowed when it was made: there is no caller to refuse it to.
        if handle.judges_writes() && write.write_flags & flag::WRITE_CACHE == 0 {
            let op = if handle.flags & libc::O_APPEND != 0 { Op::Append } else { Op::Write };
            self.judge_data(request, &handle, fd, op, write.offset, data.len() as u64)?;
        }
        if write.write_flags & flag::WRITE_KILL_SUIDGID != 0 {
            self.clear_set_ids(fd)?;
        }
        let mut done = 0;
        while done < data.len() {
            match rustix::io::pwrite(fd, &data[done..], write.offset + done as u64) {
                Ok(0) => break,
                Ok(len) => done += len,
                Err(Errno::INTR) => {}
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        out.push(&WriteOut { size: done as u32, padding: 0 });
        Ok(())
    }

    /// Judges one read or write, with the arguments a condition may speak of.
    fn judge_data(
        &self,
        request: &Request<'_>,
        handle: &Handle,
        fd: BorrowedFd<'_>,
        op: Op,
        offset: u64,
        length: u64,
    ) -> Result<(), Errno> {
        let args = || {
            let stat = rustix::fs::fstat(fd).ok();
            let size = stat.as_ref().map_or(0, |stat| stat.st_size as u64);
            let flags = handle.flags as u32 & USER_FLAGS;
            if op == Op::Exec {
                let mode = stat.as_ref().map_or(0, |stat| stat.st_mode & 0o7777);
                return owned_by(stat.as_ref()).with(Arg::Flags, flags.into()).with(Arg::Mode, mode.into());
            }
            let size = match op {
                Op::Write => size.max(offset.saturating_add(length)),
                Op::Append => size.saturating_add(length),
                _ => size,
            };
            owned_by(stat.as_ref())
                .with(Arg::Flags, flags.into())
                .with(Arg::Size, size)
                .with(Arg::Offset, offset)
                .with(Arg::Length, length)
        };
        self.judge(request, handle.node.state(), op, args, || handle.node.path())
    }

    pub(super) fn fsync(&self, body: &mut Body<'_>) -> Result<(), Errno> {
        let fsync: FsyncIn = body.take()?;
        let handle = self.handles.get(fsync.fh)?;
        let fd = self.fd_of(&handle)?;
        if fsync.flags & flag::FSYNC_FDATASYNC != 0 { rustix::fs::fdatasync(fd) } else { rustix::fs::fsync(fd) }
    }

    pub(super) fn fallocate(&self, request: &Request<'_>, body: &mut Body<'_>) -> Result<(), Errno> {
        let fallocate: FallocateIn = body.take()?;
        let handle = self.handles.get(fallocate.fh)?;
        let fd = self.fd_of(&handle)?;
        self.judge_data(request, &handle, fd, Op::Write, fallocate.offset, fallocate.length)?;
        let mode = FallocateFlags::from_bits_retain(fallocate.mode);
        self.clear_set_ids(fd)?;
        rustix::fs::fallocate(fd, mode, fallocate.offset, fallocate.length)
    }

    pub(super) fn lseek(&self, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let lseek: LseekIn = body.take()?;
        let handle = self.handles.get(lseek.fh)?;
        let fd = self.fd_of(&handle)?;
        let place = match lseek.whence as i32 {
            libc::SEEK_DATA => SeekFrom::Data(lseek.offset),
            libc::SEEK_HOLE => SeekFrom::Hole(lseek.offset),
            _ => return Err(Errno::INVAL),
        };
        out.push(&LseekOut { offset: rustix::fs::seek(fd, place)? });
        Ok(())
    }

    pub(super) fn copy_file_range(
        &self,
        request: &Request<'_>,
        body: &mut Body<'_>,
        out: &mut Out,
    ) -> Result<(), Errno> {
        let copy: CopyIn = body.take()?;
        let (from, to) = (self.handles.get(copy.fh_in)?, self.handles.get(copy.fh_out)?);
        let (fd_in, fd_out) = (self.fd_of(&from)?, self.fd_of(&to)?);
        let len = copy.len.min(COPY_MAX);
        if from.judges_reads() {
            self.judge_data(request, &from, fd_in, Op::Read, copy.off_in, len)?;
        }
        self.judge_data(request, &to, fd_out, Op::Write, copy.off_out, len)?;
        self.clear_set_ids(fd_out)?;
        let (mut off_in, mut off_out) = (copy.off_in, copy.off_out);
        let copied = rustix::fs::copy_file_range(fd_in, Some(&mut off_in), fd_out, Some(&mut off_out), len as usize)?;
        out.push(&WriteOut { size: copied as u32, padding: 0 });
        Ok(())
    }
}
