//! `compile` and `check`.

use std::path::{Path, PathBuf};

use boesfs_codegen::manifest::Manifest;
use boesfs_codegen::object::{self, Programs};
use boesfs_lang::check::Checked;
use boesfs_lang::diag::{Code, Diagnostic, Severity};
use boesfs_lang::policy::Policy;
use boesfs_runtime::hook::{Hook, Loss};

use super::progress::Progress;
use super::{Failure, Format, Source, output, show};
use crate::hooks;
use crate::load::LoadError;

/// The options that name a hook which must be able to enforce the policy.
const NAMES_HOOK: &str = "names-hook";

/// What a policy must hold up to.
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new(NAMES_HOOK).multiple(true))]
pub struct Demands {
    /// Refuse rules that this hook cannot enforce as written.
    #[arg(long, value_name = "HOOK", value_parser = hooks::named(), group = NAMES_HOOK)]
    hook: Vec<Hook>,
    /// Only warn of what a hook cannot enforce.
    #[arg(long, requires = NAMES_HOOK)]
    best_effort: bool,
    /// How diagnostics are shown.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Options of `compile`.
#[derive(clap::Args, Debug)]
pub struct Compile {
    /// The policy.
    #[command(flatten)]
    source: Source,
    /// Where the object goes; `-` is standard output [default: the policy's name with .o, in this folder].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write an object for loaders that load and attach all that is in it, such as `bpftool prog loadall notes.o DIRECTORY autoattach`:
    /// with the programs of this hook alone, for Linux 6.12 and later. Rules that the hook cannot enforce are refused, as with --hook.
    #[arg(long, value_name = "HOOK", value_enum, group = NAMES_HOOK)]
    autoload: Option<Autoload>,
    /// What it must hold up to.
    #[command(flatten)]
    pub demands: Demands,
}

/// A hook whose programs can be loaded by who does not choose among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Autoload {
    /// BPF LSM programs.
    Lsm,
}

impl Autoload {
    fn hook(self) -> Hook {
        match self {
            Autoload::Lsm => Hook::Lsm,
        }
    }

    fn programs(self) -> Programs {
        match self {
            Autoload::Lsm => Programs::AutoloadLsm,
        }
    }
}

/// Options of `check`.
#[derive(clap::Args, Debug)]
pub struct Check {
    /// The policy.
    #[command(flatten)]
    source: Source,
    /// What it must hold up to.
    #[command(flatten)]
    pub demands: Demands,
}

/// Compiles a policy to an object.
///
/// # Errors
/// See [`Failure`].
pub fn compile(options: &Compile) -> Result<(), Failure> {
    let output = output_path(options);
    if options.demands.format == Format::Json && output.as_os_str() == "-" {
        let message = "standard output cannot take both the object and --format json: name a file by -o";
        return Err(Failure::Usage(message.into()));
    }
    let bytes = build(&options.source, &options.demands, options.autoload)?;
    output::write(&output, &bytes)?;
    Ok(())
}

/// Checks a policy in every way that compiling does, and writes nothing.
///
/// # Errors
/// See [`Failure`].
pub fn check(options: &Check) -> Result<(), Failure> {
    build(&options.source, &options.demands, None).map(drop)
}

fn output_path(options: &Compile) -> PathBuf {
    options.output.clone().unwrap_or_else(|| match options.source.policy.file_name() {
        Some(name) if name != "-" => Path::new(name).with_extension("o"),
        _ => PathBuf::from("-"),
    })
}

fn build(source: &Source, demands: &Demands, autoload: Option<Autoload>) -> Result<Vec<u8>, Failure> {
    let progress = Progress::start();
    let Checked { policy, mut warnings } = source.check(&progress)?;
    let packed = source.tables(&policy, &progress)?;
    progress.stage("writing the object");
    let of_object = autoload.map(Autoload::hook).filter(|hook| !demands.hook.contains(hook));
    let hooks = demands.hook.iter().copied().chain(of_object);
    let manifest = Manifest::new(&policy, packed.sizes);
    let severity = if demands.best_effort { Severity::Warning } else { Severity::Error };
    warnings.extend(hooks.flat_map(|hook| losses(&policy, &manifest, hook, severity)));
    if warnings.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(Failure::Policy { diagnostics: warnings, sources: Box::new(policy.sources) });
    }
    let programs = autoload.map(Autoload::programs).unwrap_or_default();
    let bytes = object::build_with(&policy, &packed, programs).map_err(LoadError::from)?;
    drop(progress);
    show(&policy.sources, &warnings, demands.format)?;
    Ok(bytes)
}

/// What the hook cannot enforce.
fn losses(policy: &Policy, manifest: &Manifest, hook: Hook, severity: Severity) -> Vec<Diagnostic> {
    let told = |loss: Loss| {
        let message = format!("the {hook} hook {}", loss.what);
        let diagnostic = Diagnostic::error(Code::NotEnforceable, message).help(loss.what.help());
        let diagnostic = match loss.rule {
            Some(rule) => diagnostic.at(policy.rule(rule).span, "not enforced as written"),
            None => diagnostic,
        };
        Diagnostic { severity, ..diagnostic }
    };
    hook.losses(manifest).into_iter().map(told).collect()
}
