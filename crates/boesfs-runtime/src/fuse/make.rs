//! Making objects and names: create, tmpfile, mknod, mkdir, symlink, link.

use std::cell::Cell;
use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use boesfs_codegen::tables::StateId;
use boesfs_lang::cond::{Arg, Args};
use boesfs_lang::ops::Op;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::caller::FdPath;
use super::descriptors::{self, Use};
use super::fs::{Fs, Request};
use super::handle::Handle;
use super::io::USER_FLAGS;
use super::judge::owned_by;
use super::node::{Inode, Node};
use super::wire::{Body, CreateIn, LinkIn, MkdirIn, MknodIn, OpenOut, Out};

/// The name that stands for a file without a name, as the kernel's own `d_mark_tmpfile` gives: no literal pattern is meant for it.
pub(super) const UNNAMED: &CStr = c"#tmpfile";

thread_local! {
    /// The umask this thread has.
    static UMASK: Cell<u32> = const { Cell::new(u32::MAX) };
}

/// Gives this thread the caller's umask: the tree below applies it, or a default ACL in its place.
fn set_umask(mask: u32) {
    if UMASK.get() != mask {
        rustix::process::umask(Mode::from_raw_mode(mask & 0o777));
        UMASK.set(mask);
    }
}

/// A name to be made: its directory, and the state it has.
struct Target<'a> {
    parent: Arc<Node>,
    name: &'a CStr,
    state: StateId,
}

impl Fs {
    fn target<'a>(&self, parent: Arc<Node>, name: &'a CStr) -> Target<'a> {
        let state = self.step(parent.state(), name.to_bytes());
        Target { parent, name, state }
    }

    /// Judges making a name. The owner is that of its directory.
    fn judge_making(
        &self,
        request: &Request<'_>,
        target: &Target<'_>,
        op: Op,
        fill: impl FnOnce(Args) -> Args,
    ) -> Result<(), Errno> {
        let args = || fill(owned_by(target.parent.stat().ok().as_ref()));
        self.judge(request, target.state, op, args, || target.parent.path_of(target.name))
    }

    /// Replies with what was made.
    fn reply_made(&self, target: &Target<'_>, out: &mut Out) -> Result<(), Errno> {
        let stat = rustix::fs::statat(target.parent.fd()?, target.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let node = self.nodes.refer(Inode::of(&stat), target.state, &target.parent, target.name);
        self.reply_entry(&node, &stat, out);
        Ok(())
    }

    pub(super) fn create(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let create: CreateIn = body.take()?;
        let target = self.target(request.node()?, body.name()?);
        let parent = target.parent.fd()?;
        let user_flags = u64::from(create.flags & USER_FLAGS);
        let mode = u64::from(create.mode & 0o7777);
        // The kernel has found no such name, but the file may be there by now: then this is an open.
        let below = super::io::flags_below(create.flags) | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let exclusive = create.flags & libc::O_EXCL as u32 != 0;
        let fill = |args: Args| args.with(Arg::Flags, user_flags).with(Arg::Mode, mode);
        let fd = match self.judge_making(request, &target, Op::Create, fill) {
            Err(refused) if exclusive => return Err(refused),
            Err(refused) => match rustix::fs::statat(parent, target.name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => None,
                Err(_) => return Err(refused),
            },
            Ok(()) => {
                let args = || fill(owned_by(None)).with(Arg::Owner, request.header.uid.into());
                self.judge_open(request, target.state, create.flags, args, || target.parent.path_of(target.name))?;
                descriptors::room(Use::Handle)?;
                set_umask(create.umask);
                let _acting = request.act()?;
                let mode = Mode::from_raw_mode(create.mode & 0o7777);
                match rustix::fs::openat(parent, target.name, below | OFlags::CREATE | OFlags::EXCL, mode) {
                    Err(Errno::EXIST) if !exclusive => None,
                    fd => Some(fd?),
                }
            }
        };
        let stat = match &fd {
            Some(fd) => rustix::fs::fstat(fd)?,
            None => rustix::fs::statat(parent, target.name, AtFlags::SYMLINK_NOFOLLOW)?,
        };
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(Errno::STALE);
        }
        let node = self.nodes.refer(Inode::of(&stat), target.state, &target.parent, target.name);
        let opened = match fd {
            Some(fd) => Ok(self.opened(node.clone(), create.flags, fd, &stat)),
            None => self.open_node(request, &node, create.flags),
        };
        match opened {
            Ok(opened) => {
                self.reply_entry(&node, &stat, out);
                out.push(&opened);
                Ok(())
            }
            Err(errno) => {
                self.nodes.forget(node.id, 1);
                Err(errno)
            }
        }
    }

    /// A file without a name. It has the rights of a name that no literal pattern is meant for.
    pub(super) fn tmpfile(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let create: CreateIn = body.take()?;
        let parent = request.node()?;
        let state = self.step(parent.state(), UNNAMED.to_bytes());
        let path = || parent.path_of(UNNAMED);
        let fill = |args: Args| {
            args.with(Arg::Flags, (create.flags & USER_FLAGS).into()).with(Arg::Mode, (create.mode & 0o7777).into())
        };
        self.judge(request, state, Op::Create, || fill(owned_by(parent.stat().ok().as_ref())), path)?;
        let own_args = || fill(owned_by(None)).with(Arg::Owner, request.header.uid.into());
        self.judge_open(request, state, create.flags, own_args, path)?;
        let dir = parent.fd()?;
        descriptors::room(Use::Handle)?;
        let exclusive = if create.flags & libc::O_EXCL as u32 != 0 { OFlags::EXCL } else { OFlags::empty() };
        let below = super::io::flags_below(create.flags) | exclusive | OFlags::TMPFILE;
        set_umask(create.umask);
        let fd = {
            let _acting = request.act()?;
            rustix::fs::openat(dir, c".", below, Mode::from_raw_mode(create.mode & 0o7777))?
        };
        let stat = rustix::fs::fstat(&fd)?;
        let held = self.path_only(&fd)?;
        let node = self.nodes.refer_unnamed(Inode::of(&stat), state, &parent, held);
        let opened = self.opened(node.clone(), create.flags, fd, &stat);
        self.reply_entry(&node, &stat, out);
        out.push(&opened);
        Ok(())
    }

    /// An `O_PATH` descriptor of the same object.
    fn path_only(&self, fd: &OwnedFd) -> Result<OwnedFd, Errno> {
        rustix::fs::open(&*FdPath::new(fd).to_c(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
    }

    /// What is known of a file just opened: the reply to the kernel.
    fn opened(&self, node: Arc<Node>, flags: u32, fd: OwnedFd, stat: &rustix::fs::Stat) -> OpenOut {
        let (way, backing_id, open_flags) = self.choose_way(&node, flags, Some(&fd), stat);
        let mut handle = Handle::new(node.clone(), flags as i32, way, Some(fd));
        self.mark(&mut handle, open_flags);
        OpenOut { fh: self.handles.add(handle), open_flags, backing_id }
    }

    pub(super) fn mkdir(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let mkdir: MkdirIn = body.take()?;
        let target = self.target(request.node()?, body.name()?);
        let mode = u64::from(mkdir.mode & 0o7777);
        self.judge_making(request, &target, Op::Mkdir, |args| args.with(Arg::Mode, mode))?;
        let parent = target.parent.fd()?;
        set_umask(mkdir.umask);
        {
            let _acting = request.act()?;
            rustix::fs::mkdirat(parent, target.name, Mode::from_raw_mode(mkdir.mode & 0o7777))?;
        }
        self.reply_made(&target, out)
    }

    pub(super) fn mknod(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let mknod: MknodIn = body.take()?;
        let target = self.target(request.node()?, body.name()?);
        let kind = FileType::from_raw_mode(mknod.mode);
        let op = if kind == FileType::RegularFile { Op::Create } else { Op::Mknod };
        let mode = match op {
            Op::Create => mknod.mode & 0o7777,
            _ => mknod.mode,
        };
        self.judge_making(request, &target, op, |args| args.with(Arg::Mode, mode.into()))?;
        let parent = target.parent.fd()?;
        set_umask(mknod.umask);
        {
            let _acting = request.act()?;
            let permissions = Mode::from_raw_mode(mknod.mode & 0o7777);
            rustix::fs::mknodat(parent, target.name, kind, permissions, decode_dev(mknod.rdev))?;
        }
        self.reply_made(&target, out)
    }

    pub(super) fn symlink(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let target = self.target(request.node()?, body.name()?);
        let text = body.name()?;
        self.judge_making(request, &target, Op::Symlink, |args| args)?;
        let parent = target.parent.fd()?;
        {
            let _acting = request.act()?;
            rustix::fs::symlinkat(text, parent, target.name)?;
        }
        self.reply_made(&target, out)
    }

    /// A second name. Each single operation is judged first; then nobody may gain rights by it.
    pub(super) fn link(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let link: LinkIn = body.take()?;
        let target = self.target(request.node()?, body.name()?);
        let old = self.nodes.get(link.oldnodeid)?;
        self.judge_node(request, &old, Op::Link)?;
        self.judge_making(request, &target, Op::Create, |args| args)?;
        if !self.within(target.state, old.state()) {
            return Err(Errno::XDEV);
        }
        let parent = target.parent.fd()?;
        let path = FdPath::new(old.fd()?).to_c();
        {
            let _acting = request.act()?;
            rustix::fs::linkat(rustix::fs::CWD, &*path, parent, target.name, AtFlags::SYMLINK_FOLLOW)?;
        }
        self.reply_made(&target, out)
    }
}

/// A device number of the FUSE protocol (`new_decode_dev` of the kernel).
fn decode_dev(dev: u32) -> u64 {
    rustix::fs::makedev(dev >> 8 & 0xfff, dev & 0xff | dev >> 12 & 0xfff00)
}
