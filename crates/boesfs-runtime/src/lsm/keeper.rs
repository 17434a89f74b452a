//! The keeper: a process that outlives the sandbox, so that its programs do.
//!
//! Programs stay attached as long as somebody holds their links. When a process dies, the kernel closes its descriptors before it
//! tells anyone: were the agent alone to hold them, a killed agent's sandbox would run unjudged for a moment. The keeper holds
//! them too, and when the agent has ended, however that is:
//!
//! ```text
//! kill the cgroup ──► wait until no task is left in it ──► remove it ──► free its place, close the links ──► end
//!                                                                        └► of the family alone: later
//! ```
//!
//! A cgroup that was there before is not killed: the programs stay until its tasks have ended by themselves, unless the agent has said that
//! it is done.
//!
//! An agent that ends by itself waits for it up to where the cgroup is gone: detaching a program takes the kernel a while, and these judge nobody.
//!
//! Where nobody else needs the programs that sandboxes share, it holds them some time longer, see [`Stay`]: then it is but a process that has nothing of the
//! sandbox or of who started it, and that SIGTERM ends.
//!
//! It is forked before the agent has a second thread, is in no cgroup or pid namespace of the sandbox, has a session of its own, and takes no
//! signal but SIGKILL until the sandbox has ended. An agent whose keeper was killed ends the sandbox.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown, socketpair,
};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, WaitId, WaitIdOptions, WaitOptions, chdir, getpid, pidfd_open,
    set_dumpable_behavior, setsid, waitid, waitpid,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_name};

use super::family::{Seat, Stay, Told};
use super::{Cgroup, LsmError, system};
use crate::kernel::version;
use crate::sandbox::sys::{self, Fork, Lineage, SignalSet};

/// More descriptors than a policy has programs, and program arrays besides.
const DESCRIPTORS_MAX: usize = 128;

/// What the agent sends: links follow, or what a [`Seat`] is made of; or: nothing is to be judged any more.
const HOLD: u8 = b'h';
const SEAT: u8 = b's';
const DONE: u8 = b'd';

/// Bytes of what it sends: one of those, then what is told of the seat.
const SAID: usize = 24;

/// The process, as the agent sees it. Dropping it ends the sandbox, and waits until its cgroup is gone.
#[derive(Debug)]
pub struct Keeper {
    cgroup: Cgroup,
    /// Closed to end it.
    channel: Option<OwnedFd>,
    process: Pid,
}

impl Keeper {
    /// Starts the keeper of a cgroup.
    ///
    /// The calling process must have one thread.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn start(cgroup: Cgroup) -> Result<Keeper, LsmError> {
        match fork(&cgroup) {
            Ok((channel, process)) => Ok(Keeper { cgroup, channel: Some(channel), process }),
            Err(error) => {
                cgroup.remove();
                Err(system("start the sandbox's keeper")(error))
            }
        }
    }

    /// The cgroup that it keeps.
    #[must_use]
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Whether it is still there.
    #[must_use]
    pub fn lives(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(self.process), options), Ok(None))
    }

    /// Has it hold these links, in the place of what it held before.
    pub(super) fn hold(&self, links: &[OwnedFd]) -> io::Result<()> {
        self.send([&[HOLD][..], &[0; SAID - 1]].concat(), &links.iter().map(AsFd::as_fd).collect::<Vec<_>>())
    }

    /// Has it hold what keeps this seat, and free it in the end, in the place of what it held before.
    pub(super) fn hold_seat(&self, seat: &Seat) -> io::Result<()> {
        let (told, descriptors) = seat.descriptors();
        let mut said = vec![SEAT, 0, 0, 0];
        for word in [told.slot, told.level, told.arrays] {
            said.extend(word.to_le_bytes());
        }
        said.extend(told.id.to_le_bytes());
        self.send(said, &descriptors)
    }

    fn send(&self, said: Vec<u8>, links: &[BorrowedFd<'_>]) -> io::Result<()> {
        let Some(channel) = &self.channel else { return Err(io::ErrorKind::NotConnected.into()) };
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !links.is_empty() && !control.push(SendAncillaryMessage::ScmRights(links)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sendmsg(channel, &[IoSlice::new(&said)], &mut control, SendFlags::NOSIGNAL)?;
        let mut count = [0];
        let heard = loop {
            match rustix::io::read(channel, &mut count) {
                Err(Errno::INTR) => {}
                heard => break heard?,
            }
        };
        if heard == 1 && usize::from(count[0]) == links.len() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::BrokenPipe, "the sandbox's keeper has ended"))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(channel) = self.channel.take() {
            if self.cgroup.is_found() {
                let _ = rustix::io::write(&channel, &[DONE]);
            }
            // Until it says that the cgroup is gone, or is gone itself.
            let _ = shutdown(&channel, Shutdown::Write);
            while let Err(Errno::INTR) = rustix::io::read(&channel, &mut [0]) {}
        }
        let _ = waitpid(Some(self.process), WaitOptions::NOHANG);
    }
}

/// What people, terminals and service managers send to a process.
const MEANT_FOR_THE_AGENT: [i32; 7] =
    [libc::SIGINT, libc::SIGTERM, libc::SIGQUIT, libc::SIGTSTP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM];

/// Starts the process. Gives the agent's end of the channel, and the process.
fn fork(cgroup: &Cgroup) -> io::Result<(OwnedFd, Pid)> {
    let agent = pidfd_open(getpid(), PidfdFlags::empty())?;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    // Before the fork: there is no moment at which a signal meant for the agent would end the keeper. Not SIGHUP: who blocks that
    // is taken for an agent that can be asked to reload, and would be ended by the question. A keeper that it ends now is one
    // that never said it is there.
    let signals = SignalSet::of(&MEANT_FOR_THE_AGENT).block();
    let forked = sys::fork(Lineage::Child);
    if let Ok(Fork::Child) = forked {
        SignalSet::all().block();
        let ready = withdraw(cgroup, &agent, &theirs);
        if ready.is_ok() && rustix::io::write(&theirs, &[0]).is_ok() {
            keep(cgroup, &agent, &theirs);
        }
        sys::exit(0)
    }
    signals.set();
    let Fork::Parent(process) = forked? else { return Err(io::ErrorKind::InvalidData.into()) };
    drop(theirs);
    if rustix::io::read(&ours, &mut [0])? != 1 {
        let _ = waitpid(Some(process), WaitOptions::empty());
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok((ours, process))
}

/// Leaves everything of the agent's that it does not need.
fn withdraw(cgroup: &Cgroup, agent: &OwnedFd, channel: &OwnedFd) -> io::Result<()> {
    let mut kept = cgroup.descriptors();
    kept.extend([agent.as_fd(), channel.as_fd()]);
    sys::close_all_but(kept)?;
    setsid()?;
    chdir("/")?;
    // Only a help to whoever looks at the list of processes, or ends some by name.
    let _ = set_name(c"boesfs-keeper");
    // The last one to be taken when memory runs out; where that cannot be asked for, one like the others.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // The files of a cgroup may be another user's.
    let needed = rustix::thread::capabilities(None)?.permitted & CapabilitySet::DAC_OVERRIDE;
    let sets = CapabilitySets { effective: needed, permitted: needed, inheritable: CapabilitySet::empty() };
    Ok(set_capabilities(None, sets)?)
}

/// What the keeper does, to its end.
fn keep(cgroup: &Cgroup, agent: &OwnedFd, channel: &OwnedFd) {
    let mut held = Held::default();
    let mut is_done = false;
    loop {
        let mut fds = [PollFd::new(channel, PollFlags::IN), PollFd::new(agent, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR | Errno::NOMEM) => continue,
            Err(_) => break,
        }
        // What was sent before the agent's end is taken first.
        if !fds[0].revents().is_empty() {
            let Ok(Some((said, descriptors))) = receive(channel) else { break };
            if said[0] == DONE {
                is_done = true;
                break;
            }
            let count = descriptors.len();
            let Ok(new) = Held::of(&said, descriptors) else { break };
            // Both are held for a moment: in between, both judge, or the seat is the same.
            let mut old = std::mem::replace(&mut held, new);
            if let (Some(old), Some(_)) = (&mut old.seat, &held.seat) {
                old.lend();
            }
            drop(old);
            if rustix::io::write(channel, &[count as u8]).is_err() {
                break;
            }
        } else if !fds[1].revents().is_empty() {
            break;
        }
    }
    let mut leave = || std::mem::take(&mut held).leave();
    let stay = if is_done {
        // Tasks that are judged no more are to find it so when the agent has ended.
        leave()
    } else {
        cgroup.end();
        None
    };
    cgroup.remove();
    let _ = rustix::io::write(channel, b"e");
    if let Some(stay) = stay.or_else(leave).filter(|_| may_linger()) {
        let _ = linger(&stay);
    }
}

/// Signals that end a keeper whose sandbox has ended.
const ENDING: [i32; 2] = [libc::SIGTERM, libc::SIGINT];

/// Waits until what stays of the family is to go. Keeps nothing else.
fn linger(stay: &Stay) -> io::Result<()> {
    let ending = SignalSet::of(&ENDING).descriptor()?;
    let mut kept = stay.descriptors();
    kept.push(ending.as_fd());
    sys::close_all_but(kept)?;
    // It may be taken as any other.
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    sys::give_back_memory();
    // Where that is refused, it stays in the agent's, as it was.
    let _ = stay.leave_cgroup();
    while let Some(left) = stay.left() {
        let mut fds = [PollFd::new(&ending, PollFlags::IN)];
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut fds, Some(&left)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether nothing is the worse for a process that lives a while longer. Before Linux 6.9 the end of a PID namespace and that of a process in it which
/// detaches programs can wait for each other for ever.
fn may_linger() -> bool {
    /// `PROC_PID_INIT_INO` of `linux/proc_ns.h`
    const FIRST: u64 = 0xefff_fffc;
    version() >= (6, 9) || std::fs::metadata("/proc/self/ns/pid").is_ok_and(|namespace| namespace.ino() == FIRST)
}

/// What keeps programs judging.
#[derive(Debug, Default)]
struct Held {
    seat: Option<Seat>,
    _links: Vec<OwnedFd>,
}

impl Held {
    /// Lets all of it go, but for what is to stay.
    fn leave(self) -> Option<Stay> {
        self.seat?.leave()
    }

    /// What was sent with `said`.
    fn of(said: &[u8; SAID], descriptors: Vec<OwnedFd>) -> io::Result<Held> {
        if said[0] != SEAT {
            return Ok(Held { seat: None, _links: descriptors });
        }
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| said[at + i]));
        let id = u64::from(word(16)) | u64::from(word(20)) << 32;
        let told = Told { id, slot: word(4), level: word(8), arrays: word(12) };
        Ok(Held { seat: Some(Seat::received(told, descriptors)?), _links: Vec::new() })
    }
}

/// What the agent says, and the descriptors that it sends; none once it has ended.
fn receive(channel: &OwnedFd) -> io::Result<Option<([u8; SAID], Vec<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut said = [0; SAID];
    let length = recvmsg(channel, &mut [IoSliceMut::new(&mut said)], &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
    if length == 0 {
        return Ok(None);
    }
    let mut links = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            links.extend(descriptors);
        }
    }
    Ok(Some((said, links)))
}
