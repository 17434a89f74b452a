//! One question, several engines: each answers what a policy means, and all must agree.
//!
//! In: a policy in one of its forms, and requests. Out: verdicts. The product asks [`crate::policy::LoadedPolicy`];
//! the others are for tests, for people's own checks (`boesfs eval`), and for finding out which one is wrong.
//!
//! - [`Meaning`]: the definition, [`boesfs_lang::eval::eval`]
//! - [`Walker`]: the packed tables, walked in Rust
//! - anything that is a [`Checker`]: the object's programs in the user-space VM
//! - [`Kernel`]: the object's `syscall` program in the kernel

mod answer;
mod batch;
mod request;

use boesfs_codegen::emit::layout::SLOTS;
use boesfs_codegen::tables::walk::holds_in;
use boesfs_codegen::tables::{Packed, StateId};
use boesfs_lang::cond::Args;
use boesfs_lang::eval::{Request, Verdict, eval};
use boesfs_lang::ops::Op;
use boesfs_lang::policy::Policy;
use boesfs_lang::subjects::ClassId;

use crate::checker::Checker;
use crate::kernel::{self, KernelChecker, KernelError};

pub use answer::Places;
pub use batch::{Summary, run};
pub use request::{Asked, RequestError, components, parse};

/// One question: may a subject of this class do this here?
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The object's path, in components from the root: each of 1 to 255 bytes.
    pub path: &'a [&'a [u8]],
    /// Who asks.
    pub class: ClassId,
    /// The operation.
    pub op: Op,
    /// Its arguments.
    pub args: Args,
}

/// Answers questions under one policy.
pub trait Engine {
    /// The verdict, with its cause in every case.
    ///
    /// # Errors
    /// The engine itself failed: there is no answer, and nobody may take it for one.
    fn answer(&self, question: &Question<'_>) -> Result<Verdict, EngineError>;
}

/// Why an engine gives no answer.
#[derive(Debug, thiserror::Error)]
#[error("the engine failed: {0}")]
pub struct EngineError(pub Box<dyn std::error::Error + Send + Sync>);

/// The definition of the language, asked directly.
#[derive(Clone, Copy, Debug)]
pub struct Meaning<'a>(pub &'a Policy);

impl Engine for Meaning<'_> {
    fn answer(&self, question: &Question<'_>) -> Result<Verdict, EngineError> {
        let Question { path, class, op, args } = *question;
        // A class that there is not is refused everything, like anyone who has none.
        let Some(class) = self.0.subjects.classes.get(class.0 as usize) else { return Ok(crate::policy::REFUSED) };
        Ok(eval(self.0, &Request { op, path, roles: &class.roles, args }))
    }
}

/// The packed tables, walked in Rust.
#[derive(Clone, Copy, Debug)]
pub struct Walker<'a>(pub &'a Packed);

impl Checker for Walker<'_> {
    fn step(&self, state: StateId, name: &[u8]) -> StateId {
        self.0.tables.step(state, name)
    }

    fn check(&self, state: StateId, class: ClassId, op: Op, args: &Args) -> Verdict {
        self.0.tables.check(state, class, op, holds_in(&self.0.conditions, args))
    }

    fn decide(&self, state: StateId, class: ClassId, op: Op, args: &Args) -> Verdict {
        self.0.tables.decide(state, class, op, holds_in(&self.0.conditions, args))
    }
}

/// The object's `syscall` program in the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Kernel<'a>(pub &'a KernelChecker);

impl Kernel<'_> {
    /// What the kernel's program says at the end of the path. Paths longer than one run takes are walked in several.
    ///
    /// # Errors
    /// The kernel does not run it.
    pub fn ask(&self, question: &Question<'_>) -> Result<kernel::Answer, KernelError> {
        let Question { path, class, op, args } = *question;
        let whole = path.len() / SLOTS * SLOTS;
        let mut start = StateId::ROOT;
        for path in path[..whole].chunks(SLOTS) {
            start = self.0.ask(&kernel::Question { start, path, class, op, args })?.state;
        }
        self.0.ask(&kernel::Question { start, path: &path[whole..], class, op, args })
    }
}

impl Engine for Kernel<'_> {
    fn answer(&self, question: &Question<'_>) -> Result<Verdict, EngineError> {
        self.ask(question).map(|answer| answer.decide).map_err(|error| EngineError(Box::new(error)))
    }
}

impl<C: Checker> Engine for C {
    fn answer(&self, question: &Question<'_>) -> Result<Verdict, EngineError> {
        let state = question.path.iter().fold(StateId::ROOT, |state, name| self.step(state, name));
        Ok(self.decide(state, question.class, question.op, &question.args))
    }
}
