//! The trees that attacks go for, each with the policy that guards it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use boesfs_runtime::hook::Hook;
use rustix::fs::{Mode, OFlags, XattrFlags};

use crate::rig::{Site, example_text, hook, repository};

/// What guards a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// The agent example, at a git repository.
    Agent,
    /// The ledger example, for an accountant.
    Ledger,
    /// The function example.
    Function,
    /// `tests/bypass/spoof.bfs`: a role that comes with an executable.
    Spoof,
}

/// A tree, its policy, and the attacks' programs beside it.
///
/// A hook that cannot hide refuses policies that do. There, the examples say `deny` in place of `hide`, and an attack that was
/// stopped by `ENOENT` is stopped by `EACCES`.
pub(super) struct Arena {
    pub(super) site: Site,
    /// What the attack goes for.
    pub(super) dir: PathBuf,
    /// In the tree itself where that can be written: the worst place.
    pub(super) policy: PathBuf,
    pub(super) options: &'static [&'static str],
}

impl Arena {
    /// A new one.
    pub(super) fn new(guard: Guard) -> Arena {
        let site = Site::new();
        let dir = site.dir("tree");
        site.dir("bin");
        site.dir("scratch");
        site.file("outside/secret", "TOKEN=outside\n");
        let at = |path: &PathBuf| path.display().to_string();
        let (text, policy, options): (String, _, &[&str]) = match guard {
            Guard::Agent => {
                repository_tree(&site);
                (example_text("agent", &agent_lets(&site)), "tree/policy.bfs", &[])
            }
            Guard::Ledger => {
                site.file("tree/journal", "1st line\n");
                let text = example_text("ledger", &[("books", at(&dir))]);
                (without_sizes(&text, " when size <= 16 MiB"), "policy.bfs", &["--role", "accountant"])
            }
            Guard::Function => {
                site.file("tree/own/code/handler.py", "");
                let text = example_text("function", &[("functions", at(&dir)), ("name", "own".into())]);
                (without_sizes(&text, " when size <= 1 MiB"), "policy.bfs", &[])
            }
            Guard::Spoof => {
                spoof_tree(&site);
                let text = std::fs::read_to_string(repository("tests/bypass/spoof.bfs")).expect("spoof.bfs");
                (text.replace("/srv/spoof", &at(&dir)), "policy.bfs", &[])
            }
        };
        let policy = site.file(policy, &as_enforced(&(text + &programs(&site))));
        Arena { site, dir, policy, options }
    }

    /// The policy of the agent example for all of these at once.
    pub(super) fn agents(arenas: &[Arena]) -> String {
        let mut text = String::from("policy agents;\ndefault deny;\n");
        for arena in arenas {
            let mut one = example_text("agent", &[]);
            for (name, value) in agent_lets(&arena.site) {
                one = one.replace(&format!("{{{name}}}"), &value);
            }
            let declares = |line: &&str| ["policy ", "default ", "let "].iter().any(|word| line.starts_with(word));
            one.lines().filter(|line| !declares(line)).for_each(|line| text += &format!("{line}\n"));
            text += &programs(&arena.site);
        }
        as_enforced(&text)
    }

    /// What must not change, as text: names, modes, owners and contents below the protected places.
    pub(super) fn protected(&self) -> String {
        let mut text = String::new();
        for place in [".git", ".github", ".env", "src/.env.production", "vault", "bin"] {
            describe(&mut text, &self.dir.join(place));
        }
        text
    }
}

/// Where the agent example's `let`s are at a site.
fn agent_lets(site: &Site) -> [(&'static str, String); 3] {
    [("repo", "tree"), ("home", "home"), ("scratch", "scratch")]
        .map(|(name, place)| (name, site.at(place).display().to_string()))
}

/// The rule for the attacks' own programs.
fn programs(site: &Site) -> String {
    format!("\n// The attacks' own programs.\nallow view, exec on \"{}/\";\n", site.at("bin").display())
}

/// A policy as the hook under test can enforce it.
fn as_enforced(text: &str) -> String {
    if hook().filters_listings() { text.to_owned() } else { without_hiding(text) }
}

/// What a call says that was stopped, by the hook under test, where the language hides.
pub(super) fn as_refused(how: &str) -> String {
    if hook().filters_listings() { how.to_owned() } else { how.replace("ENOENT", "EACCES") }
}

/// The policy without a condition that a hook refuses which does not learn the size of a write.
fn without_sizes(text: &str, condition: &str) -> String {
    assert!(text.contains(condition), "no `{condition}` in {text}");
    if hook() == Hook::Lsm { text.replace(condition, "") } else { text.to_owned() }
}

/// The policy with names denied that it would hide.
fn without_hiding(text: &str) -> String {
    let denied = |line: &str| {
        let rest = line.trim_start();
        let indent = &line[..line.len() - rest.len()];
        rest.strip_prefix("hide ").map_or_else(|| line.to_owned(), |rest| format!("{indent}deny {rest}"))
    };
    text.lines().map(denied).collect::<Vec<_>>().join("\n")
}

fn describe(text: &mut String, path: &Path) {
    let Ok(metadata) = path.symlink_metadata() else { return };
    let _ = writeln!(text, "{path:?} {:o} {} {}", metadata.mode(), metadata.uid(), metadata.size());
    if metadata.is_dir() {
        let mut below: Vec<PathBuf> =
            path.read_dir().expect("list").map(|entry| entry.expect("entry").path()).collect();
        below.sort();
        below.iter().for_each(|path| describe(text, path));
    } else if metadata.is_file() {
        text.push_str(&String::from_utf8_lossy(&std::fs::read(path).expect("read")));
    }
}

/// A repository as a developer has it.
fn repository_tree(site: &Site) {
    for (path, text) in [
        (".env", "TOKEN=secret\n"),
        (".env.example", "TOKEN=\n"),
        (".git/config", "[core]\n"),
        (".git/HEAD", "ref: refs/heads/main\n"),
        (".git/hooks/pre-commit.sample", "#!/bin/sh\n"),
        (".github/workflows/ci.yml", "jobs:\n"),
        ("src/main.c", "int main(void) { return 0; }\n"),
        ("src/.env.production", "TOKEN=secret\n"),
        ("src/.env.key", "TOKEN=secret\n"),
    ] {
        site.file(&format!("tree/{path}"), text);
    }
    site.dir("tree/.git/hooks/empty");
    std::fs::hard_link(site.at("tree/.github/workflows/ci.yml"), site.at("tree/src/alias")).expect("link");
    let marked = site.at("tree/.github/workflows/ci.yml");
    rustix::fs::setxattr(&marked, c"user.mark", b"1", XattrFlags::empty()).expect("setxattr");
    let foreign = site.at("tree/src").join(OsStr::from_bytes(b"\xff"));
    std::fs::create_dir(&foreign).expect("create directory");
    std::fs::write(foreign.join(".env"), "TOKEN=secret\n").expect("write file");
}

/// A chain of directories, the path of its end four times as long as a path may be; a secret in some of them.
pub(super) fn dig(tree: &Path) {
    let down = |at: &rustix::fd::OwnedFd, name: &str| {
        rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o755)).expect("mkdir");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(at, name, flags, Mode::empty()).expect("open")
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = down(&rustix::fs::open(tree, flags, Mode::empty()).expect("open"), "deep");
    for depth in 1..131 {
        if [1, 20, 64, 130].contains(&depth) {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&at, ".env", flags, Mode::from_raw_mode(0o644)).expect("make a file");
            rustix::io::write(&file, b"TOKEN=secret\n").expect("write");
        }
        at = down(&at, &"d".repeat(127));
    }
}

/// A vault, and a shell that holds the role of its keeper.
fn spoof_tree(site: &Site) {
    site.file("tree/vault/secret", "TOKEN=secret\n");
    site.copy(Path::new("/bin/dash"), "tree/bin/keeper");
    site.dir("tree/tmp");
}
