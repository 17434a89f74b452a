//! The actor: a small static program, compiled once, that makes requests with real system calls.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A file of the actor's source.
pub(crate) fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/real").join(file)
}

/// The program: `$BOESFS_ACTOR`, or compiled here.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| std::env::var_os("BOESFS_ACTOR").map_or_else(compile, PathBuf::from))
}

fn compile() -> PathBuf {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("actor");
    // Two runs at once must not write one file.
    let partial = built.with_extension(std::process::id().to_string());
    let sources = ["actor.c", "data.c", "name.c", "meta.c"].map(source);
    let flags = ["-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-static", "-o"];
    let status = Command::new("gcc").args(flags).arg(&partial).args(&sources).status().expect("gcc");
    assert!(status.success(), "the actor does not compile");
    std::fs::rename(&partial, &built).expect("rename the actor");
    built
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The last step's error, 0 for success, and its name.
    Ended(i32, String),
    /// By a signal.
    Killed(i32),
}

/// Runs `command`, an actor in a sandbox or not, on `lines`, and gives what it said of each attempt, by number, and what came on
/// standard error.
///
/// # Panics
/// The command failed, or left out an attempt.
pub(crate) fn run(mut command: Command, lines: &str, count: usize) -> (Vec<Outcome>, String) {
    let shown = format!("{command:?}");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run the actor");
    let mut input = child.stdin.take().expect("a pipe");
    let lines = lines.to_owned();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("wait for the actor");
    let wrote = writer.join().expect("the writer");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && wrote.is_ok(), "{shown}: {}: {said}", output.status);
    let mut outcomes = vec![None; count];
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut words = line.splitn(3, ' ');
        let (id, what, rest) = (words.next(), words.next(), words.next());
        let outcome = match (what, rest) {
            (Some("killed"), Some(signal)) => Outcome::Killed(signal.parse().expect("a signal")),
            (Some(errno), Some(step)) if errno != "broken" => {
                Outcome::Ended(errno.parse().unwrap_or_else(|_| panic!("the actor says {line}")), step.to_owned())
            }
            _ => panic!("the actor says {line}"),
        };
        let id: usize = id.and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("the actor says {line}"));
        assert!(outcomes[id].replace(outcome).is_none(), "the actor speaks twice of attempt {id}");
    }
    let missing = || panic!("the actor is silent about an attempt: {shown}: {said}");
    (outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect(), said)
}
