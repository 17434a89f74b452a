//! The struct_ops programs of the kernel module: they bring what the module asks to where the functions take it.
//!
//! What the module passes is memory of the kernel, which functions that are verified on their own do not take: it is
//! copied to the stack. The registers at the entry of a member are the words that `r1` points to.

use crate::bpf::asm::Assembler;
use crate::bpf::{AluOp, Helper, Place, Reg, Size, Test};

use super::layout::kmod::{EVENT_BYTES, EVENT_SHORT, MEMBERS, request};
use super::layout::{Data, Doubt, Map, NAME_BYTES, event, live, who};

use Reg as R;

/// The entry programs, in the order of [`MEMBERS`].
pub(super) fn programs(a: &mut Assembler) {
    let begin = |a: &mut Assembler, name: &str| {
        if let Some(member) = MEMBERS.iter().find(|member| member.name == name) {
            a.entry(member.program, member.section);
        }
    };
    begin(a, "step");
    a.note("step(state, a copy of the name, length)");
    a.load(Size::B8, R::R6, R::R1, 0);
    a.load(Size::B8, R::R7, R::R1, 8);
    a.load(Size::B8, R::R3, R::R1, 16);
    copy(a, Size::B8, 0, NAME_BYTES);
    a.mov(R::R1, R::R7);
    stack(a, R::R2, NAME_BYTES);
    a.call("step");
    a.exit();

    begin(a, "check");
    a.note("check(state, class, op, a copy of the arguments)");
    a.load(Size::B8, R::R6, R::R1, 0);
    copy(a, Size::B8, request::ARGS, request::BYTES - request::ARGS);
    a.load(Size::B4, R::R1, R::R6, request::STATE as i16);
    a.load(Size::B4, R::R2, R::R6, request::CLASS as i16);
    a.load(Size::B4, R::R3, R::R6, request::OP as i16);
    stack(a, R::R4, request::BYTES - request::ARGS);
    a.call("check");
    a.exit();

    for (member, words) in [("row", 2), ("conditional", 3), ("within", 3)] {
        begin(a, member);
        a.note(&format!("{member} of the same words"));
        a.mov(R::R6, R::R1);
        for (to, word) in [R::R1, R::R2, R::R3].into_iter().zip(0..words) {
            a.load(Size::B8, to, R::R6, 8 * word);
        }
        a.call(member);
        a.exit();
    }

    begin(a, "subject");
    a.note("subject(a copy of who asks)");
    a.load(Size::B8, R::R6, R::R1, 0);
    copy(a, Size::B4, 0, who::BYTES);
    stack(a, R::R1, who::BYTES);
    a.call("subject");
    a.exit();

    begin(a, "record");
    record(a);
}

/// Copies `bytes` from `r6 + from` to the end of the stack, by way of `r0`: member by member, as the verifier wants it.
fn copy(a: &mut Assembler, member: Size, from: usize, bytes: usize) {
    for at in (0..bytes).step_by(member.bytes()) {
        a.load(member, R::R0, R::R6, (from + at) as i16);
        a.store(member, R::R10, at as i16 - bytes as i16, R::R0);
    }
}

/// `dst` = the address of the last `bytes` of the stack.
fn stack(a: &mut Assembler, dst: Reg, bytes: usize) {
    a.mov(dst, R::R10);
    a.alu(AluOp::Add, dst, -(bytes as i32));
}

/// Puts an event into the ring buffer; 1 if there is no room, which is counted for who reads it.
fn record(a: &mut Assembler) {
    let (long, submit, lost) = (a.label(), a.label(), a.label());
    a.note("most events are short");
    a.load(Size::B8, R::R6, R::R1, 0);
    a.load(Size::B4, R::R7, R::R6, event::LENGTH as i16);
    a.branch(Test::Gt, R::R7, (EVENT_SHORT - event::PATH) as i32, long);
    reserve(a, EVENT_SHORT, lost);
    a.jump(submit);
    a.note("one with a long path");
    a.bind(long);
    reserve(a, EVENT_BYTES, lost);
    a.bind(submit);
    a.mov(R::R1, R::R8);
    a.mov(R::R2, 0);
    a.helper(Helper::RingbufSubmit);
    a.mov32(R::R0, 0);
    a.exit();
    a.note("no room");
    a.bind(lost);
    a.place(R::R1, Place::Data(Data::Live));
    a.mov(R::R2, 1);
    a.atomic_add(R::R1, (live::COUNTERS + 8 * Doubt::None as usize) as i16, R::R2);
    a.mov32(R::R0, 1);
    a.exit();
}

/// `r8` = room for `bytes`, filled from `r6`.
fn reserve(a: &mut Assembler, bytes: usize, lost: crate::bpf::asm::Label) {
    a.place(R::R1, Place::Map(Map::Events));
    a.mov(R::R2, bytes as i32);
    a.mov(R::R3, 0);
    a.helper(Helper::RingbufReserve);
    a.branch(Test::Eq, R::R0, 0, lost);
    a.mov(R::R8, R::R0);
    a.mov(R::R1, R::R8);
    a.mov(R::R2, bytes as i32);
    a.mov(R::R3, R::R6);
    a.helper(Helper::ProbeReadKernel);
}
