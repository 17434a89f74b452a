//! The VM alone: what instructions compute, what is refused at load, what stops a run.

mod asm;
mod computes;
mod random;
mod refuses;
mod stops;
