//! Mounts a directory under a policy that allows everything: to measure the file system, and to run other people's tests on it.
//!
//! ```text
//! mount LOWER MOUNTPOINT [--threads N] [--no-passthrough] [--own]
//! ```
//!
//! Ends when the mount is unmounted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use boesfs_codegen::tables::StateId;
use boesfs_lang::cond::Args;
use boesfs_lang::eval::{Cause, Verdict};
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::policy::{Effect, Record};
use boesfs_lang::subjects::{Class, ClassId, Subjects};
use boesfs_runtime::checker::Checker;
use boesfs_runtime::fuse::{Config, Identity, Mount, NoEvents, Passthrough, Policy, Rights, Row, Session};
use rustix::fs::{Mode, OFlags};

/// Allows everything, in one state.
struct AllowAll;

const ALLOW: Verdict = Verdict { effect: Effect::Allow, record: Record::Refusals, cause: Cause::Default };

impl Checker for AllowAll {
    fn step(&self, state: StateId, _name: &[u8]) -> StateId {
        state
    }

    fn check(&self, _state: StateId, _class: ClassId, _op: Op, _args: &Args) -> Verdict {
        ALLOW
    }

    fn decide(&self, _state: StateId, _class: ClassId, _op: Op, _args: &Args) -> Verdict {
        ALLOW
    }
}

impl Rights for AllowAll {
    fn row(&self, _state: StateId, _class: ClassId) -> Row {
        Row { allowed: Ops::ALL, closer: Ops::NONE }
    }

    fn leaf(&self, state: StateId) -> Option<StateId> {
        Some(state)
    }

    fn conditional(&self, _state: StateId, _class: ClassId, _op: Op) -> bool {
        false
    }

    fn within(&self, _new: StateId, _old: StateId, _class: ClassId) -> bool {
        true
    }

    fn hides_below(&self, _state: StateId, _class: ClassId) -> bool {
        false
    }

    fn lock_follows_open(&self) -> bool {
        true
    }

    fn always_plain(&self, _op: Op) -> bool {
        true
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, lower, at, options @ ..] = args.as_slice() else {
        return Err("usage: mount LOWER MOUNTPOINT [--threads N] [--no-passthrough] [--own]".into());
    };
    let threads = match options.iter().position(|option| option == "--threads") {
        Some(i) => options.get(i + 1).ok_or("--threads needs a number")?.parse()?,
        None => 4,
    };
    let has = |name: &str| options.iter().any(|option| option == name);
    let open = |path: &str| rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let subjects = Subjects { classes: vec![Class { roles: Vec::new() }], ..Subjects::default() };
    let config = Config {
        root: open(lower)?,
        policy: Policy { checker: Arc::new(AllowAll), rights: Arc::new(AllowAll), subjects },
        session: Session::Fixed(ClassId(0)),
        identity: if has("--own") { Identity::Own } else { Identity::Caller },
        sink: Arc::new(NoEvents),
        proc: open("/proc")?,
        seen_at: at.into(),
        lifetime: Duration::from_secs(1),
        passthrough: if has("--no-passthrough") { Passthrough::Off } else { Passthrough::Auto },
        threads,
    };
    Mount::at(Path::new(at), config)?.join();
    Ok(())
}
