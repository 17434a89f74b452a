//! The trees that attacks go for, each with the policy that guards it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rig::{Site, example_text, repository};

/// What guards a tree.
#[derive(Clone, Copy, Debug)]
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
        let bin = site.dir("bin");
        let dir = site.dir("tree");
        let scratch = site.dir("scratch");
        site.file("outside/secret", "TOKEN=outside\n");
        let at = |path: &PathBuf| path.display().to_string();
        let (text, policy, options): (String, _, &[&str]) = match guard {
            Guard::Agent => {
                repository_tree(&site);
                let lets = [("repo", at(&dir)), ("home", at(&site.at("home"))), ("scratch", at(&scratch))];
                (example_text("agent", &lets), "tree/policy.bfs", &[])
            }
            Guard::Ledger => {
                site.file("tree/journal", "1st line\n");
                (example_text("ledger", &[("books", at(&dir))]), "policy.bfs", &["--role", "accountant"])
            }
            Guard::Function => {
                site.file("tree/own/code/handler.py", "");
                (example_text("function", &[("functions", at(&dir)), ("name", "own".into())]), "policy.bfs", &[])
            }
            Guard::Spoof => {
                spoof_tree(&site);
                let text = std::fs::read_to_string(repository("tests/bypass/spoof.bfs")).expect("spoof.bfs");
                (text.replace("/srv/spoof", &at(&dir)), "policy.bfs", &[])
            }
        };
        let programs = format!("\n// The attacks' own programs.\nallow view, exec on \"{}/\";\n", bin.display());
        let policy = site.file(policy, &(text + &programs));
        Arena { site, dir, policy, options }
    }

    /// What must not change, as text: names, modes and contents below the protected places.
    pub(super) fn protected(&self) -> String {
        let places = [".git", ".github", ".env", "src/.env.production", "vault", "bin"];
        let script = "for place; do [ -e \"$place\" ] && find \"$place\" -printf '%p %m %U %s %l\\n' -type f -exec cat {} +; done";
        let output =
            Command::new("sh").args(["-c", script, "sh"]).args(places).current_dir(&self.dir).output().expect("find");
        String::from_utf8_lossy(&output.stdout).into_owned()
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
    // What no shell does in one line: attributes, and names that are no text.
    let script = r#"
import os
os.setxattr(".github/workflows/ci.yml", "user.mark", b"1")
os.mkdir(b"src/\xff")
def secret(path):
    with open(path, "w") as file: file.write("TOKEN=secret\n")
secret(b"src/\xff/.env")
"#;
    python(script, &site.at("tree"));
}

/// A chain of directories, the path of its end four times as long as a path may be; a secret in some of them.
pub(super) fn dig(tree: &Path) {
    let script = r#"
import os
os.mkdir("deep")
os.chdir("deep")
for depth in range(1, 131):
    if depth in (1, 20, 64, 130):
        with open(".env", "w") as file: file.write("TOKEN=secret\n")
    os.mkdir("d" * 127)
    os.chdir("d" * 127)
"#;
    python(script, tree);
}

fn python(script: &str, dir: &Path) {
    let status = Command::new("python3").args(["-c", script]).current_dir(dir).status().expect("python3");
    assert!(status.success());
}

/// A vault, and a shell that holds the role of its keeper.
fn spoof_tree(site: &Site) {
    site.file("tree/vault/secret", "TOKEN=secret\n");
    site.copy(Path::new("/bin/dash"), "tree/bin/keeper");
    site.dir("tree/tmp");
}
