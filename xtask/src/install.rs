//! Installs the binaries.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::release;

/// Options of `cargo xtask install`.
#[derive(Args)]
pub(crate) struct Options {
    /// Where `bin/` is.
    #[arg(long, default_value = "/usr/local")]
    prefix: PathBuf,
}

/// Builds `boesfsc` and `boesfs` and copies them.
///
/// # Errors
/// The build failed, or the place cannot be written.
pub(crate) fn run(options: &Options) -> Result<()> {
    release::build()?;
    let bin = options.prefix.join("bin");
    std::fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    for name in ["boesfsc", "boesfs"] {
        println!("{}", copy(name, &bin)?.display());
    }
    Ok(())
}

/// Copies such a binary into the directory `bin`; gives where it is.
///
/// # Errors
/// It has not been built, or cannot be written.
pub(crate) fn copy(name: &str, bin: &Path) -> Result<PathBuf> {
    let to = bin.join(name);
    // A running program's file cannot be written, but its name can be taken away.
    let _ = std::fs::remove_file(&to);
    std::fs::copy(release::binary(name), &to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(to)
}
