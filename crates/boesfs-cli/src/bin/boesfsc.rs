//! The `boesfsc` command.
fn main() {}
