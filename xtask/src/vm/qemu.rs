//! Runs a guest in QEMU's software emulation, which needs no privileges and no hardware.
//!
//! The kernel's console is the first serial port and goes to a file; the guest's own lines come on the second one, so
//! that the two never mix.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::report::Report;
use crate::shell::{self, command};

const QEMU: &str = "qemu-system-x86_64";
/// Debian 12's own 7.2 is too old: with its `-cpu max` a guest's cmpxchg16b goes wrong.
const OLDEST: u32 = 8;

/// What kind of machine a guest runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    /// Two processors, every feature that QEMU emulates.
    Usual,
    /// One processor whose clock counts its instructions: the same run gives the same times, to the last digit.
    Counting,
}

/// What a guest is made of.
pub(crate) struct Guest<'a> {
    /// What it runs on.
    pub(crate) machine: Machine,
    /// Files that are its disks, in order: `vda`, `vdb`, ...
    pub(crate) disks: Vec<PathBuf>,
    /// The compressed kernel.
    pub(crate) kernel: &'a Path,
    /// The file with the archives.
    pub(crate) initramfs: PathBuf,
    /// More words for the kernel's command line, which the guest reads.
    pub(crate) words: String,
    /// What the guest is to do: `boesfs.mode` on the kernel's command line.
    pub(crate) mode: &'a str,
    /// Where the kernel's console goes.
    pub(crate) console: PathBuf,
}

/// Checks that there is a QEMU that works.
///
/// # Errors
/// There is none, or it is too old.
pub(crate) fn check() -> Result<()> {
    let banner = shell::output(&mut command(QEMU, &["--version"])).context("run `cargo xtask setup`")?;
    match version(&banner) {
        Some(version) if version >= OLDEST => Ok(()),
        Some(version) => {
            bail!("QEMU {version} is too old\non Debian 12: apt-get install -t bookworm-backports qemu-system-x86")
        }
        None => bail!("`{QEMU} --version` says `{}`", banner.trim()),
    }
}

fn version(banner: &str) -> Option<u32> {
    banner.strip_prefix("QEMU emulator version ")?.split('.').next()?.parse().ok()
}

impl Guest<'_> {
    fn command(&self) -> Command {
        let mut qemu = command(QEMU, &["-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot"]);
        // An emulated machine is slow and unevenly so: no watchdog of the kernel's is to be trusted.
        let mut line = format!("console=ttyS0 loglevel=5 panic=-1 nowatchdog boesfs.mode={} {}", self.mode, self.words);
        match self.machine {
            Machine::Usual => {
                qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1536"]);
            }
            Machine::Counting => {
                // Not `-cpu max`: with its fast string operations, every byte that they move counts.
                qemu.args(["-accel", "tcg,thread=single", "-cpu", "qemu64", "-smp", "1", "-m", "6144"]);
                qemu.args(["-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2026-01-01T00:00:00,clock=vm"]);
                qemu.args(["-nodefaults", "-no-user-config"]);
                line += " nokaslr norandmaps";
            }
        }
        for disk in &self.disks {
            qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio", disk.display()));
        }
        qemu.arg("-kernel").arg(self.kernel).arg("-initrd").arg(&self.initramfs).arg("-append").arg(line);
        qemu
    }

    /// Runs the guest to its end, or for `limit`. Each line that is not empty goes to `talk`, too.
    ///
    /// # Errors
    /// QEMU cannot be run.
    pub(crate) fn run(&self, limit: Duration, talk: impl Fn(&str)) -> Result<Report> {
        let start = Instant::now();
        let mut qemu = self.command();
        qemu.arg("-serial").arg(format!("file:{}", self.console.display())).args(["-serial", "stdio"]);
        let child = qemu.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {QEMU}"))?;
        let mut running = Running(child);
        let (sender, lines) = mpsc::channel();
        let output = running.0.stdout.take().context("QEMU's output")?;
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned()).is_err() {
                    break;
                }
            }
        });
        let mut report = Report::default();
        loop {
            match lines.recv_timeout(limit.saturating_sub(start.elapsed())) {
                Ok(line) if line.is_empty() => {}
                Ok(line) => {
                    report.read(&line);
                    talk(&line);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    talk(&format!("the guest did not end within {} s", limit.as_secs()));
                    break;
                }
            }
        }
        drop(running);
        drop(lines);
        let _ = reader.join();
        let console = fs::read(&self.console).with_context(|| format!("cannot read {}", self.console.display()))?;
        report.read_console(&String::from_utf8_lossy(&console));
        report.took = start.elapsed();
        Ok(report)
    }

    /// Runs the guest with this terminal as its console.
    ///
    /// # Errors
    /// QEMU failed.
    pub(crate) fn attach(&self) -> Result<()> {
        let mut qemu = self.command();
        qemu.args(["-serial", "mon:stdio"]).stdin(Stdio::inherit());
        shell::run(&mut qemu)
    }
}

/// A QEMU that does not outlive its reader.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(version("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright"), Some(10));
        assert_eq!(version("QEMU emulator version 7.2.22"), Some(7));
        assert_eq!(version("something else"), None);
    }
}
