//! `check(state, class, op, args) -> verdict` for the common case, and `decide`, with the same arguments, for all cases.

use boesfs_lang::ops;
use boesfs_lang::policy::Effect;

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Reg, Size, Test};

use super::layout::Table;
use super::{Facts, add_table, cond};

use Reg as R;

/// A refusal by the default, as `tables::pack_verdict` writes it.
const REFUSE: i32 = Effect::Deny as i32;
/// Goes to `refuse` unless state (r1), class (r2) and operation (r3) are in range. Leaves the state in `state`.
pub(super) fn check_range(a: &mut Assembler, facts: Facts<'_>, state: Reg, refuse: Label) {
    a.note("out of range: refused");
    a.mov32(state, R::R1);
    a.branch(Test::Gt, state, facts.mask(Table::States), refuse);
    a.branch32(Test::Ge, R::R2, facts.tables.classes as i32, refuse);
    a.branch32(Test::Ge, R::R3, ops::COUNT as i32, refuse);
}

/// Registers: r0 and r5 scratch; r1 to r4 stay for `decide`.
pub(super) fn check(a: &mut Assembler, facts: Facts<'_>) {
    a.function("check");
    let (refuse, closer) = (a.label(), a.label());
    check_range(a, facts, R::R0, refuse);
    a.note("row = rows[states[state].row + class]");
    a.alu(AluOp::Lsh, R::R0, 4);
    add_table(a, R::R0, R::R5, Table::States);
    a.load(Size::B4, R::R0, R::R0, 0);
    a.alu32(AluOp::Add, R::R0, R::R2);
    a.alu(AluOp::And, R::R0, facts.mask(Table::Rows));
    a.alu(AluOp::Lsh, R::R0, 3);
    add_table(a, R::R0, R::R5, Table::Rows);
    a.load(Size::B8, R::R0, R::R0, 0);
    a.note("allowed, and no closer look needed -> allow");
    // r0 = 1 where not allowed, or closer: 0 is the verdict of a plain allow.
    const { assert!(Effect::Allow as i32 == 0) };
    a.alu(AluOp::Rsh, R::R0, R::R3);
    a.mov(R::R5, R::R0);
    a.alu(AluOp::Rsh, R::R5, 32);
    a.alu32(AluOp::Xor, R::R0, 1);
    a.alu32(AluOp::Or, R::R0, R::R5);
    a.alu32(AluOp::And, R::R0, 1);
    a.branch(Test::Ne, R::R0, 0, closer);
    a.exit();
    a.note("decide(state, class, op, args)");
    a.bind(closer);
    a.call("decide");
    a.exit();
    a.note("refused");
    a.bind(refuse);
    a.mov32(R::R0, REFUSE);
    a.exit();
}

/// `r9` = the number of the decision that is tried first for the state in r5, the class in r2 and the operation in r3, which are in
/// range. Changes r0, r1, r3 and r5.
pub(super) fn first_decision(a: &mut Assembler, facts: Facts<'_>) {
    a.note("c = causes[states[state].cause + class]");
    a.alu(AluOp::Lsh, R::R5, 4);
    add_table(a, R::R5, R::R0, Table::States);
    a.load(Size::B4, R::R5, R::R5, 4);
    a.alu32(AluOp::Add, R::R5, R::R2);
    a.alu(AluOp::And, R::R5, facts.mask(Table::Causes));
    a.alu(AluOp::Lsh, R::R5, 3);
    add_table(a, R::R5, R::R0, Table::Causes);
    a.load(Size::B4, R::R1, R::R5, 0);
    a.load(Size::B4, R::R9, R::R5, 4);
    a.note("d = links[c.base + shapes[c.shape][op]]");
    a.alu(AluOp::And, R::R1, facts.mask(Table::Shapes));
    a.alu(AluOp::Lsh, R::R1, 5);
    a.alu(AluOp::And, R::R3, 31);
    // They share no bits, so the sum is the disjunction, of which the verifier of Linux 6.1 knows no bounds.
    a.alu(AluOp::Add, R::R1, R::R3);
    add_table(a, R::R1, R::R0, Table::Shapes);
    a.load(Size::B1, R::R1, R::R1, 0);
    a.alu(AluOp::Add, R::R9, R::R1);
    a.alu(AluOp::And, R::R9, facts.mask(Table::Links));
    a.alu(AluOp::Lsh, R::R9, 2);
    add_table(a, R::R9, R::R0, Table::Links);
    a.load(Size::B4, R::R9, R::R9, 0);
}

/// Registers: r6 the decision, r7 the arguments, r8 decisions left to try, r9 the number of the decision.
pub(super) fn decide(a: &mut Assembler, facts: Facts<'_>) {
    a.function("decide");
    let (refuse, decided, next) = (a.label(), a.label(), a.label());
    check_range(a, facts, R::R5, refuse);
    a.branch(Test::Eq, R::R4, 0, refuse);
    a.mov(R::R7, R::R4);
    first_decision(a, facts);

    a.mov(R::R8, facts.chain);
    a.note("until decisions[d].cond holds: d = decisions[d].next");
    let try_one = a.here();
    a.mov(R::R6, R::R9);
    a.alu(AluOp::And, R::R6, facts.mask(Table::Decisions));
    a.alu(AluOp::Lsh, R::R6, 4);
    add_table(a, R::R6, R::R0, Table::Decisions);
    a.load(Size::B4, R::R1, R::R6, 8);
    a.branch(Test::Eq, R::R1, 0, decided);
    a.mov(R::R2, R::R7);
    a.call("cond");
    a.branch(Test::Eq, R::R0, cond::FAILS, next);
    a.branch(Test::Eq, R::R0, cond::HOLDS, decided);
    a.note("a condition that is not there, or too many of them: refused");
    a.bind(refuse);
    a.mov32(R::R0, REFUSE);
    a.exit();
    a.note("d = decisions[d].next");
    a.bind(next);
    a.load(Size::B4, R::R9, R::R6, 12);
    a.alu(AluOp::Sub, R::R8, 1);
    a.branch(Test::Ne, R::R8, 0, try_one);
    a.jump(refuse);
    a.note("decisions[d].verdict");
    a.bind(decided);
    a.load(Size::B8, R::R0, R::R6, 0);
    a.exit();
}
