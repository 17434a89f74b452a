//! A place to run `boesfs exec` in, and ways to look at the processes of a sandbox.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) const POLICY: &str = r#"policy test;
default deny;
let dir = "/nowhere";
allow view, exec on "/usr/", "/bin/", "/lib/", "/lib64/", "/sbin/", "/etc/";
allow view on "/tmp/";
allow view on "/";
deny all on "/root/";
allow all on "{dir}/work/";
deny all on "{dir}/work/**/.env";
kill all on "{dir}/work/trap";
"#;

/// An ordinary user: no name is needed for one.
pub(crate) const USER: &str = "54321";

pub(crate) struct Site {
    pub(crate) dir: TempDir,
}

impl Site {
    pub(crate) fn new() -> Site {
        let dir = tempfile::Builder::new().prefix("boesfs-exec").tempdir_in("/tmp").expect("temp dir");
        let site = Site { dir };
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("chmod");
        open(site.dir.path());
        fs::create_dir(site.at("work")).expect("mkdir");
        open(&site.at("work"));
        fs::write(site.at("p.bfs"), POLICY).expect("policy");
        fs::write(site.at("work/.env"), "secret\n").expect("write");
        fs::write(site.at("work/trap"), "trap\n").expect("write");
        // The test binary's folder may be closed to other users.
        let boesfs = site.at("boesfs");
        // By another process: one that another test forks meanwhile would keep the copy open for writing, and it could not be executed.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_boesfs")).arg(&boesfs).status().expect("cp");
        assert!(copied.success(), "{copied}");
        open(&boesfs);
        // As udev sets it on installed systems.
        let device = fs::Permissions::from_mode(0o666);
        fs::set_permissions("/dev/fuse", device).expect("/dev/fuse: is FUSE there, and are you root?");
        site
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// `boesfs exec OPTIONS POLICY -- WORDS` as `who`.
    pub(crate) fn exec(&self, who: Who, options: &[&str], words: &[&str]) -> Command {
        let dir = format!("dir={}", self.dir.path().display());
        self.exec_policy(who, &[&["-D", &dir], options].concat(), "p.bfs", words)
    }

    /// The same with an object.
    pub(crate) fn exec_object(&self, who: Who, options: &[&str], object: &str, words: &[&str]) -> Output {
        self.exec_policy(who, options, object, words).output().expect("run")
    }

    fn exec_policy(&self, who: Who, options: &[&str], policy: &str, words: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "5", "60"]);
        if who == Who::User {
            command.args(["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]);
        }
        command.arg(self.at("boesfs")).arg("exec").args(options).arg(self.at(policy)).arg("--").args(words);
        // Every directory of it open to everyone: one that is not makes 126 of 127, as with env(1).
        command
            .current_dir(self.at("work"))
            .stdin(Stdio::null())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        command
    }

    pub(crate) fn run(&self, who: Who, options: &[&str], words: &[&str]) -> Output {
        self.exec(who, options, words).output().expect("run")
    }

    pub(crate) fn sh(&self, who: Who, script: &str) -> Output {
        self.run(who, &[], &["sh", "-c", script])
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Root,
    User,
}

pub(crate) const EVERYONE: [Who; 2] = [Who::Root, Who::User];

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn wait_for(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "it never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill").success());
}

/// The agent, in the foreground of `timeout`.
pub(crate) fn agent_below(timeout: u32) -> u32 {
    descendants(timeout).into_iter().find(|pid| name(*pid) == "boesfs").expect("the agent")
}

pub(crate) fn ps() -> String {
    let mut text = String::new();
    let mut child = Command::new("ps").args(["-eo", "args"]).stdout(Stdio::piped()).spawn().expect("ps");
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("read");
    child.wait().expect("wait");
    text
}

pub(crate) fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// Whether `pid` runs: a zombie does not.
pub(crate) fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// The processes below `pid`, itself left out.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<u32> = children.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    children.iter().flat_map(|child| std::iter::once(*child).chain(descendants(*child))).collect()
}
