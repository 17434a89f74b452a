//! What goes into the guests: the programs, the tests of `guest/tests`, and what they work on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::initramfs::{self, Archive};
use super::kernels::Image;
use super::material;
use crate::shell::{self, cargo, command};
use crate::suites;

/// Modules that the tests need, where a kernel has not built them in.
const MODULES: &[&str] = &["fuse", "loop", "vfat", "nls_cp437", "nls_ascii", "nls_utf8"];

/// The ordinary user of the guests is the first of those a policy's `1000..1999` would name.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n\
                      bob:x:1001:1001::/home/bob:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\nalice:x:1000:\nbob:x:1001:\nstaff:x:50:alice\nnogroup:x:65534:\n";

/// The directory of the guest's scripts.
fn scripts() -> PathBuf {
    shell::root().join("xtask/src/vm/guest")
}

/// What marks a test that runs under any hook; without it, and outside of a hook's own directory, a test runs with FUSE's, once.
const ANY_HOOK: &str = "# any hook";

/// The tests of a hook, in the order in which the guest runs them: `NAME`, or `HOOK/NAME` for those of one hook alone.
///
/// # Errors
/// The directory cannot be read, or is empty.
pub(crate) fn tests(hook: &str) -> Result<Vec<String>> {
    let directory = scripts().join("tests");
    let mut names = Vec::new();
    for name in scripts_in(&directory)? {
        let text = String::from_utf8_lossy(&read(&directory.join(format!("{name}.sh")))?).into_owned();
        if hook == "fuse" || text.lines().any(|line| line == ANY_HOOK) {
            names.push(name);
        }
    }
    let own = directory.join(hook);
    if own.exists() {
        names.extend(scripts_in(&own)?.iter().map(|name| format!("{hook}/{name}")));
    }
    if names.is_empty() {
        bail!("there are no tests in {}", directory.display());
    }
    Ok(names)
}

/// The names of the scripts in a directory, sorted.
fn scripts_in(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(test) = name.strip_suffix(".sh").filter(|test| !test.contains(char::is_whitespace)) else {
            bail!("{} is not a test: NAME.sh is", directory.join(&name).display());
        };
        names.push(test.to_owned());
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

/// The tests of the crates that ask the kernel, or run sandboxes: in a guest, that is the guest's.
const TESTS: [&str; 4] = ["kernel", "agree", "real", "e2e"];

/// What those tests read. They know it by its path on this machine, so it stands there in the guest too.
const READ_BY_TESTS: [&str; 4] = ["examples", "tests/conformance", "tests/real", "tests/bypass"];

/// Programs of this machine's that the bypass programs use, where busybox has others by the same names, and what whole jobs are
/// done with.
const TOOLS: [&str; 27] = [
    "timeout",
    "setpriv",
    "unshare",
    "sleep",
    "cat",
    "echo",
    "env",
    "pkill",
    "id",
    "dash",
    "git",
    "rm",
    "true",
    "tar",
    "diff",
    "make",
    "tcc",
    "sqlite3",
    "mdb_load",
    "mdb_dump",
    "mdb_stat",
    "mdb_copy",
    "stress-ng",
    "bpftool",
    "dmsetup",
    "mkfs.ext4",
    "chattr",
];

/// Names by which git starts itself.
const GIT: [&str; 2] = ["git-upload-pack", "git-receive-pack"];

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

/// The program that makes real system calls, without libraries.
fn actor() -> Result<PathBuf> {
    let (source, built) = (shell::root().join("tests/real"), shell::target().join("vm/actor"));
    let flags = ["-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-static", "-s", "-o"];
    let sources = ["actor.c", "data.c", "name.c", "meta.c"].map(|file| source.join(file));
    shell::run(command("gcc", &flags).arg(&built).args(sources))?;
    Ok(built)
}

/// A program of the guest's own, without libraries, from `guest/NAME.c`.
fn guest_program(name: &str) -> Result<PathBuf> {
    let built = shell::target().join("vm").join(name);
    let flags = ["-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-static", "-s", "-o"];
    shell::run(command("gcc", &flags).arg(&built).arg(scripts().join(format!("{name}.c"))))?;
    Ok(built)
}

/// The bypass programs in C, without libraries.
fn bypass(archive: &mut Archive) -> Result<()> {
    let place = shell::target().join("vm/bypass");
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let flags = ["-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-pthread", "-static", "-s", "-o"];
    for entry in fs::read_dir(shell::root().join("tests/bypass"))? {
        let source = entry?.path();
        if source.extension().is_some_and(|extension| extension == "c") {
            let built = place.join(source.file_stem().unwrap_or_default());
            shell::run(command("gcc", &flags).arg(&built).arg(&source))?;
            archive.copy(&format!("lab/bypass/{}", file_name(&built)), &built)?;
        }
    }
    Ok(())
}

/// Debian's python, without what no bypass program imports.
fn python(archive: &mut Archive) -> Result<()> {
    let program =
        fs::canonicalize("/usr/bin/python3").context("Debian's python3 is missing: run `cargo xtask setup`")?;
    archive.program(&format!("usr/bin/{}", file_name(&program)), &program)?;
    archive.symlink("usr/bin/python3", &file_name(&program))?;
    let library = Path::new("/usr/lib").join(file_name(&program));
    let left = [
        "__pycache__",
        "test",
        "idlelib",
        "tkinter",
        "lib2to3",
        "ensurepip",
        "distutils",
        "pydoc_data",
        "unittest",
        "asyncio",
    ];
    archive.copy_tree_without(&library.to_string_lossy()[1..], &library, &left)
}

/// The program of the test `name`, if this line of cargo's says where it is.
fn executable(line: &str, name: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let target = &message["target"];
    let is = target["name"] == name && target["kind"] == serde_json::json!(["test"]);
    is.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
}

/// What every guest has: busybox, for names that are not taken yet; users; the scripts that start it.
///
/// # Errors
/// Something of it cannot be read.
pub(crate) fn system(archive: &mut Archive) -> Result<()> {
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
    archive.file("etc/passwd", 0o644, PASSWD.as_bytes())?;
    archive.file("etc/group", 0o644, GROUP.as_bytes())?;
    archive.file("etc/shadow", 0o640, b"root:*:19000:0:99999:7:::\n")?;
    for (path, from) in [("init", "init"), ("lab/run", "run"), ("lab/lib.sh", "lib.sh")] {
        let text = read(&scripts().join(from))?;
        archive.file(path, 0o755, &text)?;
    }
    Ok(())
}

/// The archive that all guests of the tests with one hook share. `script` is for the mode `command`.
///
/// # Errors
/// Something of it cannot be built or read.
pub(crate) fn archive(hook: &str, script: Option<&str>) -> Result<Vec<u8>> {
    let programs = Programs::build()?;
    let mut archive = Archive::with_merged_directories()?;
    for tool in TOOLS {
        archive.program(&format!("usr/bin/{tool}"), &shell::which(tool)?)?;
    }
    for name in GIT {
        archive.symlink(&format!("usr/bin/{name}"), "git")?;
    }
    if hook == "kmod" {
        // For whole jobs.
        for tool in ["fsx", "pjdfstest"] {
            archive.program(&format!("lab/bin/{tool}"), &suites::tool(tool)?)?;
        }
        let scratch = shell::target().join("vm/jobs");
        fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
        material::add(&mut archive, &scratch)?;
    }
    // What git puts into a new repository.
    archive.copy_tree("usr/share/git-core/templates", Path::new("/usr/share/git-core/templates"))?;
    // Busybox is a shell only where it is called one.
    archive.symlink("usr/bin/sh", "dash")?;
    python(&mut archive)?;
    system(&mut archive)?;
    for path in &programs.commands {
        archive.program(&format!("usr/bin/{}", file_name(path)), path)?;
    }
    for (name, path) in TESTS.iter().zip(&programs.tests) {
        archive.program(&format!("lab/bin/{name}"), path)?;
    }
    archive.copy("lab/bin/actor", &actor()?)?;
    for name in ["stress", "original", "mapped", "around", "compat"] {
        archive.copy(&format!("lab/bin/{name}"), &guest_program(name)?)?;
    }
    bypass(&mut archive)?;
    let root = shell::root();
    let here = root.to_string_lossy().trim_start_matches('/').to_owned();
    for tested in ["boesfs-runtime", "boesfs-cli"] {
        archive.directory(&format!("{here}/crates/{tested}"))?;
    }
    for below in READ_BY_TESTS {
        archive.copy_tree(&format!("{here}/{below}"), &root.join(below))?;
    }
    archive.symlink("lab/source", &root.to_string_lossy())?;
    archive.copy_tree("lab/tests", &scripts().join("tests"))?;
    if let Some(script) = script {
        archive.file("lab/command", 0o755, script.as_bytes())?;
    }
    archive.finish()
}

/// The archive with what belongs to one kernel: those of the modules `more`, besides FUSE, that it has not built in, and what
/// they need.
///
/// # Errors
/// A module cannot be read.
pub(crate) fn modules(image: &Image, more: &[&str]) -> Result<Vec<u8>> {
    let names: Vec<&str> = MODULES.iter().chain(more).copied().collect();
    files(image, &names, "lab/modules")
}

/// The archive with the modules of a disk in the guest's memory, and what they need, which one test loads by itself.
///
/// # Errors
/// A module cannot be read.
pub(crate) fn disk(image: &Image) -> Result<Vec<u8>> {
    files(image, &["scsi_debug", "sd_mod"], "lab/apart")
}

/// Modules and what they need, in the order of loading.
fn files(image: &Image, names: &[&str], place: &str) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for (index, path) in image.with_needed(names)?.iter().enumerate() {
        // The kernel sees by itself whether the file is compressed; the guest loads what is called `*.ko`.
        let name = file_name(path);
        let name = name.trim_end_matches(".xz");
        archive.file(&format!("{place}/{index:02}-{name}"), 0o644, &read(path)?)?;
    }
    archive.finish()
}

/// The archive with the project's own module, which is loaded last.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn module(file: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.file("lab/modules/99-boesfs.ko", 0o644, &read(file)?)?;
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
