//! A place of its own for each test, and policies that speak of it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A temporary directory, removed with all that is in it.
pub(crate) struct Site {
    dir: TempDir,
}

impl Site {
    /// An empty one. Others may walk through it: tests also run as ordinary users.
    pub(crate) fn new() -> Site {
        let dir = tempfile::Builder::new().prefix("boesfs-").tempdir().expect("temporary directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
        Site { dir }
    }

    /// `path` below it.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Makes a directory, with those above it.
    pub(crate) fn dir(&self, path: &str) -> PathBuf {
        let path = self.at(path);
        std::fs::create_dir_all(&path).expect("create directory");
        path
    }

    /// Makes a file, with the directories above it.
    pub(crate) fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().expect("below the site")).expect("create directory");
        std::fs::write(&path, text).expect("write file");
        path
    }

    /// The text of a file; empty if there is none.
    pub(crate) fn text(&self, path: &str) -> String {
        let bytes = std::fs::read(self.at(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Copies a file of the repository to here. By another process: one that another test forks meanwhile would keep the copy open for
    /// writing, and it could not be executed.
    pub(crate) fn copy(&self, from: &Path, to: &str) -> PathBuf {
        let path = self.at(to);
        std::fs::create_dir_all(path.parent().expect("below the site")).expect("create directory");
        let copied = Command::new("cp").arg("--").arg(from).arg(&path).status().expect("cp");
        assert!(copied.success(), "copy {}: {copied}", from.display());
        path
    }
}

/// A path of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("below the repository").to_owned();
    root.join(path)
}

/// The policy of an example.
pub(crate) fn example(name: &str) -> PathBuf {
    repository(&format!("examples/{name}/{name}.bfs"))
}

/// The text of an example's policy, its `let`s with other values: for tests that add rules.
pub(crate) fn example_text(name: &str, lets: &[(&str, String)]) -> String {
    let mut text = std::fs::read_to_string(example(name)).expect("example");
    for (name, value) in lets {
        let line =
            text.lines().find(|line| line.split('=').next().is_some_and(|left| left.trim() == format!("let {name}")));
        let line = line.unwrap_or_else(|| panic!("no let {name}")).to_owned();
        text = text.replace(&line, &format!("let {name} = \"{value}\";"));
    }
    text
}
