//! `doctor`: what this machine can do.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use boesfs_runtime::doctor::{Report, examine};
use clap::{Args, ValueEnum};

/// Tell what this machine can do, hook by hook, and why not.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 if some hook can be used, 1 if none can.")]
pub struct DoctorArgs {
    /// For people, or for machines
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

/// Shows the report.
#[must_use]
pub fn doctor(args: &DoctorArgs) -> ExitCode {
    let report = examine();
    let text = match args.format {
        Format::Human => human(&report),
        Format::Json => match serde_json::to_string_pretty(&report) {
            Ok(json) => json + "\n",
            Err(error) => {
                eprintln!("boesfs: {error}");
                return ExitCode::from(4);
            }
        },
    };
    // A reader that went away wants no more.
    let _ = io::stdout().write_all(text.as_bytes());
    if report.usable() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn human(report: &Report) -> String {
    let mut text = format!("Linux {}\n", report.kernel);
    for hook in &report.hooks {
        let state = if hook.usable { "yes" } else { "no" };
        // Writing to a String does not fail.
        let _ = writeln!(text, "\n{}: {state}\n  {}", hook.name, hook.about);
        for check in &hook.checks {
            let mark = match (check.ok, check.optional) {
                (true, _) => "ok",
                (false, true) => "--",
                (false, false) => "no",
            };
            let _ = writeln!(text, "  {mark}  {}: {}", check.what, check.found);
            if let Some(help) = check.help {
                let _ = writeln!(text, "      -> {help}");
            }
        }
    }
    text
}
