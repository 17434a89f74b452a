//! The lab: stock Debian kernels in QEMU, each up within seconds.
//!
//! Kernel behaviour that the machine at hand does not have, or has otherwise, is tested here: see `docs/vm-lab.md`.
//! [`kernels`] finds the kernels, [`suite`] puts together what runs in them, [`qemu`] runs a guest, and [`report`]
//! judges what it said. [`icount`] counts what the hooks cost.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

mod apt;
pub(crate) mod icount;
mod initramfs;
mod kernels;
mod lower;
mod material;
mod module;
mod packages;
mod qemu;
mod report;
mod suite;

pub(crate) use kernels::Kernel;
pub(crate) use lower::Lower;
pub(crate) use report::Summary;

use crate::shell;
use kernels::Image;
use qemu::{Guest, Machine};

/// A guest that takes longer is stuck.
const LIMIT: Duration = Duration::from_secs(3600);

/// What `--hook` may say.
const HOOKS: [&str; 3] = ["fuse", "lsm", "kmod"];

/// Options of `cargo xtask vm`.
#[derive(Args)]
pub(crate) struct Options {
    /// A series such as 6.12, `newest`, or `all`; may be given more than once.
    #[arg(long, default_value = "all")]
    kernel: Vec<String>,
    /// The hook that the tests ask for, of those that have one: fuse, lsm or kmod. With `kmod`, the module is built and loaded.
    #[arg(long, default_value = "fuse")]
    hook: String,
    /// Only these tests; may be given more than once.
    #[arg(long)]
    only: Vec<String>,
    /// The file systems that the conformance corpus is tried on; may be given more than once.
    #[arg(long, default_value = "tmpfs")]
    lower: Vec<Lower>,
    /// How long the stress tests run, in seconds: 60 and 600 are what they are made for.
    #[arg(long)]
    stress: Option<u32>,
    /// Only build the kernel module for each kernel, and print where it is.
    #[arg(long, conflicts_with_all = ["command", "shell"])]
    module: bool,
    /// Only build the module's Debian package for each kernel's release, and the module from it by DKMS.
    #[arg(long, conflicts_with_all = ["command", "shell", "module"])]
    packages: bool,
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
    if options.module {
        let directory = shell::target().join("vm");
        for image in kernels::fetch(&kernels, &directory)? {
            println!("{}", module::build(&image, &directory)?.display());
        }
        return Ok(());
    }
    if options.packages {
        let directory = shell::target().join("vm");
        for image in kernels::fetch(&kernels, &directory)? {
            println!("{}", packages::check(&image, &directory)?);
        }
        return Ok(());
    }
    if options.shell {
        return open_shell(&kernels, &options.hook, &options.lower);
    }
    if !options.command.is_empty() {
        return run_command(&kernels, &options.hook, &options.lower, &options.command);
    }
    let plan = Plan {
        kernels: &kernels,
        hook: &options.hook,
        lower: &options.lower,
        only: &options.only,
        stress: options.stress,
    };
    println!("\n{}", run(&plan)?);
    Ok(())
}

/// What of the lab's tests is run.
pub(crate) struct Plan<'a> {
    pub(crate) kernels: &'a [Kernel],
    /// The hook, for tests that take one.
    pub(crate) hook: &'a str,
    /// The file systems that the conformance corpus is tried on.
    pub(crate) lower: &'a [Lower],
    /// Some tests; all, if empty.
    pub(crate) only: &'a [String],
    /// How long the stress tests run; as long as they say by themselves, if none.
    pub(crate) stress: Option<u32>,
}

/// Runs tests of the lab.
///
/// # Errors
/// The lab cannot be set up, or anything went wrong in a guest: all of it is printed.
pub(crate) fn run(plan: &Plan<'_>) -> Result<Summary> {
    let mut tests = suite::tests(plan.hook)?;
    if let Some(unknown) = plan.only.iter().find(|name| !tests.contains(name)) {
        bail!("there is no test `{unknown}` for {}: {}", plan.hook, tests.join(", "));
    }
    tests.retain(|name| plan.only.is_empty() || plan.only.contains(name));
    let mut lab = Lab::open(plan.kernels, plan.hook, plan.lower, None)?;
    lab.words = format!("boesfs.tests={}", tests.join(","));
    if let Some(seconds) = plan.stress {
        let _ = write!(lab.words, " boesfs.stress={seconds}");
    }
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

fn run_command(kernels: &[Kernel], hook: &str, lower: &[Lower], words: &[String]) -> Result<()> {
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    let script = match words {
        // One word is a line for the shell, as with `sh -c`.
        [line] => line.clone(),
        _ => quoted.join(" "),
    };
    let lab = Lab::open(kernels, hook, lower, Some(&script))?;
    for image in &lab.images {
        let report = lab.guest(image, "command")?.run(LIMIT, |line| println!("{line}"))?;
        if let Some(fault) = report.faults(&image.release, &[]).first() {
            bail!("{}: {fault}\nits console: {}", image.release, lab.console(image).display());
        }
    }
    Ok(())
}

fn open_shell(kernels: &[Kernel], hook: &str, lower: &[Lower]) -> Result<()> {
    // Where the option is not given, a person wants one machine, and the one the project is built for.
    let kernel = if kernels == Kernel::ALL { Kernel::V6_12 } else { kernels[0] };
    let lab = Lab::open(&[kernel], hook, lower, None)?;
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
    hook: String,
    lower: Vec<Lower>,
    /// More words for the guests.
    words: String,
}

impl Lab {
    fn open(kernels: &[Kernel], hook: &str, lower: &[Lower], script: Option<&str>) -> Result<Self> {
        qemu::check()?;
        if !HOOKS.contains(&hook) {
            bail!("`{hook}` is not a hook: {}", HOOKS.join(", "));
        }
        let directory = shell::target().join("vm");
        let images = kernels::fetch(kernels, &directory)?;
        Ok(Self {
            images,
            shared: suite::archive(hook, script)?,
            hook: hook.to_owned(),
            lower: lower.to_vec(),
            words: String::new(),
            directory,
        })
    }

    /// A guest of this kernel, its archive written.
    fn guest<'a>(&self, image: &'a Image, mode: &'a str) -> Result<Guest<'a>> {
        let initramfs = self.directory.join(format!("{}.cpio", image.release));
        let mut bytes = self.shared.clone();
        let mut modules: Vec<&str> = self.lower.iter().flat_map(|lower| lower.modules()).copied().collect();
        if self.hook == "kmod" {
            // For disks that fail, what tmpfs has not, and what is stacked.
            modules.extend(["loop", "dm_mod", "ext4", "overlay"]);
        }
        bytes.extend(suite::modules(image, &modules)?);
        if self.hook == "kmod" {
            bytes.extend(suite::disk(image)?);
            bytes.extend(suite::module(&module::build(image, &self.directory)?)?);
        }
        write(&initramfs, &bytes)?;
        println!("\n{}", image.release);
        let (mut disks, mut lower) = (Vec::new(), Vec::new());
        for kind in &self.lower {
            let disk = kind.disk(&self.directory)?;
            let device = disk.as_ref().map(|_| format!(":/dev/vd{}", char::from(b'a' + disks.len() as u8)));
            lower.push(format!("{}{}", kind.name(), device.unwrap_or_default()));
            disks.extend(disk);
        }
        let words = format!("boesfs.hook={} boesfs.lower={} {}", self.hook, lower.join(","), self.words);
        let (machine, console) = (Machine::Usual, self.console(image));
        Ok(Guest { machine, disks, words, kernel: &image.vmlinuz, initramfs, mode, console })
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
