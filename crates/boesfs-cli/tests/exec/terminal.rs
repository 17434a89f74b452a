//! The terminal, and job control on it.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::rig::{Site, Who, out};

#[test]
fn the_terminal_works() {
    let site = Site::new();
    let inner =
        site.exec(Who::Root, &[], &["bash", "-ic", "tty; test -t 0 && echo terminal; sleep 0.1 & wait; echo jobs $?"]);
    let words: Vec<String> = inner.get_args().skip(3).map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let output = Command::new("script")
        .args(["-qec", &words.join(" "), "/dev/null"])
        .current_dir(site.at("work"))
        .stdin(Stdio::null())
        .output()
        .expect("script");
    let text = out(&output);
    assert!(text.contains("/dev/console") && text.contains("terminal") && text.contains("jobs 0"), "{text}");
    assert!(!text.contains("no job control") && !text.contains("cannot set terminal"), "{text}");
}

/// A shell outside of any sandbox, on a terminal of its own, to be typed at.
struct Session {
    child: Child,
    keys: ChildStdin,
    shown: Receiver<Vec<u8>>,
    text: String,
}

impl Session {
    fn new(site: &Site) -> Session {
        let mut child = Command::new("script")
            .args(["-qfc", "bash --norc --noediting -i", "/dev/null"])
            .current_dir(site.at("work"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script");
        let keys = child.stdin.take().expect("piped");
        let mut from = child.stdout.take().expect("piped");
        let (to, shown) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                if to.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Session { child, keys, shown, text: String::new() }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("type");
        self.keys.flush().expect("type");
    }

    /// Waits until `text` is shown, from where the last wait ended.
    fn sees(&mut self, text: &str) {
        let start = Instant::now();
        while !self.text.contains(text) {
            assert!(start.elapsed() < Duration::from_secs(30), "no `{text}` in: {}", self.text);
            if let Ok(bytes) = self.shown.recv_timeout(Duration::from_millis(100)) {
                let _ = write!(self.text, "{}", String::from_utf8_lossy(&bytes));
            }
        }
        let end = self.text.find(text).expect("found") + text.len();
        self.text.drain(..end);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_sandbox_is_a_job_of_the_shell() {
    let site = Site::new();
    let script = "echo $((1+1))-started; while read word; do echo \"got $word\"; done; echo at-the-end";
    let inner = site.exec(Who::Root, &["-q"], &["sh", "-c", script]);
    let words: Vec<String> = inner.get_args().skip(2).map(|word| format!("'{}'", word.to_string_lossy())).collect();
    // Without `timeout`, which would keep the terminal.
    let line = words[1..].join(" ");
    let mut shell = Session::new(&site);
    shell.types(&format!("PS1='ready>'; {line}\n"));
    shell.sees("2-started");
    shell.types("one\n");
    shell.sees("got one");
    // Ctrl-Z: the shell outside has the terminal again, and knows of a stopped job.
    shell.types("\x1a");
    shell.sees("Stopped");
    shell.types("jobs; echo $((20+1))-outside\n");
    shell.sees("Stopped");
    shell.sees("21-outside");
    shell.types("fg\n");
    shell.types("two\n");
    shell.sees("got two");
    shell.types("\x1a");
    shell.sees("Stopped");
    // In the background it is stopped once it reads from the terminal.
    shell.types("bg; sleep 0.5; jobs\n");
    shell.sees("Stopped");
    shell.types("fg\n");
    shell.types("three\n");
    shell.sees("got three");
    // Ctrl-C ends the command, and the shell outside goes on.
    shell.types("\x03");
    shell.sees("ready>");
    shell.types("echo $((129+1))-is $?\n");
    shell.sees("130-is 130");
}
