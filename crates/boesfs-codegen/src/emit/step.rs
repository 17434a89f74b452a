//! `step(state, name, length) -> state`: one path component further down.

use boesfs_lang::pattern::NAME_MAX;

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Place, Reg, Size, Test};
use crate::tables::{HAS_LITERALS, HASH_DISPLACEMENT_SHIFT, HASH_STATE, HASH_WORD};

use super::layout::{NAME_BYTES, Table};
use super::{Facts, add_table};

use Reg as R;

/// Where the default is kept while the name is compared.
const DEFAULT: i16 = -8;

/// Registers: r0 the answer so far, r1 the state, r2 the name, r3 its length, r6 the state's `out`.
pub(super) fn step(a: &mut Assembler, facts: Facts<'_>) {
    a.function("step");
    let (dead, leave) = (a.label(), a.label());
    a.note("the dead state for a missing name, a length of 0 or above 255, an unknown state");
    a.mov32(R::R0, 0);
    a.branch(Test::Eq, R::R2, 0, dead);
    a.mov32(R::R1, R::R1);
    a.branch(Test::Gt, R::R1, facts.mask(Table::States), dead);
    a.mov32(R::R3, R::R3);
    // Not `== 0`: the verifier of Linux 6.1 learns no lower bound from that, and the loops below seem endless to it.
    a.branch(Test::Lt, R::R3, 1, dead);
    a.branch(Test::Gt, R::R3, NAME_MAX as i32, dead);

    a.note("s = states[state]");
    a.mov(R::R4, R::R1);
    a.alu(AluOp::Lsh, R::R4, 4);
    add_table(a, R::R4, R::R5, Table::States);
    a.load(Size::B4, R::R0, R::R4, 8);
    a.load(Size::B4, R::R6, R::R4, 12);
    a.note("a leaf: the name need not be looked at");
    a.branch32(Test::Eq, R::R6, 0, leave);
    let globs = a.label();
    a.branch32(Test::SGe, R::R6, 0, globs);
    literal(a, facts, globs);
    a.bind(globs);
    glob(a, facts, leave);
    a.bind(leave);
    a.exit();
    a.bind(dead);
    a.exit();
}

/// Looks for a literal edge and returns where it leads, or goes to `miss` with r0, r2, r3 and r6 as they were.
///
/// Registers: r4 the hash, then the edge; r7 the name in words, r8 words left; r1, r5, r9 scratch.
fn literal(a: &mut Assembler, facts: Facts<'_>, miss: Label) {
    a.note("h = hash(seed, state, name)");
    a.mov(R::R4, R::R1);
    a.wide(R::R5, HASH_STATE);
    a.alu(AluOp::Mul, R::R4, R::R5);
    a.wide(R::R5, facts.tables.seed);
    a.alu(AluOp::Add, R::R4, R::R5);
    a.wide(R::R5, HASH_WORD);
    a.mov(R::R7, R::R2);
    a.mov(R::R8, R::R3);
    a.alu(AluOp::Add, R::R8, 7);
    a.alu(AluOp::Rsh, R::R8, 3);
    let word = a.here();
    a.load(Size::B8, R::R9, R::R7, 0);
    a.alu(AluOp::Xor, R::R4, R::R9);
    fold(a);
    a.alu(AluOp::Mul, R::R4, R::R5);
    a.alu(AluOp::Add, R::R7, 8);
    a.alu(AluOp::Sub, R::R8, 1);
    a.branch(Test::Gt, R::R8, 0, word);
    join(a);
    fold(a);

    a.note("e = edges[(h + displacements[h >> 40]) & mask]");
    a.mov(R::R5, R::R4);
    // In bytes at once: one shift less on the way to the next load.
    a.alu(AluOp::Rsh, R::R5, HASH_DISPLACEMENT_SHIFT as i32 - 1);
    a.alu(AluOp::And, R::R5, facts.mask(Table::Displacements) << 1);
    add_table(a, R::R5, R::R9, Table::Displacements);
    a.load(Size::B2, R::R5, R::R5, 0);
    a.alu32(AluOp::Add, R::R4, R::R5);
    a.alu(AluOp::And, R::R4, facts.mask(Table::Edges));
    a.alu(AluOp::Lsh, R::R4, 4);
    add_table(a, R::R4, R::R9, Table::Edges);
    a.note("e.state == state && e.length == length && names[e.name..] == name -> e.next");
    a.load(Size::B4, R::R5, R::R4, 0);
    a.branch(Test::Ne, R::R5, R::R1, miss);
    a.load(Size::B4, R::R5, R::R4, 12);
    // Not register against register: where the verifier knows e.length, it would give the length that value, also one
    // that no name has, and then find the loops below endless.
    a.alu(AluOp::Xor, R::R5, R::R3);
    a.branch(Test::Ne, R::R5, 0, miss);
    a.load(Size::B4, R::R5, R::R4, 8);
    a.alu(AluOp::And, R::R5, facts.mask(Table::Names));
    a.alu(AluOp::Lsh, R::R5, 3);
    add_table(a, R::R5, R::R9, Table::Names);
    a.mov(R::R7, R::R2);
    a.mov(R::R8, R::R3);
    a.alu(AluOp::Add, R::R8, 7);
    a.alu(AluOp::Rsh, R::R8, 3);
    // r1 collects the differences: one test after the loop, not one in each round.
    a.mov(R::R1, 0);
    a.store(Size::B8, R::R10, DEFAULT, R::R0);
    let word = a.here();
    a.load(Size::B8, R::R9, R::R7, 0);
    a.load(Size::B8, R::R0, R::R5, 0);
    a.alu(AluOp::Xor, R::R9, R::R0);
    a.alu(AluOp::Or, R::R1, R::R9);
    a.alu(AluOp::Add, R::R5, 8);
    a.alu(AluOp::Add, R::R7, 8);
    a.alu(AluOp::Sub, R::R8, 1);
    a.branch(Test::Gt, R::R8, 0, word);
    join(a);
    a.load(Size::B8, R::R0, R::R10, DEFAULT);
    a.branch(Test::Ne, R::R1, 0, miss);
    a.load(Size::B4, R::R0, R::R4, 4);
    a.exit();
}

/// A jump to what comes next, which the kernel leaves out: where paths can meet, the verifier sees that it has been there, and does not
/// go on for each number of rounds of the loop before.
fn join(a: &mut Assembler) {
    let next = a.label();
    a.jump(next);
    a.bind(next);
}

/// `h = h ^ (h >> 32)` in r4, by way of r9.
fn fold(a: &mut Assembler) {
    a.mov(R::R9, R::R4);
    a.alu(AluOp::Rsh, R::R9, 32);
    a.alu(AluOp::Xor, R::R4, R::R9);
}

/// The bytes of a name in one round of [`glob_some`], and the longest name that needs none of it.
const FEW: i32 = 16;

/// Runs the byte automaton of the state's globs over the name, and leaves with where its outcome leads.
///
/// The verifier goes through every round of a loop: for names that are longer than most, the loop is a function of a few rounds.
///
/// Registers: r4 the byte automaton's state; r6 where the targets start; r8, r9 two tables; r1, r5 scratch.
fn glob(a: &mut Assembler, facts: Facts<'_>, leave: Label) {
    let (long, outcome) = (a.label(), a.label());
    a.note("g = s.out & !HAS_LITERALS; no globs -> s.default");
    a.alu32(AluOp::And, R::R6, !HAS_LITERALS as i32);
    a.branch(Test::Eq, R::R6, 0, leave);
    a.alu(AluOp::And, R::R6, facts.mask(Table::Globs));
    a.alu(AluOp::Lsh, R::R6, 3);
    add_table(a, R::R6, R::R5, Table::Globs);
    a.load(Size::B4, R::R4, R::R6, 0);
    a.load(Size::B4, R::R6, R::R6, 4);
    a.branch(Test::Gt, R::R3, FEW, long);
    a.place(R::R8, Place::Table(Table::GlobClass));
    a.place(R::R9, Place::Table(Table::GlobNext));
    a.note("for byte in name: q = glob_next[q << shift | glob_class[byte]]");
    let byte = a.here();
    advance(a, facts);
    a.branch(Test::Eq, R::R4, 0, leave);
    a.alu(AluOp::Sub, R::R3, 1);
    a.branch(Test::Gt, R::R3, 0, byte);
    a.note("glob_targets[globs[g].targets + glob_outcome[q]]; outcome 0 -> s.default");
    a.bind(outcome);
    a.alu(AluOp::And, R::R4, facts.mask(Table::GlobOutcome));
    a.alu(AluOp::Lsh, R::R4, 2);
    add_table(a, R::R4, R::R5, Table::GlobOutcome);
    a.load(Size::B4, R::R4, R::R4, 0);
    a.branch(Test::Eq, R::R4, 0, leave);
    a.alu(AluOp::Add, R::R4, R::R6);
    a.alu(AluOp::And, R::R4, facts.mask(Table::GlobTargets));
    a.alu(AluOp::Lsh, R::R4, 2);
    add_table(a, R::R4, R::R5, Table::GlobTargets);
    a.load(Size::B4, R::R0, R::R4, 0);
    a.exit();

    a.note("a longer name, by parts: q = glob_some(q, name, from, left)");
    a.bind(long);
    let (part, kept) = (a.label(), a.label());
    a.store(Size::B8, R::R10, DEFAULT, R::R0);
    a.mov(R::R7, R::R2);
    a.mov(R::R8, 0);
    a.mov(R::R9, R::R3);
    a.bind(part);
    a.mov(R::R1, R::R4);
    a.mov(R::R2, R::R7);
    a.mov(R::R3, R::R8);
    a.mov(R::R4, R::R9);
    a.call("glob_some");
    a.mov32(R::R4, R::R0);
    a.branch(Test::Eq, R::R4, 0, kept);
    a.alu(AluOp::Add, R::R8, FEW);
    // What is left, against a constant: between two registers, the verifier of Linux 6.1 finds this endless.
    a.alu(AluOp::Sub, R::R9, FEW);
    a.branch(Test::SGt, R::R9, 0, part);
    a.load(Size::B8, R::R0, R::R10, DEFAULT);
    a.jump(outcome);
    a.bind(kept);
    a.load(Size::B8, R::R0, R::R10, DEFAULT);
    // Like everywhere: the default.
    a.jump(leave);
}

/// One byte further: r4 the automaton's state, r2 the byte, which goes on to the next; r8, r9 the tables; r1 scratch.
fn advance(a: &mut Assembler, facts: Facts<'_>) {
    a.load(Size::B1, R::R1, R::R2, 0);
    a.alu(AluOp::Add, R::R1, R::R8);
    a.load(Size::B1, R::R1, R::R1, 0);
    a.alu(AluOp::Lsh, R::R4, facts.tables.glob_shift as i32);
    a.alu(AluOp::Or, R::R4, R::R1);
    a.alu(AluOp::And, R::R4, facts.mask(Table::GlobNext));
    a.alu(AluOp::Lsh, R::R4, 2);
    a.alu(AluOp::Add, R::R4, R::R9);
    a.load(Size::B4, R::R4, R::R4, 0);
    a.alu(AluOp::Add, R::R2, 1);
}

/// `glob_some(q, name, from, left) -> q`: the byte automaton's state after the bytes from `from` on, of which `left` are left, at most
/// [`FEW`] of them.
///
/// Registers: as in [`glob`]; r3 bytes left of the name, r5 rounds left.
pub(super) fn glob_some(a: &mut Assembler, facts: Facts<'_>) {
    a.function("glob_some");
    let (dead, leave) = (a.label(), a.label());
    a.note("no state for a missing name");
    a.branch(Test::Eq, R::R2, 0, dead);
    a.mov(R::R5, R::R3);
    a.mov32(R::R3, R::R4);
    a.mov32(R::R4, R::R1);
    a.alu(AluOp::And, R::R5, (NAME_BYTES as i32 - 1) & !(FEW - 1));
    a.alu(AluOp::Add, R::R2, R::R5);
    a.mov(R::R5, FEW);
    a.place(R::R8, Place::Table(Table::GlobClass));
    a.place(R::R9, Place::Table(Table::GlobNext));
    a.note("for byte in name: q = glob_next[q << shift | glob_class[byte]]");
    let byte = a.here();
    advance(a, facts);
    a.branch(Test::Eq, R::R4, 0, leave);
    a.alu(AluOp::Sub, R::R5, 1);
    a.branch(Test::Eq, R::R5, 0, leave);
    a.alu(AluOp::Sub, R::R3, 1);
    a.branch(Test::SGt, R::R3, 0, byte);
    a.bind(leave);
    a.mov32(R::R0, R::R4);
    a.exit();
    a.bind(dead);
    a.mov32(R::R0, 0);
    a.exit();
}
