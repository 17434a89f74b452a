//! The entry programs for attributes: times, extended attributes, ACLs.
//!
//! Registers of all: r6 the context, r7 the dentry, r8 the mount (0: the hooks do not say), r9 what was found.

use boesfs_lang::cond::Arg;
use boesfs_lang::ops::{Op, Ops};

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Field, Place, Reg, Size, Test};
use crate::emit::Facts;
use crate::emit::layout::{Data, session};

use super::entries::{Asked, Object, answer, ask, found_for, object, plain};
use super::scope::{ARGS, Owner, Source, arguments, begin, forget, peek, system_call};

use Reg as R;

/// The first sixteen bytes of an attribute's name, on the stack.
const NAME: i16 = ARGS - 16;
/// What is asked for, in the upper half of a word, where the verifier does not follow it.
const WANTED: i16 = ARGS - 24 + 4;
/// What changing an ACL asks for.
const PERMISSIONS: [Op; 2] = [Op::Chmod, Op::Setxattr];

/// `ia_valid` of a change of times: `ATTR_ATIME`, `ATTR_MTIME`, `ATTR_ATIME_SET`, `ATTR_MTIME_SET`.
const ATTR_TIMES: i32 = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8;
const ATTR_SIZE: i32 = 1 << 3;

/// The requests of ioctl(2) that get and set what file_getattr(2) and file_setattr(2) do.
const FS_IOC_FSGETXATTR: u32 = 0x801c_581f;
const FS_IOC_FSSETXATTR: u32 = 0x401c_5820;
/// The numbers of ioctl(2): native, of x32 and of 32-bit programs.
const IOCTL: [i32; 3] = [16, 514, 54];

pub(super) fn all(a: &mut Assembler, facts: Facts<'_>) {
    inode_setattr(a, facts);
    xattr(a, facts, "lsm_inode_setxattr", &[(Arg::Flags, Source::Hook(5)), (Arg::Size, Source::HookWide(4))]);
    xattr(a, facts, "lsm_inode_removexattr", &[]);
    // Flags of setxattr(2) mean nothing for an ACL, and are not told.
    acl(a, facts, "lsm_inode_set_acl", &[(Arg::Size, Source::AclSize(3))]);
    acl(a, facts, "lsm_inode_remove_acl", &[]);
    file_attributes(a, facts, "lsm_inode_file_getattr", FS_IOC_FSGETXATTR);
    file_attributes(a, facts, "lsm_inode_file_setattr", FS_IOC_FSSETXATTR);
}

/// file_getattr(2) and file_setattr(2) do what a request of ioctl(2) does, and are asked as that one. The kernel comes here for ioctl(2) as well, which
/// was asked already.
fn file_attributes(a: &mut Assembler, facts: Facts<'_>, name: &str, request: u32) {
    let pass = begin(a, name);
    a.note("not by ioctl(2)");
    system_call(a);
    for call in IOCTL {
        a.branch(Test::Eq, R::R0, call, pass);
    }
    a.note("the object");
    object(a, Object::Dentry(0));
    ask(a, facts, Object::Dentry(0), Op::Ioctl, &[(Arg::Flags, Source::Number(request))], pass);
}

/// The hook has a mapping of ids before the dentry, but not on older kernels: the session says.
fn inode_setattr(a: &mut Assembler, facts: Facts<'_>) {
    let pass = begin(a, "lsm_inode_setattr");
    let (unmapped, both) = (a.label(), a.label());
    a.note("the object, and what changes of it");
    a.place(R::R1, Place::Data(Data::Session));
    a.load(Size::B4, R::R1, R::R1, session::SETATTR_UNMAPPED as i16);
    a.branch(Test::Ne, R::R1, 0, unmapped);
    a.load(Size::B8, R::R7, R::R6, 8);
    a.load(Size::B8, R::R2, R::R6, 16);
    a.jump(both);
    a.bind(unmapped);
    a.load(Size::B8, R::R7, R::R6, 0);
    a.load(Size::B8, R::R2, R::R6, 8);
    a.bind(both);
    a.load_field(Size::B4, R::R2, R::R2, Field::ATTR_VALID);
    a.mov(R::R8, 0);
    a.note("times, and not because of another change");
    a.mov(R::R1, R::R2);
    a.alu(AluOp::And, R::R1, ATTR_SIZE);
    a.branch(Test::Ne, R::R1, 0, pass);
    a.alu(AluOp::And, R::R2, ATTR_TIMES);
    a.branch(Test::Eq, R::R2, 0, pass);
    ask(a, facts, Object::Dentry(0), Op::Utimes, &[], pass);
}

/// Setting or removing an attribute: an ACL is one of permissions, on kernels without hooks of its own for it.
fn xattr(a: &mut Assembler, facts: Facts<'_>, name: &str, sources: &[(Arg, Source)]) {
    let pass = begin(a, name);
    a.note("the object");
    object(a, Object::Dentry(1));
    a.note("system.posix_acl_*: permissions; whatever it is, the state is found once, which the verifier need not follow twice");
    let (other, decided) = (a.label(), a.label());
    for (half, text) in [b"system.p", b"osix_acl"].into_iter().enumerate() {
        let at = NAME + 8 * half as i16;
        a.load(Size::B8, R::R3, R::R6, 16);
        a.alu(AluOp::Add, R::R3, 8 * half as i32);
        // Short names end within what can be read.
        peek(a, at, 8);
        a.load(Size::B8, R::R1, R::R10, at);
        a.wide(R::R2, u64::from_le_bytes(*text));
        a.branch(Test::Ne, R::R1, R::R2, other);
    }
    a.mov(R::R2, Ops::of(&PERMISSIONS).0 as i32);
    a.jump(decided);
    a.bind(other);
    a.mov(R::R2, Ops::from(Op::Setxattr).0 as i32);
    a.bind(decided);
    a.store(Size::B4, R::R10, WANTED, R::R2);
    permissions(a, facts, Asked::Stored(WANTED), sources, pass);
}

/// Setting or removing an ACL.
fn acl(a: &mut Assembler, facts: Facts<'_>, name: &str, sources: &[(Arg, Source)]) {
    let pass = begin(a, name);
    a.note("the object");
    object(a, Object::Dentry(1));
    permissions(a, facts, Asked::These(Ops::of(&PERMISSIONS)), sources, pass);
}

/// Asks whether permissions may be changed, with what they are: no hook tells what they will be; and whether attributes may. Of permissions it is
/// not asked where what is asked is stored, and they are not among it.
fn permissions(a: &mut Assembler, facts: Facts<'_>, asked: Asked, sources: &[(Arg, Source)], pass: Label) {
    let (leave, attributes) = (a.label(), a.label());
    found_for(a, Object::Dentry(1), asked);
    a.note("both plainly allowed");
    plain(a, facts, asked, pass);
    forget(a, R::R9, R::R1);
    if let Asked::Stored(at) = asked {
        a.load(Size::B4, R::R1, R::R10, at);
        a.alu(AluOp::And, R::R1, Ops::from(Op::Chmod).0 as i32);
        a.branch(Test::Eq, R::R1, 0, attributes);
    }
    arguments(a, Owner::Object, &[(Arg::Mode, Source::Permissions)]);
    answer(a, Op::Chmod);
    a.branch(Test::Ne, R::R0, 0, leave);
    a.bind(attributes);
    arguments(a, Owner::Object, sources);
    answer(a, Op::Setxattr);
    a.jump(leave);
    a.note("allowed");
    a.bind(pass);
    a.mov(R::R0, 0);
    a.bind(leave);
    a.exit();
}
