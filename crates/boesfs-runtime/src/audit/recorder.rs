//! The queue between the hook's threads and the one that writes.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use boesfs_codegen::manifest::Manifest;
use boesfs_lang::policy::Effect;

use super::people::People;
use super::{Names, is_recorded, json};
use crate::fuse::{Event, EventSink};
use crate::process::{self, Subject};

/// Events that wait for the writer; more than this are counted as lost.
const QUEUE: usize = 4096;

/// Where the lines go.
#[derive(Default)]
pub struct Streams {
    /// Lines for people.
    pub people: Option<Box<dyn Write + Send>>,
    /// JSON lines.
    pub json: Option<Box<dyn Write + Send>>,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that were refused and recorded.
    pub refused: u64,
    /// Of those, the ones whose subject was killed.
    pub killed: u64,
    /// Requests that were allowed and recorded.
    pub allowed: u64,
    /// Records that found no room in the queue or in the kernel's buffer, or could not be written.
    pub lost: u64,
}

/// The sink of `boesfs exec`. Its thread starts with the first event. Clones are the same recorder.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    names: Names,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    waiting: VecDeque<Entry>,
    totals: Totals,
    closed: bool,
    writer: Writer,
}

enum Writer {
    /// No event yet.
    Idle(Streams),
    Running(JoinHandle<()>),
    Gone,
}

/// An event with what only the moment of the request could tell.
pub(super) struct Entry {
    pub(super) event: Event,
    pub(super) subject: Subject,
    /// Of the policy that was asked.
    pub(super) names: Names,
}

impl Recorder {
    /// A recorder for the policy behind `names`.
    #[must_use]
    pub fn new(names: Names, streams: Streams) -> Recorder {
        let state =
            State { waiting: VecDeque::new(), totals: Totals::default(), closed: false, writer: Writer::Idle(streams) };
        Recorder { shared: Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new() }), names }
    }

    /// The same recorder for events of another policy.
    #[must_use]
    pub fn named(&self, names: Names) -> Recorder {
        Recorder { shared: Arc::clone(&self.shared), names }
    }

    /// The policy whose events it takes.
    #[must_use]
    pub fn names(&self) -> &Manifest {
        &self.names.0
    }

    /// Writes what waits, ends the stream, and gives the totals. Later events are dropped.
    pub fn finish(&self) -> Totals {
        let writer = {
            let mut state = self.shared.lock();
            state.closed = true;
            std::mem::replace(&mut state.writer, Writer::Gone)
        };
        self.shared.wake.notify_all();
        if let Writer::Running(thread) = writer {
            // A panic of the writer has been told on standard error; there is nothing left to write.
            let _ = thread.join();
        }
        self.shared.lock().totals
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state holds counters and a queue: each is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer's loop: waits for entries and losses, writes them in batches, until closed and empty.
    fn write(&self, streams: Streams) {
        let mut people = streams.people.map(People::new);
        let mut json = streams.json;
        let mut told = 0;
        loop {
            let (batch, lost) = {
                let mut state = self.lock();
                while state.waiting.is_empty() && state.totals.lost == told && !state.closed {
                    state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if state.waiting.is_empty() && state.totals.lost == told {
                    break;
                }
                (std::mem::take(&mut state.waiting), state.totals.lost)
            };
            let mut text = String::new();
            for entry in &batch {
                if let Some(people) = &mut people {
                    people.line(&entry.names, entry);
                }
                if json.is_some() {
                    json::line(&mut text, &entry.names, entry, lost);
                }
            }
            if batch.is_empty() {
                json::loss(&mut text, lost);
            }
            told = lost;
            if let Some(people) = &mut people {
                people.flush(lost);
            }
            if let Some(stream) = &mut json {
                // One write for whole lines: with O_APPEND, other writers cannot come between.
                if stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).is_err() {
                    self.lock().totals.lost += batch.len() as u64;
                }
            }
        }
        if let Some(mut people) = people {
            people.end(self.lock().totals.lost);
        }
    }
}

impl Recorder {
    fn push(&self, entry: Entry) {
        let mut state = self.shared.lock();
        if state.closed {
            return;
        }
        let totals = &mut state.totals;
        match entry.event.verdict.effect {
            Effect::Allow => totals.allowed += 1,
            Effect::Deny | Effect::Hide => totals.refused += 1,
            Effect::Kill => {
                totals.refused += 1;
                totals.killed += 1;
            }
        }
        if state.waiting.len() >= QUEUE {
            state.totals.lost += 1;
            return;
        }
        state.waiting.push_back(entry);
        if !self.start(&mut state) {
            // The answer to the request does not depend on it; the loss is counted.
            state.totals.lost += 1;
        }
        drop(state);
        self.shared.wake.notify_one();
    }

    /// Starts the writer where there is none yet. Returns whether there is one or was.
    fn start(&self, state: &mut State) -> bool {
        if matches!(state.writer, Writer::Idle(..))
            && let Writer::Idle(streams) = std::mem::replace(&mut state.writer, Writer::Gone)
        {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("audit".to_owned());
            match thread.spawn(move || shared.write(streams)) {
                Ok(thread) => state.writer = Writer::Running(thread),
                Err(_) => return false,
            }
        }
        true
    }

    /// Tells that `count` more records were lost before they came here.
    pub fn lose(&self, count: u64) {
        let mut state = self.shared.lock();
        if count == 0 || state.closed {
            return;
        }
        state.totals.lost += count;
        // Where nothing can be written any more, the totals say it.
        let _ = self.start(&mut state);
        drop(state);
        self.shared.wake.notify_one();
    }
}

impl Recorder {
    /// Records what has been answered already, also by a kill: the subject may be gone.
    pub fn record_past(&self, event: Event, subject: Subject) {
        if is_recorded(&event.verdict) {
            self.push(Entry { event, subject, names: self.names.clone() });
        }
    }
}

impl EventSink for Recorder {
    /// Where the verdict is [`Effect::Kill`], the subject's thread group has `SIGKILL` pending on return.
    fn record(&self, event: Event) {
        if !is_recorded(&event.verdict) {
            return;
        }
        let subject = Subject::of_thread(event.pid);
        if event.verdict.effect == Effect::Kill {
            process::kill(&subject);
        }
        self.push(Entry { event, subject, names: self.names.clone() });
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("totals", &self.shared.lock().totals).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use boesfs_codegen::manifest::{FORMAT, Sizes};
    use boesfs_lang::policy::Default as Otherwise;
    use boesfs_lang::subjects::Subjects;

    use super::*;

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl Write for Text {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Text {
        fn read(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn a_loss_is_told_without_an_event() {
        let manifest = Manifest {
            format: FORMAT,
            name: "lab".to_owned(),
            default: Otherwise::Deny,
            source_hash: [0; 32],
            files: Vec::new(),
            rules: Vec::new(),
            subjects: Subjects::default(),
            sizes: Sizes::default(),
        };
        let (people, json) = (Text::default(), Text::default());
        let streams = Streams { people: Some(Box::new(people.clone())), json: Some(Box::new(json.clone())) };
        let recorder = Recorder::new(Names(Arc::new(manifest)), streams);
        recorder.lose(0);
        assert!(matches!(recorder.shared.lock().writer, Writer::Idle(_)), "nothing is told of nothing");
        recorder.lose(2);
        recorder.lose(3);
        assert_eq!(recorder.finish().lost, 5);
        let last: serde_json::Value = serde_json::from_str(json.read().lines().last().unwrap()).unwrap();
        assert_eq!((&last["v"], &last["lost"]), (&1.into(), &5.into()));
        let told = people.read();
        let told = told.lines().map(|line| {
            let count = line.strip_prefix("boesfs: ").and_then(|rest| rest.strip_suffix(" audit records lost"));
            count.and_then(|count| count.parse::<u64>().ok()).unwrap_or_else(|| panic!("{line}"))
        });
        assert_eq!(told.sum::<u64>(), 5);
    }
}
