//! Fuzz targets, run for a while each: `fuzz/` is a workspace of its own, as cargo-fuzz wants it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::shell::{self, cargo, command};

/// The version that is installed where there is none.
const CARGO_FUZZ: &str = "0.13.2";

/// Options of `cargo xtask fuzz`.
#[derive(Args)]
pub(crate) struct Options {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only these targets.
    targets: Vec<String>,
}

impl Options {
    /// Long enough to show that each target still works and finds nothing at once.
    pub(crate) fn smoke() -> Options {
        Options { seconds: 10, targets: Vec::new() }
    }
}

/// Runs the fuzz targets.
///
/// # Errors
/// A target does not build, or found something.
pub(crate) fn run(options: &Options) -> Result<()> {
    let tool = tool()?;
    // libFuzzer's instrumentation needs flags that a stable compiler keeps to itself.
    let fuzz = |args: &[&str]| {
        let mut command = command(&tool.to_string_lossy(), args);
        command.env("RUSTC_BOOTSTRAP", "1").env("CARGO", cargo());
        command
    };
    let found = shell::output(&mut fuzz(&["list"]))?;
    for target in found.lines().filter(|name| options.targets.is_empty() || options.targets.iter().any(|t| t == name)) {
        let limit = format!("-max_total_time={}", options.seconds);
        shell::run(&mut fuzz(&[
            "run",
            "--sanitizer",
            "none",
            target,
            "--",
            &limit,
            "-rss_limit_mb=4096",
            "-timeout=20",
        ]))?;
    }
    Ok(())
}

fn tool() -> Result<PathBuf> {
    let tools = shell::target().join("tools");
    let tool = tools.join("bin/cargo-fuzz");
    if !tool.exists() {
        let root = tools.to_str().context("the target directory's name is not UTF-8")?;
        shell::run(&mut command(
            &cargo(),
            &["install", "--locked", "--root", root, "cargo-fuzz", "--version", CARGO_FUZZ],
        ))?;
    }
    Ok(tool)
}
