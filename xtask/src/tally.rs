//! Counts tests in the output of cargo-nextest and libtest, for one line at the end.

use std::fmt;

/// Tests run so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Adds what `line` says, if it is a summary.
    pub(crate) fn read(&mut self, line: &str) {
        let line = without_colour(line);
        let line = line.trim_start();
        if !line.starts_with("test result: ") && !line.starts_with("Summary [") {
            return;
        }
        // "12 passed; 0 failed; 1 ignored" and "13 tests run: 12 passed (1 slow), 1 failed, 2 skipped"
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            let Ok(count) = pair[0].parse::<u64>() else { continue };
            match pair[1].trim_end_matches([',', ';', '.']) {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" | "skipped" => self.ignored += count,
                _ => {}
            }
        }
    }
}

fn without_colour(line: &str) -> String {
    let mut plain = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(|end| *end == 'm');
        } else {
            plain.push(c);
        }
    }
    plain
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        write!(f, "test result: {verdict}. {} passed; {} failed; {} ignored", self.passed, self.failed, self.ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_are_counted() {
        let mut tally = Tally::default();
        tally.read("test result: ok. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.1s");
        tally.read(
            "\u{1b}[32;1m     Summary\u{1b}[0m [   0.123s] 30 tests run: 28 passed (2 slow), 2 failed, 3 skipped",
        );
        tally.read("        PASS [   0.004s] 7 passed over the bridge");
        assert_eq!(tally, Tally { passed: 40, failed: 3, ignored: 5 });
        assert_eq!(tally.to_string(), "test result: FAILED. 40 passed; 3 failed; 5 ignored");
    }
}
