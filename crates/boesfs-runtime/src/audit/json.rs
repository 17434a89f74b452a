//! Events as JSON, one object a line.

use std::time::SystemTime;

use boesfs_lang::policy::Effect;
use serde::Serialize;

use super::escape::escape;
use super::recorder::Entry;
use super::{Names, audited, cause_word, time};

/// The line's shape. Fields may be added; `v` changes when one is removed or means something else.
#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    time: String,
    pid: u32,
    tid: u32,
    /// Absent if the subject was gone already.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    comm: String,
    /// Absent where no class fits the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<u32>,
    roles: Vec<&'a str>,
    op: &'static str,
    path: String,
    effect: Effect,
    audit: bool,
    cause: &'static str,
    rule: Option<Rule<'a>>,
    lost: u64,
}

#[derive(Serialize)]
struct Rule<'a> {
    id: u32,
    file: &'a str,
    line: u32,
}

/// Appends the line of `entry` to `text`; `lost` is the number of records lost so far.
pub(super) fn line(text: &mut String, names: &Names, entry: &Entry, lost: u64) {
    let event = &entry.event;
    let line = Line {
        v: 1,
        time: time::rfc3339(event.time),
        pid: entry.subject.pid,
        tid: event.pid,
        uid: entry.subject.uid,
        comm: escape(&event.comm),
        class: event.class.map(|class| class.0),
        roles: names.roles(event.class),
        op: event.op.name(),
        path: escape(&event.path),
        effect: event.verdict.effect,
        audit: audited(&event.verdict),
        cause: cause_word(event.verdict.cause),
        rule: names.place(event.verdict.cause).map(|(id, file, line)| Rule { id, file, line }),
        lost,
    };
    // Strings and numbers always serialise.
    if let Ok(json) = serde_json::to_string(&line) {
        text.push_str(&json);
        text.push('\n');
    }
}

/// Appends a line that tells of losses where no event does; `lost` is the number of records lost so far.
pub(super) fn loss(text: &mut String, lost: u64) {
    #[derive(Serialize)]
    struct Loss {
        v: u32,
        time: String,
        lost: u64,
    }
    let line = Loss { v: 1, time: time::rfc3339(SystemTime::now()), lost };
    if let Ok(json) = serde_json::to_string(&line) {
        text.push_str(&json);
        text.push('\n');
    }
}
