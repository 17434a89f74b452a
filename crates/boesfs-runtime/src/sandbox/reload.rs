//! Asking an agent to read its policy again: `boesfs reload`.
//!
//! The request is a SIGHUP with a value (sigqueue(3)): nobody in the sandbox can send one to the agent, which is in no pid
//! namespace of theirs. A plain SIGHUP is the command's, as ever. The answer comes back to an abstract socket of the asker, who
//! takes it from the agent alone.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, bind, recvmsg, sendto, socket_with, sockopt,
};
use rustix::process::Pid;

use super::sys::{self, Received};

/// The upper half of the signal's value; the lower one is the number of the request.
const ASKS: u64 = 0x426f_6573_0000_0000;
/// How long an agent may take: a large policy is compiled meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest answer, in bytes.
const LONGEST: usize = 4096;

/// Why there is no answer of an agent.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is no such process, or it is no agent.
    #[error("process {0} is no agent of a sandbox: give the number of a running `boesfs exec`")]
    NoAgent(i32),
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The agent has ended, or is in another pid namespace.
    #[error("process {0} does not answer")]
    Silent(i32),
    /// The agent keeps its policy.
    #[error("the policy in force stays: {0}")]
    Kept(String),
}

/// Asks the agent `pid` to read its policy again; gives what it says.
///
/// # Errors
/// [`ReloadError`]; the agent then goes on with the policy it had.
pub fn request(pid: Pid) -> Result<String, ReloadError> {
    let number = pid.as_raw_nonzero().get();
    if !is_agent(number) {
        return Err(ReloadError::NoAgent(number));
    }
    let failed = |what| move |error: rustix::io::Errno| ReloadError::System { what, source: error.into() };
    let nonce = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(failed("make a socket"))?;
    sockopt::set_socket_passcred(&socket, true).map_err(failed("make a socket"))?;
    let address = address(std::process::id(), nonce).map_err(failed("name a socket"))?;
    bind(&socket, &address).map_err(failed("name a socket"))?;
    sys::queue(pid, libc::SIGHUP, ASKS | u64::from(nonce))
        .map_err(|source| ReloadError::System { what: "signal the agent", source })?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && is_agent(number) {
        let mut fds = [PollFd::new(&socket, PollFlags::IN)];
        match poll(&mut fds, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(failed("wait for the agent")(error)),
        }
        if let Some(answer) = receive(&socket, pid).map_err(failed("hear from the agent"))? {
            return answer.map_err(ReloadError::Kept);
        }
    }
    Err(ReloadError::Silent(number))
}

/// Whether `pid` takes such signals: any other process could be ended by one.
fn is_agent(pid: i32) -> bool {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let blocked =
        read("status").lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigBlk:")?.trim(), 16).ok());
    // A sandbox's init process looks the same, but is in the sandbox's pid namespace.
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let is_outside = namespace(&pid.to_string()).is_some_and(|outside| Some(outside) == namespace("self"));
    read("comm").trim() == "boesfs" && blocked.is_some_and(|set| set >> (libc::SIGHUP - 1) & 1 == 1) && is_outside
}

fn address(pid: u32, nonce: u32) -> rustix::io::Result<SocketAddrUnix> {
    SocketAddrUnix::new_abstract_name(format!("boesfs-reload-{pid}-{nonce}").as_bytes())
}

/// The answer, if this message is one of the agent's.
fn receive(socket: &OwnedFd, agent: Pid) -> rustix::io::Result<Option<Result<String, String>>> {
    let mut bytes = [0; LONGEST];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let length = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::DONTWAIT)?.bytes;
    let by_agent = control
        .drain()
        .any(|message| matches!(message, RecvAncillaryMessage::ScmCredentials(from) if from.pid == agent));
    let Some((tag, text)) = bytes[..length].split_first().filter(|_| by_agent) else { return Ok(None) };
    let text = String::from_utf8_lossy(text).into_owned();
    Ok(match tag {
        b'+' => Some(Ok(text)),
        b'-' => Some(Err(text)),
        _ => None,
    })
}

/// A request that an agent got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pid: u32,
    nonce: u32,
}

impl Asked {
    /// The request behind a signal of process `pid` with `value`, if it is one.
    fn by(pid: u32, value: u64) -> Option<Asked> {
        (value & !u64::from(u32::MAX) == ASKS).then_some(Asked { pid, nonce: value as u32 })
    }

    /// The request that a signal is, if it is one.
    pub(crate) fn with(Received { signal, queued, .. }: Received) -> Option<Asked> {
        queued.filter(|_| signal == libc::SIGHUP).and_then(|(pid, value)| Asked::by(pid, value))
    }

    /// Tells the asker what became of it. One who is gone, or in another pid namespace, is not told.
    pub(crate) fn answer(self, result: &Result<String, String>) {
        let (tag, text) = match result {
            Ok(text) => (b'+', text),
            Err(text) => (b'-', text),
        };
        let mut message = vec![tag];
        message.extend(text.bytes().take(LONGEST - 1));
        let (Ok(address), Ok(socket)) = (
            address(self.pid, self.nonce),
            socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None),
        ) else {
            return;
        };
        let _ = sendto(&socket, &message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL, &address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marked_signals_are_requests() {
        assert_eq!(Asked::by(7, ASKS | 9), Some(Asked { pid: 7, nonce: 9 }));
        assert_eq!(Asked::by(7, 9), None);
        assert_eq!(Asked::by(7, 0), None);
    }

    #[test]
    fn a_process_that_is_no_agent_is_not_signalled() {
        let error = request(rustix::process::getpid()).expect_err("a test is no agent");
        assert!(matches!(error, ReloadError::NoAgent(_)), "{error}");
    }
}
