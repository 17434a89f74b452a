//! Walks over dentries, in a task's scratch memory: `climb` for the state of a directory, `tell` for the path of an event.
//!
//! They read the kernel's memory by address, fault-safe, and so are verified once, on their own.

use boesfs_lang::pattern::NAME_MAX;

use crate::bpf::asm::Assembler;
use crate::bpf::{AluOp, Field, Helper, Place, Reg, Size, Test};
use crate::emit::layout::{DEPTH, Data, Doubt, Map, NAME_BYTES, event, live, scratch};

use super::find::doubt;

use Reg as R;

pub(super) fn all(a: &mut Assembler) {
    climb(a);
    tell(a);
}

/// Reads `bytes` of `field` of the object at the address in `from` to `scratch + to`; r6 is the scratch memory.
fn peek(a: &mut Assembler, to: usize, bytes: i32, from: Reg, field: Field) {
    a.mov(R::R3, 0);
    a.store(Size::B8, R::R6, to as i16, R::R3);
    a.mov(R::R3, from);
    a.add_field(R::R3, field);
    a.mov(R::R1, R::R6);
    a.alu(AluOp::Add, R::R1, to as i32);
    a.mov(R::R2, bytes);
    a.helper(Helper::ProbeReadKernel);
}

/// `climb(scratch) -> found`: the state of the directory at `scratch.from`, by all names between it and `scratch.root`.
///
/// Each dentry's sequence number is read before its parent and name, and compared when all have been: then there was a moment
/// at which all of them were as they were read. Registers: r6 scratch, r7 the dentry, r8 how many, r9 the state.
fn climb(a: &mut Assembler) {
    const LENGTH: i16 = -8;
    a.function("climb");
    let (up, down, next, check, same, whole) = (a.label(), a.label(), a.label(), a.label(), a.label(), a.label());
    let (deep, nowhere, raced) = (a.label(), a.label(), a.label());
    a.note("no scratch memory");
    let given = a.label();
    a.branch(Test::Ne, R::R1, 0, given);
    doubt(a, Doubt::Room);
    a.note("up to the root: each dentry, and its sequence number");
    a.bind(given);
    a.mov(R::R6, R::R1);
    a.load(Size::B8, R::R7, R::R6, scratch::FROM as i16);
    a.mov(R::R8, 0);
    a.bind(up);
    a.load(Size::B8, R::R1, R::R6, scratch::ROOT as i16);
    a.branch(Test::Eq, R::R7, R::R1, down);
    a.branch(Test::Ge, R::R8, DEPTH as i32, deep);
    peek(a, scratch::WORD, 4, R::R7, Field::DENTRY_SEQUENCE);
    a.mov(R::R9, R::R8);
    a.alu(AluOp::Lsh, R::R9, 3);
    a.alu(AluOp::Add, R::R9, R::R6);
    a.store(Size::B8, R::R9, scratch::CHAIN as i16, R::R7);
    a.load(Size::B8, R::R1, R::R6, scratch::WORD as i16);
    a.store(Size::B8, R::R9, scratch::SEQUENCES as i16, R::R1);
    peek(a, scratch::WORD, 8, R::R7, Field::DENTRY_PARENT);
    a.load(Size::B8, R::R1, R::R6, scratch::WORD as i16);
    a.branch(Test::Eq, R::R1, R::R7, nowhere);
    a.branch(Test::Eq, R::R1, 0, nowhere);
    a.mov(R::R7, R::R1);
    a.alu(AluOp::Add, R::R8, 1);
    a.jump(up);

    a.note("down again: state = step(state, name, length)");
    a.bind(down);
    // Through memory, so that the verifier takes all counts for one.
    a.store(Size::B8, R::R6, scratch::COUNT as i16, R::R8);
    a.load(Size::B8, R::R8, R::R6, scratch::COUNT as i16);
    a.branch(Test::Gt, R::R8, DEPTH as i32, deep);
    a.load(Size::B8, R::R9, R::R6, scratch::STATE as i16);
    a.bind(next);
    a.branch(Test::Lt, R::R8, 1, check);
    a.alu(AluOp::Sub, R::R8, 1);
    chain(a, R::R7, scratch::CHAIN);
    peek(a, scratch::WORD, 4, R::R7, Field::DENTRY_NAME_LENGTH);
    a.load(Size::B8, R::R1, R::R6, scratch::WORD as i16);
    a.branch(Test::Lt, R::R1, 1, raced);
    a.branch(Test::Gt, R::R1, NAME_MAX as i32, raced);
    a.store(Size::B8, R::R10, LENGTH, R::R1);
    peek(a, scratch::WORD, 8, R::R7, Field::DENTRY_NAME);
    a.mov(R::R1, 0);
    for word in 0..NAME_BYTES as i16 / 8 {
        a.store(Size::B8, R::R6, scratch::NAME as i16 + 8 * word, R::R1);
    }
    a.mov(R::R1, R::R6);
    a.alu(AluOp::Add, R::R1, scratch::NAME as i32);
    a.load(Size::B8, R::R2, R::R10, LENGTH);
    a.load(Size::B8, R::R3, R::R6, scratch::WORD as i16);
    a.helper(Helper::ProbeReadKernel);
    a.branch(Test::Ne, R::R0, 0, raced);
    a.mov(R::R1, R::R9);
    a.mov(R::R2, R::R6);
    a.alu(AluOp::Add, R::R2, scratch::NAME as i32);
    a.load(Size::B8, R::R3, R::R10, LENGTH);
    a.call("step");
    a.mov32(R::R9, R::R0);
    a.jump(next);

    a.note("every sequence number is what it was, and even");
    a.bind(check);
    a.load(Size::B8, R::R8, R::R6, scratch::COUNT as i16);
    a.branch(Test::Gt, R::R8, DEPTH as i32, deep);
    a.bind(same);
    a.branch(Test::Lt, R::R8, 1, whole);
    a.alu(AluOp::Sub, R::R8, 1);
    chain(a, R::R7, scratch::CHAIN);
    peek(a, scratch::WORD, 4, R::R7, Field::DENTRY_SEQUENCE);
    chain(a, R::R1, scratch::SEQUENCES);
    a.load(Size::B8, R::R2, R::R6, scratch::WORD as i16);
    a.branch(Test::Ne, R::R1, R::R2, raced);
    a.alu(AluOp::And, R::R1, 1);
    a.branch(Test::Ne, R::R1, 0, raced);
    a.jump(same);
    a.bind(whole);
    a.mov32(R::R0, R::R9);
    a.exit();
    a.bind(deep);
    doubt(a, Doubt::Deep);
    a.bind(nowhere);
    doubt(a, Doubt::Nowhere);
    a.bind(raced);
    doubt(a, Doubt::Raced);
}

/// `dst = scratch.list[r8]`
fn chain(a: &mut Assembler, dst: Reg, list: usize) {
    a.mov(dst, R::R8);
    a.alu(AluOp::Lsh, dst, 3);
    a.alu(AluOp::Add, dst, R::R6);
    a.load(Size::B8, dst, dst, list as i16);
}

/// `tell(scratch)`: adds the path of the object at `scratch.from` to `scratch.event`, and sends it.
///
/// Registers: r6 scratch, r7 the dentry, r8 where the path ends, r9 components left.
fn tell(a: &mut Assembler) {
    const LENGTH: i16 = -8;
    let path = (scratch::EVENT + event::PATH) as i32;
    a.function("tell");
    let (next, cut, send, sent, given) = (a.label(), a.label(), a.label(), a.label(), a.label());
    a.note("no scratch memory");
    a.mov(R::R0, 0);
    a.branch(Test::Ne, R::R1, 0, given);
    a.exit();
    a.note("each component up to the root, the last one first");
    a.bind(given);
    a.mov(R::R6, R::R1);
    a.load(Size::B8, R::R7, R::R6, scratch::FROM as i16);
    a.mov(R::R8, 0);
    a.mov(R::R9, DEPTH as i32);
    a.mov(R::R1, 0);
    a.store(Size::B4, R::R6, (scratch::EVENT + event::CUT) as i16, R::R1);
    a.bind(next);
    a.load(Size::B8, R::R1, R::R6, scratch::ROOT as i16);
    a.branch(Test::Eq, R::R7, R::R1, send);
    a.branch(Test::SLt, R::R9, 1, cut);
    a.branch(Test::Gt, R::R8, event::PATH_BYTES as i32, cut);
    peek(a, scratch::WORD, 4, R::R7, Field::DENTRY_NAME_LENGTH);
    a.load(Size::B8, R::R1, R::R6, scratch::WORD as i16);
    a.branch(Test::Lt, R::R1, 1, cut);
    a.branch(Test::Gt, R::R1, NAME_MAX as i32, cut);
    a.store(Size::B8, R::R10, LENGTH, R::R1);
    peek(a, scratch::WORD, 8, R::R7, Field::DENTRY_NAME);
    a.mov(R::R1, R::R6);
    a.alu(AluOp::Add, R::R1, path);
    a.alu(AluOp::Add, R::R1, R::R8);
    a.load(Size::B8, R::R2, R::R10, LENGTH);
    a.load(Size::B8, R::R3, R::R6, scratch::WORD as i16);
    a.helper(Helper::ProbeReadKernel);
    a.branch(Test::Ne, R::R0, 0, cut);
    a.load(Size::B8, R::R1, R::R10, LENGTH);
    a.alu(AluOp::Add, R::R8, R::R1);
    a.mov(R::R1, R::R6);
    a.alu(AluOp::Add, R::R1, R::R8);
    a.mov(R::R2, i32::from(b'/'));
    a.store(Size::B1, R::R1, path as i16, R::R2);
    a.alu(AluOp::Add, R::R8, 1);
    peek(a, scratch::WORD, 8, R::R7, Field::DENTRY_PARENT);
    a.load(Size::B8, R::R1, R::R6, scratch::WORD as i16);
    a.branch(Test::Eq, R::R1, R::R7, cut);
    a.branch(Test::Eq, R::R1, 0, cut);
    a.mov(R::R7, R::R1);
    a.alu(AluOp::Sub, R::R9, 1);
    a.jump(next);
    a.note("it does not reach the root");
    a.bind(cut);
    a.mov(R::R1, 1);
    a.store(Size::B4, R::R6, (scratch::EVENT + event::CUT) as i16, R::R1);
    a.note("send it; no room: counted");
    a.bind(send);
    a.store(Size::B4, R::R6, (scratch::EVENT + event::LENGTH) as i16, R::R8);
    a.place(R::R1, Place::Map(Map::Events));
    a.mov(R::R2, R::R6);
    a.alu(AluOp::Add, R::R2, scratch::EVENT as i32);
    a.mov(R::R3, R::R8);
    a.alu(AluOp::Add, R::R3, event::PATH as i32);
    a.mov(R::R4, 0);
    a.helper(Helper::RingbufOutput);
    a.branch(Test::Eq, R::R0, 0, sent);
    count(a, Doubt::None);
    a.bind(sent);
    a.mov(R::R0, 0);
    a.exit();
}

/// Counts: events lost, or refusals without a verdict. Changes r1 and r2.
pub(super) fn count(a: &mut Assembler, what: Doubt) {
    a.place(R::R1, Place::Data(Data::Live));
    a.mov(R::R2, 1);
    a.atomic_add(R::R1, (live::COUNTERS + 8 * what as usize) as i16, R::R2);
}
