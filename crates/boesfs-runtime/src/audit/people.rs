//! Refusals as lines for people: short, and not the same one over and over.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::time::{Duration, Instant};

use boesfs_lang::eval::Cause;
use boesfs_lang::policy::{Effect, RuleId};

use super::escape::Escaped;
use super::recorder::Entry;
use super::{Names, audited};

/// A line that was shown is not shown again for this long.
const SAME: Duration = Duration::from_secs(5);
/// At most this many lines are shown per [`WINDOW`].
const LINES: u32 = 40;
/// See [`LINES`].
const WINDOW: Duration = Duration::from_secs(1);
/// At most this many lines are remembered.
const REMEMBERED: usize = 1024;

/// The stream for people.
pub(super) struct People {
    out: Box<dyn Write + Send>,
    /// When each line was last shown. A process is no part of a line's identity: a shell loop makes a new one each time.
    shown: BTreeMap<(u32, Effect, u64, Vec<u8>), Instant>,
    window: (Instant, u32),
    held_back: u64,
    lost: u64,
    text: String,
}

impl People {
    pub(super) fn new(out: Box<dyn Write + Send>) -> People {
        let window = (Instant::now(), 0);
        People { out, shown: BTreeMap::new(), window, held_back: 0, lost: 0, text: String::new() }
    }

    /// Adds the line of `entry`, unless it was shown a moment ago.
    pub(super) fn line(&mut self, names: &Names, entry: &Entry) {
        let event = &entry.event;
        let rule = match event.verdict.cause {
            Cause::Rule(RuleId(id)) => u64::from(id) + 1,
            Cause::Default | Cause::NotGranted => 0,
        };
        let key = (event.op.number(), event.verdict.effect, rule, event.path.clone());
        if !self.may_show(key) {
            self.held_back += 1;
            return;
        }
        let done = match event.verdict.effect {
            Effect::Allow => "allowed",
            Effect::Deny => "denied",
            Effect::Hide => "hid",
            Effect::Kill => "killed for",
        };
        let mark = if audited(&event.verdict) && event.verdict.effect == Effect::Allow { " (audit)" } else { "" };
        // Writing to a String does not fail.
        let _ = write!(self.text, "boesfs: {done}{mark} {} {} by ", event.op.name(), Escaped(&event.path));
        let _ = match (names.place(event.verdict.cause), event.verdict.cause) {
            (Some((_, file, line)), _) => write!(self.text, "{}:{line}", Escaped(file.as_bytes())),
            (None, Cause::NotGranted) => {
                write!(self.text, "default: no rule grants {} to {}", event.op.name(), Roles(&names.roles(event.class)))
            }
            (None, _) => write!(self.text, "default"),
        };
        let _ = writeln!(self.text, " (pid {} {})", entry.subject.pid, Escaped(&event.comm));
    }

    /// Writes the lines added since; `lost` is the number of records lost so far.
    pub(super) fn flush(&mut self, lost: u64) {
        if lost > self.lost {
            let _ = writeln!(self.text, "boesfs: {} audit records lost", lost - self.lost);
            self.lost = lost;
        }
        // Nobody can be told that standard error is gone.
        let _ = self.out.write_all(self.text.as_bytes()).and_then(|()| self.out.flush());
        self.text.clear();
    }

    /// Writes what was held back, as a number.
    pub(super) fn end(&mut self, lost: u64) {
        if self.held_back > 0 {
            let _ = writeln!(self.text, "boesfs: {} more like these were not shown", self.held_back);
        }
        self.flush(lost);
    }

    fn may_show(&mut self, key: (u32, Effect, u64, Vec<u8>)) -> bool {
        let now = Instant::now();
        if self.shown.get(&key).is_some_and(|shown| now - *shown < SAME) {
            return false;
        }
        if now - self.window.0 >= WINDOW {
            self.window = (now, 0);
        }
        if self.window.1 >= LINES {
            return false;
        }
        self.window.1 += 1;
        if self.shown.len() >= REMEMBERED {
            self.shown.retain(|_, shown| now - *shown < SAME);
        }
        if self.shown.len() < REMEMBERED {
            self.shown.insert(key, now);
        }
        true
    }
}

struct Roles<'a>(&'a [&'a str]);

impl std::fmt::Display for Roles<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [] => f.write_str("a subject without a role"),
            [role] => write!(f, "role {role}"),
            roles => write!(f, "roles {}", roles.join(", ")),
        }
    }
}
