//! From packed tables to the checker programs.
//!
//! In: [`Packed`]. Out: a [`Program`] of the functions `boesfs_walk`, `step`, `check`, `decide`, `cond`, `walk` and `subject`. Holds:
//! its length depends on the conditions alone, never on the number of rules; each function but the first is verified by
//! the kernel on its own, once; the programs use memory, one map lookup and the clock, nothing else.

pub mod layout;

mod check;
mod cond;
mod entry;
mod kmod;
pub mod lsm;
mod rights;
mod step;
mod subject;

use boesfs_lang::policy::Policy;

use crate::bpf::asm::{AsmError, Assembler};
use crate::bpf::{Place, Program, Reg};
use crate::tables::{Decision, MAX_CHAIN, Packed, Tables};
use layout::Table;

/// What the programs need to know of the tables: constants in the instructions.
#[derive(Clone, Copy, Debug)]
struct Facts<'a> {
    tables: &'a Tables,
    /// The most decisions that are tried one after another: the verifier goes through as many.
    chain: i32,
}

impl Facts<'_> {
    /// The mask for an index into `table`.
    fn mask(self, table: Table) -> i32 {
        // It fits: `emit` has checked that tables have at most MAX_ENTRIES.
        (table.entries(self.tables) - 1) as i32
    }
}

/// Why programs cannot be emitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// A table is larger than BPF maps and instruction constants allow.
    #[error("table {} has {entries} entries, more than the {MAX_ENTRIES} that programs can address", .table.section())]
    TooLarge {
        /// The table.
        table: Table,
        /// Its entries, with padding.
        entries: usize,
    },
    /// One condition alone does not fit into a function.
    #[error("the condition of rule {rule} is too long: {terms} comparisons, at most {}", cond::MAX_COMPARISONS)]
    ConditionTooLong {
        /// The rule.
        rule: u32,
        /// Its comparisons.
        terms: usize,
    },
    /// All conditions together are more than the kernel takes.
    #[error("the conditions of the policy are too many: {terms} comparisons, at most {}", cond::MAX_ALL)]
    TooManyConditions {
        /// The comparisons in all of them.
        terms: usize,
    },
    /// The emitter has made something that is not a program: a mistake in the compiler.
    #[error("internal error in the code generator: {0}")]
    Asm(#[from] AsmError),
}

/// The most entries of a table: the largest table then stays below the kernel's limit of 2^29 bytes for offsets in a map.
pub const MAX_ENTRIES: usize = 1 << 24;

/// Emits the programs for `packed`, with lines that point into the sources of `policy`.
///
/// # Errors
/// A table or the conditions are too large.
pub fn emit(policy: &Policy, packed: &Packed) -> Result<Program, EmitError> {
    let tables = &packed.tables;
    for table in Table::ALL {
        let entries = table.entries(tables);
        if entries > MAX_ENTRIES {
            return Err(EmitError::TooLarge { table, entries });
        }
    }
    let facts = Facts { tables, chain: longest_chain(&tables.decisions) };
    let mut asm = Assembler::default();
    entry::boesfs_walk(&mut asm);
    lsm::learn(&mut asm);
    lsm::entries(&mut asm, facts);
    kmod::programs(&mut asm);
    step::step(&mut asm, facts);
    step::glob_some(&mut asm, facts);
    check::check(&mut asm, facts);
    check::decide(&mut asm, facts);
    cond::cond(&mut asm, policy, &packed.conditions)?;
    entry::walk(&mut asm);
    subject::subject(&mut asm, facts);
    subject::join_groups(&mut asm, facts);
    rights::functions(&mut asm, facts);
    lsm::functions(&mut asm, facts);
    Ok(asm.finish()?)
}

/// The number of decisions in the longest chain; what is longer than [`MAX_CHAIN`] is refused.
fn longest_chain(decisions: &[Decision]) -> i32 {
    let next = |decision: &&Decision| (decision.cond != 0).then(|| decisions.get(decision.next as usize)).flatten();
    let length = |first| std::iter::successors(Some(first), next).take(MAX_CHAIN as usize).count();
    decisions.iter().map(length).max().unwrap_or(1) as i32
}

/// `dst += address of table`
fn add_table(asm: &mut Assembler, dst: Reg, scratch: Reg, table: Table) {
    asm.place(scratch, Place::Table(table));
    asm.alu(crate::bpf::AluOp::Add, dst, scratch);
}
