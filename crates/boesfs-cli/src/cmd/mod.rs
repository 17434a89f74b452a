//! The subcommands of `boesfs`, one module each.

pub mod eval;
pub mod man;
