//! `dump`: what each stage of the compiler makes of a policy.

use std::fmt::Write as _;

use boesfs_codegen::bpf::disasm::listing;
use boesfs_codegen::{automaton, object};
use boesfs_lang::diag::{Code, Diagnostic};
use boesfs_lang::source::{FileId, SourceMap};
use boesfs_lang::syntax::{lexer, parser};

use super::progress::Progress;
use super::{Failure, Source, output};
use crate::load::{self, LoadError};

/// A stage of the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Stage {
    /// The words of the file, with line and column.
    Tokens,
    /// Its syntax tree.
    Ast,
    /// The checked policy, includes and lets filled in.
    Policy,
    /// The automaton over path components.
    Automaton,
    /// The programs, below the policy lines they come from.
    Asm,
    /// The packed tables.
    Tables,
}

/// Options of `dump`.
#[derive(clap::Args, Debug)]
pub struct Dump {
    /// The policy.
    #[command(flatten)]
    source: Source,
    /// The stage whose result is printed.
    #[arg(long, value_enum, default_value_t = Stage::Policy)]
    stage: Stage,
    /// Print the automaton as a graph for Graphviz instead.
    #[arg(long, conflicts_with = "stage")]
    dot: bool,
}

/// Prints what a stage makes of a policy.
///
/// # Errors
/// See [`Failure`].
pub fn dump(options: &Dump) -> Result<(), Failure> {
    let source = &options.source;
    if !options.dot && matches!(options.stage, Stage::Tokens | Stage::Ast) {
        return Ok(output::print(&syntax(source, options.stage)?)?);
    }
    let progress = Progress::start();
    let policy = source.check(&progress)?.policy;
    let text = match options.stage {
        _ if options.dot => lower(source, &policy)?.to_dot(&policy),
        Stage::Automaton => lower(source, &policy)?.to_text(&policy),
        Stage::Tables => super::listing::tables(&source.tables(&policy, &progress)?.tables),
        Stage::Asm => {
            let packed = source.tables(&policy, &progress)?;
            let bytes = object::build(&policy, &packed).map_err(LoadError::from)?;
            listing(&object::read(&bytes).map_err(anyhow::Error::from)?.program)
        }
        Stage::Policy | Stage::Tokens | Stage::Ast => super::listing::policy(&policy),
    };
    drop(progress);
    Ok(output::print(&text)?)
}

fn lower(source: &Source, policy: &boesfs_lang::policy::Policy) -> Result<automaton::Automaton, Failure> {
    // The same limits and the same message as for tables.
    automaton::lower(policy, &source.limits()).map_err(|too_big| load::too_big(policy, &too_big).into())
}

/// The words or the syntax tree of the main file alone.
fn syntax(source: &Source, stage: Stage) -> Result<String, Failure> {
    let bytes = load::read(&source.policy)?;
    let name = source.policy.file_name().unwrap_or(source.policy.as_os_str()).to_string_lossy();
    let mut sources = SourceMap::default();
    let Ok(text) = String::from_utf8(bytes) else {
        let diagnostics = vec![Diagnostic::error(Code::NotUtf8, format!("`{name}` is not UTF-8"))];
        return Err(Failure::Policy { diagnostics, sources: Box::new(sources) });
    };
    let file: FileId = sources.add(name, text.as_str());
    let lexed = lexer::lex(file, &text);
    if stage == Stage::Ast {
        let parsed = parser::parse(file, &text, lexed);
        if !parsed.diagnostics.is_empty() {
            return Err(Failure::Policy { diagnostics: parsed.diagnostics, sources: Box::new(sources) });
        }
        return Ok(format!("{:#?}\n", parsed.ast.items));
    }
    let mut out = String::new();
    for token in lexed.tokens {
        let (line, column) = sources.file(file).line_col(token.start);
        let word = &text[token.start as usize..token.end as usize];
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{line}:{column}\t{:?}\t{word}", token.kind);
    }
    Ok(out)
}
