//! What can be said of a state for all requests at once: `row`, `conditional`, and `within` and `within_all`, which compare two states.
//!
//! `within` is that of the FUSE hook's `Rights`, in instructions: whatever a class may do at one state it may do at the
//! other too, whatever the arguments.

use boesfs_lang::ops;

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Reg, Size, Test};

use super::layout::Table;
use super::{Facts, add_table, check};

use Reg as R;

/// The functions that this module writes.
pub(super) fn functions(a: &mut Assembler, facts: Facts<'_>) {
    row(a, facts);
    first(a, facts);
    conditional(a, facts);
    within(a);
    within_all(a, facts);
    op_within(a);
    all_allow(a, facts);
    any_allows(a, facts);
    alike(a, facts);
}

/// Goes to `out` unless state (r1) and class (r2) are in range.
fn check_range(a: &mut Assembler, facts: Facts<'_>, out: Label) {
    a.mov32(R::R1, R::R1);
    a.mov32(R::R2, R::R2);
    a.branch(Test::Gt, R::R1, facts.mask(Table::States), out);
    a.branch(Test::Ge, R::R2, facts.tables.classes as i32, out);
}

/// `r1` = the number of the entry of state (r1) and class (r2) in `table`, whose base is at `offset` in the state.
fn index(a: &mut Assembler, facts: Facts<'_>, offset: i16, table: Table) {
    a.alu(AluOp::Lsh, R::R1, 4);
    add_table(a, R::R1, R::R0, Table::States);
    a.load(Size::B4, R::R1, R::R1, offset);
    a.alu32(AluOp::Add, R::R1, R::R2);
    a.alu(AluOp::And, R::R1, facts.mask(table));
}

/// `row(state, class)`: 0 where there is none.
fn row(a: &mut Assembler, facts: Facts<'_>) {
    a.function("row");
    let none = a.label();
    a.note("rows[states[state].row + class]");
    check_range(a, facts, none);
    index(a, facts, 0, Table::Rows);
    a.alu(AluOp::Lsh, R::R1, 3);
    add_table(a, R::R1, R::R0, Table::Rows);
    a.load(Size::B8, R::R0, R::R1, 0);
    a.exit();
    a.note("there is no such row");
    a.bind(none);
    a.mov(R::R0, 0);
    a.exit();
}

/// `first(state, class, op)`: the number of the decision that is tried first; 0, which refuses, where there is none.
fn first(a: &mut Assembler, facts: Facts<'_>) {
    a.function("first");
    let none = a.label();
    check::check_range(a, facts, R::R5, none);
    check::first_decision(a, facts);
    a.mov32(R::R0, R::R9);
    a.exit();
    a.note("there is no such decision");
    a.bind(none);
    a.mov32(R::R0, 0);
    a.exit();
}

/// `dst` = the address of decision `dst`.
fn decision(a: &mut Assembler, facts: Facts<'_>, dst: Reg, scratch: Reg) {
    a.alu(AluOp::And, dst, facts.mask(Table::Decisions));
    a.alu(AluOp::Lsh, dst, 4);
    add_table(a, dst, scratch, Table::Decisions);
}

/// `conditional(state, class, op)`: 1 where the answer depends on the arguments: only then the first decision has a condition.
fn conditional(a: &mut Assembler, facts: Facts<'_>) {
    a.function("conditional");
    let yes = a.label();
    a.note("decisions[first(state, class, op)].cond != 0");
    a.call("first");
    a.mov(R::R1, R::R0);
    decision(a, facts, R::R1, R::R2);
    a.load(Size::B4, R::R1, R::R1, 8);
    a.branch(Test::Ne, R::R1, 0, yes);
    a.mov32(R::R0, 0);
    a.exit();
    a.bind(yes);
    a.mov32(R::R0, 1);
    a.exit();
}

/// `within(to, from, class)`: 1 if the class may do nothing at `to` that it may not do at `from`.
fn within(a: &mut Assembler) {
    a.function("within");
    let (next, no) = (a.label(), a.label());
    a.note("for each operation: op_within(to, from, class, op)");
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.mov(R::R8, R::R3);
    a.mov(R::R9, 0);
    a.bind(next);
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R7);
    a.mov(R::R3, R::R8);
    a.mov(R::R4, R::R9);
    a.call("op_within");
    a.branch32(Test::Eq, R::R0, 0, no);
    a.alu(AluOp::Add, R::R9, 1);
    a.branch(Test::Lt, R::R9, ops::COUNT as i32, next);
    a.mov32(R::R0, 1);
    a.exit();
    a.bind(no);
    a.mov32(R::R0, 0);
    a.exit();
}

/// `within_all(to, from)`: 1 if no class may do anything at `to` that it may not do at `from`.
///
/// All classes are gone through in any case: an early end would be a way of its own for the verifier, for each class.
fn within_all(a: &mut Assembler, facts: Facts<'_>) {
    a.function("within_all");
    a.note("for each class: within(to, from, class)");
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.mov(R::R8, 0);
    a.mov(R::R9, 1);
    let next = a.here();
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R7);
    a.mov(R::R3, R::R8);
    a.call("within");
    a.alu32(AluOp::And, R::R9, R::R0);
    a.alu(AluOp::Add, R::R8, 1);
    a.branch(Test::Lt, R::R8, facts.tables.classes as i32, next);
    a.mov32(R::R0, R::R9);
    a.exit();
}

/// `op_within(to, from, class, op)`: either nothing is allowed at `to`, or everything at `from`, or both decide alike.
///
/// Registers: r6 to, then its first decision; r7 from, then its first decision; r8 the class, r9 the operation.
fn op_within(a: &mut Assembler) {
    a.function("op_within");
    let (yes, no) = (a.label(), a.label());
    a.note("plainly allowed at `from`");
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.mov(R::R8, R::R3);
    a.mov(R::R9, R::R4);
    a.branch32(Test::Ge, R::R9, ops::COUNT as i32, no);
    a.mov(R::R1, R::R7);
    a.mov(R::R2, R::R8);
    a.call("row");
    a.alu(AluOp::Rsh, R::R0, R::R9);
    a.mov(R::R1, R::R0);
    a.alu(AluOp::Rsh, R::R1, 32);
    a.alu32(AluOp::Xor, R::R1, 1);
    a.alu32(AluOp::And, R::R0, R::R1);
    a.alu32(AluOp::And, R::R0, 1);
    a.branch32(Test::Ne, R::R0, 0, yes);
    a.note("plainly refused at `to`");
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R8);
    a.call("row");
    a.alu(AluOp::Rsh, R::R0, R::R9);
    a.mov(R::R1, R::R0);
    a.alu(AluOp::Rsh, R::R1, 32);
    a.alu32(AluOp::Or, R::R0, R::R1);
    a.alu32(AluOp::And, R::R0, 1);
    a.branch32(Test::Eq, R::R0, 0, yes);
    a.note("every decision at `from` allows");
    a.mov(R::R1, R::R7);
    a.mov(R::R2, R::R8);
    a.mov(R::R3, R::R9);
    a.call("first");
    a.mov(R::R7, R::R0);
    a.mov(R::R1, R::R0);
    a.call("all_allow");
    a.branch32(Test::Ne, R::R0, 0, yes);
    a.note("no decision at `to` allows");
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R8);
    a.mov(R::R3, R::R9);
    a.call("first");
    a.mov(R::R6, R::R0);
    a.mov(R::R1, R::R0);
    a.call("any_allows");
    a.branch32(Test::Eq, R::R0, 0, yes);
    a.note("both decide alike");
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R7);
    a.call("alike");
    a.exit();
    a.bind(yes);
    a.mov32(R::R0, 1);
    a.exit();
    a.bind(no);
    a.mov32(R::R0, 0);
    a.exit();
}

/// `all_allow(decision)`: 1 if it allows, and all that are tried after it.
fn all_allow(a: &mut Assembler, facts: Facts<'_>) {
    a.function("all_allow");
    let (yes, no) = (a.label(), a.label());
    a.note("until decisions[d].cond is 0: it must allow; d = decisions[d].next");
    a.mov32(R::R1, R::R1);
    a.mov(R::R3, facts.chain);
    let again = a.here();
    decision(a, facts, R::R1, R::R2);
    a.load(Size::B8, R::R4, R::R1, 0);
    a.alu(AluOp::And, R::R4, 3);
    a.branch(Test::Ne, R::R4, 0, no);
    a.load(Size::B4, R::R4, R::R1, 8);
    a.branch(Test::Eq, R::R4, 0, yes);
    a.load(Size::B4, R::R1, R::R1, 12);
    a.alu(AluOp::Sub, R::R3, 1);
    a.branch(Test::Ne, R::R3, 0, again);
    a.note("no, or too many to tell");
    a.bind(no);
    a.mov32(R::R0, 0);
    a.exit();
    a.bind(yes);
    a.mov32(R::R0, 1);
    a.exit();
}

/// `any_allows(decision)`: 1 if it allows, or one that is tried after it.
fn any_allows(a: &mut Assembler, facts: Facts<'_>) {
    a.function("any_allows");
    let (next, yes, no) = (a.label(), a.label(), a.label());
    a.note("until decisions[d].cond is 0: does it allow? d = decisions[d].next");
    a.mov32(R::R1, R::R1);
    a.mov(R::R3, facts.chain);
    let again = a.here();
    decision(a, facts, R::R1, R::R2);
    a.load(Size::B8, R::R4, R::R1, 0);
    a.alu(AluOp::And, R::R4, 3);
    a.branch(Test::Ne, R::R4, 0, next);
    a.jump(yes);
    a.bind(next);
    a.load(Size::B4, R::R4, R::R1, 8);
    a.branch(Test::Eq, R::R4, 0, no);
    a.load(Size::B4, R::R1, R::R1, 12);
    a.alu(AluOp::Sub, R::R3, 1);
    a.branch(Test::Ne, R::R3, 0, again);
    a.note("yes, or too many to tell");
    a.bind(yes);
    a.mov32(R::R0, 1);
    a.exit();
    a.bind(no);
    a.mov32(R::R0, 0);
    a.exit();
}

/// `alike(a, b)`: 1 if both allow under the same conditions.
fn alike(a: &mut Assembler, facts: Facts<'_>) {
    a.function("alike");
    let (yes, no, one, other) = (a.label(), a.label(), a.label(), a.label());
    a.note("until the conditions are 0: they and what is allowed must be the same");
    a.mov32(R::R1, R::R1);
    a.mov32(R::R2, R::R2);
    a.mov(R::R3, facts.chain);
    let again = a.here();
    decision(a, facts, R::R1, R::R0);
    decision(a, facts, R::R2, R::R0);
    a.load(Size::B8, R::R4, R::R1, 0);
    a.alu(AluOp::And, R::R4, 3);
    a.branch(Test::Eq, R::R4, 0, one);
    a.mov(R::R4, 1);
    a.bind(one);
    a.load(Size::B8, R::R5, R::R2, 0);
    a.alu(AluOp::And, R::R5, 3);
    a.branch(Test::Eq, R::R5, 0, other);
    a.mov(R::R5, 1);
    a.bind(other);
    a.branch(Test::Ne, R::R4, R::R5, no);
    a.load(Size::B4, R::R4, R::R1, 8);
    a.load(Size::B4, R::R5, R::R2, 8);
    a.branch(Test::Ne, R::R4, R::R5, no);
    a.branch(Test::Eq, R::R4, 0, yes);
    a.load(Size::B4, R::R1, R::R1, 12);
    a.load(Size::B4, R::R2, R::R2, 12);
    a.alu(AluOp::Sub, R::R3, 1);
    a.branch(Test::Ne, R::R3, 0, again);
    a.note("no, or too many to tell");
    a.bind(no);
    a.mov32(R::R0, 0);
    a.exit();
    a.bind(yes);
    a.mov32(R::R0, 1);
    a.exit();
}
