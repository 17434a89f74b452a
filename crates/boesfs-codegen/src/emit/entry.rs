//! The entry program `boesfs_walk`, for `BPF_PROG_TEST_RUN`, and `walk`, the loop over the components of a path.
//!
//! Loops over a path and over repetitions would multiply for the verifier; as a global function, `walk` is verified once.

use boesfs_lang::cond::ARG_COUNT;
use boesfs_lang::policy::Effect;

use crate::bpf::asm::Assembler;
use crate::bpf::{AluOp, Helper, Place, Reg, Size, Test};
use boesfs_lang::pattern::NAME_MAX;

use super::layout::{ENTRY, ENTRY_SECTION, MAX_REPEAT, Map, Mode, NAME_BYTES, SLOT_BYTES, SLOTS, context};

use Reg as R;

/// The arguments, copied from the context: functions take memory, not a context.
const ARGS: i16 = -64;
/// The key of the map.
const KEY: i16 = -72;
/// The clock at the start.
const T0: i16 = -80;
/// The last verdict of `check`.
const CHECK: i16 = -88;
/// What the empty loop stores in place of a verdict.
const SCRATCH: i16 = -96;

/// Registers: r6 the context, r7 the request, r8 repetitions left, r9 the state.
pub(super) fn boesfs_walk(a: &mut Assembler) {
    a.entry(ENTRY, ENTRY_SECTION);
    a.note("args on the stack, names from the map");
    a.mov(R::R6, R::R1);
    for i in 0..ARG_COUNT as i16 {
        a.load(Size::B8, R::R1, R::R6, context::ARGS as i16 + 8 * i);
        a.store(Size::B8, R::R10, ARGS + 8 * i, R::R1);
    }
    a.mov(R::R1, Effect::Deny as i32);
    a.store(Size::B8, R::R10, CHECK, R::R1);
    a.mov(R::R1, 0);
    a.store(Size::B8, R::R10, KEY, R::R1);
    a.place(R::R1, Place::Map(Map::Request));
    a.mov(R::R2, R::R10);
    a.alu(AluOp::Add, R::R2, i32::from(KEY));
    a.helper(Helper::MapLookupElem);
    let found = a.label();
    a.branch(Test::Ne, R::R0, 0, found);
    a.mov32(R::R0, 1);
    a.exit();
    a.bind(found);
    a.mov(R::R7, R::R0);
    a.load(Size::B4, R::R9, R::R6, context::START as i16);
    a.note("repetitions: 1 to 256");
    a.load(Size::B4, R::R8, R::R6, context::REPEAT as i16);
    a.alu(AluOp::Sub, R::R8, 1);
    a.alu(AluOp::And, R::R8, MAX_REPEAT as i32 - 1);
    a.alu(AluOp::Add, R::R8, 1);
    a.helper(Helper::KtimeGetNs);
    a.store(Size::B8, R::R10, T0, R::R0);
    let (step, check, empty, subject, done) = (a.label(), a.label(), a.label(), a.label(), a.label());
    a.load(Size::B4, R::R1, R::R6, context::MODE as i16);
    a.branch(Test::Eq, R::R1, Mode::Step as i32, step);
    a.branch(Test::Eq, R::R1, Mode::Check as i32, check);
    a.branch(Test::Eq, R::R1, Mode::Empty as i32, empty);
    a.branch(Test::Eq, R::R1, Mode::Subject as i32, subject);

    a.note("walk from the start, then check");
    let again = a.here();
    a.load(Size::B4, R::R1, R::R6, context::START as i16);
    a.mov(R::R2, R::R7);
    a.load(Size::B4, R::R3, R::R6, context::COUNT as i16);
    a.call("walk");
    a.mov(R::R9, R::R0);
    ask(a, "check");
    a.store(Size::B8, R::R10, CHECK, R::R0);
    a.alu(AluOp::Sub, R::R8, 1);
    a.branch(Test::Gt, R::R8, 0, again);
    a.jump(done);

    a.note("one step from the start, then check");
    a.bind(step);
    a.load(Size::B4, R::R1, R::R6, context::START as i16);
    a.mov(R::R2, R::R7);
    a.load(Size::B4, R::R3, R::R7, NAME_BYTES as i16);
    a.call("step");
    a.mov(R::R9, R::R0);
    ask(a, "check");
    a.store(Size::B8, R::R10, CHECK, R::R0);
    a.alu(AluOp::Sub, R::R8, 1);
    a.branch(Test::Gt, R::R8, 0, step);
    a.jump(done);

    a.note("check at the start");
    a.bind(check);
    ask(a, "check");
    a.store(Size::B8, R::R10, CHECK, R::R0);
    a.alu(AluOp::Sub, R::R8, 1);
    a.branch(Test::Gt, R::R8, 0, check);
    a.jump(done);

    a.note("the class of the subject in the request, as the state");
    a.bind(subject);
    a.mov(R::R1, R::R7);
    a.call("subject");
    a.mov(R::R9, R::R0);
    a.alu(AluOp::Sub, R::R8, 1);
    a.branch(Test::Gt, R::R8, 0, subject);
    a.jump(done);

    a.note("the loop of check, without the call");
    a.bind(empty);
    arguments(a);
    a.store(Size::B8, R::R10, SCRATCH, R::R4);
    a.alu(AluOp::Sub, R::R8, 1);
    a.branch(Test::Gt, R::R8, 0, empty);

    a.note("time, state, verdict of check, verdict of decide");
    a.bind(done);
    a.helper(Helper::KtimeGetNs);
    a.load(Size::B8, R::R1, R::R10, T0);
    a.alu(AluOp::Sub, R::R0, R::R1);
    a.store(Size::B8, R::R6, context::NS as i16, R::R0);
    a.mov32(R::R9, R::R9);
    a.store(Size::B8, R::R6, context::STATE as i16, R::R9);
    a.load(Size::B8, R::R1, R::R10, CHECK);
    a.store(Size::B8, R::R6, context::CHECK as i16, R::R1);
    ask(a, "decide");
    a.store(Size::B8, R::R6, context::DECIDE as i16, R::R0);
    a.mov32(R::R0, 0);
    a.exit();
}

/// `r0 = function(state, class, op, args)`
fn ask(a: &mut Assembler, function: &str) {
    arguments(a);
    a.call(function);
}

/// `r1` to `r4`: state, class, op, args.
fn arguments(a: &mut Assembler) {
    a.mov(R::R1, R::R9);
    a.load(Size::B4, R::R2, R::R6, context::CLASS as i16);
    a.load(Size::B4, R::R3, R::R6, context::OP as i16);
    a.mov(R::R4, R::R10);
    a.alu(AluOp::Add, R::R4, i32::from(ARGS));
}

/// `walk(state, request, count) -> state`. Registers: r6 the state, r7 the slot, r8 the count, r9 the components done.
pub(super) fn walk(a: &mut Assembler) {
    a.function("walk");
    let (dead, next, leave) = (a.label(), a.label(), a.label());
    a.note("no request, or more components than it has slots: the dead state");
    a.branch(Test::Eq, R::R2, 0, dead);
    a.mov32(R::R8, R::R3);
    a.branch(Test::Gt, R::R8, SLOTS as i32, dead);
    a.mov32(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.mov(R::R9, 0);
    a.note("for each component: state = step(state, name, length)");
    a.bind(next);
    a.branch(Test::Ge, R::R9, R::R8, leave);
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R7);
    a.load(Size::B8, R::R3, R::R7, NAME_BYTES as i16);
    a.branch(Test::Gt, R::R3, NAME_MAX as i32, dead);
    a.call("step");
    a.mov32(R::R6, R::R0);
    a.alu(AluOp::Add, R::R7, SLOT_BYTES as i32);
    a.alu(AluOp::Add, R::R9, 1);
    a.jump(next);
    a.note("the state reached");
    a.bind(leave);
    a.mov32(R::R0, R::R6);
    a.exit();
    a.bind(dead);
    a.mov32(R::R0, 0);
    a.exit();
}
