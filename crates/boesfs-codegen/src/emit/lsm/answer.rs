//! What follows from a verdict: a record, a kill, an error number.

use boesfs_lang::policy::Effect;

use crate::bpf::asm::Assembler;
use crate::bpf::{AluOp, Field, Helper, Place, Reg, Size, Test};
use crate::emit::layout::{Data, Doubt, Map, event, live, place, scratch, supers};
use crate::tables::verdict_bits;

use super::climb::count;
use super::find::lookup;
use super::scope::{self, Asker, F_CREATE, of_this_task, peek, peek_field};

use Reg as R;

pub(super) const EACCES: i32 = 13;
const ENOENT: i32 = 2;
pub(super) const EXDEV: i32 = 18;
pub(super) const SIGKILL: i32 = 9;

/// `answer(dentry, mount, found, op, args) -> 0 or an error number below zero`. A mount of 0: the one that shows the file system.
///
/// Registers: r6 dentry, r7 mount, r8 the verdict, r9 the operation.
pub(super) fn answer(a: &mut Assembler) {
    const KEY: i16 = -8;
    const FOUND: i16 = -16;
    const ROOM: i16 = -24;
    const CLASS: i16 = -32;
    a.static_function("answer");
    let (doubt, judged, recorded, record, consequence) = (a.label(), a.label(), a.label(), a.label(), a.label());
    let (refuse, hide, known, no_place, placed, lost) =
        (a.label(), a.label(), a.label(), a.label(), a.label(), a.label());
    a.note("whose request it is");
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.mov(R::R8, R::R5);
    a.mov(R::R9, R::R4);
    a.store(Size::B8, R::R10, FOUND, R::R3);
    scope::class(a, Asker::ByAddress);
    a.store(Size::B8, R::R10, CLASS, R::R0);
    a.note("without doubt: the verdict");
    a.load(Size::B8, R::R3, R::R10, FOUND);
    a.mov(R::R1, R::R3);
    a.alu(AluOp::Rsh, R::R1, 32);
    a.branch(Test::Ne, R::R1, 0, doubt);
    a.mov(R::R1, R::R3);
    a.mov(R::R2, R::R0);
    a.mov(R::R3, R::R9);
    a.mov(R::R4, R::R8);
    a.call("decide");
    a.mov(R::R8, R::R0);
    a.branch(Test::Ne, R::R8, 0, judged);
    a.mov(R::R0, 0);
    a.exit();
    a.note("in doubt: refused, and counted by the reason");
    a.bind(doubt);
    a.mov(R::R1, R::R3);
    a.alu(AluOp::And, R::R1, 7);
    a.alu(AluOp::Lsh, R::R1, 3);
    a.place(R::R2, Place::Data(Data::Live));
    a.alu(AluOp::Add, R::R2, R::R1);
    a.mov(R::R1, 1);
    a.atomic_add(R::R2, live::COUNTERS as i16, R::R1);
    a.mov(R::R8, Effect::Deny as i32);
    a.jump(record);

    a.note("recorded: audited, or refused and not quiet, or killed for");
    a.bind(judged);
    a.mov(R::R1, R::R8);
    a.alu(AluOp::And, R::R1, verdict_bits::AUDIT as i32);
    a.branch(Test::Ne, R::R1, 0, record);
    a.mov(R::R1, R::R8);
    a.alu(AluOp::And, R::R1, verdict_bits::EFFECT as i32);
    a.branch(Test::Eq, R::R1, Effect::Kill as i32, record);
    a.branch(Test::Eq, R::R1, Effect::Allow as i32, consequence);
    a.mov(R::R1, R::R8);
    a.alu(AluOp::And, R::R1, verdict_bits::QUIET as i32);
    a.branch(Test::Ne, R::R1, 0, consequence);

    a.note("an event, in the task's scratch memory; no memory: counted as lost");
    a.bind(record);
    of_this_task(a, Map::Scratch, F_CREATE);
    a.branch(Test::Eq, R::R0, 0, lost);
    a.store(Size::B8, R::R10, ROOM, R::R0);
    let at = |field: usize| (scratch::EVENT + field) as i16;
    a.store(Size::B8, R::R0, scratch::FROM as i16, R::R6);
    a.store(Size::B8, R::R0, at(event::VERDICT), R::R8);
    a.store(Size::B4, R::R0, at(event::OP), R::R9);
    a.load(Size::B8, R::R1, R::R10, CLASS);
    a.store(Size::B4, R::R0, at(event::CLASS), R::R1);
    a.load(Size::B8, R::R1, R::R10, FOUND);
    a.mov(R::R2, R::R1);
    a.alu(AluOp::Rsh, R::R2, 32);
    a.branch(Test::Ne, R::R2, 0, known);
    a.mov(R::R1, Doubt::None as i32);
    a.bind(known);
    a.store(Size::B4, R::R0, at(event::DOUBT), R::R1);
    a.mov(R::R2, 0);
    a.store(Size::B8, R::R0, scratch::ROOT as i16, R::R2);
    a.store(Size::B4, R::R0, at(event::PLACE), R::R2);
    a.note("who, and when");
    // By address: for each pointer that is taken out of a task the verifier searches all types of the kernel, up to four times.
    let peek_at = |a: &mut Assembler, base: Reg, field: Field, bytes: i32| {
        a.mov(R::R3, base);
        peek_field(a, field, KEY, bytes);
    };
    a.helper(Helper::GetCurrentTask);
    a.mov(R::R9, R::R0);
    peek_at(a, R::R9, Field::TASK_CRED, 8);
    a.load(Size::B8, R::R3, R::R10, KEY);
    peek_at(a, R::R3, Field::CRED_EFFECTIVE, 4);
    a.load(Size::B8, R::R2, R::R10, KEY);
    a.load(Size::B8, R::R1, R::R10, ROOM);
    a.store(Size::B4, R::R1, at(event::USER), R::R2);
    for (to, leads) in [(event::THREAD, false), (event::PROCESS, true)] {
        if leads {
            peek_at(a, R::R9, Field::TASK_LEADER, 8);
            a.load(Size::B8, R::R9, R::R10, KEY);
        }
        // Numbers of a process, one for each namespace that it is in, stand in an array.
        peek_at(a, R::R9, Field::TASK_PID, 8);
        a.load(Size::B8, R::R3, R::R10, KEY);
        a.place(R::R1, Place::Data(Data::Live));
        a.load(Size::B4, R::R1, R::R1, live::NUMBER as i16);
        a.alu(AluOp::Add, R::R3, R::R1);
        peek(a, KEY, 4);
        a.load(Size::B8, R::R2, R::R10, KEY);
        a.load(Size::B8, R::R1, R::R10, ROOM);
        a.store(Size::B4, R::R1, at(to), R::R2);
    }
    a.helper(Helper::KtimeGetNs);
    a.load(Size::B8, R::R1, R::R10, ROOM);
    a.store(Size::B8, R::R1, at(event::WHEN), R::R0);
    a.alu(AluOp::Add, R::R1, i32::from(at(event::COMM)));
    a.mov(R::R2, 16);
    a.helper(Helper::GetCurrentComm);

    a.note("the mount that its path starts at");
    a.branch(Test::Eq, R::R7, 0, no_place);
    a.store(Size::B8, R::R10, KEY, R::R7);
    lookup(a, Map::Mounts, KEY);
    a.bind(placed);
    a.branch(Test::Eq, R::R0, 0, recorded);
    a.load(Size::B8, R::R1, R::R10, ROOM);
    a.load(Size::B8, R::R2, R::R0, place::ROOT as i16);
    a.store(Size::B8, R::R1, scratch::ROOT as i16, R::R2);
    a.load(Size::B4, R::R2, R::R0, place::NUMBER as i16);
    a.store(Size::B4, R::R1, at(event::PLACE), R::R2);
    a.bind(recorded);
    a.load(Size::B8, R::R1, R::R10, ROOM);
    a.call("tell");
    a.jump(consequence);
    a.bind(no_place);
    // By address: of some objects, no more than that is known.
    a.mov(R::R3, R::R6);
    peek_field(a, Field::DENTRY_SUPER, KEY, 8);
    lookup(a, Map::Supers, KEY);
    a.branch(Test::Eq, R::R0, 0, recorded);
    a.alu(AluOp::Add, R::R0, supers::PLACES as i32);
    a.jump(placed);
    a.bind(lost);
    count(a, Doubt::None);

    a.note("0, or what the effect says");
    a.bind(consequence);
    a.alu(AluOp::And, R::R8, verdict_bits::EFFECT as i32);
    a.branch(Test::Eq, R::R8, Effect::Hide as i32, hide);
    a.branch(Test::Eq, R::R8, Effect::Deny as i32, refuse);
    let allow = a.label();
    a.branch(Test::Eq, R::R8, Effect::Allow as i32, allow);
    a.note("denied first, then killed, before it can do anything else");
    a.mov(R::R1, SIGKILL);
    a.helper(Helper::SendSignal);
    a.bind(refuse);
    a.mov(R::R0, -EACCES);
    a.exit();
    a.bind(hide);
    a.mov(R::R0, -ENOENT);
    a.exit();
    a.bind(allow);
    a.mov(R::R0, 0);
    a.exit();
}
