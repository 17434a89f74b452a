//! What the programs in the kernel record, from a ring buffer to the audit stream.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use aya::maps::{MapData, RingBuf};
use boesfs_codegen::emit::layout::{Data, Doubt, event, live};
use boesfs_codegen::tables::{NOBODY, unpack_verdict};
use boesfs_lang::ops::Op;
use boesfs_lang::subjects::ClassId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::time::{ClockId, clock_gettime};

use crate::audit::Recorder;
use crate::fuse::Event;
use crate::process::Subject;

use super::sys;

/// How a hook writes the part of a path that is below a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Below {
    /// As the path is, from the mount on, each name with a `/` before it; nothing at all, if it is too long.
    Whole,
    /// From the object up to the mount, each name with a `/` after it; as much of it as there is room for.
    Backwards,
}

impl Below {
    fn append(self, path: &mut Vec<u8>, names: &[u8], is_cut: bool) {
        match self {
            Below::Whole if is_cut || names == b"/" => {}
            Below::Whole => path.extend(names),
            Below::Backwards => {
                let names = names.strip_suffix(b"/").unwrap_or(names);
                for name in names.split(|byte| *byte == b'/').rev().filter(|name| !name.is_empty()) {
                    path.push(b'/');
                    path.extend(name);
                }
            }
        }
    }
}

/// The thread that reads a ring buffer.
#[derive(Debug)]
pub(crate) struct Reader {
    thread: Option<JoinHandle<()>>,
    /// Closed to end it.
    stop: Option<OwnedFd>,
}

impl Reader {
    /// Starts it. What finds no room in `events` is counted in `live`. `paths` are those of the mounts, by number less 1.
    pub(crate) fn start(
        events: &OwnedFd,
        live: &OwnedFd,
        paths: Vec<PathBuf>,
        below: Below,
        recorder: Recorder,
    ) -> io::Result<Reader> {
        let map = MapData::from_fd(events.try_clone()?).map_err(io::Error::other)?;
        let mut ring = RingBuf::try_from(aya::maps::Map::RingBuf(map)).map_err(io::Error::other)?;
        let mut lost = Lost { live: live.try_clone()?, told: 0, looked: Instant::now(), is_due: false };
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        let thread = std::thread::Builder::new().name("events".to_owned()).spawn(move || {
            loop {
                // Asked first: what was recorded before the end is read after it was heard of.
                let ended = {
                    let mut fds = [PollFd::new(&ring, PollFlags::IN), PollFd::new(&stopped, PollFlags::IN)];
                    let _ = poll(&mut fds, lost.is_due.then_some(&LOOK_FOR_LOSSES));
                    !fds[1].revents().is_empty()
                };
                while let Some(item) = ring.next() {
                    lost.is_due = true;
                    if let Some((event, subject)) = parse(&item, &paths, below) {
                        recorder.record_past(event, subject);
                    }
                }
                if ended || (lost.is_due && lost.looked.elapsed() >= EVERY) {
                    recorder.lose(lost.since());
                }
                if ended {
                    return;
                }
            }
        })?;
        Ok(Reader { thread: Some(thread), stop: Some(stop) })
    }
}

/// How often losses are looked for, at most. There are none where nothing is told: the buffer is full of something.
const EVERY: Duration = Duration::from_secs(1);
/// [`EVERY`], as poll(2) takes it.
const LOOK_FOR_LOSSES: Timespec = Timespec { tv_sec: EVERY.as_secs() as i64, tv_nsec: 0 };

/// What the programs count that they could not tell.
struct Lost {
    live: OwnedFd,
    told: u64,
    looked: Instant,
    /// Something was told since it was looked.
    is_due: bool,
}

impl Lost {
    /// How much was lost since this was asked last.
    fn since(&mut self) -> u64 {
        (self.looked, self.is_due) = (Instant::now(), false);
        // A map that cannot be read tells no loss, and nothing else can.
        let content = sys::read_data(&self.live, Data::Live).unwrap_or_default();
        let bytes = content.get(live::COUNTERS + 8 * Doubt::None as usize..).and_then(|rest| rest.first_chunk());
        let all = bytes.map_or(self.told, |bytes| u64::from_le_bytes(*bytes));
        all.saturating_sub(std::mem::replace(&mut self.told, all))
    }
}

/// Reads what is left, and ends it.
impl Drop for Reader {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been told on standard error.
            let _ = thread.join();
        }
    }
}

/// The wall clock's time `when` the monotonic clock said so, in nanoseconds.
fn wall_clock(when: u64) -> SystemTime {
    let now = clock_gettime(ClockId::Monotonic);
    let now = u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0);
    SystemTime::now() - Duration::from_nanos(now.saturating_sub(when))
}

/// An event, and the process whose thread it is about.
fn parse(bytes: &[u8], paths: &[PathBuf], below: Below) -> Option<(Event, Subject)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from(word(at)?) | u64::from(word(at + 4)?) << 32);
    let comm = bytes.get(event::COMM..event::COMM + 16)?;
    let comm = comm.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    let names = bytes.get(event::PATH..event::PATH + word(event::LENGTH)? as usize)?;
    let mount = (word(event::PLACE)? as usize).checked_sub(1).and_then(|number| paths.get(number));
    let mut path = mount.map(|path| path.as_os_str().as_bytes().to_vec()).unwrap_or_default();
    if path == b"/" {
        path.clear();
    }
    let is_cut = word(event::CUT)? != 0;
    if is_cut {
        // Of no mount of the tree, or too deep: only its end is known, if that.
        path.extend(b"/...");
    }
    below.append(&mut path, names, is_cut);
    if path.is_empty() {
        path.push(b'/');
    }
    let class = word(event::CLASS)?;
    let event = Event {
        time: wall_clock(long(event::WHEN)?),
        pid: word(event::THREAD)?,
        comm,
        class: (class != NOBODY).then_some(ClassId(class)),
        op: Op::from_number(word(event::OP)?)?,
        path,
        verdict: unpack_verdict(long(event::VERDICT)?),
    };
    Some((event, Subject { pid: word(event::PROCESS)?, uid: Some(word(event::USER)?) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(path: &[u8], place: u32) -> Vec<u8> {
        let mut bytes = vec![0; event::PATH];
        let mut put = |at: usize, word: u32| bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        put(event::THREAD, 7);
        put(event::PROCESS, 5);
        put(event::USER, 1000);
        // A second after the clock began.
        put(event::WHEN, 1_000_000_000);
        put(event::VERDICT, 1);
        put(event::LENGTH, path.len() as u32);
        put(event::PLACE, place);
        bytes[event::COMM..event::COMM + 2].copy_from_slice(b"sh");
        bytes.extend(path);
        bytes
    }

    #[test]
    fn paths_are_put_together() {
        let paths = [PathBuf::from("/"), PathBuf::from("/home")];
        let path = |bytes: &[u8], place| parse(&event(bytes, place), &paths, Below::Whole).map(|(event, _)| event.path);
        assert_eq!(path(b"/a/b", 1), Some(b"/a/b".to_vec()));
        assert_eq!(path(b"/a", 2), Some(b"/home/a".to_vec()));
        assert_eq!(path(b"/", 2), Some(b"/home".to_vec()));
        assert_eq!(path(b"/", 1), Some(b"/".to_vec()));
        let (event, subject) = parse(&event(b"/", 1), &paths, Below::Whole).expect("it is whole");
        assert_eq!((event.pid, subject, event.comm.as_slice()), (7, Subject { pid: 5, uid: Some(1000) }, &b"sh"[..]));
        let up = clock_gettime(ClockId::Monotonic).tv_sec as u64;
        let ago = SystemTime::now().duration_since(event.time).expect("it is past").as_secs();
        assert!((up - 2..=up).contains(&ago), "{ago} seconds ago, and up for {up}");
        assert_eq!(parse(&[0; 20], &paths, Below::Whole).map(|(event, _)| event.path), None);
    }

    #[test]
    fn paths_that_are_told_backwards_are_turned_round() {
        let paths = [PathBuf::from("/"), PathBuf::from("/home")];
        let path = |names: &[u8], place| {
            parse(&event(names, place), &paths, Below::Backwards).map(|(event, _)| event.path).expect("it is whole")
        };
        assert_eq!(path(b"c/b/a/", 1), b"/a/b/c");
        assert_eq!(path(b"a/", 2), b"/home/a");
        assert_eq!(path(b"", 2), b"/home");
        assert_eq!(path(b"", 1), b"/");
    }
}
