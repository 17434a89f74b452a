//! The subcommands of `boesfs`, one module each.

pub mod doctor;
mod environment;
pub mod eval;
pub mod exec;
pub mod man;
pub mod reload;
