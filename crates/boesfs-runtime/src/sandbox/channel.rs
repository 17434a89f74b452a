//! What the children tell the agent while they set the sandbox up.
//!
//! One sequenced-packet socket: the agent holds one end, the children the other. The agent sends nothing: to the children
//! its end means "the agent lives".

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::Pid;

/// The longest message, in bytes.
const LONGEST: usize = 4096;

/// One message to the agent.
#[derive(Debug)]
pub(super) enum Report {
    /// The FUSE file system is mounted: serve it from this device.
    Mounted(OwnedFd),
    /// The init process of the sandbox.
    Init(Pid),
    /// The process that becomes the command.
    Workload(Pid),
    /// All mounts are there, and the command's process waits for the agent.
    Ready,
    /// A step failed.
    Failed { step: String, errno: i32 },
    /// All is set up, but the command could not be executed.
    NotExecuted { errno: i32 },
    /// Something a person may want to know, that stopped nothing.
    Note(String),
}

/// Both ends: the agent's and the children's.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends `report`.
pub(super) fn send(socket: impl AsFd, report: &Report) -> io::Result<()> {
    let (tag, number, text, fd) = match report {
        Report::Mounted(fd) => (b'm', 0, "", Some(fd)),
        Report::Init(pid) => (b'i', pid.as_raw_nonzero().get(), "", None),
        Report::Workload(pid) => (b'w', pid.as_raw_nonzero().get(), "", None),
        Report::Ready => (b'r', 0, "", None),
        Report::Failed { step, errno } => (b'f', *errno, step.as_str(), None),
        Report::NotExecuted { errno } => (b'x', *errno, "", None),
        Report::Note(text) => (b'n', 0, text.as_str(), None),
    };
    let number = number.to_ne_bytes();
    let text = &text.as_bytes()[..text.len().min(LONGEST - 16)];
    let parts = [IoSlice::new(std::slice::from_ref(&tag)), IoSlice::new(&number), IoSlice::new(text)];
    let fds: Vec<_> = fd.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next report; none once every child has closed its end. With [`RecvFlags::DONTWAIT`], `WouldBlock` when none waits.
pub(super) fn receive(socket: impl AsFd, flags: RecvFlags) -> io::Result<Option<Report>> {
    let mut bytes = [0; LONGEST];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let length = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?.bytes;
    let fd = control
        .drain()
        .find_map(|message| if let RecvAncillaryMessage::ScmRights(mut fds) = message { fds.next() } else { None });
    if length == 0 {
        return Ok(None);
    }
    parse(&bytes[..length], fd).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(bytes: &[u8], fd: Option<OwnedFd>) -> Option<Report> {
    let (tag, rest) = bytes.split_first()?;
    let (number, text) = rest.split_first_chunk::<4>()?;
    let number = i32::from_ne_bytes(*number);
    let text = || String::from_utf8_lossy(text).into_owned();
    Some(match tag {
        b'm' => Report::Mounted(fd?),
        b'i' => Report::Init(Pid::from_raw(number)?),
        b'w' => Report::Workload(Pid::from_raw(number)?),
        b'r' => Report::Ready,
        b'f' => Report::Failed { step: text(), errno: number },
        b'x' => Report::NotExecuted { errno: number },
        b'n' => Report::Note(text()),
        _ => return None,
    })
}
