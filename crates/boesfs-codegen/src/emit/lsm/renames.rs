//! What renames of directories do to the states that are kept: whoever renames one, those kept before are of the past.
//!
//! `inode_rename` comes before the move and `rename_ends` after it. While a directory is between them, no state that was kept is
//! used and none is kept; and the generation is another one from the beginning on. Programs of LSM hooks always run; the other
//! one can be left out where a task is preempted within it. Then the directory counts as moving for good: states are
//! found by climbing, which is exact, only slower.
//!
//! The task remembers which directory it was that began: a rename of overlayfs renames in a layer, too, and one that was
//! going on when the programs were attached ends without a beginning.

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Field, Place, Reg, Size, Test};
use crate::emit::layout::{Data, Map, dir_bits, moves};

use super::entries::{S_IFDIR, S_IFMT};
use super::scope::{F_CREATE, entry, of_this_task, peek_inode};

use Reg as R;

/// A word for helpers to write.
const WORD: i16 = -8;

const RENAME_EXCHANGE: i32 = 2;

/// One more in the high half of the word that [`moves::MOVING`] and [`moves::GENERATION`] are.
const GENERATION: u64 = 1 << 32;

pub(super) fn all(a: &mut Assembler) {
    begins(a);
    ends(a);
}

fn begin(a: &mut Assembler, name: &str) {
    entry(a, name);
    a.note("whose rename it is does not matter");
    a.mov(R::R6, R::R1);
}

/// The hook is asked once for a rename, and twice for an exchange, the other way round first.
fn begins(a: &mut Assembler) {
    begin(a, "lsm_inode_rename");
    let (leave, count, known) = (a.label(), a.label(), a.label());
    a.note("a directory");
    a.load(Size::B8, R::R7, R::R6, 8);
    unless_directory(a, R::R7, leave);
    a.note("the first of this task: it moves. No room to remember it: for good");
    of_this_task(a, Map::Renaming, F_CREATE);
    a.constant(R::R8, GENERATION | 1);
    a.branch(Test::Eq, R::R0, 0, count);
    a.load(Size::B8, R::R1, R::R0, 0);
    a.branch(Test::Ne, R::R1, 0, known);
    a.store(Size::B8, R::R0, 0, R::R7);
    a.jump(count);
    a.bind(known);
    a.constant(R::R8, GENERATION);
    a.bind(count);
    add(a);
    a.bind(leave);
    a.mov(R::R0, 0);
    a.exit();
}

fn ends(a: &mut Assembler) {
    begin(a, "rename_ends");
    let (leave, other, ended, moved) = (a.label(), a.label(), a.label(), a.label());
    a.note("the one that this task began with: it moves no more");
    a.load(Size::B8, R::R6, R::R6, 0);
    a.load_field(Size::B8, R::R7, R::R6, Field::RENAME_OLD);
    a.load_field(Size::B8, R::R9, R::R6, Field::RENAME_NEW);
    of_this_task(a, Map::Renaming, 0);
    a.branch(Test::Eq, R::R0, 0, other);
    a.load(Size::B8, R::R1, R::R0, 0);
    a.branch(Test::Eq, R::R1, R::R7, ended);
    a.branch(Test::Ne, R::R1, R::R9, other);
    a.bind(ended);
    a.mov(R::R1, 0);
    a.store(Size::B8, R::R0, 0, R::R1);
    // One less in the low half is one more in the high half.
    a.constant(R::R8, GENERATION - 1);
    a.jump(moved);
    a.note("another: a directory, or an exchange of anything");
    a.bind(other);
    a.constant(R::R8, GENERATION);
    a.load_field(Size::B4, R::R1, R::R6, Field::RENAME_FLAGS);
    a.alu(AluOp::And, R::R1, RENAME_EXCHANGE);
    a.branch(Test::Ne, R::R1, 0, moved);
    unless_directory(a, R::R7, leave);
    a.bind(moved);
    add(a);
    a.bind(leave);
    a.mov(R::R0, 0);
    a.exit();
}

/// Goes to `other` unless the dentry in `dentry` is that of a directory.
fn unless_directory(a: &mut Assembler, dentry: Reg, other: Label) {
    a.mov(R::R3, dentry);
    peek_inode(a, WORD, 2, Field::INODE_MODE);
    a.load(Size::B8, R::R1, R::R10, WORD);
    a.alu(AluOp::And, R::R1, S_IFMT);
    a.branch(Test::Ne, R::R1, S_IFDIR, other);
}

/// Adds r8 to what moves and to the generation; not to the generation where it has come to its end.
fn add(a: &mut Assembler) {
    let goes_on = a.label();
    a.note("what moves, and the generation");
    a.place(R::R1, Place::Data(Data::Moves));
    a.load(Size::B4, R::R2, R::R1, moves::GENERATION as i16);
    a.branch(Test::Lt, R::R2, dir_bits::GENERATIONS as i32, goes_on);
    a.constant(R::R2, GENERATION);
    a.alu(AluOp::Sub, R::R8, R::R2);
    a.bind(goes_on);
    a.atomic_add(R::R1, moves::MOVING as i16, R::R8);
}
