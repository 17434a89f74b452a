//! What a task executes, for roles of executables: told when it is executed, and to its children.
//!
//! The path counts that the file had when it was executed, in the tree of the sandbox. A file of no mount that is judged, such as one in
//! memory alone, is no executable that a rule can speak of, and neither is one that was removed. What cannot be told makes the task nobody.

use crate::bpf::asm::Assembler;
use crate::bpf::{AluOp, Field, Helper, Place, Reg, Size, Test};
use crate::emit::Facts;
use crate::emit::layout::{Map, UNTOLD, place};

use super::find::{lookup, ready};
use super::scope::{F_CREATE, begin, of_this_task, peek_address};
use super::stands::unless_moved;

use Reg as R;

const SIGKILL: i32 = 9;
const ENOMEM: i32 = 12;

pub(super) fn all(a: &mut Assembler, facts: Facts<'_>) {
    bprm_committed_creds(a, facts);
    task_alloc(a);
}

/// The number before that of the root of executables. What a task executes is kept as a state less this number: so counted, the states of two
/// policies that give roles to the same executables are the same, and one can take the other's place under tasks that run.
pub(super) fn before_root(facts: Facts<'_>) -> i32 {
    facts.tables.exe_root.wrapping_sub(1) as i32
}

/// The task has become what it executes. Registers: r6 the context, r7 the dentry, r8 the mount, then its place, r9 the state.
fn bprm_committed_creds(a: &mut Assembler, facts: Facts<'_>) {
    const WORD: i16 = -8;
    let pass = begin(a, "lsm_bprm_committed_creds");
    let (tell, untold, known) = (a.label(), a.label(), a.label());
    a.note("the file, its dentry and its mount: by address, since some verifiers take no pointer out of a file");
    a.load(Size::B8, R::R7, R::R6, 0);
    for (from, to, field) in
        [(R::R7, R::R7, Field::BINPRM_FILE), (R::R7, R::R8, Field::FILE_MNT), (R::R7, R::R7, Field::FILE_DENTRY)]
    {
        a.mov(R::R3, from);
        peek_address(a, to, field, WORD);
    }
    a.note("without a name any more: no executable that a rule can speak of");
    a.mov(R::R9, 0);
    a.mov(R::R3, R::R7);
    peek_address(a, R::R1, Field::DENTRY_HASHED, WORD);
    a.branch(Test::Eq, R::R1, 0, tell);
    a.note("place = mounts[mount]; none, or none that is judged: no executable of the tree");
    a.store(Size::B8, R::R10, WORD, R::R8);
    lookup(a, Map::Mounts, WORD);
    a.branch(Test::Eq, R::R0, 0, tell);
    a.mov(R::R8, R::R0);
    a.load(Size::B4, R::R1, R::R8, place::JUDGED as i16);
    a.branch(Test::Eq, R::R1, 0, tell);
    a.load(Size::B4, R::R1, R::R8, place::EXECUTABLES as i16);
    a.branch(Test::Eq, R::R1, 0, tell);
    a.note("state = climb(scratch), from the root of executables");
    unless_moved(a, (R::R8, 0), untold);
    ready(a, R::R7, (R::R8, 0), place::EXECUTABLES, untold);
    a.call("climb");
    a.mov(R::R9, R::R0);
    a.alu(AluOp::Rsh, R::R0, 32);
    a.branch(Test::Ne, R::R0, 0, untold);
    a.note("a path that leads nowhere: no executable that a rule speaks of; else counted from the root of executables");
    a.branch(Test::Eq, R::R9, 0, tell);
    a.alu32(AluOp::Sub, R::R9, before_root(facts));
    a.jump(tell);
    a.bind(untold);
    a.wide(R::R9, UNTOLD);
    a.note("told; without room for it the task ends, which no hook can refuse any more");
    a.bind(tell);
    of_this_task(a, Map::Executable, F_CREATE);
    a.branch(Test::Ne, R::R0, 0, known);
    a.mov(R::R1, SIGKILL);
    a.helper(Helper::SendSignal);
    a.jump(pass);
    a.bind(known);
    a.store(Size::B8, R::R0, 0, R::R9);
    a.bind(pass);
    a.mov(R::R0, 0);
    a.exit();
}

/// A new task executes what its parent does.
fn task_alloc(a: &mut Assembler) {
    const WORD: i16 = -8;
    let pass = begin(a, "lsm_task_alloc");
    a.note("what is told of this task");
    of_this_task(a, Map::Executable, 0);
    a.branch(Test::Eq, R::R0, 0, pass);
    a.load(Size::B8, R::R1, R::R0, 0);
    a.store(Size::B8, R::R10, WORD, R::R1);
    a.note("is told of the new one, or there will be none");
    a.place(R::R1, Place::Map(Map::Executable));
    a.load(Size::B8, R::R2, R::R6, 0);
    a.mov(R::R3, R::R10);
    a.alu(AluOp::Add, R::R3, i32::from(WORD));
    a.mov(R::R4, F_CREATE);
    a.helper(Helper::TaskStorageGet);
    a.branch(Test::Ne, R::R0, 0, pass);
    a.mov(R::R0, -ENOMEM);
    a.exit();
    a.bind(pass);
    a.mov(R::R0, 0);
    a.exit();
}
