//! The entry programs of hooks that ask about one object.
//!
//! Registers of all: r6 the context, r7 the dentry, r8 the mount (0 where the hook does not say), r9 what was found.

use boesfs_lang::cond::Arg;
use boesfs_lang::ops::{Op, Ops};

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Field, Helper, Operand, Reg, Size, Test};
use crate::emit::layout::{Doubt, Table, handed};
use crate::emit::{Facts, add_table};

use super::find::{DOUBT, PASS, PASSED, Sought, Where, find, found as doubtful, state_entry, unless_for_itself};
use super::scope::{self, ARGS, Asker, Owner, Source, arguments, begin, forget, peek_address};

use Reg as R;

/// Where an entry program keeps the file that it is about.
const FILE: i16 = ARGS - 8;
/// Where it keeps the operations that it asks for, as 32 bits. In the upper half of a word: what stands there the verifier does not follow, and so
/// goes once through what comes next, not once for each way that led here.
const WANTED: i16 = ARGS - 16 + 4;
/// A word for helpers to write.
const WORD: i16 = ARGS - 24;

/// Types of `i_mode`.
pub(super) const S_IFMT: i32 = 0o170_000;
pub(super) const S_IFDIR: i32 = 0o040_000;
pub(super) const S_IFREG: i32 = 0o100_000;
pub(super) const S_IFLNK: i32 = 0o120_000;

const O_ACCMODE: i32 = 3;
const O_APPEND: i32 = 0o2000;
const O_PATH: i32 = 0o10_000_000;
/// `__O_TMPFILE`
const O_TMPFILE: i32 = 0o20_000_000;
/// `__FMODE_EXEC`: opened to be executed.
const OPENED_TO_EXECUTE: i32 = 0x20;

pub(super) const ECHILD: i32 = 10;

const F_UNLCK: i32 = 2;
const F_SETFL: i32 = 4;
const F_GETLK: i32 = 5;
/// `FMODE_WRITE`
const FMODE_WRITE: i32 = 2;
/// The types of mapping: `MAP_SHARED`, `MAP_PRIVATE`, `MAP_SHARED_VALIDATE`.
const MAP_PRIVATE: i32 = 2;
const MAP_TYPE: i32 = 15;
const F_OFD_GETLK: i32 = 36;

/// What the first argument of a hook is.
#[derive(Clone, Copy)]
pub(super) enum Object {
    /// A file.
    File,
    /// A file, whose path the verifier lets pass as a whole only.
    FilePath,
    /// The path of the object.
    Path,
    /// The path of the directory; the second is the dentry of what is made or removed in it.
    Entry,
    /// The dentry is the argument with this number; the hook does not say the mount.
    Dentry(u8),
}

pub(super) fn all(a: &mut Assembler, facts: Facts<'_>) {
    // Programs of one section stand together: both forms of each, see [`PROGRAMS`](super::PROGRAMS).
    let flags = [(Arg::Flags, Source::FileFlags(FILE))];
    let request = [(Arg::Flags, Source::Hook(1))];
    both(a, "lsm_file_open", |a, name, form| file_open(a, facts, name, form));
    both(a, "lsm_file_receive", |a, name, form| file_receive(a, facts, name, form));
    both(a, "lsm_file_truncate", |a, name, form| one(a, facts, name, form, Op::Truncate, &flags));
    both(a, "lsm_mmap_file", |a, name, form| mmap_file(a, facts, name, form));
    both(a, "lsm_file_lock", |a, name, form| file_lock(a, facts, name, form));
    both(a, "lsm_file_fcntl", |a, name, form| file_fcntl(a, facts, name, form));
    for name in ["lsm_file_ioctl", "lsm_file_ioctl_compat"] {
        both(a, name, |a, name, form| one(a, facts, name, form, Op::Ioctl, &request));
    }
    one(a, facts, "lsm_path_truncate", Object::Path, Op::Truncate, &[]);
    one(a, facts, "lsm_path_mkdir", Object::Entry, Op::Mkdir, &[(Arg::Mode, Source::Hook(2))]);
    path_mknod(a, facts);
    one(a, facts, "lsm_path_symlink", Object::Entry, Op::Symlink, &[]);
    one(a, facts, "lsm_path_unlink", Object::Entry, Op::Unlink, &[]);
    one(a, facts, "lsm_path_rmdir", Object::Entry, Op::Rmdir, &[]);
    one(a, facts, "lsm_path_chmod", Object::Path, Op::Chmod, &[(Arg::Mode, Source::Hook(1))]);
    one(a, facts, "lsm_path_chown", Object::Path, Op::Chown, &[]);
    one(a, facts, "lsm_path_notify", Object::Path, Op::Watch, &[]);
    inode_getattr(a, facts);
    inode_follow_link(a, facts);
    for (name, at, op) in [
        ("lsm_inode_readlink", 0, Op::Readlink),
        ("lsm_inode_getxattr", 0, Op::Getxattr),
        ("lsm_inode_listxattr", 0, Op::Listxattr),
        ("lsm_inode_get_acl", 1, Op::Getxattr),
        ("lsm_sb_statfs", 0, Op::Statfs),
    ] {
        one(a, facts, name, Object::Dentry(at), op, &[]);
    }
}

/// Emits both forms of a program about a file.
fn both(a: &mut Assembler, name: &str, emit: impl Fn(&mut Assembler, &str, Object)) {
    emit(a, name, Object::File);
    emit(a, &format!("{name}_path"), Object::FilePath);
}

/// r7 and r8 of the object. Nothing but its address is wanted of the mount; what is asked most, opens and stat(2), takes it as a pointer all the same,
/// which is faster. Changes r0 to r5.
pub(super) fn object(a: &mut Assembler, object: Object) {
    if !matches!(object, Object::Dentry(_)) {
        a.load(Size::B8, R::R3, R::R6, 0);
    }
    match object {
        Object::File | Object::FilePath => {
            a.store(Size::B8, R::R10, FILE, R::R3);
            of_file(a, object);
        }
        Object::Path => {
            a.load_field(Size::B8, R::R7, R::R3, Field::PATH_DENTRY);
            peek_address(a, R::R8, Field::PATH_MNT, WORD);
        }
        Object::Entry => {
            peek_address(a, R::R8, Field::PATH_MNT, WORD);
            a.load(Size::B8, R::R7, R::R6, 8);
        }
        Object::Dentry(at) => {
            a.load(Size::B8, R::R7, R::R6, 8 * i16::from(at));
            a.mov(R::R8, 0);
        }
    }
}

/// r7 and r8 of the file in r3. Changes r0 to r5.
fn of_file(a: &mut Assembler, form: Object) {
    a.load_field(Size::B8, R::R7, R::R3, Field::FILE_DENTRY);
    match form {
        Object::FilePath => a.load_field(Size::B8, R::R8, R::R3, Field::FILE_MNT),
        _ => peek_address(a, R::R8, Field::FILE_MNT, WORD),
    }
}

/// A program that asks for one operation.
fn one(a: &mut Assembler, facts: Facts<'_>, name: &str, what: Object, op: Op, sources: &[(Arg, Source)]) {
    let pass = begin(a, name);
    a.note("the object");
    object(a, what);
    ask(a, facts, what, op, sources, pass);
}

fn inode_getattr(a: &mut Assembler, facts: Facts<'_>) {
    let pass = begin(a, "lsm_inode_getattr");
    a.note("the object");
    a.load(Size::B8, R::R1, R::R6, 0);
    a.load_field(Size::B8, R::R7, R::R1, Field::PATH_DENTRY);
    a.load_field(Size::B8, R::R8, R::R1, Field::PATH_MNT);
    found(a, Object::Path, Ops::of(&[Op::Stat]));
    a.note("plainly allowed");
    plain_for(a, facts, Asker::ByPointer, Asked::These(Op::Stat.into()), pass);
    ask_closer(a, Op::Stat, &[], pass);
}

/// Asks for `op` of the object in r7 and r8, and returns.
pub(super) fn ask(a: &mut Assembler, facts: Facts<'_>, what: Object, op: Op, sources: &[(Arg, Source)], pass: Label) {
    found(a, what, Ops::of(&[op]));
    if op == Op::Truncate {
        for_no_more(a, |a, _| a.mov(R::R2, handed::WRITE as i32));
    }
    ask_found(a, facts, op, sources, pass);
}

/// Puts a doubt into r9 where that is an object that was handed in, and what is needed of it, which `needed` puts into r2, is more than the
/// descriptors are for. `needed` goes to the label it is given where it is more in any case. Changes r1 to r3.
fn for_no_more(a: &mut Assembler, needed: impl FnOnce(&mut Assembler, Label)) {
    let (more, done) = (a.label(), a.label());
    a.note("handed in: for no more than the descriptor is for");
    a.mov(R::R1, R::R9);
    a.alu(AluOp::Rsh, R::R1, 32);
    a.branch(Test::Ne, R::R1, PASS, done);
    a.mov(R::R1, R::R9);
    a.alu(AluOp::And, R::R1, handed::MARK as i32);
    a.branch(Test::Eq, R::R1, 0, done);
    needed(a, more);
    a.mov(R::R1, R::R9);
    a.alu(AluOp::Xor, R::R1, -1);
    a.alu(AluOp::And, R::R1, R::R2);
    a.branch(Test::Eq, R::R1, 0, done);
    a.bind(more);
    a.wide(R::R9, doubtful(Doubt::Foreign));
    a.bind(done);
}

/// The same, of what r9 has found.
pub(super) fn ask_found(a: &mut Assembler, facts: Facts<'_>, op: Op, sources: &[(Arg, Source)], pass: Label) {
    a.note("plainly allowed");
    plain(a, facts, Asked::These(op.into()), pass);
    ask_closer(a, op, sources, pass);
}

/// The same, where it is not plainly allowed.
fn ask_closer(a: &mut Assembler, op: Op, sources: &[(Arg, Source)], pass: Label) {
    forget(a, R::R9, R::R1);
    arguments(a, owner(op), sources);
    answer(a, op);
    a.exit();
    a.note("allowed");
    a.bind(pass);
    a.mov(R::R0, 0);
    a.exit();
}

fn owner(op: Op) -> Owner {
    match op {
        Op::Create | Op::Mkdir | Op::Mknod | Op::Symlink => Owner::Directory,
        _ => Owner::Object,
    }
}

/// r9 = what is found of the object, where `ops` are asked.
fn found(a: &mut Assembler, what: Object, ops: Ops) {
    found_for(a, what, Asked::These(ops));
}

/// The same, of what may stand on the stack.
pub(super) fn found_for(a: &mut Assembler, what: Object, asked: Asked) {
    match what {
        Object::Dentry(_) => {
            let (own, done) = (a.label(), a.label());
            a.note("the kernel acts for itself, below another file system: nothing to judge");
            a.wide(R::R9, PASSED);
            unless_for_itself(a, ARGS, own);
            a.jump(done);
            a.bind(own);
            shown(a, asked);
            a.bind(done);
            return;
        }
        Object::FilePath => {
            a.note("its state");
            find(a, Sought::File(FILE));
        }
        _ => {
            a.note("its state");
            find(a, Sought::Dentry { dentry: Where::In(R::R7), mount: R::R8, parent: WORD });
        }
    }
    a.mov(R::R9, R::R0);
}

/// The same, of a dentry, whoever asks.
fn shown(a: &mut Assembler, asked: Asked) {
    a.note("its state");
    a.mov(R::R1, R::R7);
    match asked {
        Asked::These(ops) => a.mov(R::R2, ops.0 as i32),
        Asked::Stored(at) => a.load(Size::B4, R::R2, R::R10, at),
        Asked::Bits(reg) | Asked::Number(reg) => a.mov(R::R2, reg),
    }
    a.call("shown");
    a.mov(R::R9, R::R0);
}

/// Operations that are asked for.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    /// These.
    These(Ops),
    /// Those whose bits stand at this offset of the stack.
    Stored(i16),
    /// Those whose bits stand in this register, of r6 to r9.
    Bits(Reg),
    /// The one whose number is in this register, of r6 to r9.
    Number(Reg),
}

/// Goes to `allowed` where everything that is asked is plainly allowed at what r9 has found. Changes r0 to r5.
pub(super) fn plain(a: &mut Assembler, facts: Facts<'_>, asked: Asked, allowed: Label) {
    plain_for(a, facts, Asker::ByAddress, asked, allowed);
}

/// The same, with the task's class told in one of two ways.
fn plain_for(a: &mut Assembler, facts: Facts<'_>, asker: Asker, asked: Asked, allowed: Label) {
    const { assert!(PASS < DOUBT) };
    let closer = a.label();
    a.mov(R::R1, R::R9);
    a.alu(AluOp::Rsh, R::R1, 32);
    a.branch(Test::Eq, R::R1, PASS, allowed);
    a.branch(Test::Ne, R::R1, 0, closer);
    row(a, facts, asker, closer);
    // Not allowed, or to be looked at closer.
    a.mov(R::R2, R::R1);
    a.alu(AluOp::Rsh, R::R2, 32);
    a.alu(AluOp::Xor, R::R1, -1);
    a.alu(AluOp::Or, R::R1, R::R2);
    let mask = match asked {
        Asked::These(ops) => Operand::Imm(ops.0 as i32),
        Asked::Bits(bits) => Operand::Reg(bits),
        Asked::Stored(at) => {
            a.load(Size::B4, R::R3, R::R10, at);
            Operand::Reg(R::R3)
        }
        Asked::Number(number) => {
            a.mov(R::R2, number);
            a.alu(AluOp::And, R::R2, 31);
            a.mov(R::R3, 1);
            a.alu(AluOp::Lsh, R::R3, R::R2);
            Operand::Reg(R::R3)
        }
    };
    a.alu32(AluOp::And, R::R1, mask);
    a.branch(Test::Eq, R::R1, 0, allowed);
    a.bind(closer);
}

/// `r1 = the row of the state in r9`, or to `none` for a task without a class. Changes r0 to r5.
fn row(a: &mut Assembler, facts: Facts<'_>, asker: Asker, none: Label) {
    scope::class(a, asker);
    a.branch(Test::Ge, R::R0, facts.tables.classes as i32, none);
    a.mov(R::R1, R::R9);
    state_entry(a, facts);
    a.load(Size::B4, R::R1, R::R1, 0);
    a.alu(AluOp::Add, R::R1, R::R0);
    a.alu(AluOp::And, R::R1, facts.mask(Table::Rows));
    a.alu(AluOp::Lsh, R::R1, 3);
    add_table(a, R::R1, R::R2, Table::Rows);
    a.load(Size::B8, R::R1, R::R1, 0);
}

/// `r0 = answer(...)` for `op`, with the arguments on the stack.
pub(super) fn answer(a: &mut Assembler, op: Op) {
    a.note(op.name());
    a.mov(R::R1, R::R7);
    a.mov(R::R2, R::R8);
    a.mov(R::R3, R::R9);
    a.mov(R::R4, op.number() as i32);
    a.mov(R::R5, R::R10);
    a.alu(AluOp::Add, R::R5, i32::from(ARGS));
    a.call("answer");
}

/// Asks for those of `ops` that are in [`WANTED`] of what r9 has found, and returns the first refusal.
fn ask_wanted(a: &mut Assembler, facts: Facts<'_>, ops: &[Op], sources: &[(Arg, Source)], pass: Label) {
    a.note("all of them plainly allowed");
    plain(a, facts, Asked::Stored(WANTED), pass);
    forget(a, R::R9, R::R1);
    let leave = a.label();
    let mut filled = None;
    for op in ops {
        if filled != Some(owner(*op)) {
            arguments(a, owner(*op), sources);
            filled = Some(owner(*op));
        }
        let next = a.label();
        a.load(Size::B4, R::R1, R::R10, WANTED);
        a.alu(AluOp::And, R::R1, 1 << op.number());
        a.branch(Test::Eq, R::R1, 0, next);
        answer(a, *op);
        a.branch(Test::Ne, R::R0, 0, leave);
        a.bind(next);
    }
    a.bind(pass);
    a.mov(R::R0, 0);
    a.bind(leave);
    a.exit();
}

const fn bit(op: Op) -> i32 {
    1 << op as u32
}

fn file_open(a: &mut Assembler, facts: Facts<'_>, name: &str, form: Object) {
    let pass = begin(a, name);
    a.note("the object");
    a.load(Size::B8, R::R1, R::R6, 0);
    a.store(Size::B8, R::R10, FILE, R::R1);
    a.load_field(Size::B8, R::R7, R::R1, Field::FILE_DENTRY);
    a.load_field(Size::B8, R::R8, R::R1, Field::FILE_MNT);
    let (decided, named, reads) = (a.label(), a.label(), a.label());
    let ops = [Op::Create, Op::Exec, Op::List, Op::Read, Op::Write, Op::Append];
    found(a, form, Ops::of(&ops));
    for_no_more(a, |a, more| {
        const { assert!(handed::READ == 1 && handed::WRITE == 2 && handed::MARK == 4) };
        a.load(Size::B8, R::R1, R::R10, FILE);
        a.load_field(Size::B4, R::R2, R::R1, Field::FILE_FLAGS);
        a.mov(R::R1, R::R2);
        a.alu(AluOp::And, R::R1, OPENED_TO_EXECUTE);
        a.branch(Test::Ne, R::R1, 0, more);
        // To read, to write, both, or for neither, which the mark stands for.
        a.alu(AluOp::And, R::R2, O_ACCMODE);
        a.alu(AluOp::Add, R::R2, 1);
    });
    a.note("most are plainly allowed whatever exactly they are for");
    a.load(Size::B8, R::R1, R::R10, FILE);
    a.load_field(Size::B4, R::R2, R::R1, Field::FILE_FLAGS);
    a.mov(R::R6, bit(Op::Read) | bit(Op::List));
    a.alu(AluOp::And, R::R2, OPENED_TO_EXECUTE | O_TMPFILE | O_ACCMODE);
    a.branch(Test::Eq, R::R2, 0, reads);
    a.mov(R::R6, Ops::of(&ops).0 as i32);
    a.bind(reads);
    plain_for(a, facts, Asker::ByPointer, Asked::Bits(R::R6), pass);
    a.note("what its flags ask for");
    a.load(Size::B8, R::R1, R::R10, FILE);
    a.load_field(Size::B4, R::R2, R::R1, Field::FILE_FLAGS);
    a.mov(R::R3, bit(Op::Exec));
    a.mov(R::R4, R::R2);
    a.alu(AluOp::And, R::R4, OPENED_TO_EXECUTE);
    a.branch(Test::Ne, R::R4, 0, decided);
    a.mov(R::R3, 0);
    a.mov(R::R5, R::R2);
    a.alu(AluOp::And, R::R5, O_TMPFILE);
    a.branch(Test::Eq, R::R5, 0, named);
    a.mov(R::R3, bit(Op::Create));
    a.bind(named);
    by_flags(a);
    a.bind(decided);
    a.store(Size::B4, R::R10, WANTED, R::R3);
    ask_wanted(a, facts, &ops, &opened(), pass);
}

/// The arguments of an open.
fn opened() -> [(Arg, Source); 3] {
    [(Arg::Flags, Source::FileFlags(FILE)), (Arg::Size, Source::Size), (Arg::Mode, Source::Mode)]
}

/// Adds to r3 the operations that a file (r1) with these flags (r2) is for. Changes r2, r4 and r5.
fn by_flags(a: &mut Assembler) {
    let (directory, append, write_only, read_write, ends) = (a.label(), a.label(), a.label(), a.label(), a.label());
    a.load_field(Size::B8, R::R4, R::R1, Field::FILE_INODE);
    a.load_field(Size::B2, R::R4, R::R4, Field::INODE_MODE);
    a.alu(AluOp::And, R::R4, S_IFMT);
    a.branch(Test::Eq, R::R4, S_IFDIR, directory);
    a.mov(R::R4, bit(Op::Write));
    a.mov(R::R5, R::R2);
    a.alu(AluOp::And, R::R5, O_APPEND);
    a.branch(Test::Eq, R::R5, 0, append);
    a.mov(R::R4, bit(Op::Append));
    a.bind(append);
    a.alu(AluOp::And, R::R2, O_ACCMODE);
    a.branch(Test::Eq, R::R2, 1, write_only);
    a.branch(Test::Ne, R::R2, 0, read_write);
    a.alu(AluOp::Or, R::R3, bit(Op::Read));
    a.jump(ends);
    // With the mode 3, the file can be neither read nor written: asked like both.
    a.bind(read_write);
    a.alu(AluOp::Or, R::R3, bit(Op::Read));
    a.bind(write_only);
    a.alu(AluOp::Or, R::R3, R::R4);
    a.jump(ends);
    a.bind(directory);
    a.mov(R::R3, bit(Op::List));
    a.bind(ends);
}

/// A descriptor passed by another process: as if it were opened. One of nothing in the tree is refused also where it is
/// for no operation: it would lead to what is beside it.
fn file_receive(a: &mut Assembler, facts: Facts<'_>, name: &str, form: Object) {
    let pass = begin(a, name);
    a.note("the object");
    object(a, form);
    let (decided, known) = (a.label(), a.label());
    a.note("what its flags ask for: nothing, of one that is a place only");
    a.load(Size::B8, R::R1, R::R10, FILE);
    a.load_field(Size::B4, R::R2, R::R1, Field::FILE_FLAGS);
    a.mov(R::R3, 0);
    a.mov(R::R4, R::R2);
    a.alu(AluOp::And, R::R4, O_PATH);
    a.branch(Test::Ne, R::R4, 0, decided);
    by_flags(a);
    a.bind(decided);
    a.store(Size::B4, R::R10, WANTED, R::R3);
    let ops = [Op::List, Op::Read, Op::Write, Op::Append];
    found(a, form, Ops::of(&ops));
    a.note("in doubt: refused");
    a.mov(R::R1, R::R9);
    a.alu(AluOp::Rsh, R::R1, 32);
    a.branch(Test::Ne, R::R1, DOUBT, known);
    forget(a, R::R9, R::R1);
    arguments(a, Owner::Object, &opened());
    answer(a, Op::Read);
    a.exit();
    a.bind(known);
    ask_wanted(a, facts, &ops, &opened(), pass);
}

/// Following a link, also in access(2). In a walk without references nothing may be kept, and what is recorded would be
/// recorded again: the kernel is told to walk with them.
fn inode_follow_link(a: &mut Assembler, facts: Facts<'_>) {
    let pass = begin(a, "lsm_inode_follow_link");
    let held = a.label();
    a.note("a walk without references: another one");
    a.load(Size::B8, R::R1, R::R6, 16);
    a.alu(AluOp::And, R::R1, 0xff);
    a.branch(Test::Eq, R::R1, 0, held);
    a.mov(R::R0, -ECHILD);
    a.exit();
    a.note("the object");
    a.bind(held);
    object(a, Object::Dentry(0));
    shown(a, Asked::These(Op::Readlink.into()));
    ask_found(a, facts, Op::Readlink, &[], pass);
}

/// Memory without a file is mapped with a null pointer, which the verifier of some kernels takes for impossible.
fn mmap_file(a: &mut Assembler, facts: Facts<'_>, name: &str, form: Object) {
    let pass = begin(a, name);
    a.note("no file");
    a.mov(R::R1, R::R10);
    a.alu(AluOp::Add, R::R1, i32::from(WORD));
    a.mov(R::R2, 4);
    a.load(Size::B8, R::R3, R::R6, 0);
    a.store(Size::B8, R::R10, FILE, R::R3);
    a.branch(Test::Eq, R::R3, 0, pass);
    a.add_field(R::R3, Field::FILE_FLAGS);
    a.helper(Helper::ProbeReadKernel);
    a.branch(Test::Ne, R::R0, 0, pass);
    a.note("what is executed is asked for that alone");
    a.load(Size::B4, R::R1, R::R10, WORD);
    a.alu(AluOp::And, R::R1, OPENED_TO_EXECUTE);
    a.branch(Test::Ne, R::R1, 0, pass);
    a.note("the object");
    a.load(Size::B8, R::R3, R::R10, FILE);
    of_file(a, form);
    let (map, write) = (a.label(), a.label());
    a.note("written through a mapping: anywhere, also where it was opened for appending");
    a.load(Size::B8, R::R2, R::R6, 24);
    a.alu(AluOp::And, R::R2, MAP_TYPE);
    a.branch(Test::Eq, R::R2, MAP_PRIVATE, map);
    appending(a, write, map);
    a.bind(write);
    found(a, form, Ops::of(&[Op::Write]));
    a.note("plainly allowed");
    plain(a, facts, Asked::These(Op::Write.into()), map);
    forget(a, R::R9, R::R1);
    arguments(a, Owner::Object, &[(Arg::Flags, Source::FileFlags(FILE))]);
    answer(a, Op::Write);
    let refused = a.label();
    a.branch(Test::Ne, R::R0, 0, refused);
    a.bind(map);
    ask(a, facts, form, Op::Map, &[(Arg::Flags, Source::Hook(3))], pass);
    a.bind(refused);
    a.exit();
}

fn file_lock(a: &mut Assembler, facts: Facts<'_>, name: &str, form: Object) {
    let pass = begin(a, name);
    a.note("unlocking is nobody's business");
    a.load(Size::B8, R::R1, R::R6, 8);
    a.mov32(R::R1, R::R1);
    a.branch(Test::Eq, R::R1, F_UNLCK, pass);
    object(a, form);
    ask(a, facts, form, Op::Lock, &[(Arg::Flags, Source::Hook(1))], pass);
}

/// Testing a lock, which `file_lock` is not asked about; and losing `O_APPEND`, after which the file can be written anywhere.
fn file_fcntl(a: &mut Assembler, facts: Facts<'_>, name: &str, form: Object) {
    let pass = begin(a, name);
    let (tests, decided, asked) = (a.label(), a.label(), a.label());
    a.note("what tests a lock, or turns O_APPEND off");
    a.load(Size::B8, R::R1, R::R6, 8);
    a.mov32(R::R1, R::R1);
    a.mov(R::R2, bit(Op::Lock));
    a.branch(Test::Eq, R::R1, F_GETLK, decided);
    a.branch(Test::Eq, R::R1, F_OFD_GETLK, decided);
    a.branch(Test::Ne, R::R1, F_SETFL, pass);
    a.load(Size::B8, R::R1, R::R6, 16);
    a.alu(AluOp::And, R::R1, O_APPEND);
    a.branch(Test::Ne, R::R1, 0, pass);
    a.mov(R::R2, bit(Op::Write));
    a.bind(decided);
    a.store(Size::B4, R::R10, WANTED, R::R2);
    object(a, form);
    a.note("the latter of a file that is open for writing");
    a.load(Size::B4, R::R1, R::R10, WANTED);
    a.branch(Test::Eq, R::R1, bit(Op::Lock), asked);
    appending(a, asked, pass);
    a.bind(asked);
    found(a, form, Ops::of(&[Op::Lock, Op::Write]));
    a.note("plainly allowed");
    plain(a, facts, Asked::Stored(WANTED), pass);
    forget(a, R::R9, R::R1);
    a.load(Size::B4, R::R1, R::R10, WANTED);
    a.branch(Test::Eq, R::R1, bit(Op::Lock), tests);
    arguments(a, Owner::Object, &[(Arg::Flags, Source::FileFlags(FILE))]);
    answer(a, Op::Write);
    a.exit();
    a.bind(tests);
    arguments(a, Owner::Object, &[]);
    answer(a, Op::Lock);
    a.exit();
    a.note("allowed");
    a.bind(pass);
    a.mov(R::R0, 0);
    a.exit();
}

/// Goes to `appending` if the file was opened for appending, else to `other`.
fn appending(a: &mut Assembler, appending: Label, other: Label) {
    a.load(Size::B8, R::R1, R::R10, FILE);
    a.load_field(Size::B4, R::R2, R::R1, Field::FILE_FLAGS);
    a.alu(AluOp::And, R::R2, O_APPEND);
    a.branch(Test::Eq, R::R2, 0, other);
    a.load_field(Size::B4, R::R2, R::R1, Field::FILE_MODE);
    a.alu(AluOp::And, R::R2, FMODE_WRITE);
    a.branch(Test::Eq, R::R2, 0, other);
    a.jump(appending);
}

fn path_mknod(a: &mut Assembler, facts: Facts<'_>) {
    let pass = begin(a, "lsm_path_mknod");
    a.note("the object");
    object(a, Object::Entry);
    let (decided, regular) = (a.label(), a.label());
    a.note("a regular file, or something else");
    a.load(Size::B8, R::R1, R::R6, 16);
    a.alu(AluOp::And, R::R1, S_IFMT);
    a.branch(Test::Eq, R::R1, 0, regular);
    a.mov(R::R2, bit(Op::Mknod));
    a.branch(Test::Ne, R::R1, S_IFREG, decided);
    a.bind(regular);
    a.mov(R::R2, bit(Op::Create));
    a.bind(decided);
    a.store(Size::B4, R::R10, WANTED, R::R2);
    found(a, Object::Entry, Ops::of(&[Op::Create, Op::Mknod]));
    a.note("plainly allowed");
    plain(a, facts, Asked::Stored(WANTED), pass);
    forget(a, R::R9, R::R1);
    arguments(a, Owner::Directory, &[(Arg::Mode, Source::Hook(2))]);
    let create = a.label();
    a.load(Size::B4, R::R1, R::R10, WANTED);
    a.branch(Test::Eq, R::R1, bit(Op::Create), create);
    answer(a, Op::Mknod);
    a.exit();
    a.bind(create);
    answer(a, Op::Create);
    a.exit();
    a.note("allowed");
    a.bind(pass);
    a.mov(R::R0, 0);
    a.exit();
}
