//! The lab: stock Debian kernels in QEMU, each up within seconds.
//!
//! Kernel behaviour that the machine at hand does not have, or has otherwise, is tested here: see `docs/vm-lab.md`.
//! [`kernels`] finds the kernels, [`suite`] puts together what runs in them, [`qemu`] runs a guest, and [`report`]
//! judges what it said.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

mod apt;
mod initramfs;
mod kernels;
mod qemu;
mod report;
mod suite;

pub(crate) use kernels::Kernel;
pub(crate) use report::Summary;

use crate::shell;
use kernels::Image;
use qemu::Guest;

/// A guest that takes longer is stuck.
const LIMIT: Duration = Duration::from_secs(300);

/// Options of `cargo xtask vm`.
#[derive(Args)]
pub(crate) struct Options {
    /// A series such as 6.12, `newest`, or `all`; may be given more than once.
    #[arg(long, default_value = "all")]
    kernel: Vec<String>,
    /// Open a shell in the guest instead of running the tests.
    #[arg(long, conflicts_with = "command")]
    shell: bool,
    /// Run this in the guest instead of the tests.
    #[arg(last = true)]
    command: Vec<String>,
}

/// Runs the tests, a command or a shell on the chosen kernels.
///
/// # Errors
/// A name is wrong, the lab cannot be set up, or something failed in a guest.
pub(crate) fn main(options: &Options) -> Result<()> {
    let mut kernels = Vec::new();
    for name in &options.kernel {
        match name.as_str() {
            "all" => kernels.extend(Kernel::ALL),
            name => kernels.push(name.parse().map_err(anyhow::Error::msg)?),
        }
    }
    if options.shell {
        return open_shell(&kernels);
    }
    if !options.command.is_empty() {
        return run_command(&kernels, &options.command);
    }
    println!("\n{}", run(&kernels)?);
    Ok(())
}

/// Runs every test of the lab on `kernels`.
///
/// # Errors
/// The lab cannot be set up, or anything went wrong in a guest: all of it is printed.
pub(crate) fn run(kernels: &[Kernel]) -> Result<Summary> {
    let tests = suite::tests()?;
    let lab = Lab::open(kernels, None)?;
    let mut summary = Summary::default();
    let mut bad = Vec::new();
    for image in &lab.images {
        let report = lab.guest(image, "suite")?.run(LIMIT, |line| println!("{line}"))?;
        let faults = report.faults(&image.release, &tests);
        for fault in &faults {
            println!("{}: {fault}", image.release);
        }
        if !faults.is_empty() {
            bad.push(format!("{} (its console: {})", image.release, lab.console(image).display()));
        }
        summary.passed += report.passed();
        summary.kernels.push((image.release.clone(), report.took));
    }
    if !bad.is_empty() {
        bail!("the lab failed on {}", bad.join(", "));
    }
    Ok(summary)
}

fn run_command(kernels: &[Kernel], words: &[String]) -> Result<()> {
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    let script = match words {
        // One word is a line for the shell, as with `sh -c`.
        [line] => line.clone(),
        _ => quoted.join(" "),
    };
    let lab = Lab::open(kernels, Some(&script))?;
    for image in &lab.images {
        let report = lab.guest(image, "command")?.run(LIMIT, |line| println!("{line}"))?;
        if let Some(fault) = report.faults(&image.release, &[]).first() {
            bail!("{}: {fault}\nits console: {}", image.release, lab.console(image).display());
        }
    }
    Ok(())
}

fn open_shell(kernels: &[Kernel]) -> Result<()> {
    // Where the option is not given, a person wants one machine, and the one the project is built for.
    let kernel = if kernels == Kernel::ALL { Kernel::V6_12 } else { kernels[0] };
    let lab = Lab::open(&[kernel], None)?;
    lab.guest(&lab.images[0], "shell")?.attach()
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What all guests share.
struct Lab {
    directory: PathBuf,
    images: Vec<Image>,
    shared: Vec<u8>,
}

impl Lab {
    fn open(kernels: &[Kernel], script: Option<&str>) -> Result<Self> {
        qemu::check()?;
        let directory = shell::target().join("vm");
        let images = kernels::fetch(kernels, &directory)?;
        Ok(Self { images, shared: suite::archive(script)?, directory })
    }

    /// A guest of this kernel, its archive written.
    fn guest<'a>(&self, image: &'a Image, mode: &'a str) -> Result<Guest<'a>> {
        let initramfs = self.directory.join(format!("{}.cpio", image.release));
        let mut bytes = self.shared.clone();
        bytes.extend(suite::modules(image)?);
        write(&initramfs, &bytes)?;
        println!("\n{}", image.release);
        Ok(Guest { kernel: &image.vmlinuz, initramfs, mode, console: self.console(image) })
    }

    fn console(&self, image: &Image) -> PathBuf {
        self.directory.join(format!("{}.log", image.release))
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_guest_as_they_are() {
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
    }
}
