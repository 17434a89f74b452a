//! A mount for a test: a policy given as text, a fresh directory below, and the events it caused. Needs root and `/dev/fuse`.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::pack::compile;
use boesfs_codegen::tables::walk::holds_in;
use boesfs_codegen::tables::{Packed, StateId};
use boesfs_lang::check::{Input, check};
use boesfs_lang::cond::Args;
use boesfs_lang::eval::Verdict;
use boesfs_lang::ops::Op;
use boesfs_lang::policy::Effect;
use boesfs_lang::subjects::{ClassId, Subjects};
use boesfs_runtime::checker::Checker;
use boesfs_runtime::fuse::{Config, Event, EventSink, Identity, Mount, Passthrough, Policy, Session};
use rustix::fs::{Mode, OFlags};

/// Answers from the tables, by the reference walk.
pub(crate) struct TableChecker(pub(crate) Packed);

impl Checker for TableChecker {
    fn step(&self, state: StateId, name: &[u8]) -> StateId {
        self.0.tables.step(state, name)
    }

    fn check(&self, state: StateId, class: ClassId, op: Op, args: &Args) -> Verdict {
        self.0.tables.check(state, class, op, holds_in(&self.0.conditions, args))
    }

    fn decide(&self, state: StateId, class: ClassId, op: Op, args: &Args) -> Verdict {
        self.0.tables.decide(state, class, op, holds_in(&self.0.conditions, args))
    }
}

/// Keeps events.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Mutex<Vec<Event>>);

impl EventSink for Kept {
    fn record(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// A mounted policy over a fresh directory.
pub(crate) struct Fixture {
    pub(crate) events: Arc<Kept>,
    pub(crate) checker: Arc<TableChecker>,
    pub(crate) subjects: Subjects,
    mount: Option<Mount>,
    /// After the mount in it.
    dir: tempfile::TempDir,
}

/// What a test may choose.
pub(crate) struct Choice {
    pub(crate) session: Session,
    pub(crate) identity: Identity,
    pub(crate) passthrough: Passthrough,
    pub(crate) lifetime: Duration,
}

impl Default for Choice {
    fn default() -> Choice {
        Choice {
            session: Session::ByProcess,
            identity: Identity::Caller,
            passthrough: Passthrough::Auto,
            lifetime: Duration::from_secs(1),
        }
    }
}

impl Fixture {
    /// Mounts `policy` (without its `policy` line) over what `prepare` makes in the directory below.
    pub(crate) fn new(policy: &str, prepare: impl FnOnce(&Path)) -> Fixture {
        Fixture::with(policy, Choice::default(), prepare)
    }

    pub(crate) fn with(policy: &str, choice: Choice, prepare: impl FnOnce(&Path)) -> Fixture {
        assert!(rustix::process::geteuid().is_root(), "this test mounts file systems: run it as root");
        let dir = tempfile::Builder::new().prefix("boesfs-fuse-").tempdir().unwrap();
        std::fs::create_dir(dir.path().join("below")).unwrap();
        std::fs::create_dir(dir.path().join("mnt")).unwrap();
        // Everybody may walk through.
        for path in [dir.path().to_owned(), dir.path().join("below")] {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        prepare(&dir.path().join("below"));
        let text = format!("policy test;\n{}", policy.replace("{MNT}", dir.path().join("mnt").to_str().unwrap()));
        let checked = check(&Input::new("test.bfs", &text)).unwrap_or_else(|rejected| panic!("{rejected}")).policy;
        let packed = compile(&checked, &Limits::default()).unwrap();
        let checker = Arc::new(TableChecker(packed.clone()));
        let events = Arc::new(Kept::default());
        let open =
            |path: &Path| rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let config = Config {
            root: open(&dir.path().join("below")).unwrap(),
            policy: Policy {
                checker: checker.clone(),
                rights: Arc::new(packed.tables),
                subjects: checked.subjects.clone(),
            },
            session: choice.session,
            identity: choice.identity,
            sink: events.clone(),
            proc: open(Path::new("/proc")).unwrap(),
            seen_at: dir.path().join("mnt"),
            lifetime: choice.lifetime,
            passthrough: choice.passthrough,
            threads: 4,
        };
        let mount = Mount::at(&dir.path().join("mnt"), config).unwrap();
        Fixture { events, checker, subjects: checked.subjects, mount: Some(mount), dir }
    }

    /// The path of `name` inside the mount.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join("mnt").join(name)
    }

    /// The path of `name` in the directory below.
    pub(crate) fn below(&self, name: &str) -> PathBuf {
        self.dir.path().join("below").join(name)
    }

    /// What the policy says of `op` on `path` for a subject without roles.
    pub(crate) fn effect(&self, op: Op, path: &str) -> Effect {
        let state = path
            .split('/')
            .filter(|name| !name.is_empty())
            .fold(StateId::ROOT, |state, name| self.checker.step(state, name.as_bytes()));
        self.checker.check(state, ClassId(0), op, &Args::default()).effect
    }

    /// The events so far, as (operation, path, effect).
    pub(crate) fn seen(&self) -> Vec<(Op, String, Effect)> {
        let events = self.events.0.lock().unwrap();
        let line = |event: &Event| (event.op, String::from_utf8_lossy(&event.path).into_owned(), event.verdict.effect);
        events.iter().map(line).collect()
    }

    /// Unmounts, which must be possible at once.
    pub(crate) fn unmount(mut self) {
        self.mount.take().unwrap().unmount().unwrap();
    }
}

/// The errno of a result; 0 if it is fine.
pub(crate) fn errno<T>(result: std::io::Result<T>) -> i32 {
    result.map_or_else(|error| error.raw_os_error().unwrap_or(-1), |_| 0)
}

/// The errno of a rustix result.
pub(crate) fn code<T>(result: rustix::io::Result<T>) -> i32 {
    result.map_or_else(rustix::io::Errno::raw_os_error, |_| 0)
}
