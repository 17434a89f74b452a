//! Whether a mount stands where it was told to.

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Place, Reg, Size, Test};
use crate::emit::layout::{Data, Doubt, Map, dir_bits, live, moves, place, scratch};

use super::climb::{DONE, MORE, OFTEN};
use super::find::doubt;
use super::scope::{F_CREATE, of_this_task};

use Reg as R;

/// Goes to `moved` if the place, at an offset of what a register points to, is not where it was when it was told. Changes r0 to r5.
pub(super) fn unless_moved(a: &mut Assembler, (place, at): (Reg, usize), moved: Label) {
    a.load(Size::B4, R::R1, place, (at + place::NUMBER) as i16);
    a.load(Size::B4, R::R2, place, (at + place::KEPT) as i16);
    a.call("stands");
    a.branch(Test::Ne, R::R0, 0, moved);
}

/// `stands(place, kept) -> 0, or a doubt`: whether what the mount of the place with this number stands on, and what is above that, was
/// renamed by nobody since it was told. `kept` is that of the place: where it is 0, it is looked at each time.
///
/// Registers: r6 the number, r7 kept, r8 what moves and the generation.
pub(super) fn stands(a: &mut Assembler) {
    let (look, room, out, again) = (a.label(), a.label(), a.label(), a.label());
    a.function("stands");
    a.note("seen to stand there in this generation, in which nothing moves");
    a.mov32(R::R6, R::R1);
    a.mov32(R::R7, R::R2);
    a.place(R::R1, Place::Data(Data::Moves));
    a.load(Size::B8, R::R8, R::R1, moves::MOVING as i16);
    a.branch(Test::Eq, R::R7, 0, look);
    a.mov(R::R7, 0);
    a.branch(Test::Ge, R::R6, dir_bits::PLACES as i32, look);
    a.mov32(R::R1, R::R8);
    a.branch(Test::Ne, R::R1, 0, look);
    a.mov(R::R1, R::R8);
    a.alu(AluOp::Rsh, R::R1, 32);
    a.branch(Test::Ge, R::R1, dir_bits::GENERATIONS as i32, look);
    a.mov(R::R1, R::R6);
    a.alu(AluOp::Lsh, R::R1, 3);
    a.place(R::R7, Place::Data(Data::Live));
    a.alu(AluOp::Add, R::R7, R::R1);
    a.load(Size::B8, R::R1, R::R7, live::STOOD as i16);
    a.branch(Test::Ne, R::R1, R::R8, look);
    a.mov(R::R0, 0);
    a.exit();
    a.note("each dentry that it stands on or below");
    a.bind(look);
    of_this_task(a, Map::Scratch, F_CREATE);
    a.branch(Test::Eq, R::R0, 0, room);
    a.store(Size::B8, R::R0, scratch::COUNT as i16, R::R6);
    a.mov(R::R1, 0);
    a.store(Size::B8, R::R0, scratch::LEFT as i16, R::R1);
    a.mov(R::R6, R::R0);
    a.mov(R::R9, OFTEN);
    a.bind(again);
    a.mov(R::R1, R::R6);
    a.call("stands_some");
    a.branch(Test::Eq, R::R0, DONE, out);
    a.alu(AluOp::Sub, R::R9, 1);
    let doubtful = a.label();
    a.branch(Test::Ne, R::R0, MORE, doubtful);
    a.branch(Test::SGt, R::R9, 0, again);
    doubt(a, Doubt::Nowhere);
    a.bind(doubtful);
    a.exit();
    a.note("so it is where it was");
    a.bind(out);
    let unseen = a.label();
    a.branch(Test::Eq, R::R7, 0, unseen);
    a.store(Size::B8, R::R7, live::STOOD as i16, R::R8);
    a.bind(unseen);
    a.mov(R::R0, 0);
    a.exit();
    a.bind(room);
    doubt(a, Doubt::Room);
}
