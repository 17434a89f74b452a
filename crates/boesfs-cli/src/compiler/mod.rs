//! The subcommands of `boesfsc`, one module each, and what they share.
//!
//! In: a command line. Out: files, text, and an exit status: 0 fine, 1 the policy has errors, 2 usage, 4 everything
//! else. Holds: an output file is whole or not there; diagnostics and progress never mix with output.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::tables::Packed;
use boesfs_lang::check::{self, Checked, Rejected};
use boesfs_lang::diag::{Diagnostic, json};
use boesfs_lang::policy::Policy;
use boesfs_lang::source::SourceMap;
use boesfs_runtime::policy::LoadedPolicy;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::causes::with_causes;
use crate::load::{self, LoadError, Setting};
use names::Mapping;
use progress::Progress;
use values::{Define, Limit};

pub mod compile;
pub mod disasm;
pub mod dump;
pub mod explain;
mod listing;
pub mod names;
mod output;
pub mod progress;
pub mod stats;
pub mod values;

/// How diagnostics are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people, on standard error.
    #[default]
    Human,
    /// One JSON object on standard output.
    Json,
}

/// A policy, and what it is checked with.
#[derive(clap::Args, Debug)]
pub struct Source {
    /// The policy, or `-` for standard input (which then cannot include files).
    pub policy: PathBuf,
    /// What it is checked with.
    #[command(flatten)]
    pub options: Options,
}

/// What a policy is checked with.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Give the let NAME another value, which stands for itself, wildcards and all.
    #[arg(short = 'D', long = "define", value_name = "NAME=VALUE",
          value_parser = OsStringValueParser::new().try_map(Define::parse))]
    pub define: Vec<Define>,
    /// Take the numbers of user and group names from FILE: lines `user alice 1000`, `group www-data 33`.
    #[arg(long, value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// Take the numbers of user and group names from this machine.
    #[arg(long)]
    pub system_users: bool,
    /// Raise or lower limits: states, edges, glob-states, glob-places, chain, conditions, classes, cells.
    #[arg(long, value_name = "NAME=NUMBER,..", value_delimiter = ',')]
    pub limits: Vec<Limit>,
}

/// Why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The policy has errors.
    #[error("the policy has errors")]
    Policy {
        /// The errors, and warnings.
        diagnostics: Vec<Diagnostic>,
        /// The texts they point into.
        sources: Box<SourceMap>,
    },
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Something else: files, the machine, a mistake in the compiler.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        match error {
            LoadError::Rejected(rejected) => {
                let Rejected { diagnostics, sources } = *rejected;
                Failure::Policy { diagnostics, sources: Box::new(sources) }
            }
            other => Failure::Other(other.into()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Other(error.into())
    }
}

/// Ends a command: shows why it failed, if it did, and gives the exit status.
#[must_use]
pub fn finish(result: Result<(), Failure>, format: Format) -> ExitCode {
    let status = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Policy { diagnostics, sources }) => show(&sources, &diagnostics, format).map_or(4, |()| 1),
        Err(Failure::Usage(why)) => {
            eprintln!("boesfsc: {why}");
            2
        }
        // Whoever reads the output has had enough: no reason to complain.
        Err(Failure::Other(error)) if is_broken_pipe(&error) => return ExitCode::SUCCESS,
        Err(Failure::Other(error)) => {
            eprintln!("boesfsc: {}", with_causes(error.as_ref()));
            4
        }
    };
    ExitCode::from(status)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Shows diagnostics, in JSON also where there are none.
fn show(sources: &SourceMap, diagnostics: &[Diagnostic], format: Format) -> io::Result<()> {
    match format {
        Format::Human => {
            load::show(sources, diagnostics);
            Ok(())
        }
        Format::Json => writeln!(io::stdout(), "{}", json::render(sources, diagnostics)),
    }
}

impl Source {
    /// Whether it is an object, not a source.
    fn is_object(&self) -> bool {
        // An error is told by whoever reads it.
        self.policy.as_os_str() != "-" && load::is_object(&self.policy).unwrap_or(false)
    }

    /// Reads the object.
    fn object(&self) -> Result<LoadedPolicy, Failure> {
        let names = Mapping::new(None, false)?;
        let defines: Vec<check::Define> = self.options.define.iter().map(|define| define.0.clone()).collect();
        let setting = Setting { names: &names, defines: &defines, limits: check::Limits::default() };
        let object = load::object(&self.policy, &setting)?;
        Ok(LoadedPolicy::new(object).map_err(anyhow::Error::from)?)
    }

    /// Reads and checks the policy.
    fn check(&self, progress: &Progress) -> Result<Checked, Failure> {
        progress.stage("checking");
        let names = Mapping::new(self.options.users.as_deref(), self.options.system_users)?;
        let defines: Vec<check::Define> = self.options.define.iter().map(|define| define.0.clone()).collect();
        let mut limits = check::Limits::default();
        for Limit { name, value } in &self.options.limits {
            if *name == values::LimitName::Classes {
                limits.classes = *value;
            }
        }
        let setting = Setting { names: &names, defines: &defines, limits };
        if self.policy.as_os_str() == "-" {
            let mut text = Vec::new();
            io::Read::read_to_end(&mut io::stdin().lock(), &mut text)?;
            let input = check::Input { names: &names, defines: &defines, limits, ..check::Input::new("stdin", &text) };
            return check::check(&input).map_err(|rejected| LoadError::Rejected(Box::new(rejected)).into());
        }
        Ok(load::source(&self.policy, &setting)?)
    }

    /// The limits of the automaton.
    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for limit in &self.options.limits {
            limit.apply(&mut limits);
        }
        limits
    }

    /// Makes the packed automaton of the checked policy.
    fn tables(&self, policy: &Policy, progress: &Progress) -> Result<Packed, Failure> {
        progress.stage("making the automaton");
        Ok(load::tables(policy, &self.limits())?)
    }
}
