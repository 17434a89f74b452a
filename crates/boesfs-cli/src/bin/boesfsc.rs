//! `boesfsc`: compiles policies, and shows what is in them. Needs no privileges, no kernel, and no network.

use std::io;
use std::process::ExitCode;

use boesfs_cli::cmd;
use boesfs_cli::compiler::{Failure, Format, compile, disasm, dump, explain, finish, stats};
use clap::{CommandFactory, Parser, Subcommand};

/// Compile file-access policies, check them, and explain what they mean.
#[derive(Parser)]
#[command(name = "boesfsc", version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  boesfsc check notes.bfs
  boesfsc compile notes.bfs -o notes.o --hook fuse
  boesfsc explain notes.bfs --as writer --op write /srv/notes/data/a
  boesfsc dump --dot notes.bfs | dot -Tsvg > notes.svg

Exit status: 0 fine, 1 the policy has errors, 2 usage, 4 anything else.";

#[derive(Subcommand)]
enum Command {
    /// Compile a policy to an object.
    #[command(after_help = "\
Examples:
  boesfsc compile notes.bfs                      writes notes.o
  boesfsc compile notes.bfs -o /etc/boesfs/notes.o --users people
  boesfsc compile agent.bfs -D repo=$PWD --hook fuse --format json
  boesfsc compile notes.bfs --autoload lsm -o notes-lsm.o
                                                 for bpftool prog loadall notes-lsm.o DIRECTORY autoattach
  boesfsc compile big.bfs --limits states=4000000,classes=2048")]
    Compile(compile::Compile),
    /// Check a policy in every way that compiling does, and write nothing.
    #[command(after_help = "\
Examples:
  boesfsc check notes.bfs
  boesfsc check notes.bfs --format json          diagnostics for machines
  boesfsc check notes.bfs --hook fuse            also: can this hook enforce it?")]
    Check(compile::Check),
    /// Explain the answer to a request: the walk, the rules that compete, the one that decides.
    #[command(after_help = "\
Examples:
  boesfsc explain notes.bfs --as writer --op write /srv/notes/data/a
  boesfsc explain notes.bfs --as user:1000 --as group:www-data --op read /etc/shadow
  boesfsc explain notes.bfs --op write --arg size=4096 --arg 'flags=O_WRONLY|O_TRUNC' /srv/notes/quota")]
    Explain(explain::Explain),
    /// Print what a stage of the compiler makes of a policy.
    #[command(after_help = "\
Examples:
  boesfsc dump notes.bfs                         the policy, lets and includes filled in
  boesfsc dump notes.bfs --stage asm             the programs, below the policy's lines
  boesfsc dump notes.bfs --dot | dot -Tsvg > notes.svg")]
    Dump(dump::Dump),
    /// Print the programs of an object, below the policy lines they come from.
    #[command(after_help = "\
Examples:
  boesfsc disasm notes.o")]
    Disasm(disasm::Disasm),
    /// Print how large a policy is, and what it compiles to.
    #[command(after_help = "\
Examples:
  boesfsc stats notes.bfs --time")]
    Stats(stats::Stats),
    /// Print the manual page as roff.
    #[command(hide = true)]
    Man,
}

fn main() -> ExitCode {
    let (result, format) = match Cli::parse().command {
        Command::Compile(options) => (compile::compile(&options), options.demands.format),
        Command::Check(options) => (compile::check(&options), options.demands.format),
        Command::Explain(options) => (explain::explain(&options), Format::Human),
        Command::Dump(options) => (dump::dump(&options), Format::Human),
        Command::Disasm(options) => (disasm::disasm(&options), Format::Human),
        Command::Stats(options) => (stats::stats(&options), Format::Human),
        Command::Man => {
            (cmd::man::write(&Cli::command(), &mut io::stdout().lock()).map_err(Failure::from), Format::Human)
        }
    };
    finish(result, format)
}
