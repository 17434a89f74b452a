//! `subject(who) -> class`: the class of a process, by its user, its groups and its executable.

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Reg, Size, Test};
use crate::tables::NOBODY;

use super::layout::{Table, who};
use super::{Facts, add_table};

use Reg as R;

/// Groups that are looked at in one call of [`join_groups`]: the verifier goes through every round of a loop.
const FEW: i32 = 4;

/// Registers: r6 who, r7 the class so far, r8 groups looked at, r9 how many are left; the others scratch.
pub(super) fn subject(a: &mut Assembler, facts: Facts<'_>) {
    a.function("subject");
    let (nobody, next, exe) = (a.label(), a.label(), a.label());
    a.note("nobody, without a subject or with more groups than can be told");
    a.branch(Test::Eq, R::R1, 0, nobody);
    a.mov(R::R6, R::R1);
    a.load(Size::B4, R::R9, R::R6, who::COUNT as i16);
    a.branch(Test::Gt, R::R9, who::GROUPS_MAX as i32, nobody);

    a.note("class = class of the user");
    a.load(Size::B4, R::R1, R::R6, who::UID as i16);
    class_of_id(a, facts, Table::Users);
    a.branch(Test::Ge, R::R0, facts.tables.classes as i32, nobody);
    a.mov(R::R7, R::R0);

    a.note("for each group: class = joins[class, class of the group]");
    a.load(Size::B4, R::R1, R::R6, who::GID as i16);
    class_of_id(a, facts, Table::Groups);
    join(a, facts, nobody);
    a.note("and for each supplementary one, a few at a time: class = join_groups(class, who, from)");
    a.branch(Test::Lt, R::R9, 1, exe);
    a.mov(R::R8, 0);
    a.bind(next);
    a.mov(R::R1, R::R7);
    a.mov(R::R2, R::R6);
    a.mov(R::R3, R::R8);
    a.call("join_groups");
    a.mov32(R::R7, R::R0);
    a.branch(Test::Ge, R::R7, facts.tables.classes as i32, nobody);
    a.alu(AluOp::Add, R::R8, FEW);
    // What is left, against a constant.
    a.alu(AluOp::Sub, R::R9, FEW);
    a.branch(Test::SGt, R::R9, 0, next);

    a.note("class = joins[class, exes[state of the executable - root of executables]]");
    a.bind(exe);
    let none = a.label();
    a.load(Size::B4, R::R1, R::R6, who::EXE as i16);
    a.branch(Test::Eq, R::R1, 0, none);
    a.alu32(AluOp::Sub, R::R1, facts.tables.exe_root as i32);
    a.branch(Test::Gt, R::R1, facts.mask(Table::Exes), none);
    a.alu(AluOp::Lsh, R::R1, 2);
    add_table(a, R::R1, R::R2, Table::Exes);
    a.load(Size::B4, R::R0, R::R1, 0);
    join(a, facts, nobody);
    a.bind(none);
    a.mov32(R::R0, R::R7);
    a.exit();
    a.note("nobody: refused everything");
    a.bind(nobody);
    a.mov32(R::R0, NOBODY as i32);
    a.exit();
}

/// `join_groups(class, who, from) -> class`: with the classes of the supplementary groups from number `from` on, at most [`FEW`] of them. No class where
/// they have none together.
///
/// Registers: r6 the groups, r7 the class so far, r8 groups looked at, r9 how many are left; the others scratch.
pub(super) fn join_groups(a: &mut Assembler, facts: Facts<'_>) {
    const { assert!(who::GROUPS_MAX as i32 % FEW == 0 && who::GROUPS_MAX.is_power_of_two()) };
    a.function("join_groups");
    let (nobody, next, done) = (a.label(), a.label(), a.label());
    a.note("for each group: class = joins[class, class of the group]");
    a.mov32(R::R7, R::R1);
    a.branch(Test::Ge, R::R7, facts.tables.classes as i32, nobody);
    a.branch(Test::Eq, R::R2, 0, nobody);
    a.mov(R::R6, R::R2);
    a.alu(AluOp::And, R::R3, (who::GROUPS_MAX as i32 - 1) & !(FEW - 1));
    a.load(Size::B4, R::R9, R::R6, who::COUNT as i16);
    a.alu(AluOp::Sub, R::R9, R::R3);
    a.alu(AluOp::Lsh, R::R3, 2);
    a.alu(AluOp::Add, R::R6, R::R3);
    a.mov(R::R8, 0);
    a.bind(next);
    a.branch(Test::SLe, R::R9, R::R8, done);
    a.mov(R::R1, R::R8);
    a.alu(AluOp::Lsh, R::R1, 2);
    a.alu(AluOp::Add, R::R1, R::R6);
    a.load(Size::B4, R::R1, R::R1, who::GROUPS as i16);
    class_of_id(a, facts, Table::Groups);
    join(a, facts, nobody);
    a.alu(AluOp::Add, R::R8, 1);
    a.branch(Test::Lt, R::R8, FEW, next);
    a.bind(done);
    a.mov32(R::R0, R::R7);
    a.exit();
    a.bind(nobody);
    a.mov32(R::R0, NOBODY as i32);
    a.exit();
}

/// `r0` = the class of the id in `r1`: binary search without a branch on what is found, so that the verifier follows one path.
///
/// Registers: r2 the place, r3 the step, r4, r5 scratch.
fn class_of_id(a: &mut Assembler, facts: Facts<'_>, table: Table) {
    let mask = facts.mask(table);
    a.mov32(R::R1, R::R1);
    a.mov(R::R2, 0);
    if mask > 0 {
        a.mov(R::R3, (mask + 1) / 2);
        let again = a.here();
        a.mov(R::R4, R::R2);
        a.alu(AluOp::Add, R::R4, R::R3);
        a.alu(AluOp::And, R::R4, mask);
        a.alu(AluOp::Lsh, R::R4, 3);
        add_table(a, R::R4, R::R5, table);
        a.load(Size::B4, R::R4, R::R4, 0);
        // r4 = all ones where that entry begins after the id, else 0.
        a.mov(R::R5, R::R1);
        a.alu(AluOp::Sub, R::R5, R::R4);
        a.alu(AluOp::Arsh, R::R5, 63);
        a.alu(AluOp::Xor, R::R5, -1);
        a.alu(AluOp::And, R::R5, R::R3);
        a.alu(AluOp::Add, R::R2, R::R5);
        a.alu(AluOp::Rsh, R::R3, 1);
        a.branch(Test::Ne, R::R3, 0, again);
    }
    a.alu(AluOp::And, R::R2, mask);
    a.alu(AluOp::Lsh, R::R2, 3);
    add_table(a, R::R2, R::R5, table);
    a.load(Size::B4, R::R0, R::R2, 4);
}

/// `r7 = joins[r7, r0]`, or to `nobody` where there is no such class.
fn join(a: &mut Assembler, facts: Facts<'_>, nobody: Label) {
    a.branch(Test::Ge, R::R0, facts.tables.classes as i32, nobody);
    a.alu(AluOp::Mul, R::R7, facts.tables.classes as i32);
    a.alu(AluOp::Add, R::R7, R::R0);
    a.alu(AluOp::And, R::R7, facts.mask(Table::Joins));
    a.alu(AluOp::Lsh, R::R7, 1);
    add_table(a, R::R7, R::R5, Table::Joins);
    a.load(Size::B2, R::R7, R::R7, 0);
    a.branch(Test::Ge, R::R7, facts.tables.classes as i32, nobody);
}
