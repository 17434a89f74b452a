//! What the programs record, from the kernel's ring buffer to the audit stream.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::SystemTime;

use aya::maps::{MapData, RingBuf};
use boesfs_codegen::emit::layout::event;
use boesfs_codegen::tables::unpack_verdict;
use boesfs_lang::ops::Op;
use boesfs_lang::subjects::ClassId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::audit::Recorder;
use crate::fuse::Event;

/// The thread that reads the ring buffer.
#[derive(Debug)]
pub(super) struct Reader {
    thread: JoinHandle<()>,
    /// Closed to end it.
    stop: OwnedFd,
}

impl Reader {
    /// Starts it. `paths` are those of the mounts, by number less 1.
    pub(super) fn start(events: &OwnedFd, paths: Vec<PathBuf>, recorder: Recorder) -> io::Result<Reader> {
        let map = MapData::from_fd(events.try_clone()?).map_err(io::Error::other)?;
        let mut ring = RingBuf::try_from(aya::maps::Map::RingBuf(map)).map_err(io::Error::other)?;
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        let thread = std::thread::Builder::new().name("events".to_owned()).spawn(move || {
            loop {
                while let Some(item) = ring.next() {
                    if let Some((event, process)) = parse(&item, &paths) {
                        recorder.record_past(event, process);
                    }
                }
                // What stops it is looked at after the last event was read.
                let ended = {
                    let mut fds = [PollFd::new(&ring, PollFlags::IN), PollFd::new(&stopped, PollFlags::IN)];
                    let _ = poll(&mut fds, None);
                    !fds[1].revents().is_empty()
                };
                if ended {
                    while let Some(item) = ring.next() {
                        if let Some((event, process)) = parse(&item, &paths) {
                            recorder.record_past(event, process);
                        }
                    }
                    return;
                }
            }
        })?;
        Ok(Reader { thread, stop })
    }

    /// Reads what is left, and ends it.
    pub(super) fn finish(self) {
        drop(self.stop);
        // A panic of the thread has been told on standard error.
        let _ = self.thread.join();
    }
}

/// An event, and the process whose thread it is about.
fn parse(bytes: &[u8], paths: &[PathBuf]) -> Option<(Event, u32)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let comm = bytes.get(event::COMM..event::COMM + 16)?;
    let comm = comm.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    let reversed = bytes.get(event::PATH..event::PATH + word(event::LENGTH)? as usize)?;
    let place = word(event::PLACE)? as usize;
    let mount = place.checked_sub(1).and_then(|number| paths.get(number));
    let mut path = mount.map(|path| path.as_os_str().as_bytes().to_vec()).unwrap_or_default();
    if path == b"/" {
        path.clear();
    }
    if word(event::CUT)? != 0 {
        // Of no mount of the tree, or too deep: only its end is known.
        path.extend(b"/...");
    }
    let names = reversed.strip_suffix(b"/").unwrap_or(reversed);
    for name in names.split(|byte| *byte == b'/').rev().filter(|name| !name.is_empty()) {
        path.push(b'/');
        path.extend(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    let verdict = u64::from(word(event::VERDICT)?) | u64::from(word(event::VERDICT + 4)?) << 32;
    let event = Event {
        time: SystemTime::now(),
        pid: word(event::THREAD)?,
        comm,
        class: Some(ClassId(word(event::CLASS)?)),
        op: Op::from_number(word(event::OP)?)?,
        path,
        verdict: unpack_verdict(verdict),
    };
    Some((event, word(event::PROCESS)?))
}
