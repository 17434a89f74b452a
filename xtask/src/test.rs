//! The one command that checks everything: `cargo xtask test`.

use std::time::Instant;

use anyhow::Result;
use boesfs_runtime::hook::Hook;
use clap::Args;

use crate::shell::{self, cargo, command};
use crate::tally::Tally;
use crate::vm::{self, Kernel, Lower, Summary};
use crate::{docs, fuzz, setup};

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Install nothing: the machine has what is needed.
    #[arg(long)]
    no_setup: bool,
    /// Run the lab on every kernel that it knows, not only on 6.12 and the newest.
    #[arg(long)]
    all_kernels: bool,
    /// Leave out the lab: what needs other kernels than this machine's.
    #[arg(long, conflicts_with = "all_kernels")]
    no_vm: bool,
}

/// Runs every check and stops at the first that fails.
///
/// # Errors
/// A check failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    if !options.no_setup {
        setup::run(&setup::Options::default())?;
    }
    let cargo = cargo();
    shell::run(&mut command(&cargo, &["fmt", "--all", "--check"]))?;
    shell::run(&mut command(&cargo, &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    shell::run(command(&cargo, &["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    docs::check()?;

    let mut tally = Tally::default();
    let nextest = shell::succeeds(&mut command(&cargo, &["nextest", "--version"]));
    let runner: &[&str] = if nextest { &["nextest", "run", "--no-fail-fast"] } else { &["test", "--no-fail-fast"] };
    let kinds: &[&str] = if nextest { &["--all-targets"] } else { &["--lib", "--bins", "--tests", "--examples"] };
    let tests = [runner, &["--workspace", "--locked"], kinds].concat();
    let doc_tests = ["test", "--workspace", "--locked", "--doc"];
    for args in [tests.as_slice(), &doc_tests] {
        let done = shell::run_lines(&mut command(&cargo, args), |line| tally.read(line));
        if done.is_err() {
            println!("{tally}");
            return done;
        }
    }
    fuzz::run(&fuzz::Options::smoke())?;
    if options.no_vm {
        println!("\n{tally}; without the lab, finished in {:.0}s", start.elapsed().as_secs_f64());
        return Ok(());
    }
    let lab = lab(if options.all_kernels { &Kernel::ALL } else { &[Kernel::V6_12, Kernel::Newest] });
    println!("\n{tally}");
    for summary in lab? {
        println!("{summary}");
    }
    println!("finished in {:.0}s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The lab on these kernels, with each hook of this build that the kernel can have. On all kernels: every test. Else those that an
/// emulated machine is done with in minutes; the others are for `cargo xtask vm`, and what needs no guest has been run on this machine.
fn lab(kernels: &[Kernel]) -> Result<Vec<Summary>> {
    let mut summaries = Vec::new();
    let whole = kernels == Kernel::ALL;
    for hook in Hook::ALL {
        // The module is built for the kernels that it is written for.
        let of_module = |kernel: &Kernel| [Kernel::V6_12, Kernel::Newest].contains(kernel);
        let kernels: Vec<Kernel> = kernels.iter().copied().filter(|k| hook != Hook::Kmod || of_module(k)).collect();
        let lower: &[Lower] = match hook {
            Hook::Kmod => &[Lower::Tmpfs, Lower::Ext4],
            // The tmpfs of 6.1 keeps no attributes of users.
            _ if whole => &[Lower::Ext4],
            _ => &[Lower::Tmpfs],
        };
        let only = if whole { Vec::new() } else { quick(hook) };
        let plan = vm::Plan { kernels: &kernels, hook: hook.name(), lower, only: &only, stress: None };
        summaries.push(vm::run(&plan)?);
    }
    Ok(summaries)
}

/// The tests of a hook that a guest is done with in minutes.
fn quick(hook: Hook) -> Vec<String> {
    let names: &[&str] = match hook {
        Hook::Fuse => &["machine", "kernel", "agree", "exec", "doctor", "stress"],
        Hook::Lsm => &[
            "lsm/exec",
            "lsm/again",
            "lsm/gates",
            "lsm/outside",
            "lsm/ways",
            "lsm/roles",
            "lsm/classes",
            "lsm/bpftool",
            "real",
            "bypass",
            "stress",
        ],
        Hook::Kmod => &[
            "kmod/original",
            "kmod/auto",
            "kmod/roles",
            "kmod/known",
            "kmod/refused",
            "kmod/lost",
            "kmod/versions",
            "kmod/compat",
            "kmod/names",
            "kmod/descriptor",
            "kmod/rebind",
            "kmod/hung",
            "kmod/atomic",
            "kmod/faults",
            "kmod/transparent",
            "kmod/chaos",
            "kmod/bpftool",
            "kmod/pjdfstest",
            "real",
            "bypass",
            "stress",
        ],
    };
    names.iter().copied().map(str::to_owned).collect()
}
