//! `compile` and `check`.

use std::path::{Path, PathBuf};

use boesfs_codegen::manifest::Manifest;
use boesfs_codegen::object;
use boesfs_lang::check::Checked;
use boesfs_lang::diag::{Code, Diagnostic, Severity};
use boesfs_lang::policy::Policy;
use boesfs_runtime::hook::Hook;

use super::progress::Progress;
use super::{Failure, Format, Source, output, show};
use crate::hooks;
use crate::load::LoadError;

/// What a policy must hold up to.
#[derive(clap::Args, Debug)]
pub struct Demands {
    /// Refuse rules that this hook cannot enforce as written.
    #[arg(long, value_name = "HOOK", value_parser = hooks::named())]
    hook: Vec<Hook>,
    /// Only warn of what a hook cannot enforce.
    #[arg(long, requires = "hook")]
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
    /// What it must hold up to.
    #[command(flatten)]
    pub demands: Demands,
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
    let bytes = build(&options.source, &options.demands)?;
    output::write(&output, &bytes)?;
    Ok(())
}

/// Checks a policy in every way that compiling does, and writes nothing.
///
/// # Errors
/// See [`Failure`].
pub fn check(options: &Check) -> Result<(), Failure> {
    build(&options.source, &options.demands).map(drop)
}

fn output_path(options: &Compile) -> PathBuf {
    options.output.clone().unwrap_or_else(|| match options.source.policy.file_name() {
        Some(name) if name != "-" => Path::new(name).with_extension("o"),
        _ => PathBuf::from("-"),
    })
}

fn build(source: &Source, demands: &Demands) -> Result<Vec<u8>, Failure> {
    let progress = Progress::start();
    let Checked { policy, mut warnings } = source.check(&progress)?;
    let packed = source.tables(&policy, &progress)?;
    progress.stage("writing the object");
    warnings.extend(losses(&policy, &Manifest::new(&policy, packed.sizes), demands));
    if warnings.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(Failure::Policy { diagnostics: warnings, sources: Box::new(policy.sources) });
    }
    let bytes = object::build(&policy, &packed).map_err(LoadError::from)?;
    drop(progress);
    show(&policy.sources, &warnings, demands.format)?;
    Ok(bytes)
}

/// What the hooks that are asked for cannot enforce.
fn losses(policy: &Policy, manifest: &Manifest, demands: &Demands) -> Vec<Diagnostic> {
    let severity = if demands.best_effort { Severity::Warning } else { Severity::Error };
    let losses = demands.hook.iter().flat_map(|hook| hook.losses(manifest).into_iter().map(move |loss| (hook, loss)));
    losses
        .map(|(hook, loss)| {
            let message = format!("the {hook} hook {}", loss.what);
            let diagnostic = Diagnostic::error(Code::NotEnforceable, message).help(loss.what.help());
            let diagnostic = match loss.rule {
                Some(rule) => diagnostic.at(policy.rule(rule).span, "not enforced as written"),
                None => diagnostic,
            };
            Diagnostic { severity, ..diagnostic }
        })
        .collect()
}
