//! C programs of the tests, compiled once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::site::repository;

/// The program made of `tests/bypass/NAME.c`: in `$BOESFS_BYPASS`, or compiled here.
pub(crate) fn program(name: &str) -> PathBuf {
    if let Some(built) = std::env::var_os("BOESFS_BYPASS") {
        return Path::new(&built).join(name);
    }
    let source = repository(&format!("tests/bypass/{name}.c"));
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let newest = [&source, &repository("tests/bypass/attack.h")].map(|path| modified(path)).into_iter().max();
    if built.exists() && Some(modified(&built)) > newest {
        return built;
    }
    // Tests run side by side, as processes or threads: the program must appear whole.
    static BUILDS: AtomicU32 = AtomicU32::new(0);
    let build = BUILDS.fetch_add(1, Ordering::Relaxed);
    let partial = built.with_extension(format!("{}-{build}", std::process::id()));
    let status = Command::new("gcc")
        .args(["-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-pthread", "-o"])
        .args([&partial, &source])
        .status()
        .expect("gcc");
    assert!(status.success(), "gcc {}", source.display());
    std::fs::rename(&partial, &built).expect("rename");
    built
}

fn modified(path: &Path) -> std::time::SystemTime {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
