//! The two questions that every hook asks of a policy.

use boesfs_codegen::tables::StateId;
use boesfs_lang::cond::Args;
use boesfs_lang::eval::Verdict;
use boesfs_lang::ops::Op;
use boesfs_lang::subjects::ClassId;

/// A loaded policy that answers: the user-space VM in products, other engines in tests.
///
/// Whatever goes wrong inside (budget exhausted, access out of bounds) is a refusal.
pub trait Checker: Send + Sync {
    /// One path component further down from `state`. `name` is 1 to 255 bytes; a longer one leads to [`StateId::DEAD`].
    fn step(&self, state: StateId, name: &[u8]) -> StateId;

    /// May a subject of `class` do `op` at the object whose state is `state`?
    /// The cause of a plain allow, one that is not to be recorded, may be left out (`Cause::Default`).
    fn check(&self, state: StateId, class: ClassId, op: Op, args: &Args) -> Verdict;

    /// The same verdict, with its cause in every case.
    fn decide(&self, state: StateId, class: ClassId, op: Op, args: &Args) -> Verdict;
}
