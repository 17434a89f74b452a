//! `reload`: makes a running sandbox read its policy again.

use std::process::ExitCode;

use boesfs_runtime::sandbox::reload;
use clap::Args;
use rustix::process::Pid;

/// Make a running `boesfs exec` read its policy again.
///
/// The agent reads the file that it was started with, with the same -D options. Where the new policy cannot take the place
/// of the old one, that one stays in force, and this says why. Files that are open stay open.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 if the new policy is in force, 1 if the old one stays, 2 for a wrong command line.

Example:
  boesfs reload $(pgrep -x boesfs)")]
pub struct ReloadArgs {
    /// The process number of the `boesfs exec`
    #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    agent: i32,
}

/// Asks, and waits for the answer.
#[must_use]
pub fn reload(args: &ReloadArgs) -> ExitCode {
    let Some(agent) = Pid::from_raw(args.agent) else { return ExitCode::from(2) };
    match reload::request(agent) {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("boesfs: {error}");
            ExitCode::FAILURE
        }
    }
}
