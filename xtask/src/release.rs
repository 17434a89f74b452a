//! The binaries as people get them.

use std::path::PathBuf;

use anyhow::Result;

use crate::shell::{self, cargo, command};

/// Builds `boesfsc` and `boesfs` with optimisation.
///
/// `boesfs` is linked statically, which takes about a tenth off the start of a sandbox and needs nothing of the system it is
/// copied to. It is safe to: it loads no library by name and asks libc for no user or host. A flag for the whole build would
/// keep procedural macros from being built.
///
/// # Errors
/// The build failed.
pub(crate) fn build() -> Result<()> {
    let of_the_crate = ["--release", "--locked", "--package", "boesfs-cli", "--bin"];
    shell::run(command(&cargo(), &["build"]).args(of_the_crate).arg("boesfsc"))?;
    shell::run(command(&cargo(), &["rustc"]).args(of_the_crate).args([
        "boesfs",
        "--",
        "-C",
        "target-feature=+crt-static",
    ]))
}

/// Such a binary, or another one that was built with optimisation.
pub(crate) fn binary(name: &str) -> PathBuf {
    shell::target().join("release").join(name)
}
