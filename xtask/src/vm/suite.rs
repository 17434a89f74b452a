//! What goes into the guests: the programs, the tests of `guest/tests`, and what they work on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::initramfs::{self, Archive};
use super::kernels::Image;
use crate::shell::{self, cargo, command};

/// Modules that the tests need, in the order of loading, where a kernel has not built them in.
const MODULES: &[&str] = &["fuse"];

/// The ordinary user of the guests is the first of those a policy's `1000..1999` would name.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n\
                      bob:x:1001:1001::/home/bob:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\nalice:x:1000:\nbob:x:1001:\nstaff:x:50:alice\nnogroup:x:65534:\n";

/// The directory of the guest's scripts.
fn scripts() -> PathBuf {
    shell::root().join("xtask/src/vm/guest")
}

/// The tests, in the order in which the guest runs them.
///
/// # Errors
/// The directory cannot be read, or is empty.
pub(crate) fn tests() -> Result<Vec<String>> {
    let directory = scripts().join("tests");
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(test) = name.strip_suffix(".sh").filter(|test| !test.contains(char::is_whitespace)) else {
            bail!("{} is not a test: NAME.sh is", directory.join(&name).display());
        };
        names.push(test.to_owned());
    }
    if names.is_empty() {
        bail!("there are no tests in {}", directory.display());
    }
    names.sort();
    Ok(names)
}

/// What is built for the guests. Optimised little, since `cargo xtask test` has built the same already.
struct Programs {
    /// The two commands.
    commands: Vec<PathBuf>,
    /// Those of [`TESTS`].
    tests: Vec<PathBuf>,
}

/// The tests of the crates that ask the kernel: in a guest, that is the guest's.
const TESTS: [&str; 2] = ["kernel", "agree"];

/// What those tests read. They know it by its path on this machine, so it stands there in the guest too.
const READ_BY_TESTS: [&str; 2] = ["examples", "tests/conformance"];

impl Programs {
    fn build() -> Result<Self> {
        shell::run(&mut command(&cargo(), &["build", "--workspace", "--locked"]))?;
        let mut args = vec!["test", "--workspace", "--locked", "--no-run", "--message-format=json"];
        args.extend(TESTS.iter().flat_map(|name| ["--test", name]));
        let messages = shell::output(&mut command(&cargo(), &args))?;
        let tests = TESTS.iter().map(|name| {
            let found = messages.lines().find_map(|line| executable(line, name));
            found.with_context(|| format!("cargo built no test `{name}`"))
        });
        let commands = ["boesfs", "boesfsc"].map(|name| shell::target().join("debug").join(name));
        Ok(Self { commands: commands.to_vec(), tests: tests.collect::<Result<_>>()? })
    }
}

/// The program of the test `name`, if this line of cargo's says where it is.
fn executable(line: &str, name: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let target = &message["target"];
    let is = target["name"] == name && target["kind"] == serde_json::json!(["test"]);
    is.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
}

/// The archive that all guests share. `script` is for the mode `command`.
///
/// # Errors
/// Something of it cannot be built or read.
pub(crate) fn archive(script: Option<&str>) -> Result<Vec<u8>> {
    let programs = Programs::build()?;
    let mut archive = Archive::with_merged_directories()?;
    for directory in ["proc", "dev", "root", "home"] {
        archive.directory(directory)?;
    }
    // The kernel opens it for the first program, before anything is mounted.
    archive.device("dev/console", (5, 1))?;
    let (busybox, applets) = initramfs::busybox()?;
    archive.copy("usr/bin/busybox", &busybox)?;
    for applet in applets.iter().filter(|applet| *applet != "busybox") {
        archive.symlink(&format!("usr/bin/{applet}"), "busybox")?;
    }
    for path in &programs.commands {
        archive.program(&format!("usr/bin/{}", file_name(path)), path)?;
    }
    for (name, path) in TESTS.iter().zip(&programs.tests) {
        archive.program(&format!("lab/bin/{name}"), path)?;
    }
    let root = shell::root();
    let here = root.to_string_lossy().trim_start_matches('/').to_owned();
    archive.directory(&format!("{here}/crates/boesfs-runtime"))?;
    for below in READ_BY_TESTS {
        archive.copy_tree(&format!("{here}/{below}"), &root.join(below))?;
    }
    archive.symlink("lab/source", &root.to_string_lossy())?;
    archive.file("etc/passwd", 0o644, PASSWD.as_bytes())?;
    archive.file("etc/group", 0o644, GROUP.as_bytes())?;
    for (path, from) in [("init", "init"), ("lab/run", "run"), ("lab/lib.sh", "lib.sh")] {
        let text = read(&scripts().join(from))?;
        archive.file(path, 0o755, &text)?;
    }
    archive.copy_tree("lab/tests", &scripts().join("tests"))?;
    if let Some(script) = script {
        archive.file("lab/command", 0o755, script.as_bytes())?;
    }
    archive.finish()
}

/// The archive with what belongs to one kernel.
///
/// # Errors
/// A module cannot be read.
pub(crate) fn modules(image: &Image) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for (index, name) in MODULES.iter().enumerate() {
        if let Some(path) = image.module(name)? {
            archive.file(&format!("lab/modules/{index}-{name}.ko"), 0o644, &read(&path)?)?;
        }
    }
    archive.finish()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_a_test_is() {
        let line =
            r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"agree"},"executable":"/t/agree-1"}"#;
        assert_eq!(executable(line, "agree"), Some(PathBuf::from("/t/agree-1")));
        assert_eq!(executable(line, "kernel"), None);
        let library = line.replace(r#"["test"]"#, r#"["lib"]"#);
        assert_eq!(executable(&library, "agree"), None);
        assert_eq!(executable("warning: something", "agree"), None);
    }
}
