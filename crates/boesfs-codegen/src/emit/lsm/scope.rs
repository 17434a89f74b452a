//! What every entry program begins with: whose task this is; and the arguments of its question.

use boesfs_lang::cond::{ARG_COUNT, Arg};

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Field, Helper, Place, Reg, Size, Test};
use crate::emit::Facts;
use crate::emit::layout::{Data, Map, UNTOLD, live, moves, session, who};

use super::PROGRAMS;
use super::executables::before_root;

use Reg as R;

/// Where the arguments of a question are, on the stack of an entry program.
pub(super) const ARGS: i16 = -8 * ARG_COUNT as i16;

/// Begins the program `name`, in its section.
pub(super) fn entry(a: &mut Assembler, name: &str) {
    let section = PROGRAMS.iter().find(|program| program.name == name).map_or("", |program| program.section);
    a.entry(name, section);
}

/// Begins the program `name` for a kernel hook: r6 is its context. Goes to the label it gives, which must return 0, for
/// tasks outside of the session's cgroup, and before it is armed.
pub(super) fn begin(a: &mut Assembler, name: &str) -> Label {
    entry(a, name);
    a.note("not a task of the cgroup, or not yet: nothing to say");
    let pass = a.label();
    a.mov(R::R6, R::R1);
    in_scope(a, pass);
    pass
}

/// Goes to `outside` if the task is not judged.
pub(super) fn in_scope(a: &mut Assembler, outside: Label) {
    // The verifier knows what is in the session, and leaves out what it does not need.
    let (below, which, inside) = (a.label(), a.label(), a.label());
    a.place(R::R1, Place::Data(Data::Session));
    a.load(Size::B4, R::R1, R::R1, session::SHARED as i16);
    a.branch(Test::Ne, R::R1, 0, inside);
    a.place(R::R1, Place::Data(Data::Session));
    a.load(Size::B4, R::R1, R::R1, session::LEVEL as i16);
    a.branch(Test::Ne, R::R1, 0, below);
    a.helper(Helper::GetCurrentCgroupId);
    a.jump(which);
    a.bind(below);
    a.helper(Helper::GetCurrentAncestorCgroupId);
    // In none of that depth.
    a.branch(Test::Eq, R::R0, 0, outside);
    a.bind(which);
    a.place(R::R1, Place::Data(Data::Session));
    a.load(Size::B8, R::R1, R::R1, session::CGROUP as i16);
    a.branch(Test::Ne, R::R0, R::R1, outside);
    a.place(R::R1, Place::Data(Data::Live));
    a.load(Size::B8, R::R1, R::R1, live::ARMED as i16);
    a.branch(Test::Eq, R::R1, 0, outside);
    a.bind(inside);
}

/// How the credentials of a task are read. For each pointer that is taken out of a task, the verifier searches all types of the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// By address, which loads fast.
    ByAddress,
    /// As pointers, which is asked fast: for what is asked most, opens and stat(2).
    ByPointer,
}

impl Asker {
    fn function(self) -> &'static str {
        match self {
            Asker::ByAddress => "subject_now",
            Asker::ByPointer => "subject_often",
        }
    }
}

/// r0 = the class of the task: not below the number of classes if it has none. Changes r1 to r5.
pub(super) fn class(a: &mut Assembler, asker: Asker) {
    let fixed = a.label();
    a.place(R::R1, Place::Data(Data::Session));
    a.load(Size::B4, R::R0, R::R1, session::CLASS as i16);
    a.branch32(Test::Ne, R::R0, session::EACH as i32, fixed);
    a.mov(R::R1, 0);
    a.call(asker.function());
    a.mov32(R::R0, R::R0);
    a.bind(fixed);
}

/// `subject_now(0) -> class`, `subject_often(0) -> class`: of the task, by the user and the groups that it acts as, and by what it executes.
///
/// Registers: r6 its credentials, r7 the groups, r8 how many.
pub(super) fn subject_now(a: &mut Assembler, facts: Facts<'_>, asker: Asker) {
    const WHO: i16 = -(who::BYTES as i16);
    const WORD: i16 = WHO - 8;
    let at = |offset: usize| WHO + offset as i16;
    a.function(asker.function());
    let (told, many) = (a.label(), a.label());
    a.note("user and group");
    a.mov(R::R1, 0);
    for word in 0..who::BYTES / 8 {
        a.store(Size::B8, R::R10, at(8 * word), R::R1);
    }
    match asker {
        Asker::ByPointer => {
            a.helper(Helper::GetCurrentTaskBtf);
            a.load_field(Size::B8, R::R6, R::R0, Field::TASK_CRED);
        }
        Asker::ByAddress => {
            a.helper(Helper::GetCurrentTask);
            a.mov(R::R6, R::R0);
        }
    }
    // What cannot be read makes the task nobody, too.
    let read = |a: &mut Assembler, to: Reg, from: Reg, field: Field, size: Size| {
        if asker == Asker::ByPointer {
            a.load_field(size, to, from, field);
            return;
        }
        a.mov(R::R3, from);
        peek_field(a, field, WORD, if size == Size::B8 { 8 } else { 4 });
        a.branch(Test::Ne, R::R0, 0, many);
        a.load(Size::B8, to, R::R10, WORD);
    };
    if asker == Asker::ByAddress {
        read(a, R::R6, R::R6, Field::TASK_CRED, Size::B8);
    }
    read(a, R::R1, R::R6, Field::CRED_USER, Size::B4);
    a.store(Size::B4, R::R10, at(who::UID), R::R1);
    read(a, R::R1, R::R6, Field::CRED_GROUP, Size::B4);
    a.store(Size::B4, R::R10, at(who::GID), R::R1);
    a.note("supplementary groups, which stand after their number: too many, and this is nobody");
    read(a, R::R7, R::R6, Field::CRED_GROUPS, Size::B8);
    read(a, R::R8, R::R7, Field::GROUPS_COUNT, Size::B4);
    a.branch(Test::Gt, R::R8, who::GROUPS_MAX as i32, many);
    a.store(Size::B4, R::R10, at(who::COUNT), R::R8);
    a.mov(R::R1, R::R10);
    a.alu(AluOp::Add, R::R1, i32::from(at(who::GROUPS)));
    a.mov(R::R2, R::R8);
    a.alu(AluOp::Lsh, R::R2, 2);
    a.mov(R::R3, R::R7);
    a.add_field(R::R3, Field::GROUPS_COUNT);
    a.alu(AluOp::Add, R::R3, 4);
    a.helper(Helper::ProbeReadKernel);
    a.branch(Test::Ne, R::R0, 0, many);
    a.note("the executable; not told: nobody");
    of_this_task(a, Map::Executable, 0);
    a.branch(Test::Eq, R::R0, 0, told);
    a.load(Size::B8, R::R1, R::R0, 0);
    a.wide(R::R2, UNTOLD);
    a.branch(Test::Eq, R::R1, R::R2, many);
    a.note("its state; that before the root of executables is none's");
    a.alu32(AluOp::Add, R::R1, before_root(facts));
    a.store(Size::B4, R::R10, at(who::EXE), R::R1);
    a.jump(told);
    a.bind(many);
    a.mov(R::R1, who::GROUPS_MAX as i32 + 1);
    a.store(Size::B4, R::R10, at(who::COUNT), R::R1);
    a.bind(told);
    a.note("subject(who)");
    a.mov(R::R1, R::R10);
    a.alu(AluOp::Add, R::R1, i32::from(WHO));
    a.call("subject");
    a.exit();
}

/// `BPF_LOCAL_STORAGE_GET_F_CREATE`: room is made where there is none.
pub(super) const F_CREATE: i32 = 1;

/// r0 = what `map` keeps for the current task, or 0. `flags` are 0 or [`F_CREATE`].
pub(super) fn of_this_task(a: &mut Assembler, map: Map, flags: i32) {
    a.helper(Helper::GetCurrentTaskBtf);
    a.mov(R::R2, R::R0);
    a.place(R::R1, Place::Map(map));
    a.mov(R::R3, 0);
    a.mov(R::R4, flags);
    a.helper(Helper::TaskStorageGet);
}

/// Makes `value` one of which the verifier knows nothing, though it stays as it is: what follows is verified once then, not once for each
/// way that led here. Changes `by`.
pub(super) fn forget(a: &mut Assembler, value: Reg, by: Reg) {
    a.place(by, Place::Data(Data::Moves));
    a.load(Size::B8, by, by, moves::MOVING as i16);
    a.alu(AluOp::Xor, value, by);
    a.alu(AluOp::Xor, value, by);
}

/// r0 = the number of the system call that the task is in, without the bit of x32. Changes r1 to r5.
pub(super) fn system_call(a: &mut Assembler) {
    /// `orig_ax` of `struct pt_regs` of x86-64, which programs of these hooks are for.
    const ORIG_AX: i16 = 15 * 8;
    const X32: i32 = 0x4000_0000;
    a.helper(Helper::GetCurrentTaskBtf);
    a.mov(R::R1, R::R0);
    a.helper(Helper::TaskPtRegs);
    a.load(Size::B8, R::R0, R::R0, ORIG_AX);
    a.alu32(AluOp::And, R::R0, !X32);
}

/// Whose owner the argument `owner` is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The object's.
    Object,
    /// That of the directory it is made in.
    Directory,
}

/// Where an argument comes from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// An argument of the kernel hook, of 32 bits.
    Hook(u8),
    /// An argument of the kernel hook, of 64 bits.
    HookWide(u8),
    /// The flags of the file whose address is at this offset of the stack.
    FileFlags(i16),
    /// The size of the object.
    Size,
    /// Type and permissions of the object.
    Mode,
    /// Permissions of the object.
    Permissions,
    /// The size of the ACL whose address is this argument of the kernel hook, as setxattr(2) takes it.
    AclSize(u8),
    /// This number.
    Number(u32),
}

/// Bits of `f_flags` that an open(2) can have: not the kernel's own.
const USER_FLAGS: i32 = 0x7f_ffff & !(0x20 | 0x8000);

/// Reads a field of the inode of the dentry in r3 to the stack at `to`, which is zero where there is none.
///
/// By address: a dentry that a hook is given need not have an inode, and verifiers differ in whether they know.
pub(super) fn peek_inode(a: &mut Assembler, to: i16, bytes: i32, field: Field) {
    peek_address(a, R::R3, Field::DENTRY_INODE, to);
    peek_field(a, field, to, bytes);
}

/// r3 = the parent of the dentry in r3, by way of eight bytes at `word` of the stack.
pub(super) fn parent(a: &mut Assembler, word: i16) {
    peek_address(a, R::R3, Field::DENTRY_PARENT, word);
}

/// `to` = the address in a field of the structure whose address is in r3, by way of eight bytes at `word` of the stack. As a number: for each pointer that
/// is taken out of an argument the verifier searches all types of the kernel. Changes r0 to r5.
pub(super) fn peek_address(a: &mut Assembler, to: Reg, field: Field, word: i16) {
    peek_field(a, field, word, 8);
    a.load(Size::B8, to, R::R10, word);
}

/// [`peek`] of a field of the structure whose address is in r3.
pub(super) fn peek_field(a: &mut Assembler, field: Field, to: i16, bytes: i32) {
    a.add_field(R::R3, field);
    peek(a, to, bytes);
}

/// Reads up to eight bytes at the address in r3 to the stack at `to`, which is zero where there is nothing.
pub(super) fn peek(a: &mut Assembler, to: i16, bytes: i32) {
    a.mov(R::R1, 0);
    a.store(Size::B8, R::R10, to, R::R1);
    a.mov(R::R1, R::R10);
    a.alu(AluOp::Add, R::R1, i32::from(to));
    a.mov(R::R2, bytes);
    a.helper(Helper::ProbeReadKernel);
}

/// Fills in who asks, among the arguments at `args` of the stack.
pub(super) fn asker(a: &mut Assembler, args: i16) {
    let (user, group) = (args + 8 * Arg::Uid as i16, args + 8 * Arg::Gid as i16);
    a.helper(Helper::GetCurrentTask);
    a.mov(R::R3, R::R0);
    peek_field(a, Field::TASK_CRED, group, 8);
    for (to, field) in [(user, Field::CRED_USER), (group, Field::CRED_GROUP)] {
        a.load(Size::B8, R::R3, R::R10, group);
        peek_field(a, field, to, 4);
    }
}

/// Fills in the arguments on the stack. r6 is the context, r7 the dentry.
pub(super) fn arguments(a: &mut Assembler, owner: Owner, sources: &[(Arg, Source)]) {
    let at = |arg: Arg| ARGS + 8 * arg as i16;
    a.note("the arguments of the question");
    a.mov(R::R1, 0);
    for arg in Arg::ALL {
        a.store(Size::B8, R::R10, at(arg), R::R1);
    }
    asker(a, ARGS);
    a.mov(R::R3, R::R7);
    if matches!(owner, Owner::Directory) {
        parent(a, at(Arg::Owner));
    }
    peek_inode(a, at(Arg::Owner), 4, Field::INODE_OWNER);
    for (arg, source) in sources {
        match source {
            Source::Hook(number) | Source::HookWide(number) => {
                a.load(Size::B8, R::R1, R::R6, 8 * i16::from(*number));
                if matches!(source, Source::Hook(_)) {
                    a.mov32(R::R1, R::R1);
                }
            }
            Source::Number(number) => a.wide(R::R1, u64::from(*number)),
            Source::FileFlags(file) => {
                a.load(Size::B8, R::R1, R::R10, *file);
                a.load_field(Size::B4, R::R1, R::R1, Field::FILE_FLAGS);
                a.alu(AluOp::And, R::R1, USER_FLAGS);
            }
            Source::Size | Source::Mode | Source::Permissions => {
                let (bytes, field) =
                    if matches!(source, Source::Size) { (8, Field::INODE_SIZE) } else { (2, Field::INODE_MODE) };
                a.mov(R::R3, R::R7);
                peek_inode(a, at(*arg), bytes, field);
                a.load(Size::B8, R::R1, R::R10, at(*arg));
                if matches!(source, Source::Permissions) {
                    a.alu(AluOp::And, R::R1, 0o7777);
                }
            }
            Source::AclSize(number) => {
                // A header of four bytes, and eight for each entry.
                let none = a.label();
                a.load(Size::B8, R::R3, R::R6, 8 * i16::from(*number));
                peek_field(a, Field::ACL_COUNT, at(*arg), 4);
                a.load(Size::B8, R::R1, R::R10, at(*arg));
                a.branch(Test::Ne, R::R0, 0, none);
                a.alu(AluOp::Lsh, R::R1, 3);
                a.alu(AluOp::Add, R::R1, 4);
                a.bind(none);
            }
        }
        a.store(Size::B8, R::R10, at(*arg), R::R1);
    }
}
