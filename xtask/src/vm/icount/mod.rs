//! What hooks cost, in instructions: `cargo xtask icount`.
//!
//! Each contestant gets a guest of its own, whose clock counts its instructions, and runs the same operations there as a program
//! without any sandbox does before it. In: the [`contestant`]s. Out: a [`table`] of ratios, which is committed; a ratio that grew
//! is a failure.

mod contestant;
mod table;
mod work;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::kernels::{self, Image, Kernel};
use super::qemu::{self, Guest, Machine};
use super::{module, suite, write};
use crate::shell;
use contestant::{CONTESTANTS, Contestant};
use table::{Row, Table};

/// A guest that takes longer is stuck: each takes half a minute on a machine that has nothing else to do, but for the one with many sandboxes.
const LIMIT: Duration = Duration::from_secs(3600);

/// Options of `cargo xtask icount`.
#[derive(Args)]
pub(crate) struct Options {
    /// Write the results over the committed table, in place of comparing with it.
    #[arg(long)]
    bless: bool,
    /// Only contestants whose name begins so; may be given more than once. The other rows stay as they are.
    #[arg(long)]
    only: Vec<String>,
    /// The kernel; the table has the figures of this one.
    #[arg(long, default_value = "6.12")]
    kernel: String,
}

/// Counts, prints the table, and compares it with the committed one.
///
/// # Errors
/// The lab cannot be set up, a contestant failed, or a ratio grew.
pub(crate) fn run(options: &Options) -> Result<()> {
    qemu::check()?;
    let kernel: Kernel = options.kernel.parse().map_err(anyhow::Error::msg)?;
    let directory = shell::target().join("vm");
    let images = kernels::fetch(&[kernel], &directory)?;
    let [image] = images.as_slice() else { bail!("one kernel at a time") };
    let shared = work::archive()?;
    let path = shell::root().join("docs/cost.txt");
    let committed = Table::parse(&fs::read_to_string(&path).unwrap_or_default())?;
    let mut measured = Table::new(&image.release);
    let chosen = |contestant: &&Contestant| {
        options.only.is_empty() || options.only.iter().any(|name| contestant.name.starts_with(name.as_str()))
    };
    for contestant in CONTESTANTS.iter().filter(|contestant| contestant.is_here()).filter(chosen) {
        let rows = count(contestant, image, &shared, &directory)?;
        measured.add(contestant.name, &rows)?;
        println!("{}", measured.line(contestant.name));
    }
    println!("\n{measured}");
    if options.bless {
        return write(&path, committed.renewed(&measured).to_string().as_bytes());
    }
    let grown = measured.grown_over(&committed);
    if !grown.is_empty() {
        bail!("{}\nif that is meant to be: cargo xtask icount --bless", grown.join("\n"));
    }
    Ok(())
}

/// Runs a contestant's guest.
fn count(contestant: &Contestant, image: &Image, shared: &[u8], directory: &std::path::Path) -> Result<Vec<Row>> {
    let (initramfs, console): (PathBuf, PathBuf) = (directory.join("icount.cpio"), directory.join("icount.log"));
    let mut bytes = shared.to_vec();
    bytes.extend(suite::modules(image, contestant.modules)?);
    if contestant.hook == Some("kmod") {
        bytes.extend(suite::module(&module::build(image, directory)?)?);
    }
    bytes.extend(work::script(contestant)?);
    write(&initramfs, &bytes)?;
    let guest = Guest {
        machine: Machine::Counting,
        disks: Vec::new(),
        words: String::new(),
        kernel: &image.vmlinuz,
        initramfs,
        mode: "command",
        console: console.clone(),
    };
    eprintln!("icount: {}", contestant.name);
    let rows = std::cell::RefCell::new(Vec::new());
    let talk = std::cell::RefCell::new(Vec::new());
    let report = guest.run(LIMIT, |line| {
        talk.borrow_mut().push(line.to_owned());
        rows.borrow_mut().extend(Row::parse(line));
    })?;
    let faults = report.faults(&image.release, &[]);
    if !faults.is_empty() {
        let said = talk.borrow().join("\n");
        bail!("{}: {}\n{said}\nits console: {}", contestant.name, faults.join(", "), console.display());
    }
    let rows = rows.into_inner();
    if rows.is_empty() {
        return Err(anyhow::anyhow!(talk.into_inner().join("\n"))).context("the guest counted nothing");
    }
    Ok(rows)
}
