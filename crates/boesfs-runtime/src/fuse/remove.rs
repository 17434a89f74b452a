//! Removing and moving names: unlink, rmdir, rename, and the rule that nothing gains rights by moving.

use std::ffi::CStr;
use std::sync::Arc;

use boesfs_codegen::tables::StateId;
use boesfs_lang::cond::Arg;
use boesfs_lang::ops::Op;
use rustix::fs::{AtFlags, RenameFlags, Stat};
use rustix::io::Errno;

use super::fs::{Fs, Request};
use super::judge::owned_by;
use super::node::{Inode, Node};
use super::wire::{Body, Rename2In, RenameIn, opcode};

/// A name, and what it leads to now.
struct End<'a> {
    parent: Arc<Node>,
    name: &'a CStr,
    state: StateId,
    stat: Option<Stat>,
}

impl End<'_> {
    fn kind(&self) -> u32 {
        self.stat.as_ref().map_or(0, |stat| stat.st_mode & libc::S_IFMT)
    }

    fn is_dir(&self) -> bool {
        self.kind() == libc::S_IFDIR
    }

    /// The operation by which what is here would be made elsewhere.
    fn making(&self) -> Op {
        match self.kind() {
            libc::S_IFREG => Op::Create,
            libc::S_IFDIR => Op::Mkdir,
            libc::S_IFLNK => Op::Symlink,
            _ => Op::Mknod,
        }
    }

    /// The operation by which what is here would be removed.
    fn removing(&self) -> Op {
        if self.is_dir() { Op::Rmdir } else { Op::Unlink }
    }
}

impl Fs {
    fn end<'a>(&self, parent: Arc<Node>, name: &'a CStr) -> Result<End<'a>, Errno> {
        let state = self.step(parent.state(), name.to_bytes());
        let stat = match rustix::fs::statat(parent.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(errno),
        };
        Ok(End { parent, name, state, stat })
    }

    fn judge_end(&self, request: &Request<'_>, end: &End<'_>, op: Op, flags: u32) -> Result<(), Errno> {
        let args = || {
            let owned = match &end.stat {
                Some(stat) => owned_by(Some(stat)),
                None => owned_by(end.parent.stat().ok().as_ref()),
            };
            owned.with(Arg::Flags, if op == Op::Rename { flags.into() } else { 0 })
        };
        self.judge(request, end.state, op, args, || end.parent.path_of(end.name))
    }

    /// Judges making at `end` what `other` is. The owner is that of the directory.
    fn judge_arrival(&self, request: &Request<'_>, end: &End<'_>, other: &End<'_>) -> Result<(), Errno> {
        let mode = other.stat.as_ref().map_or(0, |stat| u64::from(stat.st_mode & 0o7777));
        let args = || owned_by(end.parent.stat().ok().as_ref()).with(Arg::Mode, mode);
        self.judge(request, end.state, other.making(), args, || end.parent.path_of(end.name))
    }

    pub(super) fn unlink(&self, request: &Request<'_>, body: &mut Body<'_>) -> Result<(), Errno> {
        let end = self.end(request.node()?, body.name()?)?;
        self.judge_end(request, &end, Op::Unlink, 0)?;
        self.remove(request, &end, AtFlags::empty())
    }

    pub(super) fn rmdir(&self, request: &Request<'_>, body: &mut Body<'_>) -> Result<(), Errno> {
        let end = self.end(request.node()?, body.name()?)?;
        self.judge_end(request, &end, Op::Rmdir, 0)?;
        self.remove(request, &end, AtFlags::REMOVEDIR)
    }

    fn remove(&self, request: &Request<'_>, end: &End<'_>, flags: AtFlags) -> Result<(), Errno> {
        let known = self.keep(end);
        {
            let _acting = request.act()?;
            rustix::fs::unlinkat(end.parent.fd()?, end.name, flags)?;
        }
        self.unnamed(end, known.as_ref());
        Ok(())
    }

    /// The node behind a name about to go, holding the object itself from now on: it may stay in use without a name.
    fn keep(&self, end: &End<'_>) -> Option<Arc<Node>> {
        let node = self.nodes.find(Inode::of(end.stat.as_ref()?), end.state)?;
        // Where it cannot be held it cannot be used later either: that is an error then, not now.
        let _ = node.fd();
        Some(node)
    }

    /// Notes that the name at `end` is gone.
    fn unnamed(&self, end: &End<'_>, known: Option<&Arc<Node>>) {
        let last = end.stat.as_ref().is_none_or(|stat| stat.st_nlink <= 1 || end.is_dir());
        if let Some(node) = known.filter(|_| last) {
            self.nodes.unkey(node);
        }
    }

    pub(super) fn rename(&self, request: &Request<'_>, body: &mut Body<'_>) -> Result<(), Errno> {
        let (newdir, flags) = if request.header.opcode == opcode::RENAME2 {
            let rename: Rename2In = body.take()?;
            (rename.newdir, rename.flags)
        } else {
            (body.take::<RenameIn>()?.newdir, 0)
        };
        let (old_name, new_name) = (body.name()?, body.name()?);
        let rename_flags = RenameFlags::from_bits(flags).ok_or(Errno::INVAL)?;
        let exchange = rename_flags.contains(RenameFlags::EXCHANGE);
        let old = self.end(request.node()?, old_name)?;
        let new = self.end(self.nodes.get(newdir)?, new_name)?;
        if old.stat.is_none() || (exchange && new.stat.is_none()) {
            return Err(Errno::NOENT);
        }
        self.judge_end(request, &old, Op::Rename, flags)?;
        self.judge_arrival(request, &new, &old)?;
        if exchange {
            self.judge_end(request, &new, Op::Rename, flags)?;
            self.judge_arrival(request, &old, &new)?;
        } else if new.stat.is_some() && !rename_flags.contains(RenameFlags::NOREPLACE) {
            self.judge_end(request, &new, new.removing(), flags)?;
        }
        if rename_flags.contains(RenameFlags::WHITEOUT) {
            self.judge_end(request, &old, Op::Mknod, flags)?;
        }
        self.judge_move(&old, new.state)?;
        if exchange {
            self.judge_move(&new, old.state)?;
        }
        let gone = if exchange { None } else { self.keep(&new) };
        {
            let _acting = request.act()?;
            let (old_fd, new_fd) = (old.parent.fd()?, new.parent.fd()?);
            match flags {
                0 => rustix::fs::renameat(old_fd, old.name, new_fd, new.name)?,
                _ => rustix::fs::renameat_with(old_fd, old.name, new_fd, new.name, rename_flags)?,
            }
        }
        if !exchange {
            self.unnamed(&new, gone.as_ref());
        }
        let (from, to) = (self.found(&old), if exchange { self.found(&new) } else { None });
        if let Some(node) = from {
            self.nodes.moved(&node, new.state, &new.parent, new.name);
        }
        if let Some(node) = to {
            self.nodes.moved(&node, old.state, &old.parent, old.name);
        }
        Ok(())
    }

    fn found(&self, end: &End<'_>) -> Option<Arc<Node>> {
        self.nodes.find(Inode::of(end.stat.as_ref()?), end.state)
    }

    /// Nothing gains rights by moving: a file may go where nobody may do more with it, a directory only where its state stays.
    fn judge_move(&self, from: &End<'_>, to: StateId) -> Result<(), Errno> {
        let stays = if from.is_dir() { from.state == to } else { self.within(to, from.state) };
        if stays { Ok(()) } else { Err(Errno::XDEV) }
    }
}
