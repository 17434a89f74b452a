//! What a guest says, line by line, and what follows from it.
//!
//! In: the lines of the guest's second serial port, and the kernel's own console. Out: a [`Report`]. A guest that falls
//! silent before its end marker, leaves out a test, or whose kernel complains has failed, whatever else it said.

use std::fmt;
use std::time::Duration;

/// What every line of the protocol starts with; other lines are the guest's own talk.
const MARK: &str = "@vm ";

/// One line of the protocol.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// `begin RELEASE`: the runner is up, on this kernel.
    Begin(&'a str),
    /// `ok NAME`: a test passed.
    Ok(&'a str),
    /// `fail NAME STATUS`: a test failed.
    Fail(&'a str, &'a str),
    /// `end STATUS`: the runner is done.
    End(u8),
}

fn parse(line: &str) -> Option<Line<'_>> {
    let words: Vec<&str> = line.trim_end_matches('\r').strip_prefix(MARK)?.split(' ').collect();
    match words[..] {
        ["begin", release] => Some(Line::Begin(release)),
        ["ok", name] => Some(Line::Ok(name)),
        ["fail", name, status] => Some(Line::Fail(name, status)),
        ["end", status] => Some(Line::End(status.parse().ok()?)),
        _ => None,
    }
}

/// Beginnings of what a kernel says when something is wrong with it. A stall is not among them: the emulator, not
/// the kernel, may have been kept from running.
const COMPLAINTS: &[&str] = &[
    "WARNING: ",
    "BUG: ",
    "Oops",
    "Kernel panic",
    "general protection fault",
    "kernel BUG at",
    "UBSAN: ",
    "KASAN: ",
    "refcount_t: ",
    "stack segment: ",
];

/// The console's lines that are complaints of the kernel.
fn complaints(console: &str) -> Vec<String> {
    let said = console.lines().map(without_time).filter(|line| COMPLAINTS.iter().any(|start| line.starts_with(start)));
    said.map(str::to_owned).collect()
}

/// A console line without its time stamp, `[    1.234567] ` or `[    1.234567][    T1] `.
fn without_time(line: &str) -> &str {
    let mut rest = line.trim();
    while let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        if !inside.trim().trim_start_matches(['T', 'C']).starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
        rest = after.trim_start();
    }
    rest
}

/// A guest's run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// `uname -r` in the guest, empty where it never came up.
    release: String,
    passed: Vec<String>,
    failed: Vec<String>,
    status: Option<u8>,
    complaints: Vec<String>,
    /// Wall time.
    pub(crate) took: Duration,
}

impl Report {
    /// Takes in a line. Gives `true` where it was one of the protocol.
    pub(crate) fn read(&mut self, line: &str) -> bool {
        match parse(line) {
            None => return false,
            Some(Line::Begin(release)) => self.release = release.to_owned(),
            Some(Line::Ok(name)) => self.passed.push(name.to_owned()),
            Some(Line::Fail(name, status)) => self.failed.push(format!("{name} ({status})")),
            Some(Line::End(status)) => self.status = Some(status),
        }
        true
    }

    /// Takes in the kernel's console.
    pub(crate) fn read_console(&mut self, console: &str) {
        self.complaints = complaints(console);
    }

    /// Tests that passed.
    pub(crate) fn passed(&self) -> usize {
        self.passed.len()
    }

    /// Everything that is wrong, one line each: nothing, if the guest ran kernel `release` and passed each of `tests`.
    pub(crate) fn faults(&self, release: &str, tests: &[String]) -> Vec<String> {
        let mut faults: Vec<String> = self.failed.iter().map(|name| format!("failed: {name}")).collect();
        let said = |name: &String| {
            self.passed.contains(name) || self.failed.iter().any(|f| f.starts_with(&format!("{name} ")))
        };
        faults.extend(tests.iter().filter(|name| !said(name)).map(|name| format!("did not run: {name}")));
        match self.status {
            None => faults.push("the guest stopped before its end marker".to_owned()),
            Some(0) => {}
            Some(status) if self.failed.is_empty() => faults.push(format!("the guest ended with status {status}")),
            Some(_) => {}
        }
        if self.status.is_some() && self.release != release {
            faults.push(format!("the guest ran kernel `{}`, not `{release}`", self.release));
        }
        faults.extend(self.complaints.iter().map(|line| format!("the kernel complained: {line}")));
        faults
    }
}

/// The runs of all guests.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Summary {
    /// Tests that passed, over all kernels.
    pub(crate) passed: usize,
    /// Kernels that were run, with their times.
    pub(crate) kernels: Vec<(String, Duration)>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vm: {} tests passed on {} kernels:", self.passed, self.kernels.len())?;
        for (index, (release, took)) in self.kernels.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma} {release} ({:.0}s)", took.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str]) -> Report {
        let mut report = Report::default();
        for line in lines {
            report.read(line);
        }
        report
    }

    fn faults(lines: &[&str]) -> Vec<String> {
        report(lines).faults("6.12.1", &["one".to_owned(), "two".to_owned()])
    }

    #[test]
    fn a_whole_run_has_no_faults() {
        let lines = ["@vm begin 6.12.1\r", "some talk", "@vm ok one", "@vm ok two", "@vm end 0\r"];
        assert_eq!(faults(&lines), [""; 0]);
        assert_eq!(report(&lines).passed(), 2);
    }

    #[test]
    fn silence_is_a_fault() {
        assert_eq!(
            faults(&["@vm begin 6.12.1", "@vm ok one"]),
            ["did not run: two", "the guest stopped before its end marker"]
        );
        assert_eq!(faults(&[]).len(), 3);
    }

    #[test]
    fn a_failed_test_and_a_wrong_kernel_are_faults() {
        let lines = ["@vm begin 6.1.0", "@vm ok one", "@vm fail two 1", "@vm end 1"];
        assert_eq!(faults(&lines), ["failed: two (1)", "the guest ran kernel `6.1.0`, not `6.12.1`"]);
        assert_eq!(
            faults(&["@vm begin 6.12.1", "@vm ok one", "@vm ok two", "@vm end 3"]),
            ["the guest ended with status 3"]
        );
    }

    #[test]
    fn lines_that_only_look_like_the_protocol_are_talk() {
        for line in ["vm ok one", " @vm ok one", "@vm ok", "@vm ok one two", "@vm end", "@vm end x", "@vm end 256"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn kernel_complaints_are_found() {
        let console = "[    0.5] Linux version 6.12\n\
            [    1.000001] ------------[ cut here ]------------\n\
            [    1.000002] WARNING: CPU: 1 PID: 9 at fs/fuse/dir.c:1 fuse_x+0x1/0x2\n\
            [    1.1] fuse: WARNING: not at the start\n\
            [    2.1][   T12] BUG: kernel NULL pointer dereference, address: 0\n\
            [    3.0] Oops: 0002 [#1] PREEMPT SMP\n";
        assert_eq!(complaints(console).len(), 3, "{:?}", complaints(console));
    }
}
