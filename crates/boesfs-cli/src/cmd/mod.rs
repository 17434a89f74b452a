//! The subcommands of `boesfs`, one module each.

pub mod man;
