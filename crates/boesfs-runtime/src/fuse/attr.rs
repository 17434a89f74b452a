//! Attributes: getattr, setattr, access, statfs, readlink, extended attributes, the few ioctls.

use std::ffi::CStr;

use boesfs_lang::cond::Arg;
use boesfs_lang::ops::Op;
use boesfs_lang::policy::Effect;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::caller::FdPath;
use super::fs::{Fs, Request};
use super::judge::owned_by;
use super::node::Node;
use super::sys;
use super::wire::{
    AccessIn, Body, GetattrIn, GetxattrIn, IoctlIn, IoctlOut, Out, SetattrIn, SetxattrIn, StatfsOut, flag,
};

/// The longest value of an extended attribute, and list of names (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const XATTR_MAX: usize = 65536;

/// ioctls that concern a file alone: `FS_IOC_GETFLAGS`, `SETFLAGS`, `GETVERSION`, `FSGETXATTR`, `FSSETXATTR`.
const IOCTLS: [u32; 7] = [0x8008_6601, 0x4008_6602, 0x8008_7601, 0x801c_581f, 0x401c_5820, 0x8004_6601, 0x4004_6602];

/// The type of a terminal's ioctls (`asm-generic/ioctls.h`). isatty(3) tries one on every file that a program is given: no file is a
/// terminal, which is no secret, and no refusal to record.
const TERMINAL: u32 = 0x54;

impl Fs {
    pub(super) fn getattr(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let getattr: GetattrIn = body.take()?;
        let node = request.node()?;
        let stat = match node.stat() {
            // The name is gone, but an open file still is the object.
            Err(Errno::STALE) if getattr.flags & flag::GETATTR_FH != 0 => {
                rustix::fs::fstat(self.handles.get(getattr.fh)?.held().ok_or(Errno::STALE)?)?
            }
            stat => stat?,
        };
        let state = node.state();
        if getattr.flags & flag::GETATTR_FH != 0 && !self.shows(state) {
            // The kernel itself asks, for a file that is open: a read or a write needs the size.
            let mut attr = self.bare_attr(&stat);
            attr.size = stat.st_size as u64;
            self.reply_attr(attr, std::time::Duration::ZERO, out);
            return Ok(());
        }
        if !self.shows(state) && node.is_file() && self.is_exec_check(request, &node, &stat) {
            self.reply_attr(self.bare_attr(&stat), std::time::Duration::ZERO, out);
            return Ok(());
        }
        self.judge(request, state, Op::Stat, || owned_by(Some(&stat)), || node.path())?;
        self.reply_attr(self.attr(&stat), self.lifetimes(state).attr, out);
        Ok(())
    }

    /// Whether the kernel itself asks for attributes, to execute a file that the caller may execute but not look at. It does
    /// so in the words of stat(2); but the thread that asks is waiting, and in execve(2).
    fn is_exec_check(&self, request: &Request<'_>, node: &Node, stat: &Stat) -> bool {
        let args = || owned_by(Some(stat));
        self.ask(request, node.state(), Op::Stat, args) != Effect::Allow
            && self.ask(request, node.state(), Op::Exec, args) == Effect::Allow
            && super::caller::is_in_exec(&self.proc, request.header.pid)
    }

    pub(super) fn setattr(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let set: SetattrIn = body.take()?;
        let node = request.node()?;
        let valid = |bits: u32| set.valid & bits != 0;
        if valid(flag::FATTR_SIZE) {
            let fill = |args: boesfs_lang::cond::Args, _: Option<&Stat>| args.with(Arg::Size, set.size);
            self.judge_node_with(request, &node, Op::Truncate, fill)?;
        }
        if valid(flag::FATTR_MODE) {
            let mode = u64::from(set.mode);
            self.judge_node_with(request, &node, Op::Chmod, |args, _| args.with(Arg::Mode, mode))?;
        }
        if valid(flag::FATTR_UID | flag::FATTR_GID) {
            self.judge_node(request, &node, Op::Chown)?;
        }
        // The kernel sends times along with a new size: that is not a request of the caller's.
        let times = valid(flag::FATTR_ATIME | flag::FATTR_MTIME) && !valid(flag::FATTR_SIZE);
        if times {
            self.judge_node(request, &node, Op::Utimes)?;
        }
        let fd = match node.fd() {
            Err(Errno::STALE) if valid(flag::FATTR_FH) => None,
            fd => Some(fd?),
        };
        let handle = if valid(flag::FATTR_FH) { Some(self.handles.get(set.fh)?) } else { None };
        let held = handle.as_ref().and_then(|handle| handle.held());
        let fd = fd.or(held).ok_or(Errno::STALE)?;
        let path = FdPath::new(fd).to_c();
        {
            let _acting = request.act()?;
            if valid(flag::FATTR_MODE) {
                rustix::fs::chmod(&*path, Mode::from_raw_mode(set.mode & 0o7777))?;
            }
            if valid(flag::FATTR_UID | flag::FATTR_GID) {
                let uid = valid(flag::FATTR_UID).then(|| Uid::from_raw(set.uid));
                let gid = valid(flag::FATTR_GID).then(|| Gid::from_raw(set.gid));
                rustix::fs::chownat(fd, c"", uid, gid, AtFlags::EMPTY_PATH)?;
            }
            if valid(flag::FATTR_SIZE) {
                match held {
                    // A file opened for writing may be cut whatever its permissions say by now.
                    Some(held) if writes(handle.as_deref().map_or(0, |h| h.flags)) => {
                        rustix::fs::ftruncate(held, set.size)?;
                    }
                    _ => sys::truncate(&path, set.size)?,
                }
            }
            if times {
                rustix::fs::utimensat(fd, c"", &timestamps(&set), AtFlags::EMPTY_PATH)?;
            }
        }
        if valid(flag::FATTR_KILL_SUIDGID) {
            self.clear_set_ids(fd)?;
        }
        let stat = rustix::fs::fstat(fd)?;
        let state = node.state();
        let attr = if self.shows(state) { self.attr(&stat) } else { self.bare_attr(&stat) };
        self.reply_attr(attr, self.lifetimes(state).attr, out);
        Ok(())
    }

    /// Clears set-user-id and set-group-id as a write by an ordinary user does: this process would keep them.
    pub(super) fn clear_set_ids(&self, fd: impl std::os::fd::AsFd) -> Result<(), Errno> {
        if !self.own.is_root() {
            return Ok(());
        }
        let mode = rustix::fs::fstat(&fd)?.st_mode;
        let keeps_group = mode & 0o2010 != 0o2010;
        let cleared = mode & !(0o4000 | if keeps_group { 0 } else { 0o2000 });
        if cleared != mode && mode & libc::S_IFMT == libc::S_IFREG {
            rustix::fs::chmod(&*FdPath::new(&fd).to_c(), Mode::from_raw_mode(cleared & 0o7777))?;
        }
        Ok(())
    }

    pub(super) fn access(&self, request: &Request<'_>, body: &mut Body<'_>) -> Result<(), Errno> {
        let access: AccessIn = body.take()?;
        let node = request.node()?;
        // The kernel asks this for chdir as well: with a search permission alone, on a directory, which is not an operation.
        let search = node.is_dir() && access.mask == 1;
        let hidden = || {
            self.ask(request, node.state(), Op::Stat, || owned_by(node.stat().ok().as_ref())) == Effect::Hide
                && self.hides_below(request, node.state())
        };
        if !search || hidden() {
            self.judge_node(request, &node, Op::Stat)?;
        }
        // What opening would answer: foretold, not recorded.
        let wants = [
            (4, if node.is_dir() { Op::List } else { Op::Read }),
            (2, if node.is_dir() { Op::Stat } else { Op::Write }),
            (1, if node.is_dir() { Op::Stat } else { Op::Exec }),
        ];
        for (bit, op) in wants {
            if access.mask & bit != 0 && op != Op::Stat && (node.is_dir() || node.is_file()) {
                let effect = self.ask(request, node.state(), op, || owned_by(node.stat().ok().as_ref()));
                if effect != Effect::Allow {
                    return Err(super::judge::errno(effect));
                }
            }
        }
        let fd = node.fd()?;
        let _acting = request.act()?;
        sys::access(fd, access.mask)
    }

    pub(super) fn statfs(&self, request: &Request<'_>, out: &mut Out) -> Result<(), Errno> {
        let node = request.node()?;
        self.judge_node(request, &node, Op::Statfs)?;
        let st = rustix::fs::fstatfs(node.fd()?)?;
        out.push(&StatfsOut {
            blocks: st.f_blocks,
            bfree: st.f_bfree,
            bavail: st.f_bavail,
            files: st.f_files,
            ffree: st.f_ffree,
            bsize: st.f_bsize as u32,
            namelen: st.f_namelen as u32,
            frsize: st.f_frsize as u32,
            ..StatfsOut::default()
        });
        Ok(())
    }

    pub(super) fn readlink(&self, request: &Request<'_>, out: &mut Out) -> Result<(), Errno> {
        let node = request.node()?;
        self.judge_node(request, &node, Op::Readlink)?;
        let target = match (node.held(), node.place()) {
            (None, Some(place)) => {
                rustix::fs::readlinkat(place.parent.fd()?, &*place.name, Vec::new()).map_err(super::node::stale)?
            }
            _ => rustix::fs::readlinkat(node.fd()?, c"", Vec::new())?,
        };
        out.push_bytes(target.as_bytes());
        Ok(())
    }

    pub(super) fn setxattr(&self, request: &Request<'_>, body: &mut Body<'_>) -> Result<(), Errno> {
        let set: SetxattrIn = body.take()?;
        let name = body.name()?;
        let value = body.bytes(set.size as usize)?;
        let node = request.node()?;
        self.judge_xattr_change(request, &node, name, set.flags, value.len())?;
        let path = FdPath::new(node.fd()?).to_c();
        {
            let _acting = request.act()?;
            rustix::fs::setxattr(&*path, name, value, XattrFlags::from_bits_truncate(set.flags))?;
        }
        Ok(())
    }

    pub(super) fn removexattr(&self, request: &Request<'_>, body: &mut Body<'_>) -> Result<(), Errno> {
        let name = body.name()?;
        let node = request.node()?;
        self.judge_xattr_change(request, &node, name, 0, 0)?;
        let path = FdPath::new(node.fd()?).to_c();
        {
            let _acting = request.act()?;
            rustix::fs::removexattr(&*path, name)?;
        }
        Ok(())
    }

    /// A change of an ACL changes permissions: it is `chmod` as well.
    fn judge_xattr_change(
        &self,
        request: &Request<'_>,
        node: &Node,
        name: &CStr,
        flags: u32,
        size: usize,
    ) -> Result<(), Errno> {
        if is_acl(name) {
            let mode = |stat: Option<&Stat>| stat.map_or(0, |stat| u64::from(stat.st_mode & 0o7777));
            self.judge_node_with(request, node, Op::Chmod, |args, stat| args.with(Arg::Mode, mode(stat)))?;
        }
        self.judge_node_with(request, node, Op::Setxattr, |args, _| {
            args.with(Arg::Flags, flags.into()).with(Arg::Size, size as u64)
        })
    }

    pub(super) fn getxattr(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let get: GetxattrIn = body.take()?;
        let name = body.name()?;
        let node = request.node()?;
        let fill = |args: boesfs_lang::cond::Args, _: Option<&Stat>| args.with(Arg::Size, get.size.into());
        // The kernel asks for file capabilities at every exec: refused means there are none.
        if name == c"security.capability"
            && self.ask(request, node.state(), Op::Getxattr, || fill(owned_by(None), None)) != Effect::Allow
        {
            return Err(Errno::NODATA);
        }
        self.judge_node_with(request, &node, Op::Getxattr, fill)?;
        let path = FdPath::new(node.fd()?).to_c();
        let _acting = request.act()?;
        sized(out, get.size, |room| rustix::fs::getxattr(&*path, name, room))
    }

    pub(super) fn listxattr(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let list: GetxattrIn = body.take()?;
        let node = request.node()?;
        self.judge_node_with(request, &node, Op::Listxattr, |args, _| args.with(Arg::Size, list.size.into()))?;
        let path = FdPath::new(node.fd()?).to_c();
        let _acting = request.act()?;
        sized(out, list.size, |room| rustix::fs::listxattr(&*path, room))
    }

    pub(super) fn ioctl(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let ioctl: IoctlIn = body.take()?;
        let handle = self.handles.get(ioctl.fh)?;
        if ioctl.cmd >> 8 & 0xff == TERMINAL {
            return Err(Errno::NOTTY);
        }
        let fill = |args: boesfs_lang::cond::Args, _: Option<&Stat>| args.with(Arg::Flags, ioctl.cmd.into());
        self.judge_node_with(request, &handle.node, Op::Ioctl, fill)?;
        if ioctl.flags & flag::IOCTL_UNRESTRICTED != 0 || !IOCTLS.contains(&ioctl.cmd) {
            return Err(Errno::NOTTY);
        }
        let mut argument = [0; 64];
        let input = body.bytes(ioctl.in_size as usize)?;
        argument.get_mut(..input.len()).ok_or(Errno::NOTTY)?.copy_from_slice(input);
        let fd = handle.fd(|| self.open_below(&handle.node, OFlags::RDONLY))?;
        let result = {
            let _acting = request.act()?;
            sys::ioctl(fd, ioctl.cmd, &mut argument)?
        };
        out.push(&IoctlOut { result, ..IoctlOut::default() });
        out.push_bytes(argument.get(..ioctl.out_size as usize).ok_or(Errno::NOTTY)?);
        Ok(())
    }
}

/// Answers with a value, or with its size where no room for it was offered.
fn sized(out: &mut Out, size: u32, get: impl FnOnce(&mut [u8]) -> Result<usize, Errno>) -> Result<(), Errno> {
    if size == 0 {
        let size = get(&mut [])? as u32;
        out.push(&GetxattrIn { size, padding: 0 });
        return Ok(());
    }
    let len = get(out.room((size as usize).min(XATTR_MAX)))?;
    out.grow(len);
    Ok(())
}

fn is_acl(name: &CStr) -> bool {
    name.to_bytes().starts_with(b"system.posix_acl_")
}

fn writes(flags: i32) -> bool {
    matches!(flags & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR)
}

/// The times of a request, those not named left as they are.
fn timestamps(set: &SetattrIn) -> Timestamps {
    let time = |given: u32, now: u32, sec: u64, nsec: u32| match (set.valid & given != 0, set.valid & now != 0) {
        (false, _) => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
        (true, true) => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW },
        (true, false) => Timespec { tv_sec: sec as i64, tv_nsec: i64::from(nsec) },
    };
    Timestamps {
        last_access: time(flag::FATTR_ATIME, flag::FATTR_ATIME_NOW, set.atime, set.atimensec),
        last_modification: time(flag::FATTR_MTIME, flag::FATTR_MTIME_NOW, set.mtime, set.mtimensec),
    }
}
