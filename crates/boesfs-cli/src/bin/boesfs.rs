//! `boesfs`: runs programs under a policy.

use std::io;
use std::process::ExitCode;

use boesfs_cli::cmd;
use clap::{CommandFactory, Parser, Subcommand};

/// Run programs under a file-access policy.
#[derive(Parser)]
#[command(name = "boesfs", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Exec(Box<cmd::exec::ExecArgs>),
    Reload(cmd::reload::ReloadArgs),
    Doctor(cmd::doctor::DoctorArgs),
    Eval(cmd::eval::EvalArgs),

    /// Print the manual page as roff.
    #[command(hide = true)]
    Man,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // As env(1): 2 could be the command's own.
        Err(error) if error.use_stderr() && std::env::args_os().nth(1).is_some_and(|word| word == "exec") => {
            let _ = error.print();
            return ExitCode::from(cmd::exec::SETUP_FAILED);
        }
        Err(error) => error.exit(),
    };
    match cli.command {
        Command::Exec(args) => cmd::exec::exec(*args),
        Command::Reload(args) => cmd::reload::reload(&args),
        Command::Doctor(args) => cmd::doctor::doctor(&args),
        Command::Eval(args) => cmd::eval::eval(&args),
        Command::Man => match cmd::man::write(&Cli::command(), &mut io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("boesfs: {error}");
                ExitCode::from(4)
            }
        },
    }
}
