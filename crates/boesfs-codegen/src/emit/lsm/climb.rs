//! Walks over dentries, in a task's scratch memory: `climb` for the state of an object, `tell` for the path of an event.
//!
//! They read the kernel's memory by address, fault-safe, and so are verified once, on their own. The verifier goes through every round
//! of a loop: so each loop is a function of [`FEW`] rounds, called by one [`SOME`] times, which is called [`OFTEN`] times. It goes through
//! `FEW + SOME + OFTEN` of them.

use boesfs_lang::pattern::NAME_MAX;

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Field, Helper, Place, Reg, Size, Test};
use crate::emit::Facts;
use crate::emit::layout::{DEPTH, Data, Doubt, Map, NAME_BYTES, above, event, live, scratch};

use super::find::{NAMES_OF_ITS_OWN, doubt, lookup, state_entry};

use Reg as R;

/// Rounds of a loop in one function.
const FEW: i32 = 2;
/// How often such a function is called by another.
const SOME: i32 = 8;
/// How often that one is called.
pub(super) const OFTEN: i32 = 9;
const _: () = assert!((FEW * SOME * OFTEN) as usize > DEPTH, "the deepest object is reached, and its root known");
const _: () = assert!((FEW * SOME * OFTEN) as usize == above::MOST);

/// What a function of a few rounds says: there are more, or that was the last one. Otherwise it is a doubt.
pub(super) const MORE: i32 = 0;
pub(super) const DONE: i32 = 1;

pub(super) fn all(a: &mut Assembler, facts: Facts<'_>) {
    climb(a);
    climb_up(a);
    some(a, "climb_ups", "climb_up");
    climb_down(a, facts);
    some(a, "climb_downs", "climb_down");
    climb_check(a);
    some(a, "climb_checks", "climb_check");
    stands_few(a);
    some(a, "stands_some", "stands_few");
    tell(a);
    tell_names(a);
    some(a, "tell_some", "tell_names");
}

/// Calls the function `few` of the scratch memory in r6 until it says [`DONE`], and goes to `left` if it has not after so many `rounds`. What
/// else it says is returned. Changes r7.
fn often(a: &mut Assembler, few: &str, rounds: i32, left: Label) {
    let (again, done, more) = (a.label(), a.label(), a.label());
    a.mov(R::R7, rounds);
    a.bind(again);
    a.mov(R::R1, R::R6);
    a.call(few);
    a.branch(Test::Eq, R::R0, DONE, done);
    a.branch(Test::Eq, R::R0, MORE, more);
    a.exit();
    a.bind(more);
    a.alu(AluOp::Sub, R::R7, 1);
    a.branch(Test::SGt, R::R7, 0, again);
    a.jump(left);
    a.bind(done);
}

/// `name(scratch)`: the function `few`, [`SOME`] times.
fn some(a: &mut Assembler, name: &str, few: &str) {
    let left = a.label();
    of_scratch(a, name);
    a.note("until there are no more");
    often(a, few, SOME, left);
    say(a, DONE);
    a.bind(left);
    say(a, MORE);
}

/// Begins a function of the scratch memory, which is in r6 from then on.
fn of_scratch(a: &mut Assembler, name: &str) {
    let given = a.label();
    a.function(name);
    a.note("no scratch memory");
    a.branch(Test::Ne, R::R1, 0, given);
    doubt(a, Doubt::Room);
    a.bind(given);
    a.mov(R::R6, R::R1);
}

/// Returns `what`.
fn say(a: &mut Assembler, what: i32) {
    a.mov(R::R0, what);
    a.exit();
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

/// `climb(scratch) -> found`: the state of the object at `scratch.from`, by all names between it and `scratch.root`. `scratch.above` is
/// then that of its parent, which is the second of `scratch.chain`.
///
/// Each dentry's sequence number is read before its parent and name, and compared when all have been: then there was a moment
/// at which all of them were as they were read.
fn climb(a: &mut Assembler) {
    let deep = a.label();
    of_scratch(a, "climb");
    a.note("up to the root");
    a.mov(R::R1, 0);
    a.store(Size::B8, R::R6, scratch::COUNT as i16, R::R1);
    often(a, "climb_ups", OFTEN, deep);
    a.note("down");
    all_left(a);
    often(a, "climb_downs", OFTEN, deep);
    a.note("scratch.state, if the whole chain is as it was");
    all_left(a);
    often(a, "climb_checks", OFTEN, deep);
    a.load(Size::B4, R::R0, R::R6, scratch::STATE as i16);
    a.exit();
    a.bind(deep);
    doubt(a, Doubt::Deep);
}

/// The whole chain is left.
fn all_left(a: &mut Assembler) {
    a.load(Size::B8, R::R1, R::R6, scratch::COUNT as i16);
    a.store(Size::B8, R::R6, scratch::LEFT as i16, R::R1);
}

/// `climb_up(scratch)`: a few dentries from `scratch.from` on towards the root, with their sequence numbers, to the end of the chain.
///
/// Registers: r6 scratch, r7 the dentry, r8 how many are in the chain, r9 rounds left.
fn climb_up(a: &mut Assembler) {
    let (next, done, nowhere, deep) = (a.label(), a.label(), a.label(), a.label());
    of_scratch(a, "climb_up");
    a.note("each dentry, and its sequence number");
    a.load(Size::B8, R::R7, R::R6, scratch::FROM as i16);
    a.load(Size::B8, R::R8, R::R6, scratch::COUNT as i16);
    a.mov(R::R9, FEW);
    a.bind(next);
    a.branch(Test::Gt, R::R8, DEPTH as i32, deep);
    a.load(Size::B8, R::R1, R::R6, scratch::ROOT as i16);
    a.branch(Test::Eq, R::R7, R::R1, done);
    a.branch(Test::Ge, R::R8, DEPTH as i32, deep);
    peek(a, scratch::WORD, 4, R::R7, Field::DENTRY_SEQUENCE);
    a.load(Size::B8, R::R1, R::R6, scratch::WORD as i16);
    a.mov(R::R2, R::R8);
    a.alu(AluOp::Lsh, R::R2, 3);
    a.alu(AluOp::Add, R::R2, R::R6);
    a.store(Size::B8, R::R2, scratch::CHAIN as i16, R::R7);
    a.store(Size::B8, R::R2, scratch::SEQUENCES as i16, R::R1);
    peek(a, scratch::WORD, 8, R::R7, Field::DENTRY_PARENT);
    a.load(Size::B8, R::R1, R::R6, scratch::WORD as i16);
    a.branch(Test::Eq, R::R1, R::R7, nowhere);
    a.branch(Test::Eq, R::R1, 0, nowhere);
    a.mov(R::R7, R::R1);
    a.alu(AluOp::Add, R::R8, 1);
    a.alu(AluOp::Sub, R::R9, 1);
    a.branch(Test::SGt, R::R9, 0, next);
    a.store(Size::B8, R::R6, scratch::FROM as i16, R::R7);
    a.store(Size::B8, R::R6, scratch::COUNT as i16, R::R8);
    say(a, MORE);
    a.note("the root, which is not counted");
    a.bind(done);
    a.store(Size::B8, R::R6, scratch::COUNT as i16, R::R8);
    a.alu(AluOp::Lsh, R::R8, 3);
    a.alu(AluOp::Add, R::R8, R::R6);
    a.store(Size::B8, R::R8, scratch::CHAIN as i16, R::R7);
    say(a, DONE);
    a.bind(nowhere);
    doubt(a, Doubt::Nowhere);
    a.bind(deep);
    doubt(a, Doubt::Deep);
}

/// `climb_down(scratch)`: a few steps of `scratch.state` by the names of the chain, from its end on.
///
/// Registers: r6 scratch, r7 the dentry, r8 how many are left, r9 rounds left.
fn climb_down(a: &mut Assembler, facts: Facts<'_>) {
    const LENGTH: i16 = -8;
    let (done, raced, deep) = (a.label(), a.label(), a.label());
    let (exact, inexact) = (a.label(), a.label());
    of_scratch(a, "climb_down");
    a.note("state = step(state, name, length)");
    let next = each_left(a, done, deep);
    a.load(Size::B8, R::R1, R::R6, scratch::STATE as i16);
    a.store(Size::B8, R::R6, scratch::ABOVE as i16, R::R1);
    // A name that is one of several says nothing, but below a leaf of the automaton.
    peek(a, scratch::WORD, 4, R::R7, Field::DENTRY_FLAGS);
    a.load(Size::B8, R::R1, R::R6, scratch::WORD as i16);
    a.alu(AluOp::And, R::R1, NAMES_OF_ITS_OWN);
    a.branch(Test::Eq, R::R1, 0, exact);
    a.load(Size::B8, R::R1, R::R6, scratch::STATE as i16);
    state_entry(a, facts);
    a.load(Size::B4, R::R1, R::R1, 12);
    a.branch(Test::Ne, R::R1, 0, inexact);
    a.bind(exact);
    peek(a, scratch::WORD, 4, R::R7, Field::DENTRY_NAME_LENGTH);
    a.load(Size::B8, R::R1, R::R6, scratch::WORD as i16);
    a.branch(Test::Lt, R::R1, 1, raced);
    a.branch(Test::Gt, R::R1, NAME_MAX as i32, raced);
    a.store(Size::B8, R::R10, LENGTH, R::R1);
    peek(a, scratch::WORD, 8, R::R7, Field::DENTRY_NAME);
    // Zero to the end of its last word: no more of it is looked at.
    a.load(Size::B8, R::R1, R::R10, LENGTH);
    a.alu(AluOp::And, R::R1, NAME_BYTES as i32 - 8);
    a.alu(AluOp::Add, R::R1, R::R6);
    a.mov(R::R2, 0);
    a.store(Size::B8, R::R1, scratch::NAME as i16, R::R2);
    a.mov(R::R1, R::R6);
    a.alu(AluOp::Add, R::R1, scratch::NAME as i32);
    a.load(Size::B8, R::R2, R::R10, LENGTH);
    a.load(Size::B8, R::R3, R::R6, scratch::WORD as i16);
    a.helper(Helper::ProbeReadKernel);
    a.branch(Test::Ne, R::R0, 0, raced);
    a.load(Size::B8, R::R1, R::R6, scratch::STATE as i16);
    a.mov(R::R2, R::R6);
    a.alu(AluOp::Add, R::R2, scratch::NAME as i32);
    a.load(Size::B8, R::R3, R::R10, LENGTH);
    a.call("step");
    a.mov32(R::R0, R::R0);
    a.store(Size::B8, R::R6, scratch::STATE as i16, R::R0);
    next_left(a, next, done);
    a.bind(raced);
    doubt(a, Doubt::Raced);
    a.bind(inexact);
    doubt(a, Doubt::Inexact);
    a.bind(deep);
    doubt(a, Doubt::Deep);
}

/// Begins [`FEW`] rounds over what is left of the chain, from its end on: r7 is the dentry, r8 its number. The label is that of a round.
fn each_left(a: &mut Assembler, done: Label, deep: Label) -> Label {
    let next = a.label();
    a.load(Size::B8, R::R8, R::R6, scratch::LEFT as i16);
    a.branch(Test::Gt, R::R8, DEPTH as i32, deep);
    a.mov(R::R9, FEW);
    a.bind(next);
    a.branch(Test::Lt, R::R8, 1, done);
    a.alu(AluOp::Sub, R::R8, 1);
    chain(a, R::R7, scratch::CHAIN);
    next
}

/// Ends a round of [`each_left`]; says whether that was the last one of the chain.
fn next_left(a: &mut Assembler, next: Label, done: Label) {
    a.alu(AluOp::Sub, R::R9, 1);
    a.branch(Test::SGt, R::R9, 0, next);
    a.store(Size::B8, R::R6, scratch::LEFT as i16, R::R8);
    say(a, MORE);
    a.bind(done);
    say(a, DONE);
}

/// `climb_check(scratch)`: whether a few dentries of the chain have the sequence numbers that they had, even ones.
///
/// Registers: r6 scratch, r7 the dentry, r8 how many are left, r9 rounds left.
fn climb_check(a: &mut Assembler) {
    let (done, raced, deep) = (a.label(), a.label(), a.label());
    of_scratch(a, "climb_check");
    a.note("every sequence number is what it was, and even");
    let next = each_left(a, done, deep);
    peek(a, scratch::WORD, 4, R::R7, Field::DENTRY_SEQUENCE);
    chain(a, R::R1, scratch::SEQUENCES);
    a.load(Size::B8, R::R2, R::R6, scratch::WORD as i16);
    a.branch(Test::Ne, R::R1, R::R2, raced);
    a.alu(AluOp::And, R::R1, 1);
    a.branch(Test::Ne, R::R1, 0, raced);
    next_left(a, next, done);
    a.bind(raced);
    doubt(a, Doubt::Raced);
    a.bind(deep);
    doubt(a, Doubt::Deep);
}

/// `stands_few(scratch)`: whether a few of the dentries that the place `scratch.count` stands on or below, from number `scratch.left` on,
/// have the sequence numbers that they had when they were told.
///
/// Registers: r6 scratch, r7 how many were looked at, r8 what was told, r9 rounds left.
fn stands_few(a: &mut Assembler) {
    const KEY: i16 = -8;
    let (next, done, moved) = (a.label(), a.label(), a.label());
    of_scratch(a, "stands_few");
    a.note("each is of its name and its parent still: its sequence number is what it was");
    a.load(Size::B8, R::R1, R::R6, scratch::COUNT as i16);
    a.store(Size::B4, R::R10, KEY + above::PLACE as i16, R::R1);
    a.load(Size::B8, R::R7, R::R6, scratch::LEFT as i16);
    a.mov(R::R9, FEW);
    a.bind(next);
    a.store(Size::B4, R::R10, KEY + above::INDEX as i16, R::R7);
    lookup(a, Map::Above, KEY);
    a.branch(Test::Eq, R::R0, 0, done);
    a.mov(R::R8, R::R0);
    a.load(Size::B8, R::R4, R::R8, above::DENTRY as i16);
    peek(a, scratch::WORD, 4, R::R4, Field::DENTRY_SEQUENCE);
    a.branch(Test::Ne, R::R0, 0, moved);
    a.load(Size::B8, R::R1, R::R6, scratch::WORD as i16);
    a.load(Size::B8, R::R2, R::R8, above::SEQUENCE as i16);
    a.branch(Test::Ne, R::R1, R::R2, moved);
    a.alu(AluOp::And, R::R1, 1);
    a.branch(Test::Ne, R::R1, 0, moved);
    a.alu(AluOp::Add, R::R7, 1);
    a.alu(AluOp::Sub, R::R9, 1);
    a.branch(Test::SGt, R::R9, 0, next);
    a.store(Size::B8, R::R6, scratch::LEFT as i16, R::R7);
    say(a, MORE);
    a.bind(done);
    say(a, DONE);
    a.bind(moved);
    doubt(a, Doubt::Nowhere);
}

/// `dst = scratch.list[r8]`
fn chain(a: &mut Assembler, dst: Reg, list: usize) {
    a.mov(dst, R::R8);
    a.alu(AluOp::Lsh, dst, 3);
    a.alu(AluOp::Add, dst, R::R6);
    a.load(Size::B8, dst, dst, list as i16);
}

/// `tell(scratch)`: adds the path of the object at `scratch.from` to `scratch.event`, and sends it. r6 is the scratch memory.
fn tell(a: &mut Assembler) {
    let (cut, again, send, sent) = (a.label(), a.label(), a.label(), a.label());
    of_scratch(a, "tell");
    a.note("each component up to the root, the last one first");
    a.mov(R::R1, 0);
    a.store(Size::B4, R::R6, (scratch::EVENT + event::CUT) as i16, R::R1);
    a.store(Size::B4, R::R6, (scratch::EVENT + event::LENGTH) as i16, R::R1);
    a.mov(R::R7, OFTEN);
    a.bind(again);
    a.mov(R::R1, R::R6);
    a.call("tell_some");
    a.branch(Test::Eq, R::R0, DONE, send);
    a.branch(Test::Ne, R::R0, MORE, cut);
    a.alu(AluOp::Sub, R::R7, 1);
    a.branch(Test::SGt, R::R7, 0, again);
    a.note("it does not reach the root");
    a.bind(cut);
    a.mov(R::R1, 1);
    a.store(Size::B4, R::R6, (scratch::EVENT + event::CUT) as i16, R::R1);
    a.note("send it; no room: counted");
    a.bind(send);
    a.load(Size::B4, R::R3, R::R6, (scratch::EVENT + event::LENGTH) as i16);
    let whole = a.label();
    a.branch(Test::Le, R::R3, (event::PATH_BYTES + NAME_MAX + 1) as i32, whole);
    a.mov(R::R3, 0);
    a.bind(whole);
    a.place(R::R1, Place::Map(Map::Events));
    a.mov(R::R2, R::R6);
    a.alu(AluOp::Add, R::R2, scratch::EVENT as i32);
    a.alu(AluOp::Add, R::R3, event::PATH as i32);
    a.mov(R::R4, 0);
    a.helper(Helper::RingbufOutput);
    a.branch(Test::Eq, R::R0, 0, sent);
    count(a, Doubt::None);
    a.bind(sent);
    a.mov(R::R0, 0);
    a.exit();
}

/// `tell_names(scratch)`: a few components of the path of the object at `scratch.from` to the end of the event's, and on to their parent.
/// Anything but [`MORE`] and [`DONE`]: the path cannot be told any further.
///
/// Registers: r6 scratch, r7 the dentry, r8 where the path ends, r9 rounds left.
fn tell_names(a: &mut Assembler) {
    const LENGTH: i16 = -8;
    let path = (scratch::EVENT + event::PATH) as i32;
    let (next, cut, done) = (a.label(), a.label(), a.label());
    of_scratch(a, "tell_names");
    a.load(Size::B8, R::R7, R::R6, scratch::FROM as i16);
    a.load(Size::B4, R::R8, R::R6, (scratch::EVENT + event::LENGTH) as i16);
    a.mov(R::R9, FEW);
    a.bind(next);
    a.load(Size::B8, R::R1, R::R6, scratch::ROOT as i16);
    a.branch(Test::Eq, R::R7, R::R1, done);
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
    a.store(Size::B4, R::R6, (scratch::EVENT + event::LENGTH) as i16, R::R8);
    peek(a, scratch::WORD, 8, R::R7, Field::DENTRY_PARENT);
    a.load(Size::B8, R::R1, R::R6, scratch::WORD as i16);
    a.branch(Test::Eq, R::R1, R::R7, cut);
    a.branch(Test::Eq, R::R1, 0, cut);
    a.mov(R::R7, R::R1);
    a.alu(AluOp::Sub, R::R9, 1);
    a.branch(Test::SGt, R::R9, 0, next);
    a.store(Size::B8, R::R6, scratch::FROM as i16, R::R7);
    say(a, MORE);
    a.bind(done);
    say(a, DONE);
    a.bind(cut);
    doubt(a, Doubt::Nowhere);
}

/// Counts: events lost, or refusals without a verdict. Changes r1 and r2.
pub(super) fn count(a: &mut Assembler, what: Doubt) {
    a.place(R::R1, Place::Data(Data::Live));
    a.mov(R::R2, 1);
    a.atomic_add(R::R1, (live::COUNTERS + 8 * what as usize) as i16, R::R2);
}
