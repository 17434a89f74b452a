//! What the file system reports: requests that a rule records.

use std::time::SystemTime;

use boesfs_lang::eval::Verdict;
use boesfs_lang::ops::Op;
use boesfs_lang::subjects::ClassId;

/// One recorded request.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it was judged.
    pub time: SystemTime,
    /// The thread that asked, by its number in the PID namespace of whoever mounted the file system; 0 if it has none there.
    pub pid: u32,
    /// Its name, as in `/proc/PID/comm`: bytes that the workload chose. Empty if it could not be read.
    pub comm: Vec<u8>,
    /// Its class, or `None` for a subject whose roles may not be held together.
    pub class: Option<ClassId>,
    /// The operation.
    pub op: Op,
    /// The object, as an absolute path inside the mount: bytes that the workload may have chosen.
    pub path: Vec<u8>,
    /// The answer. The cause is always filled in.
    pub verdict: Verdict,
}

/// Takes events. It is called while a request waits, so it must not block: a sink that is full counts what it loses.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn record(&self, event: Event);
}

/// Drops every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl EventSink for NoEvents {
    fn record(&self, _event: Event) {}
}
