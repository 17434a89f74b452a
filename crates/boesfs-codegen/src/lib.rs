//! From a checked policy to an automaton, packed tables and a standard BPF object, and back.
//!
//! In: a [`boesfs_lang::policy::Policy`]. Out: the bytes of a `policy.o`. Holds: no IO, no `unsafe`; the same policy gives the same bytes.

#![forbid(unsafe_code)]

#[cfg(feature = "arbitrary")]
#[doc(hidden)]
pub mod arbitrary;
pub mod automaton;
pub mod bpf;
pub mod emit;
pub mod explain;
pub mod manifest;
pub mod object;
pub mod pack;
pub mod tables;
