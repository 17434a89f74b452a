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
//!
//! [`check()`] runs the stages; what is wrong with a policy comes out as [`diag`].

#![forbid(unsafe_code)]

pub mod check;
pub mod cond;
pub mod diag;
pub mod eval;
pub mod ops;
pub mod pattern;
pub mod policy;
pub mod source;
pub mod subjects;

pub use check::{Checked, Input, Rejected, check};
