//! Generates the LALR(1) parser from the one grammar of the language.
fn main() {}
