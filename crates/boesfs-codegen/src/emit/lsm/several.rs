//! The state of an object where a hook does not say the mount: by the mounts that show its file system.

use crate::bpf::asm::Assembler;
use crate::bpf::{AluOp, Field, Reg, Size, Test};
use crate::emit::Facts;
use crate::emit::layout::{Doubt, Map, place, supers};

use super::entries::{Asked, plain};
use super::find::{DOUBT, PASSED, doubt, found, lookup, ready};
use super::scope::peek_field;
use super::stands::unless_moved;

use Reg as R;

/// `shown(dentry, ops) -> found`: by the mounts that show its file system, where `ops` are asked. Registers: r6 the dentry, r7 the super,
/// r9 ops.
pub(super) fn shown(a: &mut Assembler) {
    const KEY: i16 = -8;
    const PARENT: i16 = -16;
    a.static_function("shown");
    let (unknown, several, slow) = (a.label(), a.label(), a.label());
    a.note("s = supers[super block]; none -> outside");
    a.mov(R::R6, R::R1);
    a.mov(R::R9, R::R2);
    a.mov(R::R3, R::R6);
    peek_field(a, Field::DENTRY_SUPER, KEY, 8);
    lookup(a, Map::Supers, KEY);
    a.branch(Test::Eq, R::R0, 0, unknown);
    a.mov(R::R7, R::R0);
    a.load(Size::B4, R::R1, R::R7, supers::COUNT as i16);
    a.branch(Test::Ne, R::R1, 1, several);
    a.note("one mount: what the parent keeps, if that is of this one");
    a.mov(R::R1, R::R6);
    a.mov(R::R3, R::R10);
    a.alu(AluOp::Add, R::R3, i32::from(PARENT));
    a.call("kept");
    a.mov(R::R1, R::R0);
    a.alu(AluOp::Rsh, R::R1, 32);
    a.load(Size::B4, R::R2, R::R7, (supers::PLACES + place::NUMBER) as i16);
    a.branch(Test::Ne, R::R1, R::R2, slow);
    a.mov32(R::R0, R::R0);
    a.exit();
    a.note("climbed(dentry, place, parent)");
    a.bind(slow);
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R7);
    a.alu(AluOp::Add, R::R2, supers::PLACES as i32);
    a.load(Size::B8, R::R3, R::R10, PARENT);
    a.call("climbed");
    a.exit();
    a.note("several: by_places(dentry, s, ops)");
    a.bind(several);
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R7);
    a.mov(R::R3, R::R9);
    a.call("by_places");
    a.exit();
    a.bind(unknown);
    a.mov(R::R1, R::R6);
    a.call("outside");
    a.exit();
}

/// `by_places(address of a dentry, super, ops) -> found`: the state of an object that any of several mounts may show. Of two
/// states, the one that does not plainly allow `ops`; where neither does, it is not known which mount is meant: a doubt.
///
/// Registers: r6 the address, r7 the super, r8 ops, r9 what is found by one mount.
pub(super) fn by_places(a: &mut Assembler, facts: Facts<'_>) {
    const HARSHEST: i16 = -8;
    a.static_function("by_places");
    let (done, room, several, moved) = (a.label(), a.label(), a.label(), a.label());
    a.note("too many mounts");
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.mov(R::R8, R::R3);
    a.load(Size::B4, R::R1, R::R7, supers::COUNT as i16);
    a.branch(Test::Gt, R::R1, supers::MOST as i32, several);
    a.wide(R::R1, found(Doubt::Nowhere));
    a.store(Size::B8, R::R10, HARSHEST, R::R1);
    for number in 0..supers::MOST {
        let at = supers::PLACES + number * place::BYTES;
        let (next, judged, first, compare, leave) = (a.label(), a.label(), a.label(), a.label(), a.label());
        a.note("climb(scratch) to this mount's root");
        a.load(Size::B4, R::R1, R::R7, supers::COUNT as i16);
        a.branch(Test::Le, R::R1, number as i32, done);
        a.wide(R::R9, PASSED);
        a.load(Size::B4, R::R1, R::R7, (at + place::JUDGED) as i16);
        a.branch(Test::Eq, R::R1, 0, judged);
        unless_moved(a, (R::R7, at), moved);
        ready(a, R::R6, (R::R7, at), place::STATE, room);
        a.call("climb");
        a.mov(R::R9, R::R0);
        a.note("it is not below that one: the next; another doubt stands");
        a.wide(R::R1, found(Doubt::Nowhere));
        a.branch(Test::Eq, R::R9, R::R1, next);
        a.alu(AluOp::Rsh, R::R0, 32);
        a.branch(Test::Eq, R::R0, DOUBT, leave);
        a.bind(judged);
        a.note("the first, or what is known already");
        a.load(Size::B8, R::R1, R::R10, HARSHEST);
        a.mov(R::R2, R::R1);
        a.alu(AluOp::Rsh, R::R2, 32);
        a.branch(Test::Eq, R::R2, DOUBT, first);
        a.branch(Test::Ne, R::R1, R::R9, compare);
        a.jump(next);
        a.bind(leave);
        a.mov(R::R0, R::R9);
        a.exit();
        a.note("the harsher of two");
        a.bind(compare);
        plain(a, facts, Asked::Bits(R::R8), next);
        a.mov(R::R1, R::R9);
        a.load(Size::B8, R::R9, R::R10, HARSHEST);
        a.store(Size::B8, R::R10, HARSHEST, R::R1);
        plain(a, facts, Asked::Bits(R::R8), next);
        a.jump(several);
        a.bind(first);
        a.store(Size::B8, R::R10, HARSHEST, R::R9);
        a.bind(next);
    }
    a.bind(done);
    a.load(Size::B8, R::R0, R::R10, HARSHEST);
    a.exit();
    a.note("several mounts, and the hook does not say which");
    a.bind(several);
    doubt(a, Doubt::Several);
    a.bind(room);
    doubt(a, Doubt::Room);
    a.bind(moved);
    doubt(a, Doubt::Nowhere);
}
