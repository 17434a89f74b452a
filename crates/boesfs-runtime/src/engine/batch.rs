//! A stream of requests: one answer a line, in the same order.

use std::io::{self, BufRead, BufReader, Read, Write};

use boesfs_lang::subjects::Subjects;

use super::answer::{Answer, Failure, Places};
use super::request::{Asked, components, parse};
use super::{Engine, Question};

/// What became of a stream of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that were answered with an error.
    pub failed: u64,
}

/// Answers each line of `input` with a line on `output`. Lines of white space alone are skipped. Before it waits for
/// more input, what is answered is flushed: one can talk with it.
///
/// # Errors
/// Those of `input` and `output`. What is wrong with a request is written in its place, and counted.
pub fn run(
    engine: &dyn Engine,
    subjects: &Subjects,
    places: &Places,
    input: &mut BufReader<impl Read>,
    output: &mut dyn Write,
) -> io::Result<Summary> {
    let mut summary = Summary::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if !input.buffer().contains(&b'\n') {
            output.flush()?;
        }
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(summary);
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match parse(&line, subjects) {
            Err((id, error)) => {
                summary.failed += 1;
                write_line(output, &Failure { id, error: error.to_string() })?;
            }
            Ok(asked) => match answer(engine, &asked, places) {
                Err(error) => {
                    summary.failed += 1;
                    write_line(output, &Failure { id: asked.id, error })?;
                }
                Ok(answer) => {
                    summary.answered += 1;
                    write_line(output, &answer)?;
                }
            },
        }
    }
}

fn answer<'a>(engine: &dyn Engine, asked: &Asked<'a>, places: &'a Places) -> Result<Answer<'a>, String> {
    let mut path = Vec::new();
    components(&asked.path, &mut path).map_err(|error| error.to_string())?;
    let verdict = match asked.class {
        None => None,
        Some(class) => {
            let question = Question { path: &path, class, op: asked.op, args: asked.args };
            Some(engine.answer(&question).map_err(|error| error.to_string())?)
        }
    };
    Answer::new(asked.id, verdict, places).ok_or_else(|| "the engine named a rule that the policy does not have".into())
}

fn write_line<T: serde::Serialize>(output: &mut dyn Write, value: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *output, value)?;
    output.write_all(b"\n")
}
