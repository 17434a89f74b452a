//! The sandbox: namespaces, a tree of its own, few privileges, and an agent that outlives it.
//!
//! In: a [`plan::Plan`]. Out: a command that ran in it, and how it ended. Holds:
//!
//! - nothing of the host's tree is reachable but through the layer that judges, or a native zone that needs no judgement;
//! - every step that fails ends everything before the command starts;
//! - when the agent ends, however that is, the kernel kills every process of the sandbox;
//! - all mounts are in the sandbox's own namespace: they end with its last process, and nothing is left on the host.

pub mod agent;
mod channel;
mod children;
mod dev;
mod error;
mod find;
pub(crate) mod handed;
pub mod layer;
mod namespaces;
pub mod plan;
pub mod privileges;
pub mod probe;
mod proc;
pub mod reload;
mod seccomp;
pub mod session;
mod sockets;
pub mod special;
pub(crate) mod sys;
mod terminal;
pub(crate) mod tree;
pub mod zones;

pub use agent::{Ended, RunError, run};
pub use error::SetupError;
pub use namespaces::Privilege;
pub use seccomp::{Allocation, Calls, Tracing};
pub use sys::provide;
pub use terminal::has_terminal;
