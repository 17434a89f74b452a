//! Generates the LALR(1) parser from the one grammar of the language.

use std::process::ExitCode;

fn main() -> ExitCode {
    let result = lalrpop::Configuration::new().set_in_dir("../../grammar").emit_rerun_directives(true).process();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("grammar/boesfs.lalrpop: {error}");
            ExitCode::FAILURE
        }
    }
}
