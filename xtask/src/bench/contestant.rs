//! Who takes part: ways to run a command over a tree.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::area::Area;
use crate::release;
use crate::shell::{self, command};

/// A way to run a command over a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contestant {
    /// Nothing in between.
    Native,
    /// The same once more: the measurement's own error.
    NativeAgain,
    /// A Landlock rule set.
    Landlock,
    /// bindfs, a FUSE file system that changes nothing.
    Bindfs,
    /// libfuse's example, the fastest FUSE file system that changes nothing.
    PassthroughLl,
    /// `boesfs exec`, the tree being a repository under the agent example: every request is judged.
    BoesfsFuse,
    /// The same, and the system's directories judged as well.
    BoesfsNoNative,
    /// `boesfs exec`, the tree being the agent's scratch directory: a native zone.
    BoesfsNative,
}

use Contestant::{Bindfs, BoesfsFuse, BoesfsNative, BoesfsNoNative, Landlock, Native, NativeAgain, PassthroughLl};

impl Contestant {
    /// All; the first is what the others are compared with.
    pub(super) const ALL: [Contestant; 8] =
        [Native, NativeAgain, Landlock, Bindfs, PassthroughLl, BoesfsFuse, BoesfsNoNative, BoesfsNative];

    pub(super) fn name(self) -> &'static str {
        match self {
            Native => "native",
            NativeAgain => "native again",
            Landlock => "Landlock",
            Bindfs => "bindfs",
            PassthroughLl => "passthrough_ll",
            BoesfsFuse => "boesfs, FUSE zone",
            BoesfsNoNative => "boesfs --no-native",
            BoesfsNative => "boesfs, native zone",
        }
    }

    /// Runs `bench-inside WORDS... `, where `DIR` stands for the tree, and returns what it printed.
    pub(super) fn run(self, area: &Area, tree: &Path, words: &[&str]) -> Result<serde_json::Value> {
        let mount = match self {
            Bindfs | PassthroughLl => Some(Mount::new(self, tree, &area.fresh("mount")?)?),
            _ => None,
        };
        let dir = mount.as_ref().map_or(tree, |mount| &mount.at);
        let inside = area.at("bench-inside");
        if !inside.exists() {
            std::fs::copy(release::binary("bench-inside"), &inside).context("cannot copy bench-inside")?;
        }
        let mut command = match self {
            Landlock => {
                let mut command = Command::new(release::binary("landlock-run"));
                // Its tree is the whole work area, where `bench-inside` is too.
                command.arg(area.at(""));
                command
            }
            BoesfsFuse | BoesfsNoNative | BoesfsNative => self.boesfs(area, tree)?,
            _ => Command::new("env"),
        };
        command.arg(&inside);
        for word in words {
            command.arg(word.replace("DIR", &dir.to_string_lossy()));
        }
        // What cargo and the machine set is nobody's business here.
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8");
        command.env("TMPDIR", area.at("tmp")).env("HOME", area.at("home")).current_dir(area.at(""));
        let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{}: `{}` failed: {}\n{said}", self.name(), shell::shown(&command), output.status);
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("{}: no figures", self.name()))
    }

    fn boesfs(self, area: &Area, tree: &Path) -> Result<Command> {
        let elsewhere = area.at("elsewhere");
        for dir in [&elsewhere, &area.at("tmp"), &area.at("home")] {
            std::fs::create_dir_all(dir)?;
        }
        let (repo, more) = if self == BoesfsNative { (elsewhere.as_path(), tree) } else { (tree, elsewhere.as_path()) };
        // The agent example, with one more place to write and the bench's own program.
        let example = std::fs::read_to_string(shell::root().join("examples/agent/agent.bfs"))?;
        let policy = area.at("agent.bfs");
        let extra = format!(
            "\nallow view, exec on \"{}\";\nallow all on \"{}/\";\n",
            area.at("bench-inside").display(),
            more.display()
        );
        std::fs::write(&policy, example + &extra)?;
        let mut command = Command::new(release::binary("boesfs"));
        command.args(["exec", "--hook", "fuse"]);
        if self == BoesfsNoNative {
            command.arg("--no-native");
        }
        for (name, value) in [("repo", repo), ("scratch", &area.at("tmp")), ("home", &area.at("home"))] {
            command.arg("-D").arg(format!("{name}={}", value.display()));
        }
        command.arg(policy).arg("--");
        Ok(command)
    }
}

/// A peer's mount, gone when dropped.
struct Mount {
    at: PathBuf,
    server: Child,
}

impl Mount {
    fn new(peer: Contestant, source: &Path, at: &Path) -> Result<Mount> {
        let mut command = match peer {
            Bindfs => {
                let mut command = Command::new("bindfs");
                command.args(["-f", "--multithreaded"]).args([source, at]);
                command
            }
            _ => {
                let mut command = Command::new(passthrough_ll()?);
                command.arg("-f").arg("-o").arg(format!("source={}", source.display())).arg(at);
                command
            }
        };
        let shown = shell::shown(&command);
        let server = command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot run `{shown}`"))?;
        let mount = Mount { at: at.to_owned(), server };
        let start = Instant::now();
        while !is_mounted(at) {
            if start.elapsed() > Duration::from_secs(10) {
                bail!("`{shown}` does not mount");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(mount)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = shell::succeeds(&mut command("fusermount3", &["-u", "-z", &self.at.to_string_lossy()]));
        let _ = self.server.wait();
    }
}

fn is_mounted(dir: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(1) == dir.to_str())
}

/// libfuse's passthrough_ll, built from the source of Debian's package.
pub(super) fn passthrough_ll() -> Result<PathBuf> {
    let built = shell::target().join("bench/passthrough_ll");
    if !built.exists() {
        let source = super::workload::unpacked("fuse3")?.join("example");
        let script =
            format!("gcc -O2 -o {} passthrough_ll.c $(pkg-config --cflags --libs fuse3) -I../include", built.display());
        shell::run(command("sh", &["-c", &script]).current_dir(source))?;
    }
    Ok(built)
}
