//! The language reference knows every word of the language.

use boesfs_lang::cond::Arg;
use boesfs_lang::ops::{GROUPS, TABLE};
use boesfs_lang::resolve::constants::CONSTANTS;

const PAGE: &str = include_str!("../../../docs/language.md");
const EVAL: &str = include_str!("../src/eval.rs");
const EXAMPLE: &str = include_str!("ok/notes.bfs");

#[test]
fn the_reference_names_every_word() {
    let operations = TABLE.iter().map(|info| info.name).chain(GROUPS.iter().map(|group| group.name));
    let arguments = Arg::ALL.iter().map(|arg| arg.name());
    let constants = CONSTANTS.iter().map(|constant| constant.name);
    for word in operations.chain(arguments).chain(constants) {
        let found = PAGE.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|other| other == word);
        assert!(found, "docs/language.md does not name `{word}`");
    }
}

#[test]
fn the_reference_states_the_same_equation() {
    let equation: Vec<&str> = EVAL
        .lines()
        .skip_while(|line| !line.contains("```text"))
        .skip(1)
        .take_while(|line| !line.contains("```"))
        .map(|line| line.trim_start_matches("//!").trim())
        .collect();
    assert!(equation.len() > 4);
    for line in equation {
        assert!(PAGE.contains(line), "docs/language.md lacks `{line}`");
    }
}

#[test]
fn the_example_of_the_reference_is_the_one_that_is_tested() {
    // Comments aside: the page's are shorter.
    let code = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split("//").next().unwrap_or("").trim_end().to_owned()).collect()
    };
    let page = code(PAGE).join("\n");
    for line in code(EXAMPLE).iter().filter(|line| !line.is_empty()) {
        assert!(page.contains(line.as_str()), "docs/language.md lacks `{line}`");
    }
}
