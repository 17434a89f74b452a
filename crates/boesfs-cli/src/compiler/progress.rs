//! A sign of life on the terminal while a large policy compiles.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a command stays silent: most policies are done before.
const SILENT: Duration = Duration::from_millis(400);
const TICK: Duration = Duration::from_millis(100);

/// Shows the current stage until it is dropped; nothing where standard error is no terminal.
#[derive(Debug)]
pub struct Progress(Option<(Sender<&'static str>, JoinHandle<()>)>);

impl Progress {
    /// Begins.
    #[must_use]
    pub fn start() -> Progress {
        if !io::stderr().is_terminal() {
            return Progress(None);
        }
        let (stages, news) = mpsc::channel();
        let shown = thread::spawn(move || {
            let began = Instant::now();
            let mut stage = "";
            let mut visible = false;
            loop {
                match news.recv_timeout(TICK) {
                    Ok(next) => stage = next,
                    Err(RecvTimeoutError::Timeout) if began.elapsed() > SILENT => {
                        visible = true;
                        eprint!("\r\x1b[K{stage} .. {:.1} s", began.elapsed().as_secs_f32());
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            if visible {
                eprint!("\r\x1b[K");
                // A terminal that has gone away does not matter here.
                let _ = io::stderr().flush();
            }
        });
        Progress(Some((stages, shown)))
    }

    /// Names the stage that begins now.
    pub fn stage(&self, stage: &'static str) {
        if let Some((stages, _)) = &self.0 {
            // The receiver lives as long as this sender.
            let _ = stages.send(stage);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stages, shown)) = self.0.take() {
            drop(stages);
            // The line must be gone before anything else is printed.
            let _ = shown.join();
        }
    }
}
