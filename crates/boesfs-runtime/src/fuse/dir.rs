//! Names: lookup and directory listings.

use std::ffi::CStr;
use std::os::fd::AsFd;
use std::sync::Arc;

use boesfs_codegen::tables::StateId;
use boesfs_lang::cond::Arg;
use boesfs_lang::ops::Op;
use boesfs_lang::policy::Effect;
use rustix::fs::{AtFlags, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

use super::descriptors::{self, Use};
use super::fs::{Fs, Request};
use super::handle::{Handle, Stream, Way};
use super::judge::owned_by;
use super::node::{Inode, Node, lock};
use super::sys;
use super::wire::{Body, Dirent, EntryOut, OpenIn, OpenOut, Out, ReadIn};

/// Whether a listing brings attributes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    Yes,
    No,
}

/// How much of a directory is read at a time.
const STREAM: usize = 32 * 1024;

impl Fs {
    pub(super) fn lookup(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let parent = request.node()?;
        let name = body.name()?;
        let state = self.step(parent.state(), name.to_bytes());
        let parent_fd = parent.fd()?;
        let found = {
            let _acting = request.act()?;
            rustix::fs::statat(parent_fd, name, AtFlags::SYMLINK_NOFOLLOW)
        };
        let stat = match found {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return self.absent(state, out),
            Err(errno) => return Err(errno),
        };
        self.judge_name(request, &parent, name, state, &stat)?;
        let node = self.nodes.refer(Inode::of(&stat), state, &parent, name);
        self.reply_entry(&node, &stat, out);
        Ok(())
    }

    /// Replies that there is no such name, which the kernel may keep where that is the same for everybody.
    fn absent(&self, state: StateId, out: &mut Out) -> Result<(), Errno> {
        let life = self.lifetimes(state).entry;
        if life.is_zero() {
            return Err(Errno::NOENT);
        }
        let entry_valid_nsec = life.subsec_nanos();
        out.push(&EntryOut { entry_valid: life.as_secs(), entry_valid_nsec, ..EntryOut::default() });
        Ok(())
    }

    /// Whether the caller may find a name at all.
    ///
    /// Where `stat` is hidden the name is absent, but for a directory under which something else may hold. FIFOs, sockets
    /// and devices are opened by the kernel without asking: they are found by those who may read and write them.
    fn judge_name(
        &self,
        request: &Request<'_>,
        parent: &Node,
        name: &CStr,
        state: StateId,
        stat: &Stat,
    ) -> Result<(), Errno> {
        let args = || owned_by(Some(stat));
        let path = || parent.path_of(name);
        if self.ask(request, state, Op::Stat, args) == Effect::Hide
            && (Inode::of(stat).kind != libc::S_IFDIR || self.hides_below(request, state))
        {
            self.judge(request, state, Op::Stat, args, path)?;
        }
        if is_special(stat) {
            self.judge(request, state, Op::Read, args, path)?;
            self.judge(request, state, Op::Write, args, path)?;
        }
        Ok(())
    }

    pub(super) fn opendir(&self, request: &Request<'_>, body: &mut Body<'_>, out: &mut Out) -> Result<(), Errno> {
        let open: OpenIn = body.take()?;
        let node = request.node()?;
        let flags = u64::from(open.flags & super::io::USER_FLAGS);
        self.judge_node_with(request, &node, Op::List, |args, _| args.with(Arg::Flags, flags))?;
        let dir = node.fd()?;
        descriptors::room(Use::Handle)?;
        let fd = {
            let _acting = request.act()?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat(dir, c".", flags, rustix::fs::Mode::empty())?
        };
        let fh = self.handles.add(Handle::new(node, open.flags as i32, Way::None, Some(fd)));
        out.push(&OpenOut { fh, open_flags: 0, backing_id: 0 });
        Ok(())
    }

    pub(super) fn releasedir(&self, body: &mut Body<'_>) -> Result<(), Errno> {
        let release: super::wire::ReleaseIn = body.take()?;
        self.handles.remove(release.fh);
        Ok(())
    }

    pub(super) fn readdir(
        &self,
        request: &Request<'_>,
        body: &mut Body<'_>,
        out: &mut Out,
        plus: Plus,
    ) -> Result<(), Errno> {
        let read: ReadIn = body.take()?;
        let handle = self.handles.get(read.fh)?;
        let fd = handle.held().ok_or(Errno::BADF)?;
        let mut stream = lock(&handle.stream);
        if read.offset != stream.offset {
            rustix::fs::seek(fd, SeekFrom::Start(read.offset))?;
            *stream = Stream { offset: read.offset, ..Stream::default() };
        }
        let mut acting = None;
        loop {
            if stream.used == stream.buffer.len() {
                stream.buffer.resize(STREAM, 0);
                let filled = sys::getdents(fd, &mut stream.buffer)?;
                stream.buffer.truncate(filled);
                stream.used = 0;
                if filled == 0 {
                    return Ok(());
                }
            }
            let Some((record, len)) = Record::parse(&stream.buffer[stream.used..]) else { return Err(Errno::IO) };
            let size = record.size(plus);
            if out.pushed() + size > read.size as usize {
                return Ok(());
            }
            if plus == Plus::Yes && acting.is_none() {
                acting = Some(request.act()?);
            }
            self.list(request, &handle.node, fd, &record, plus, out);
            stream.offset = record.offset;
            stream.used += len;
        }
    }

    /// Adds one name to a listing, unless it is hidden or gone.
    fn list(
        &self,
        request: &Request<'_>,
        dir: &Arc<Node>,
        fd: impl AsFd,
        record: &Record<'_>,
        plus: Plus,
        out: &mut Out,
    ) {
        let mut kind = u32::from(record.kind);
        let mut entry = EntryOut::default();
        let mut ino = self.ino(dir.inode.dev, record.ino);
        if !record.is_dots() {
            let state = self.step(dir.state(), record.name.to_bytes());
            let closer = self.stat_needs_closer_look(request, state);
            if plus == Plus::Yes || closer {
                let Ok(stat) = rustix::fs::statat(fd, record.name, AtFlags::SYMLINK_NOFOLLOW) else { return };
                if closer && self.ask(request, state, Op::Stat, || owned_by(Some(&stat))) == Effect::Hide {
                    return;
                }
                kind = stat.st_mode >> 12 & 15;
                ino = self.ino(stat.st_dev, stat.st_ino);
                if plus == Plus::Yes && self.listed_with_attributes(state, &stat) {
                    let node = self.nodes.refer(Inode::of(&stat), state, dir, record.name);
                    entry = self.entry(&node, &stat);
                }
            }
        }
        if plus == Plus::Yes {
            out.push(&entry);
        }
        let name = record.name.to_bytes();
        out.push(&Dirent { ino, off: record.offset, namelen: name.len() as u32, kind });
        out.push_bytes(name);
        out.push_bytes(&[0; 8][..name.len().next_multiple_of(8) - name.len()]);
    }

    /// Whether a listing may carry a node for an object: not where finding it needs a verdict of its own.
    fn listed_with_attributes(&self, state: StateId, stat: &Stat) -> bool {
        !is_special(stat) || self.all_may(state, Op::Read) && self.all_may(state, Op::Write)
    }

    fn stat_needs_closer_look(&self, request: &Request<'_>, state: StateId) -> bool {
        request.class().is_none_or(|class| self.policy.rights.row(state, class).closer.contains(Op::Stat))
    }

    /// How long a name of this object may live, given that special files are found by verdict.
    pub(super) fn is_found_by_verdict(&self, state: StateId, stat: &Stat) -> bool {
        is_special(stat) && !(self.all_may(state, Op::Read) && self.all_may(state, Op::Write))
    }
}

/// Whether the kernel opens the object by itself: neither file, directory nor link.
fn is_special(stat: &Stat) -> bool {
    !matches!(stat.st_mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFDIR | libc::S_IFLNK)
}

/// One name as getdents64(2) gives it.
struct Record<'a> {
    ino: u64,
    /// Where the next record follows.
    offset: u64,
    kind: u8,
    name: &'a CStr,
}

impl<'a> Record<'a> {
    /// The first record of `bytes`, and its length.
    fn parse(bytes: &'a [u8]) -> Option<(Record<'a>, usize)> {
        let head = bytes.get(..19)?;
        let ino = u64::from_ne_bytes(head[..8].try_into().ok()?);
        let offset = u64::from_ne_bytes(head[8..16].try_into().ok()?);
        let len = usize::from(u16::from_ne_bytes(head[16..18].try_into().ok()?));
        let name = CStr::from_bytes_until_nul(bytes.get(19..len)?).ok()?;
        Some((Record { ino, offset, kind: head[18], name }, len))
    }

    fn is_dots(&self) -> bool {
        matches!(self.name.to_bytes(), b"." | b"..")
    }

    /// Its size in a reply.
    fn size(&self, plus: Plus) -> usize {
        let entry = if plus == Plus::Yes { size_of::<EntryOut>() } else { 0 };
        entry + size_of::<Dirent>() + self.name.count_bytes().next_multiple_of(8)
    }
}
