//! The programs that all sandboxes of a machine share: one for each hook, which goes on with that of the task's cgroup.
//!
//! A task outside leaves after a look at one row of a table, however many sandboxes there are. They are no part of an object, but made when
//! they are loaded: nothing in them is of a policy.

use crate::bpf::asm::{AsmError, Assembler, Label};
use crate::bpf::{AluOp, Helper, Place, Program, Reg, Size, Test};
use crate::emit::layout::family;

use super::access::unless_access;
use super::answer::{EACCES, SIGKILL};
use super::{Attach, PROGRAMS};

use Reg as R;

/// The hooks that they are for, by number.
pub fn hooks() -> impl Iterator<Item = &'static str> {
    let of = |index: usize| match PROGRAMS[index].attach {
        Attach::Lsm(hook) => Some(hook),
        Attach::Exit(_) => None,
    };
    // The two forms of one stand together. Renames are counted, not judged.
    (0..PROGRAMS.len())
        .filter(move |index| *index == 0 || of(index - 1) != of(*index))
        .filter_map(of)
        .filter(|hook| *hook != "inode_rename")
}

/// The program of a hook, by its number, for cgroups with so many above them; 0: whose tasks are in no cgroup below them.
///
/// Where a word of the table says that a program is there, and none is, the request is refused; where the hook cannot refuse, the task is killed.
///
/// Registers: r6 the context.
///
/// # Errors
/// There is no such hook.
pub fn dispatch(number: u32, level: u32) -> Result<Program, AsmError> {
    let hook = hooks().nth(number as usize).unwrap_or_default();
    let mut asm = Assembler::default();
    let a = &mut asm;
    a.entry(hook, "?lsm");
    let pass = a.label();
    a.note("the row of the task's cgroup");
    a.mov(R::R6, R::R1);
    if hook == "inode_permission" {
        unless_access(a, pass);
    }
    word_of_the_task(a, level, pass);
    a.note("goes on with the program that is there for this hook");
    unless_set(a, number, pass);
    a.alu(AluOp::Rsh, R::R3, family::INDEX as i32);
    a.mov(R::R1, R::R6);
    a.place(R::R2, Place::Programs);
    a.helper(Helper::TailCall);
    a.note("none is there: refused");
    if hook == "bprm_committed_creds" {
        a.mov(R::R1, SIGKILL);
        a.helper(Helper::SendSignal);
        a.jump(pass);
    } else {
        a.mov(R::R0, -EACCES);
        a.exit();
    }
    asm.finish()
}

/// r3 = the word of the task's cgroup, with so many above it. Returns 0 for a task that has none; binds `pass` to where that is done. Changes r0 to r3.
pub(super) fn word_of_the_task(a: &mut Assembler, level: u32, pass: Label) {
    if level == 0 {
        a.helper(Helper::GetCurrentCgroupId);
    } else {
        a.mov(R::R1, level as i32);
        a.helper(Helper::GetCurrentAncestorCgroupId);
    }
    a.wide(R::R2, family::SPREAD);
    a.mov(R::R1, R::R0);
    a.alu(AluOp::Mul, R::R1, R::R2);
    a.mov(R::R3, R::R1);
    a.alu(AluOp::Rsh, R::R3, 32);
    a.alu(AluOp::Xor, R::R1, R::R3);
    a.alu(AluOp::Mul, R::R1, R::R2);
    a.alu(AluOp::Rsh, R::R1, (u64::BITS - family::ROW_BITS) as i32);
    a.alu(AluOp::Mul, R::R1, family::ROW_BYTES as i32);
    a.place(R::R2, Place::Family);
    a.alu(AluOp::Add, R::R2, R::R1);
    a.note("one of its ways: who is in no cgroup of that depth has one that nobody has, of which no program is there");
    let (ways, found) = ((0..family::WAYS).map(|_| a.label()).collect::<Vec<_>>(), a.label());
    for (way, label) in ways.iter().enumerate() {
        a.load(Size::B8, R::R1, R::R2, (family::IDS + 8 * way) as i16);
        a.branch(Test::Eq, R::R1, R::R0, *label);
    }
    a.bind(pass);
    a.mov(R::R0, 0);
    a.exit();
    for (way, label) in ways.iter().enumerate() {
        a.bind(*label);
        a.load(Size::B8, R::R3, R::R2, (family::WORDS + 8 * way) as i16);
        if way + 1 < family::WAYS {
            a.jump(found);
        }
    }
    a.bind(found);
}

/// Goes to `pass` where the word in r3 does not have the bit of this number. Changes r1.
pub(super) fn unless_set(a: &mut Assembler, number: u32, pass: Label) {
    a.mov(R::R1, R::R3);
    a.alu(AluOp::Rsh, R::R1, number as i32);
    a.alu(AluOp::And, R::R1, 1);
    a.branch(Test::Eq, R::R1, 0, pass);
}
