//! Runs programs under a BoesFS policy.
//!
//! In: a policy object. Out: a supervised workload. The only Rust crate with `unsafe`, in its few system modules.

pub mod audit;
pub mod checker;
pub mod doctor;
pub mod engine;
pub mod fuse;
pub mod hook;
pub mod kernel;
pub mod kmod;
pub mod lsm;
pub mod policy;
pub mod process;
pub mod sandbox;
pub mod vm;
