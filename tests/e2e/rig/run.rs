//! Runs of programs, under a policy and without.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use boesfs_runtime::hook::Hook;

use super::audit::{Record, records};
use super::site::example;

/// The hook under test: `$BOESFS_HOOK`, or FUSE, which is everywhere.
pub(crate) fn hook() -> Hook {
    let name = std::env::var("BOESFS_HOOK").unwrap_or_else(|_| "fuse".to_owned());
    Hook::ALL.into_iter().find(|hook| hook.name() == name).unwrap_or_else(|| panic!("this build has no hook `{name}`"))
}

/// The `boesfs` under test: where the test does not run where it was built, `$BOESFS`.
pub(crate) fn boesfs() -> PathBuf {
    std::env::var_os("BOESFS").map_or_else(|| env!("CARGO_BIN_EXE_boesfs").into(), PathBuf::from)
}

/// Its `boesfsc`, likewise.
pub(crate) fn boesfsc() -> PathBuf {
    std::env::var_os("BOESFSC").map_or_else(|| env!("CARGO_BIN_EXE_boesfsc").into(), PathBuf::from)
}

/// Longer than any test's program needs, in an emulated machine on one that has much else to do.
const PATIENCE: &str = "600";

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Run {
    /// Exit status; 128 and the signal's number for one killed.
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    /// What the audit stream says; empty for a run without a policy.
    pub(crate) audit: Vec<Record>,
}

impl Run {
    fn of(output: &Output, audit: Vec<Record>) -> Run {
        use std::os::unix::process::ExitStatusExt;
        let status = output.status.code().or(output.status.signal().map(|n| 128 + n)).expect("ended");
        assert_ne!(status, 124, "still running after {PATIENCE} s: {output:?}");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Run { status, out: text(&output.stdout), err: text(&output.stderr), audit }
    }

    /// Asserts that it ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> Run {
        assert_eq!(self.status, 0, "{self:#?}");
        self
    }

    /// The last line of its output.
    pub(crate) fn last_line(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }

    /// Whether the stream has a refusal of `op` at a path that ends with `path`.
    pub(crate) fn refused(&self, op: &str, path: &str) -> bool {
        self.audit.iter().any(|record| record.op == op && record.path.ends_with(path) && record.effect != "allow")
    }
}

/// Runs a program without any policy.
pub(crate) fn native(command: &mut Command) -> Run {
    let mut timeout = Command::new("timeout");
    timeout.args(["-k", "5", PATIENCE]).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    if let Some(dir) = command.get_current_dir() {
        timeout.current_dir(dir);
    }
    for (name, value) in command.get_envs() {
        timeout.env(name, value.unwrap_or_default());
    }
    Run::of(&timeout.output().expect("run timeout"), Vec::new())
}

/// One run of `boesfs exec` with the hook under test, to be.
pub(crate) struct Sandbox {
    binary: PathBuf,
    policy: PathBuf,
    options: Vec<OsString>,
    audit: PathBuf,
    /// Runs as this user, if any: by setpriv.
    user: Option<u32>,
    env: Vec<(String, String)>,
    dir: Option<PathBuf>,
    /// Shell text in front of the command, for descriptors it is to inherit.
    shell: Option<String>,
}

impl Sandbox {
    /// Under the policy of an example, whose `let`s get other values. The audit stream goes to `audit`.
    pub(crate) fn example(name: &str, lets: &[(&str, &Path)], audit: PathBuf) -> Sandbox {
        let mut sandbox = Sandbox::policy(example(name), audit);
        for (name, value) in lets {
            sandbox = sandbox.option("-D").option(&format!("{name}={}", value.display()));
        }
        sandbox
    }

    /// Under a policy.
    pub(crate) fn policy(policy: PathBuf, audit: PathBuf) -> Sandbox {
        let (options, env) = (Vec::new(), Vec::new());
        let binary = boesfs();
        Sandbox { binary, policy, options, audit, user: None, env, dir: None, shell: None }
    }

    /// With one more option.
    pub(crate) fn option(mut self, option: &str) -> Sandbox {
        self.options.push(option.into());
        self
    }

    /// By this copy of `boesfs`.
    pub(crate) fn binary(mut self, binary: PathBuf) -> Sandbox {
        self.binary = binary;
        self
    }

    /// With a variable in the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Sandbox {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Started in this directory.
    pub(crate) fn dir(mut self, dir: PathBuf) -> Sandbox {
        self.dir = Some(dir);
        self
    }

    /// Started by this user.
    pub(crate) fn user(mut self, uid: u32) -> Sandbox {
        self.user = Some(uid);
        self
    }

    /// Started by a shell that first opens what `redirections` say: `7< FILE`.
    pub(crate) fn inheriting(mut self, redirections: &str) -> Sandbox {
        self.shell = Some(redirections.into());
        self
    }

    /// The command that does it.
    pub(crate) fn command(self, words: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "5", PATIENCE]);
        if let Some(uid) = self.user {
            let uid = uid.to_string();
            command.args(["setpriv", "--reuid", &uid, "--regid", &uid, "--clear-groups"]);
        }
        if let Some(redirections) = &self.shell {
            command.args(["sh", "-c", &format!("exec \"$@\" {redirections}"), "sh"]);
        }
        command.arg(&self.binary).args(["exec", "--hook", hook().name(), "--audit"]).arg(&self.audit);
        command.args(&self.options).arg(&self.policy).arg("--").args(words).stdin(Stdio::null());
        command.envs(self.env);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(self, words: &[&str]) -> Run {
        let audit = self.audit.clone();
        let output = self.command(words).output().expect("run boesfs");
        Run::of(&output, records(&audit))
    }
}
