//! The known ways around path-based sandboxes, by class, run as programs from `tests/bypass/`.
//!
//! Each attack runs twice: natively, where it must get through (else it proves nothing), and under a policy, where
//! it must end as its row says. A row that says `through` is a documented limit, or no attack at all.

mod arena;
mod attack;
mod forge;
mod loss;
mod root;
mod rows;
mod together;
