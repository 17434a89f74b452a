//! The entry program for access(2), which asks for `stat`.
//!
//! Its hook tells an inode, and is asked for each directory of every walk as well: it leaves within a few instructions where
//! access(2) does not ask. The names of an inode are the dentries in its list. One of them is the one that was named, and is
//! held; where there are several, all of them must be allowed.

use boesfs_lang::ops::{Op, Ops};

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Field, Place, Reg, Size, Test};
use crate::emit::Facts;
use crate::emit::layout::{Data, Doubt, Map, session};

use super::entries::{Asked, ECHILD, ask_found, plain};
use super::find::{doubt, found, lookup, unless_for_itself};
use super::scope::{ARGS, entry, in_scope, peek_field};

use Reg as R;

/// `MAY_ACCESS` and `MAY_NOT_BLOCK` of `include/linux/fs.h`.
const MAY_ACCESS: i32 = 0x10;
const MAY_NOT_BLOCK: i32 = 0x80;
/// Names of one inode that are looked at.
const NAMES: usize = 8;

/// Offsets of what [`named`] tells of a name: its dentry, and the node of the next in the list.
mod name {
    pub(super) const DENTRY: i16 = 0;
    pub(super) const NEXT: i16 = 8;
    pub(super) const BYTES: i16 = 16;
}

/// The program. Registers: r6 the context, then the inode; r8 the super; r9 what is found of a name.
pub(super) fn inode_permission(a: &mut Assembler, facts: Facts<'_>) {
    const NAME: i16 = ARGS - name::BYTES;
    let (pass, held, own, told) = (a.label(), a.label(), a.label(), a.label());
    let (unknown, nameless, several) = (a.label(), a.label(), a.label());
    entry(a, "lsm_inode_permission");
    a.note("access(2), by a task of the cgroup");
    a.mov(R::R6, R::R1);
    unless_access(a, pass);
    in_scope(a, pass);
    a.alu(AluOp::And, R::R7, MAY_NOT_BLOCK);
    a.branch(Test::Eq, R::R7, 0, held);
    a.mov(R::R0, -ECHILD);
    a.exit();
    a.note("the kernel acts for itself, below another file system: nothing to judge");
    a.bind(held);
    unless_for_itself(a, ARGS, own);
    a.jump(pass);
    a.note("the first name");
    a.bind(own);
    a.load(Size::B8, R::R6, R::R6, 0);
    a.mov(R::R1, 0);
    a.store(Size::B8, R::R10, NAME + name::DENTRY, R::R1);
    a.store(Size::B8, R::R10, NAME + name::NEXT, R::R1);
    a.mov(R::R3, R::R6);
    peek_field(a, Field::INODE_DENTRIES, ARGS, 8);
    a.load(Size::B8, R::R1, R::R10, ARGS);
    a.branch(Test::Eq, R::R1, 0, nameless);
    a.store(Size::B8, R::R10, NAME + name::NEXT, R::R1);
    dentry(a, R::R1);
    a.store(Size::B8, R::R10, NAME + name::DENTRY, R::R1);
    a.note("s = supers[super block]; none -> outside");
    a.mov(R::R3, R::R6);
    peek_field(a, Field::INODE_SUPER, ARGS, 8);
    lookup(a, Map::Supers, ARGS);
    a.branch(Test::Eq, R::R0, 0, unknown);
    a.mov(R::R8, R::R0);
    for number in 0..NAMES {
        a.note("named(inode, super, out), which tells the next");
        a.mov(R::R1, R::R6);
        a.mov(R::R2, R::R8);
        a.mov(R::R3, R::R10);
        a.alu(AluOp::Add, R::R3, i32::from(NAME));
        a.call("named");
        a.mov(R::R9, R::R0);
        a.load(Size::B8, R::R1, R::R10, NAME + name::NEXT);
        if number == 0 {
            a.branch(Test::Eq, R::R1, 0, told);
        }
        a.note("one of several: plainly allowed, or there is a doubt");
        let allowed = a.label();
        plain(a, facts, Asked::These(Op::Stat.into()), allowed);
        a.jump(several);
        a.bind(allowed);
        a.load(Size::B8, R::R1, R::R10, NAME + name::NEXT);
        a.branch(Test::Eq, R::R1, 0, told);
    }
    a.note("several names, and the hook does not say which");
    a.bind(several);
    a.wide(R::R9, found(Doubt::Several));
    a.jump(told);
    a.bind(nameless);
    a.wide(R::R9, found(Doubt::Nowhere));
    a.jump(told);
    a.bind(unknown);
    a.load(Size::B8, R::R1, R::R10, NAME + name::DENTRY);
    a.call("outside");
    a.mov(R::R9, R::R0);
    a.bind(told);
    a.load(Size::B8, R::R7, R::R10, NAME + name::DENTRY);
    a.mov(R::R8, 0);
    ask_found(a, facts, Op::Stat, &[], pass);
}

/// r7 = what is asked for, by the context in r6. Goes to `other` where it is not access(2) that asks. Changes r1.
pub(super) fn unless_access(a: &mut Assembler, other: Label) {
    a.load(Size::B8, R::R7, R::R6, 8);
    a.mov(R::R1, R::R7);
    a.alu(AluOp::And, R::R1, MAY_ACCESS);
    a.branch(Test::Eq, R::R1, 0, other);
}

/// `named(inode, super, out) -> found`: of the name whose node is `out.next`. Tells its dentry and the next node in `out`.
///
/// It is looked at between two looks at its sequence number: then it was in the list of the inode all the time, and what it
/// says of the next was so. Registers: r6 the inode, r7 the super, r8 out, r9 the sequence number.
pub(super) fn named(a: &mut Assembler) {
    const WORD: i16 = -8;
    a.static_function("named");
    let raced = a.label();
    a.note("its dentry, and that one's sequence number");
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.mov(R::R8, R::R3);
    a.load(Size::B8, R::R1, R::R8, name::NEXT);
    dentry(a, R::R1);
    a.store(Size::B8, R::R8, name::DENTRY, R::R1);
    let read = |a: &mut Assembler, field: Field, bytes: i32| {
        a.load(Size::B8, R::R3, R::R8, name::DENTRY);
        peek_field(a, field, WORD, bytes);
        a.branch(Test::Ne, R::R0, 0, raced);
        a.load(Size::B8, R::R1, R::R10, WORD);
    };
    read(a, Field::DENTRY_SEQUENCE, 4);
    a.mov(R::R9, R::R1);
    a.alu(AluOp::And, R::R1, 1);
    a.branch(Test::Ne, R::R1, 0, raced);
    a.note("a name of this inode");
    read(a, Field::DENTRY_INODE, 8);
    a.branch(Test::Ne, R::R1, R::R6, raced);
    a.note("the next");
    a.load(Size::B8, R::R3, R::R8, name::NEXT);
    peek_field(a, Field::NODE_NEXT, WORD, 8);
    a.branch(Test::Ne, R::R0, 0, raced);
    a.load(Size::B8, R::R1, R::R10, WORD);
    a.store(Size::B8, R::R8, name::NEXT, R::R1);
    a.note("by_places(dentry, super, stat)");
    a.load(Size::B8, R::R1, R::R8, name::DENTRY);
    a.mov(R::R2, R::R7);
    a.mov(R::R3, Ops::from(Op::Stat).0 as i32);
    a.call("by_places");
    a.mov(R::R7, R::R0);
    a.note("as it was");
    read(a, Field::DENTRY_SEQUENCE, 4);
    a.branch(Test::Ne, R::R1, R::R9, raced);
    a.mov(R::R0, R::R7);
    a.exit();
    a.bind(raced);
    doubt(a, Doubt::Raced);
}

/// `node` = the dentry that it is a part of. Changes r2.
fn dentry(a: &mut Assembler, node: Reg) {
    a.place(R::R2, Place::Data(Data::Session));
    a.load(Size::B4, R::R2, R::R2, session::ALIAS as i16);
    a.alu(AluOp::Sub, node, R::R2);
}
