//! The file system itself: its state, and the way of a request to the function that answers it.

use std::cell::OnceCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boesfs_codegen::tables::StateId;
use boesfs_lang::ops::Op;
use boesfs_lang::subjects::ClassId;
use rustc_hash::FxHashMap;
use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;

use super::caller::{Acting, Classes, Own};
use super::handle::Handles;
use super::lock::Locks;
use super::node::{Node, Nodes};
use super::wire::{Attr, AttrOut, Body, EntryOut, InHeader, Out, opcode};
use super::{Config, EventSink, FuseError, Passthrough, Policy, Replacement, Rights, Session, Unreplaceable};
use crate::sandbox::Privilege;

/// A request being answered.
pub(super) struct Request<'a> {
    pub(super) header: InHeader,
    pub(super) fs: &'a Fs,
    /// Where it came from: its answer must go back the same way.
    pub(super) channel: BorrowedFd<'a>,
    class: OnceCell<Option<ClassId>>,
}

impl<'a> Request<'a> {
    pub(super) fn new(header: InHeader, fs: &'a Fs, channel: BorrowedFd<'a>) -> Request<'a> {
        Request { header, fs, channel, class: OnceCell::new() }
    }

    /// The class of whoever asks: found out once a request.
    pub(super) fn class(&self) -> Option<ClassId> {
        *self.class.get_or_init(|| self.fs.classes.of(&self.header, &self.fs.proc))
    }

    /// Makes this thread act with the caller's identity until the guard is dropped.
    pub(super) fn act(&self) -> Result<Acting<'a>, Errno> {
        self.fs.own.act_as(&self.header, &self.fs.proc)
    }

    /// The node that the request is about. `ESTALE` where the kernel is to look for its name again.
    pub(super) fn node(&self) -> Result<Arc<Node>, Errno> {
        let node = self.fs.nodes.get(self.header.nodeid)?;
        if node.is_ambiguous() { Err(Errno::STALE) } else { Ok(node) }
    }
}

/// Whether a request gets an answer now.
pub(super) enum Answer {
    /// What is in the buffer.
    Now,
    /// None: the kernel expects none, or another thread will give it.
    Later,
}

/// The file system.
pub(super) struct Fs {
    pub(super) policy: Policy,
    pub(super) classes: Classes,
    pub(super) own: Own,
    pub(super) sink: Arc<dyn EventSink>,
    pub(super) proc: OwnedFd,
    pub(super) nodes: Nodes,
    pub(super) handles: Handles,
    pub(super) locks: Locks,
    pub(super) device: OwnedFd,
    pub(super) lifetime: Duration,
    pub(super) passthrough: bool,
    /// States whose `stat` is hidden: whether for that class everything below is absent too.
    pub(super) hidden: Mutex<FxHashMap<(StateId, ClassId), bool>>,
    /// The device of the root: inode numbers on others are mixed with their device.
    root_dev: u64,
    /// Rights are those of callers, which differ: the kernel may keep no name, since it asks nobody whether another may find it.
    pub(super) many_callers: bool,
    /// The user and group that the mount's user namespace knows, where it knows no others.
    only_ids: Option<(u32, u32)>,
    /// Where this process sees the mount.
    seen_at: PathBuf,
    /// Whether the kernel keeps the targets of symbolic links.
    pub(super) keeps_links: bool,
}

/// What the kernel may keep a name for longer than it was told: it counts in ticks, from when the asking thread goes on.
const SLACK: Duration = Duration::from_secs(1);

/// The state of `name` in a directory of state `state`.
pub(super) fn step(policy: &Policy, state: StateId, name: &[u8]) -> StateId {
    policy.rights.leaf(state).unwrap_or_else(|| policy.checker.step(state, name))
}

/// Whether the kernel may keep the targets of symbolic links: it gives them to every class, unrecorded. It keeps no refusal.
pub(super) fn links_may_be_kept(session: Session, rights: &dyn Rights) -> bool {
    matches!(session, Session::Fixed(_)) && rights.always_plain(Op::Readlink)
}

/// How long the kernel may keep a name and attributes.
#[derive(Clone, Copy)]
pub(super) struct Lifetimes {
    pub(super) entry: Duration,
    pub(super) attr: Duration,
}

impl Fs {
    pub(super) fn new(config: Config, device: OwnedFd) -> Result<Fs, FuseError> {
        let system = |what| move |errno: Errno| FuseError::System { what, source: errno.into() };
        let root_dev = rustix::fs::fstat(&config.root).map_err(system("look at the root"))?.st_dev;
        let own = Own::new(config.identity).map_err(system("read this process's groups"))?;
        let classes = Classes::new(config.session, config.policy.subjects.clone(), &config.seen_at);
        Ok(Fs {
            classes,
            own,
            sink: config.sink,
            proc: config.proc,
            nodes: Nodes::new(config.root, StateId::ROOT).map_err(system("look at the root"))?,
            handles: Handles::default(),
            locks: Locks::default(),
            device,
            lifetime: config.lifetime,
            passthrough: config.passthrough == Passthrough::Auto,
            hidden: Mutex::default(),
            root_dev,
            many_callers: config.identity == super::Identity::Caller,
            only_ids: (Privilege::of_caller() == Privilege::Ordinary)
                .then(|| (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())),
            policy: config.policy,
            seen_at: config.seen_at,
            keeps_links: false,
        })
    }

    /// Puts another policy in the place of the one in force. Whoever calls it keeps requests away meanwhile.
    pub(super) fn replace(&mut self, new: Replacement) -> Result<(), Unreplaceable> {
        if !self.locks.forwarded() && self.policy.rights.lock_follows_open() && !new.policy.rights.lock_follows_open() {
            return Err(Unreplaceable::Locks);
        }
        if self.keeps_links && !links_may_be_kept(new.session, &*new.policy.rights) {
            return Err(Unreplaceable::Links);
        }
        self.classes = Classes::new(new.session, new.policy.subjects.clone(), &self.seen_at);
        self.policy = new.policy;
        self.sink = new.sink;
        self.hidden = Mutex::default();
        let policy = &self.policy;
        self.nodes.restate(|state, name| step(policy, state, name.to_bytes()), self.lifetime + SLACK);
        self.handles.judge_all();
        Ok(())
    }

    /// Answers one request.
    pub(super) fn dispatch(
        &self,
        header: InHeader,
        channel: BorrowedFd<'_>,
        mut body: Body<'_>,
        out: &mut Out,
    ) -> Result<Answer, Errno> {
        let request = Request::new(header, self, channel);
        let (request, body) = (&request, &mut body);
        match header.opcode {
            opcode::LOOKUP => self.lookup(request, body, out),
            opcode::GETATTR => self.getattr(request, body, out),
            opcode::OPEN => self.open(request, body, out),
            opcode::READ => self.read(request, body, out),
            opcode::WRITE => self.write(request, body, out),
            opcode::RELEASE => self.release(request, body),
            opcode::FLUSH => self.flush(request, body),
            opcode::OPENDIR => self.opendir(request, body, out),
            opcode::READDIR => self.readdir(request, body, out, super::dir::Plus::No),
            opcode::READDIRPLUS => self.readdir(request, body, out, super::dir::Plus::Yes),
            opcode::RELEASEDIR => self.releasedir(body),
            opcode::CREATE => self.create(request, body, out),
            opcode::TMPFILE => self.tmpfile(request, body, out),
            opcode::SETATTR => self.setattr(request, body, out),
            opcode::READLINK => self.readlink(request, out),
            opcode::SYMLINK => self.symlink(request, body, out),
            opcode::MKNOD => self.mknod(request, body, out),
            opcode::MKDIR => self.mkdir(request, body, out),
            opcode::LINK => self.link(request, body, out),
            opcode::UNLINK => self.unlink(request, body),
            opcode::RMDIR => self.rmdir(request, body),
            opcode::RENAME | opcode::RENAME2 => self.rename(request, body),
            opcode::ACCESS => self.access(request, body),
            opcode::STATFS => self.statfs(request, out),
            opcode::FSYNC | opcode::FSYNCDIR => self.fsync(body),
            opcode::SETXATTR => self.setxattr(request, body),
            opcode::GETXATTR => self.getxattr(request, body, out),
            opcode::LISTXATTR => self.listxattr(request, body, out),
            opcode::REMOVEXATTR => self.removexattr(request, body),
            opcode::GETLK => self.getlk(request, body, out),
            opcode::SETLK | opcode::SETLKW => self.setlk(request, body),
            opcode::IOCTL => self.ioctl(request, body, out),
            opcode::FALLOCATE => self.fallocate(request, body),
            opcode::LSEEK => self.lseek(body, out),
            opcode::COPY_FILE_RANGE => self.copy_file_range(request, body, out),
            _ => return self.dispatch_unanswered(request, body),
        }
        .map(|()| Answer::Now)
        .or_else(|errno| if errno == WAITS { Ok(Answer::Later) } else { Err(errno) })
    }

    /// Requests that get no answer, and those that are not known.
    fn dispatch_unanswered(&self, request: &Request<'_>, body: &mut Body<'_>) -> Result<Answer, Errno> {
        match request.header.opcode {
            opcode::FORGET => {
                let forget: super::wire::ForgetIn = body.take()?;
                self.nodes.forget(request.header.nodeid, forget.nlookup);
            }
            opcode::BATCH_FORGET => {
                let batch: super::wire::BatchForgetIn = body.take()?;
                for _ in 0..batch.count {
                    let one: super::wire::ForgetOne = body.take()?;
                    self.nodes.forget(one.nodeid, one.nlookup);
                }
            }
            opcode::INTERRUPT => {
                let interrupt: super::wire::InterruptIn = body.take()?;
                self.locks.interrupt(interrupt.unique);
            }
            _ => return Err(Errno::NOSYS),
        }
        Ok(Answer::Later)
    }

    /// How long the kernel may keep names and attributes of objects of state `state`.
    ///
    /// Attributes that some class may not see, or that a rule records, are asked for each time; so are names that some
    /// class must not find, and all names where callers differ.
    pub(super) fn lifetimes(&self, state: StateId) -> Lifetimes {
        let mut shown = true;
        let mut listed = true;
        for class in self.classes.all() {
            let row = self.policy.rights.row(state, *class);
            shown &= row.plainly_allows(Op::Stat);
            listed &= !row.closer.contains(Op::Stat);
        }
        Lifetimes {
            entry: if listed && !self.many_callers { self.lifetime } else { Duration::ZERO },
            attr: if shown { self.lifetime } else { Duration::ZERO },
        }
    }

    /// Attributes as the kernel is told.
    pub(super) fn attr(&self, stat: &Stat) -> Attr {
        let (uid, gid) = self.shown_ids(stat);
        Attr {
            ino: self.ino(stat.st_dev, stat.st_ino),
            size: stat.st_size as u64,
            blocks: stat.st_blocks as u64,
            atime: stat.st_atime as u64,
            mtime: stat.st_mtime as u64,
            ctime: stat.st_ctime as u64,
            atimensec: stat.st_atime_nsec as u32,
            mtimensec: stat.st_mtime_nsec as u32,
            ctimensec: stat.st_ctime_nsec as u32,
            mode: stat.st_mode,
            nlink: stat.st_nlink as u32,
            uid,
            gid,
            rdev: encode_dev(stat.st_rdev),
            blksize: stat.st_blksize as u32,
            flags: 0,
        }
    }

    /// The owner and group that the kernel is told.
    ///
    /// The kernel changes nothing whose owner or group the mount's user namespace does not know (`HAS_UNMAPPED_ID` in
    /// fs/namei.c): a sandbox of an ordinary user could not make a file in /tmp, which is root's. So what others own, and
    /// users may write to, is shown as the session's own. The tree below still checks who may do what.
    fn shown_ids(&self, stat: &Stat) -> (u32, u32) {
        match self.only_ids {
            Some(ids) if stat.st_uid == ids.0 || stat.st_mode & 0o022 != 0 => ids,
            _ => (stat.st_uid, stat.st_gid),
        }
    }

    /// What the kernel must know of an object whose attributes are refused: type, permissions, owner. A caller can get at
    /// what the kernel holds (`AT_STATX_DONT_SYNC`), so it holds no more.
    pub(super) fn bare_attr(&self, stat: &Stat) -> Attr {
        let Attr { ino, mode, uid, gid, .. } = self.attr(stat);
        Attr { ino, mode, uid, gid, nlink: 1, blksize: 4096, ..Attr::default() }
    }

    /// The inode number users see: that of the object below, its upper half mixed with its device where that is not the root's.
    ///
    /// The lower half stays: git(1) keeps that much in its index, and would read every file again that seems to be another one.
    pub(super) fn ino(&self, dev: u64, ino: u64) -> u64 {
        if dev == self.root_dev { ino } else { ino ^ (dev.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 << 32 | 1 << 63) }
    }

    /// Replies with a name that leads to `node`.
    pub(super) fn reply_entry(&self, node: &Node, stat: &Stat, out: &mut Out) {
        out.push(&self.entry(node, stat));
    }

    /// The entry of a name in `parent` that leads to `node`.
    pub(super) fn entry(&self, node: &Node, stat: &Stat) -> EntryOut {
        let state = node.state();
        let lives = self.lifetimes(state);
        let found = !self.is_found_by_verdict(state, stat);
        EntryOut {
            nodeid: node.id,
            generation: 0,
            entry_valid: if found { lives.entry.as_secs() } else { 0 },
            attr_valid: lives.attr.as_secs(),
            entry_valid_nsec: if found { lives.entry.subsec_nanos() } else { 0 },
            attr_valid_nsec: lives.attr.subsec_nanos(),
            attr: if self.shows(state) { self.attr(stat) } else { self.bare_attr(stat) },
        }
    }

    /// Whether the kernel may hold the attributes of objects of this state: some class may see them.
    pub(super) fn shows(&self, state: StateId) -> bool {
        self.classes.all().iter().all(|class| self.policy.rights.row(state, *class).plainly_allows(Op::Stat))
    }

    /// Replies with attributes.
    pub(super) fn reply_attr(&self, attr: Attr, valid: Duration, out: &mut Out) {
        let valid_nsec = valid.subsec_nanos();
        out.push(&AttrOut { attr_valid: valid.as_secs(), attr_valid_nsec: valid_nsec, dummy: 0, attr });
    }

    /// Opens the object of a node below, with the rights this thread has now. Never follows a link, never waits for a FIFO.
    pub(super) fn open_below(&self, node: &Node, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        if let Some(place) = node.place() {
            match rustix::fs::openat(place.parent.fd()?, &*place.name, flags | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(fd) if node.verify(&rustix::fs::fstat(&fd)?).is_ok() => return Ok(fd),
                Ok(_) | Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => {}
                Err(errno) => return Err(errno),
            }
        }
        let held = node.held().ok_or(Errno::STALE)?;
        rustix::fs::open(&*super::caller::FdPath::new(held).to_c(), flags, Mode::empty())
    }

    pub(super) fn device(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// Given up as an error by a function whose answer another thread will give.
pub(super) const WAITS: Errno = Errno::INPROGRESS;

/// A device number as the FUSE protocol has it (`new_encode_dev` of the kernel).
fn encode_dev(dev: u64) -> u32 {
    let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
    minor & 0xff | major << 8 | (minor & !0xff) << 12
}
