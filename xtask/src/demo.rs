//! `cargo xtask demo`: the function example and its evil twin, under their policy.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{release, shell};

/// The place the demo is played at: short, because it stands in its output.
const HOST: &str = "/tmp/boesfs-demo";

/// Plays the demo.
///
/// # Errors
/// A program could not be run, or the malicious function got away.
pub(crate) fn run() -> Result<()> {
    release::build()?;
    let host = Path::new(HOST);
    let _ = std::fs::remove_dir_all(host);
    for dir in ["resize/code", "resize/in", "resize/out", "billing/code"] {
        std::fs::create_dir_all(host.join(dir)).with_context(|| format!("cannot make {HOST}/{dir}"))?;
    }
    std::fs::write(host.join("resize/in/text"), "to be or not to be")?;
    std::fs::write(host.join("billing/code/key.pem"), "PRIVATE KEY\n")?;
    let good = play(host, "handler.py")?;
    let evil = play(host, "malicious.py")?;
    let _ = std::fs::remove_dir_all(host);
    if good != Some(0) || evil != Some(137) {
        bail!("the function ended with {good:?} and its evil twin with {evil:?}: not as they should");
    }
    Ok(())
}

/// Runs one of the two functions under the policy; returns the exit status.
fn play(host: &Path, function: &str) -> Result<Option<i32>> {
    std::fs::copy(shell::root().join("examples/function").join(function), host.join("resize/code").join(function))?;
    let script = host.join("resize/code").join(function);
    println!(
        "\n$ boesfs exec --clean-env -D functions={HOST} examples/function/function.bfs -- /usr/bin/python3 {}",
        script.display()
    );
    let status = std::process::Command::new(release::binary("boesfs"))
        .args(["exec", "--clean-env", "-D", &format!("functions={HOST}")])
        .arg("examples/function/function.bfs")
        .args(["--", "/usr/bin/python3"])
        .arg(&script)
        .current_dir(shell::root())
        .status()
        .context("cannot run boesfs")?;
    let code = status.code();
    println!("exit status {}", code.map_or_else(|| status.to_string(), |code| code.to_string()));
    Ok(code)
}
