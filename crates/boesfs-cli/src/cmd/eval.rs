//! `eval`: answers a batch of requests, a line of JSON each.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use boesfs_codegen::automaton;
use boesfs_codegen::pack::compile;
use boesfs_lang::check::{Define, Limits};
use boesfs_lang::subjects::Subjects;
use boesfs_runtime::engine::{Engine, Kernel, Meaning, Places, Summary, Walker, run};
use boesfs_runtime::kernel::KernelChecker;
use boesfs_runtime::policy::LoadedPolicy;
use clap::{Args, ValueEnum};

use crate::causes::with_causes;
use crate::load::{self, LoadError, Setting, SystemNames};

/// Exit status: a request could not be answered, or the policy has errors.
const WRONG: u8 = 1;
/// Exit status: reading, writing or the engine failed.
const FAILED: u8 = 4;

/// Answer requests under a policy, without touching any file.
///
/// Reads a JSON object a line from standard input and writes one a line to standard output, in the same order.
#[derive(Debug, Args)]
#[command(after_help = "\
Request:  {\"op\":\"write\",\"path\":\"/a/b\",\"roles\":[\"writer\"],\"args\":{\"size\":4096}}
Answer:   {\"effect\":\"deny\",\"audit\":false,\"rule\":{\"file\":\"p.bfs\",\"line\":7}}

In place of roles: \"user\", \"group\" (one or a list) and \"exe\", of which the roles follow; none of them: no role.
Users and groups are numbers, or names that the policy uses. A path that is not UTF-8 is given as \"path_bytes\",
in hexadecimal (\"exe_bytes\" likewise). \"id\" comes back with the answer. Where no rule decided, \"rule\" is null, and
\"cause\" says why: \"default\", \"not-granted\" (no rule allows this operation to these roles anywhere) or \"no-class\"
(the subject's roles may not be held at once). What cannot be answered gives {\"error\":...} in its place.

Exit status: 0 if every request was answered, 1 if one was not or the policy has errors, 4 if reading, also
an object that is none, writing or the engine failed.

Examples:
  echo '{\"op\":\"read\",\"path\":\"/etc/shadow\",\"user\":1000}' | boesfs eval agent.bfs
  boesfs eval --engine kernel policy.o < requests.jsonl > answers.jsonl")]
pub struct EvalArgs {
    /// Who answers
    #[arg(long, value_enum, default_value_t = EngineChoice::Vm)]
    engine: EngineChoice,

    /// Give a `let` of the policy another value
    #[arg(short = 'D', value_name = "NAME=VALUE", value_parser = define)]
    define: Vec<Define>,

    /// The policy: source (.bfs) or object (.o)
    policy: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EngineChoice {
    /// The definition of the language; slow; needs source
    Eval,
    /// The tables of the object, walked; needs source
    Automaton,
    /// The programs of the object, in the user-space VM
    Vm,
    /// The programs of the object, in the kernel; needs CAP_BPF and CAP_PERFMON
    Kernel,
}

fn define(text: &str) -> Result<Define, String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok(Define { name: name.to_owned(), value: value.into() })
}

/// Runs the subcommand.
#[must_use]
pub fn eval(args: &EvalArgs) -> ExitCode {
    match try_eval(args, &mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(Summary { failed: 0, .. }) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(WRONG),
        Err(error) => match error.downcast_ref::<LoadError>() {
            Some(error) => {
                error.show("boesfs");
                ExitCode::from(if matches!(error, LoadError::Rejected(_)) { WRONG } else { FAILED })
            }
            None => {
                eprintln!("boesfs: {}", with_causes(error.as_ref()));
                ExitCode::from(FAILED)
            }
        },
    }
}

fn try_eval(args: &EvalArgs, input: &mut dyn Read, output: &mut dyn Write) -> Result<Summary> {
    let setting = Setting { names: &SystemNames, defines: &args.define, limits: Limits::default() };
    let mut answer = |engine: &dyn Engine, subjects: &Subjects, places: &Places| -> Result<Summary> {
        let mut input = BufReader::with_capacity(1 << 16, &mut *input);
        let mut output = BufWriter::with_capacity(1 << 16, &mut *output);
        let summary = run(engine, subjects, places, &mut input, &mut output).context("answering the requests")?;
        output.flush().context("writing the answers")?;
        Ok(summary)
    };
    match args.engine {
        EngineChoice::Eval | EngineChoice::Automaton => {
            let read = |source| LoadError::Read { path: args.policy.clone(), source };
            if load::is_object(&args.policy).map_err(read)? {
                bail!(
                    "the engines `eval` and `automaton` need the policy's source, and {} is an object",
                    args.policy.display()
                );
            }
            let policy = load::source(&args.policy, &setting)?.policy;
            let places = Places::from(&policy);
            if args.engine == EngineChoice::Eval {
                return answer(&Meaning(&policy), &policy.subjects, &places);
            }
            let limits = automaton::Limits::default();
            let packed = compile(&policy, &limits).map_err(|error| load::too_big(&policy, &error))?;
            answer(&Walker(&packed), &policy.subjects, &places)
        }
        EngineChoice::Vm => {
            let policy = LoadedPolicy::new(load::object(&args.policy, &setting)?)?;
            let manifest = policy.manifest();
            let summary = answer(&policy, &manifest.subjects, &Places::from(manifest))?;
            match policy.faults() {
                0 => Ok(summary),
                faults => bail!("the programs of {} failed {faults} times, and so refused", args.policy.display()),
            }
        }
        EngineChoice::Kernel => {
            let object = load::object(&args.policy, &setting)?;
            let kernel = KernelChecker::load(&object)?;
            answer(&Kernel(&kernel), &object.manifest.subjects, &Places::from(&object.manifest))
        }
    }
}
