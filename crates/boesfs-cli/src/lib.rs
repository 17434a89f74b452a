//! What the two commands, `boesfsc` and `boesfs`, share: the subcommands and the way to an exit status.

mod causes;
pub mod cmd;
pub mod compiler;
pub mod hooks;
pub mod load;
