//! Outside judges: file-system suites that others wrote, on a tree under an allow-all policy, all of it on FUSE.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::shell::{self, cargo, command};
use crate::{release, setup};

/// Versions from crates.io.
const TOOLS: [(&str, &str); 2] = [("pjdfstest", "0.2.2"), ("fsx", "0.3.2")];

/// What the suites do as root.
const CAPABILITIES: &str = "chown,dac_override,dac_read_search,fowner,fsetid,kill,setgid,setuid,mknod";

/// Options of `cargo xtask suites`.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these.
    #[arg(value_enum)]
    suites: Vec<Suite>,
    /// Without BoesFS: what the suite says of the file system below.
    #[arg(long)]
    native: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// POSIX semantics, 398 cases.
    Pjdfstest,
    /// Random reads, writes, truncates and mappings, compared with what must be there.
    Fsx,
    /// stress-ng's file-system class.
    StressNg,
}

/// Runs the suites.
///
/// # Errors
/// One of them found something.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run(&setup::Options { bench: true, list: false })?;
    release::build()?;
    let wants = |suite| options.suites.is_empty() || options.suites.contains(&suite);
    let arena = Arena::new(options.native)?;
    let mut failed = Vec::new();
    if wants(Suite::Pjdfstest) {
        let tool = tool("pjdfstest")?;
        let config = arena.dir.join("pjdfstest.toml");
        std::fs::write(
            &config,
            "[features]\nposix_fallocate = {}\nrename_ctime = {}\nutime_now = {}\nutimensat = {}\n[settings]\nnaptime = 0.01\nallow_remount = false\n[dummy_auth]\nentries = [[\"nobody\", \"nogroup\"], [\"daemon\", \"daemon\"], [\"bin\", \"bin\"]]\n",
        )?;
        let words = [
            tool.to_string_lossy().into_owned(),
            "-c".into(),
            config.to_string_lossy().into_owned(),
            "-p".into(),
            arena.tree(),
        ];
        note(&mut failed, "pjdfstest", arena.run(&words));
    }
    if wants(Suite::Fsx) {
        let words = [
            tool("fsx")?.to_string_lossy().into_owned(),
            "-N".into(),
            "100000".into(),
            format!("{}/fsx", arena.tree()),
        ];
        note(&mut failed, "fsx", arena.run(&words));
    }
    if wants(Suite::StressNg) {
        // The two need what the sandbox refuses: mount(2) and name_to_handle_at(2).
        let words = ["stress-ng", "--class", "filesystem", "--exclude", "binderfs,handle", "--seq", "1", "--timeout"];
        let words = words.into_iter().chain(["2", "--verify", "--temp-path"]);
        let words: Vec<String> = words.map(str::to_owned).chain([arena.tree()]).collect();
        note(&mut failed, "stress-ng", arena.run(&words));
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn note(failed: &mut Vec<&str>, suite: &'static str, done: Result<()>) {
    if let Err(error) = done {
        eprintln!("{error:#}");
        failed.push(suite);
    }
}

/// A tree, and an allow-all policy for it.
struct Arena {
    dir: PathBuf,
    native: bool,
}

impl Arena {
    fn new(native: bool) -> Result<Arena> {
        let dir = PathBuf::from(format!("/var/tmp/boesfs-suites-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("tree")).with_context(|| format!("cannot make {}", dir.display()))?;
        std::fs::write(dir.join("open.bfs"), "policy open;\ndefault allow;\n")?;
        Ok(Arena { dir, native })
    }

    fn tree(&self) -> String {
        self.dir.join("tree").to_string_lossy().into_owned()
    }

    fn run(&self, words: &[String]) -> Result<()> {
        let mut all: Vec<String> = Vec::new();
        if !self.native {
            let boesfs = release::binary("boesfs");
            all.extend([boesfs.to_string_lossy().into_owned(), "exec".into()]);
            all.extend(["--hook", "fuse", "--no-native"].map(str::to_owned));
            if shell::is_root() {
                // The suites change users and owners.
                all.extend(["--cap".into(), CAPABILITIES.into()]);
            }
            all.extend([self.dir.join("open.bfs").to_string_lossy().into_owned(), "--".into()]);
        }
        all.extend_from_slice(words);
        let words: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut command = command(words[0], &words[1..]);
        shell::run(command.current_dir(&self.dir).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A tool from crates.io, installed below `target/tools`.
///
/// # Errors
/// It cannot be installed.
pub(crate) fn tool(name: &str) -> Result<PathBuf> {
    let tools = shell::target().join("tools");
    let path = tools.join("bin").join(name);
    if !path.exists() {
        let (_, version) = TOOLS.into_iter().find(|(tool, _)| *tool == name).context("an unknown tool")?;
        let root = tools.to_string_lossy();
        shell::run(&mut command(&cargo(), &["install", "--locked", "--root", &root, name, "--version", version]))?;
    }
    Ok(path)
}
