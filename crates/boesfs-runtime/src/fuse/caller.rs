//! Who asks: the process behind a request, its class, and acting with its identity.

use std::ffi::CString;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use boesfs_lang::subjects::{ClassId, Subjects};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::sys;
use super::wire::InHeader;
use super::{Identity, Session};

/// Finds the class of whoever asks.
#[derive(Debug)]
pub(super) struct Classes {
    session: Session,
    subjects: Subjects,
    /// Every class that can occur in this session.
    all: Vec<ClassId>,
    /// Components of where this process sees the mount.
    seen_at: Vec<Vec<u8>>,
}

impl Classes {
    pub(super) fn new(session: Session, subjects: Subjects, seen_at: &Path) -> Classes {
        use std::os::unix::ffi::OsStrExt;
        let assigns = !(subjects.users.is_empty() && subjects.groups.is_empty() && subjects.exes.is_empty());
        let session = match session {
            // Where nobody is assigned a role, nobody holds one.
            Session::ByProcess if !assigns => subjects.class_of(&[]).map_or(Session::ByProcess, Session::Fixed),
            session => session,
        };
        let all = match session {
            Session::Fixed(class) => vec![class],
            Session::ByProcess => (0..subjects.classes.len() as u32).map(ClassId).collect(),
        };
        let seen_at = components(seen_at.as_os_str().as_bytes());
        Classes { session, subjects, all, seen_at }
    }

    /// Every class that can occur in this session.
    pub(super) fn all(&self) -> &[ClassId] {
        &self.all
    }

    /// The class of the process behind a request; `None` if its roles may not be held together, or it cannot be found out.
    ///
    /// Nothing is kept between requests: a process can change its ids and its image at any time. It cannot do so during
    /// the request, because the thread that asks is waiting in it.
    pub(super) fn of(&self, header: &InHeader, proc: &OwnedFd) -> Option<ClassId> {
        let subjects = match self.session {
            Session::Fixed(class) => return Some(class),
            Session::ByProcess => &self.subjects,
        };
        let groups = match subjects.groups.is_empty() {
            true => Vec::new(),
            false => {
                let mut groups = groups_of(proc, header.pid).ok()?;
                groups.push(header.gid);
                groups
            }
        };
        let exe = match subjects.exes.is_empty() {
            true => None,
            false => self.exe_of(proc, header.pid),
        };
        let exe: Option<Vec<&[u8]>> = exe.as_ref().map(|path| path.iter().map(Vec::as_slice).collect());
        let roles = subjects.roles_of(Some(header.uid), &groups, exe.as_deref());
        subjects.classes.binary_search_by(|class| class.roles.cmp(&roles)).ok().map(|i| ClassId(i as u32))
    }

    /// The path of the executable that process `pid` runs, inside the mount. One that has no name any more has no path.
    ///
    /// The kernel gives the place of the open executable itself, so that links and copies do not count, and a process
    /// that may not mount cannot pretend. Only the link is read: a look at the file would ask this file system again.
    fn exe_of(&self, proc: &OwnedFd, pid: u32) -> Option<Vec<Vec<u8>>> {
        let link = rustix::fs::readlinkat(proc, format!("{pid}/exe"), Vec::new()).ok()?;
        if link.as_bytes().ends_with(b" (deleted)") {
            return None;
        }
        let path = components(link.as_bytes());
        path.starts_with(&self.seen_at).then(|| path[self.seen_at.len()..].to_vec())
    }
}

fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Supplementary groups of process `pid`.
fn groups_of(proc: &OwnedFd, pid: u32) -> Result<Vec<u32>, Errno> {
    let status = read_proc(proc, pid, "status")?;
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Groups:"));
    let text = std::str::from_utf8(line.ok_or(Errno::SRCH)?).map_err(|_| Errno::SRCH)?;
    text.split_ascii_whitespace().map(|id| id.parse().map_err(|_| Errno::SRCH)).collect()
}

/// The name of process `pid`; empty if it cannot be read.
pub(super) fn comm_of(proc: &OwnedFd, pid: u32) -> Vec<u8> {
    let mut comm = read_proc(proc, pid, "comm").unwrap_or_default();
    if comm.last() == Some(&b'\n') {
        comm.pop();
    }
    comm
}

/// Whether the thread `pid` is executing a file right now. If that cannot be seen, it is not.
pub(super) fn is_in_exec(proc: &OwnedFd, pid: u32) -> bool {
    let mut text = read_proc(proc, pid, "syscall").unwrap_or_default();
    // On another processor, the thread may not have gone to sleep yet after it has sent the request that is being answered.
    for _ in 0..1000 {
        if !text.starts_with(b"running") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_micros(100));
        text = read_proc(proc, pid, "syscall").unwrap_or_default();
    }
    let number = text.split(|byte| *byte == b' ').next().and_then(|word| std::str::from_utf8(word).ok());
    let execs = [libc::SYS_execve, libc::SYS_execveat];
    number.and_then(|word| word.parse().ok()).is_some_and(|number: libc::c_long| execs.contains(&number))
}

fn read_proc(proc: &OwnedFd, pid: u32, file: &str) -> Result<Vec<u8>, Errno> {
    let file = rustix::fs::openat(proc, format!("{pid}/{file}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = Vec::with_capacity(4096);
    loop {
        if text.capacity() - text.len() < 1024 {
            text.reserve(4096);
        }
        let before = text.len();
        rustix::io::read(&file, rustix::buffer::spare_capacity(&mut text))?;
        if text.len() == before {
            return Ok(text);
        }
    }
}

/// Kills the whole process that the thread `pid` belongs to. To be called before that thread's request is answered:
/// until then its number is its own.
///
/// # Errors
/// `ESRCH` for a thread that has no number in the PID namespace of `proc`.
pub(super) fn kill(proc: &OwnedFd, pid: u32) -> Result<(), Errno> {
    if pid == 0 {
        return Err(Errno::SRCH);
    }
    match kill_by_descriptor(proc, pid) {
        // The mount's users can use up this process's descriptors, but not live on by it.
        Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => kill_by_number(proc, pid),
        result => result,
    }
}

fn kill_by_descriptor(proc: &OwnedFd, pid: u32) -> Result<(), Errno> {
    let status = read_proc(proc, pid, "status")?;
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Tgid:"));
    let leader = line.and_then(|text| std::str::from_utf8(text).ok()).ok_or(Errno::SRCH)?.trim();
    // A directory of /proc is a descriptor of the process, in whichever PID namespace that /proc shows.
    let process = rustix::fs::openat(
        proc,
        leader,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )?;
    sys::signal_process(process.as_fd(), libc::SIGKILL)
}

/// Kills without opening anything, if `proc` shows the PID namespace that this process lives in: a thread's number stands
/// for its process (kill(2) finds any thread).
fn kill_by_number(proc: &OwnedFd, pid: u32) -> Result<(), Errno> {
    let own = rustix::fs::readlinkat(proc, "self", Vec::new())?;
    if own.as_bytes() != rustix::process::getpid().as_raw_nonzero().to_string().as_bytes() {
        return Err(Errno::SRCH);
    }
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).ok_or(Errno::SRCH)?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)
}

/// The ids this process has when it acts for itself.
#[derive(Debug)]
pub(super) struct Own {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    identity: Identity,
}

impl Own {
    pub(super) fn new(identity: Identity) -> Result<Own, Errno> {
        let groups = rustix::process::getgroups()?.iter().map(|gid| gid.as_raw()).collect();
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Ok(Own { uid, gid, groups, identity })
    }

    /// Whether this process keeps set-id bits that a write by others would clear.
    pub(super) fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Makes this thread act with the caller's identity until the guard is dropped.
    pub(super) fn act_as(&self, header: &InHeader, proc: &OwnedFd) -> Result<Acting<'_>, Errno> {
        let mut acting = Acting { own: self, uid: false, gid: false, groups: false };
        if self.identity == Identity::Own || (header.uid == self.uid && header.gid == self.gid && self.is_root()) {
            return Ok(acting);
        }
        if header.uid != 0 {
            let groups = groups_of(proc, header.pid).map_err(|_| Errno::ACCESS)?;
            acting.groups = true;
            sys::set_groups(&groups)?;
        }
        if header.gid != self.gid {
            acting.gid = true;
            sys::set_fsgid(header.gid)?;
        }
        if header.uid != self.uid {
            acting.uid = true;
            sys::set_fsuid(header.uid)?;
        }
        Ok(acting)
    }
}

/// Ends acting as the caller when dropped.
#[derive(Debug)]
pub(super) struct Acting<'a> {
    own: &'a Own,
    uid: bool,
    gid: bool,
    groups: bool,
}

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        let back = [
            self.uid.then(|| sys::set_fsuid(self.own.uid)),
            self.gid.then(|| sys::set_fsgid(self.own.gid)),
            self.groups.then(|| sys::set_groups(&self.own.groups)),
        ];
        if back.into_iter().flatten().any(|result| result.is_err()) {
            // A thread with the wrong identity must not serve anyone: better no file system.
            std::process::abort();
        }
    }
}

/// The path of a descriptor of this process under `/proc/self/fd`, for calls that take no descriptor.
#[derive(Debug)]
pub(super) struct FdPath([u8; 32]);

impl FdPath {
    pub(super) fn new(fd: impl AsFd) -> FdPath {
        use std::os::fd::AsRawFd;
        let mut path = [0; 32];
        // 32 bytes hold the longest: the write cannot fail.
        let _ = write!(&mut path[..31], "/proc/self/fd/{}", fd.as_fd().as_raw_fd());
        FdPath(path)
    }

    pub(super) fn to_c(&self) -> CString {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(0);
        CString::new(&self.0[..end]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    fn directory(path: &str) -> OwnedFd {
        rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect(path)
    }

    #[test]
    fn kills_without_descriptors() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        assert_eq!(kill_by_number(&directory("/"), child.id()), Err(Errno::NOENT), "not a /proc");
        assert_eq!(kill_by_number(&directory("/proc"), child.id()), Ok(()));
        assert_eq!(child.wait().expect("wait").signal(), Some(libc::SIGKILL));
    }
}
