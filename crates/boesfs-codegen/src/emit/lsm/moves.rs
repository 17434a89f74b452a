//! Links and renames: each name is asked for, and nothing gains rights by moving.

use boesfs_lang::cond::Arg;
use boesfs_lang::ops::Op;

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Field, Place, Reg, Size, Test};
use crate::emit::Facts;
use crate::emit::layout::{Data, session};

use super::answer::EXDEV;
use super::entries::{Asked, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, plain};
use super::find::{Sought, Where, find};
use super::scope::{asker, begin, forget, parent, peek_address, peek_inode};

use Reg as R;

/// Where a program keeps the old and the new dentry, what is found of each, and their types.
const OLD: i16 = -8;
const NEW: i16 = -16;
const OLD_FOUND: i16 = -24;
const NEW_FOUND: i16 = -32;
const FLAGS: i16 = -40;
/// A word for helpers to write.
const WORD: i16 = -48;

const RENAME_EXCHANGE: i32 = 2;
const RENAME_WHITEOUT: i32 = 4;

pub(super) fn all(a: &mut Assembler) {
    path_link(a);
    path_rename(a);
}

/// Registers of both programs: r6 the context, r8 the mount.
fn path_link(a: &mut Assembler) {
    let pass = begin(a, "lsm_path_link");
    let leave = a.label();
    a.note("the old name and the new one, of one mount");
    a.load(Size::B8, R::R1, R::R6, 0);
    a.store(Size::B8, R::R10, OLD, R::R1);
    a.load(Size::B8, R::R3, R::R6, 8);
    peek_address(a, R::R8, Field::PATH_MNT, WORD);
    a.load(Size::B8, R::R1, R::R6, 16);
    a.store(Size::B8, R::R10, NEW, R::R1);
    a.mov(R::R1, 0);
    a.store(Size::B8, R::R10, FLAGS, R::R1);
    find_both(a);
    a.mov(R::R4, Op::Link.number() as i32);
    judge(a, OLD, OLD_FOUND, leave);
    a.mov(R::R4, Op::Create.number() as i32);
    judge(a, NEW, NEW_FOUND, leave);
    may_move(a, [OLD_FOUND, NEW_FOUND], OLD, leave);
    a.bind(pass);
    a.mov(R::R0, 0);
    a.bind(leave);
    a.exit();
}

fn path_rename(a: &mut Assembler) {
    let pass = begin(a, "lsm_path_rename");
    let (leave, exchange, replaced, moved) = (a.label(), a.label(), a.label(), a.label());
    a.note("the old name and the new one, of one mount");
    a.load(Size::B8, R::R3, R::R6, 0);
    peek_address(a, R::R8, Field::PATH_MNT, WORD);
    for (to, from) in [(OLD, 8), (NEW, 24), (FLAGS, 32)] {
        a.load(Size::B8, R::R1, R::R6, from);
        a.store(Size::B8, R::R10, to, R::R1);
    }
    find_both(a);
    a.mov(R::R4, Op::Rename.number() as i32);
    judge(a, OLD, OLD_FOUND, leave);
    making(a, OLD);
    judge(a, NEW, NEW_FOUND, leave);
    a.note("exchanged: the same the other way round");
    a.load(Size::B8, R::R1, R::R10, FLAGS);
    a.alu(AluOp::And, R::R1, RENAME_EXCHANGE);
    a.branch(Test::Ne, R::R1, 0, exchange);
    a.note("something stands at the new name: removed");
    kind(a, NEW);
    a.branch(Test::Eq, R::R1, 0, replaced);
    let remove = a.label();
    a.mov(R::R4, Op::Rmdir.number() as i32);
    a.branch(Test::Eq, R::R1, S_IFDIR, remove);
    a.mov(R::R4, Op::Unlink.number() as i32);
    a.bind(remove);
    forget(a, R::R4, R::R1);
    judge(a, NEW, NEW_FOUND, leave);
    a.bind(replaced);
    a.note("a whiteout is made at the old name");
    a.load(Size::B8, R::R1, R::R10, FLAGS);
    a.alu(AluOp::And, R::R1, RENAME_WHITEOUT);
    a.branch(Test::Eq, R::R1, 0, moved);
    a.mov(R::R4, Op::Mknod.number() as i32);
    judge(a, OLD, OLD_FOUND, leave);
    a.jump(moved);
    a.bind(exchange);
    a.mov(R::R4, Op::Rename.number() as i32);
    judge(a, NEW, NEW_FOUND, leave);
    making(a, NEW);
    judge(a, OLD, OLD_FOUND, leave);
    may_move(a, [NEW_FOUND, OLD_FOUND], NEW, leave);
    a.bind(moved);
    may_move(a, [OLD_FOUND, NEW_FOUND], OLD, leave);
    a.bind(pass);
    a.mov(R::R0, 0);
    a.bind(leave);
    a.exit();
}

/// The states of both names. r8 is the mount.
fn find_both(a: &mut Assembler) {
    a.note("the state of either");
    for (dentry, found) in [(OLD, OLD_FOUND), (NEW, NEW_FOUND)] {
        find(a, Sought::Dentry { dentry: Where::At(dentry), mount: R::R8, parent: WORD });
        forget(a, R::R0, R::R1);
        a.store(Size::B8, R::R10, found, R::R0);
    }
}

/// r1 = the type of what stands at `dentry`; 0 if there is nothing.
fn kind(a: &mut Assembler, dentry: i16) {
    a.load(Size::B8, R::R3, R::R10, dentry);
    peek_inode(a, WORD, 2, Field::INODE_MODE);
    a.load(Size::B8, R::R1, R::R10, WORD);
    a.alu(AluOp::And, R::R1, S_IFMT);
}

/// `r4` = the operation that makes what stands at `dentry`.
fn making(a: &mut Assembler, dentry: i16) {
    let made = a.label();
    a.note("what it means to make it");
    self::kind(a, dentry);
    for (kind, op) in [(S_IFDIR, Op::Mkdir), (S_IFREG, Op::Create), (S_IFLNK, Op::Symlink)] {
        a.mov(R::R4, op.number() as i32);
        a.branch(Test::Eq, R::R1, kind, made);
    }
    a.mov(R::R4, Op::Mknod.number() as i32);
    a.bind(made);
    forget(a, R::R4, R::R1);
}

/// Asks for the operation in r4 of one of the names, and goes to `leave` with a refusal.
fn judge(a: &mut Assembler, dentry: i16, found: i16, leave: Label) {
    a.load(Size::B8, R::R1, R::R10, dentry);
    a.mov(R::R2, R::R8);
    a.load(Size::B8, R::R3, R::R10, found);
    a.load(Size::B8, R::R5, R::R10, FLAGS);
    a.call("judge");
    a.branch(Test::Ne, R::R0, 0, leave);
}

/// Goes to `leave` with `EXDEV` unless what stands at `dentry` may move from the first of `found` to the second: a directory
/// where the state stays the same, anything else where the rights are a subset. All that is asked has been allowed before.
fn may_move(a: &mut Assembler, found: [i16; 2], dentry: i16, leave: Label) {
    let [old, new] = found;
    let (subset, refused, each) = (a.label(), a.label(), a.label());
    a.note("nothing gains rights by moving");
    a.load(Size::B8, R::R1, R::R10, old);
    a.load(Size::B8, R::R2, R::R10, new);
    a.branch(Test::Eq, R::R1, R::R2, subset);
    a.mov(R::R3, R::R1);
    a.alu(AluOp::Or, R::R3, R::R2);
    a.alu(AluOp::Rsh, R::R3, 32);
    // Of one mount: either both are judged, or neither is; in doubt, it was refused already.
    a.branch(Test::Ne, R::R3, 0, subset);
    kind(a, dentry);
    a.branch(Test::Eq, R::R1, S_IFDIR, refused);
    a.note("whatever anybody of the session may do at the new name is possible at the old one: whoever opens it later need not be who moves it");
    a.place(R::R1, Place::Data(Data::Session));
    a.load(Size::B4, R::R3, R::R1, session::CLASS as i16);
    a.load(Size::B8, R::R1, R::R10, new);
    a.load(Size::B8, R::R2, R::R10, old);
    a.branch32(Test::Eq, R::R3, session::EACH as i32, each);
    a.call("within");
    a.branch(Test::Ne, R::R0, 0, subset);
    a.jump(refused);
    a.bind(each);
    a.call("within_all");
    a.branch(Test::Ne, R::R0, 0, subset);
    a.bind(refused);
    a.mov(R::R0, -EXDEV);
    a.jump(leave);
    a.bind(subset);
}

/// `judge(dentry, mount, found, op, flags) -> 0 or an error number below zero`: one question of a link or rename.
///
/// Registers: r6 dentry, r7 mount, r8 op, r9 found.
pub(super) fn judge_function(a: &mut Assembler, facts: Facts<'_>) {
    const ARGS: i16 = -64;
    a.static_function("judge");
    let at = |arg: Arg| ARGS + 8 * arg as i16;
    let (pass, object, owned) = (a.label(), a.label(), a.label());
    a.note("plainly allowed");
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.mov(R::R9, R::R3);
    a.mov(R::R8, R::R4);
    a.mov(R::R1, 0);
    for arg in Arg::ALL {
        a.store(Size::B8, R::R10, at(arg), R::R1);
    }
    a.mov32(R::R5, R::R5);
    a.store(Size::B8, R::R10, at(Arg::Flags), R::R5);
    plain(a, facts, Asked::Number(R::R8), pass);
    a.note("the arguments of the question");
    asker(a, ARGS);
    a.mov(R::R3, R::R6);
    const { assert!(Op::Create as u32 + 3 == Op::Symlink as u32) };
    a.branch(Test::Lt, R::R8, Op::Create as i32, object);
    a.branch(Test::Gt, R::R8, Op::Symlink as i32, object);
    parent(a, at(Arg::Owner));
    a.mov(R::R2, 0);
    a.store(Size::B8, R::R10, at(Arg::Flags), R::R2);
    a.jump(owned);
    a.bind(object);
    a.branch(Test::Eq, R::R8, Op::Rename as i32, owned);
    a.mov(R::R2, 0);
    a.store(Size::B8, R::R10, at(Arg::Flags), R::R2);
    a.bind(owned);
    peek_inode(a, at(Arg::Owner), 4, Field::INODE_OWNER);
    a.note("answer(dentry, mount, found, op, args)");
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R7);
    a.mov(R::R3, R::R9);
    a.mov(R::R4, R::R8);
    a.mov(R::R5, R::R10);
    a.alu(AluOp::Add, R::R5, i32::from(ARGS));
    a.call("answer");
    a.exit();
    a.bind(pass);
    a.mov(R::R0, 0);
    a.exit();
}
