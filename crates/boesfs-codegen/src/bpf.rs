//! BPF instructions, and programs made of them.
//!
//! In: calls to the assembler, or bytes. Out: a checked [`Program`], its bytes, its text. Holds: a [`Program`] can only
//! be had through [`Program::new`], which checks its structure; so whatever is written to an object, listed, or run in
//! the user-space VM has whole instructions, jumps that stay inside their function, and calls that lead to functions.
//!
//! The subset is what the checker programs need: no division, no atomics but an addition, no sign-extending loads, no kernel functions.

pub mod asm;
pub mod disasm;
pub mod insn;
pub mod kernel;
pub mod program;

pub use insn::{AluOp, DecodeError, Helper, Insn, Operand, Place, Reg, Size, Test, Width};
pub use kernel::Field;
pub use program::{Function, FunctionId, Line, Linkage, Linked, Program, ProgramError, Relocated, TEXT};
