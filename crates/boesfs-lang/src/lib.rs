//! The BoesFS policy language.
//!
//! In: the text of a policy. Out: a checked [`policy::Policy`], or diagnostics. Holds: no IO, no `unsafe`, no panic on any input.
//!
//! The stages, in order:
//!
//! 1. [`source`]: texts and places in them
//! 2. [`pattern`], [`cond`], [`ops`]: the words rules are made of
//! 3. [`subjects`], [`policy`]: the checked policy
//! 4. [`eval`]: what it means

#![forbid(unsafe_code)]

pub mod cond;
pub mod eval;
pub mod ops;
pub mod pattern;
pub mod policy;
pub mod source;
pub mod subjects;
