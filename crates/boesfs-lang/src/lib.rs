//! The BoesFS policy language.
//!
//! In: the text of a policy. Out: a checked [`policy::Policy`], or diagnostics. Holds: no IO, no `unsafe`, no panic on any input.
//!
//! The stages, in order:
//!
//! 1. [`source`]: texts and places in them
//! 2. [`syntax`]: text to tokens to syntax tree
//! 3. [`ops`], [`cond`], [`pattern`]: the words rules are made of
//! 4. [`resolve`]: syntax trees to [`policy`] and [`subjects`]
//! 5. [`eval`]: what a policy means
//!
//! [`check()`] runs them; what is wrong with a policy comes out as [`diag`].

#![forbid(unsafe_code)]

pub mod check;
pub mod cond;
pub mod diag;
pub mod eval;
pub mod ops;
pub mod pattern;
pub mod policy;
pub mod resolve;
pub mod source;
pub mod subjects;
pub mod syntax;

pub use check::{Checked, Input, Rejected, check};
