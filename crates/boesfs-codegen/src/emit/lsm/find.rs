//! The state of an object: `find` by its mount, `shown` where a hook does not say the mount.

use boesfs_lang::pattern::NAME_MAX;

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Field, Helper, Place, Reg, Size, Test};
use crate::emit::layout::{Data, Doubt, Map, NAME_BYTES, Table, dir_bits, moves, place, scratch, session};
use crate::emit::{Facts, add_table};

use super::scope::{F_CREATE, of_this_task, peek_field};
use super::several;
use super::stands::{self, unless_moved};

use Reg as R;

/// What `find` gives, above the 32 bits of a state: nothing is judged there. Below it stands what an object was handed in for
/// ([`handed`](crate::emit::layout::handed)), or 0.
pub(super) const PASS: i32 = 1;
/// What `find` gives, above the 32 bits of a [`Doubt`].
pub(super) const DOUBT: i32 = 2;

/// `SB_KERNMOUNT` of `include/linux/fs.h`: a file system of the kernel's own, such as that of pipes: in nobody's tree.
const KERNEL_MOUNT: i32 = 1 << 22;
/// `DCACHE_OP_HASH` and `DCACHE_OP_COMPARE` of `include/linux/dcache.h`: the file system finds its objects by more names than
/// one, as those do that ignore case. A dentry has the name that was used first.
pub(super) const NAMES_OF_ITS_OWN: i32 = 1 | 2;
/// How often an object that is renamed meanwhile is looked at.
const TRIES: i32 = 4;

pub(super) fn all(a: &mut Assembler, facts: Facts<'_>) {
    finding(a, facts);
    several::shown(a);
    several::by_places(a, facts);
    outside(a);
    kept(a, facts);
    climbed(a);
    stands::stands(a);
}

/// What is found where nothing is judged.
pub(super) const PASSED: u64 = (PASS as u64) << 32;

/// `r0 = doubt`, and returns.
pub(super) fn doubt(a: &mut Assembler, doubt: Doubt) {
    a.wide(R::R0, found(doubt));
    a.exit();
}

/// What is found in doubt.
pub(super) const fn found(doubt: Doubt) -> u64 {
    (DOUBT as u64) << 32 | doubt as u64
}

/// `r0 = pass`, and returns.
pub(super) fn pass(a: &mut Assembler) {
    a.wide(R::R0, PASSED);
    a.exit();
}

/// Finds the dentry in r7 at the mount in r8, or the file whose address is at an offset of the stack; r0 is what is found.
pub(super) fn find(a: &mut Assembler, what: Sought) {
    let known = a.label();
    let (fast, slow) = match what {
        Sought::File(_) => ("find_path", "find_path_slow"),
        Sought::Dentry { .. } => ("find", "find_slow"),
    };
    for name in [fast, slow] {
        match what {
            Sought::File(at) => {
                a.load(Size::B8, R::R1, R::R10, at);
                a.add_field(R::R1, Field::FILE_PATH);
            }
            Sought::Dentry { dentry, mount, parent } => {
                dentry.to(a, R::R1);
                a.mov(R::R2, mount);
                if name == fast {
                    a.mov(R::R3, R::R10);
                    a.alu(AluOp::Add, R::R3, i32::from(parent));
                } else {
                    a.load(Size::B8, R::R3, R::R10, parent);
                }
            }
        }
        a.call(name);
        if name == fast {
            a.branch(Test::Ne, R::R0, MISS, known);
        }
    }
    a.bind(known);
}

/// What is to be found.
#[derive(Clone, Copy)]
pub(super) enum Sought {
    /// The file whose address is at this offset of the stack: for kernels where the verifier takes no pointer out of `file.f_path`, which is in
    /// a union there. A part of a file may be an argument that is declared to be a kernel object.
    File(i16),
    /// A dentry, at a mount; its parent is put at an offset of the stack.
    Dentry {
        /// The dentry.
        dentry: Where,
        /// The address of the mount, of r6 to r9.
        mount: Reg,
        /// Eight bytes of the stack.
        parent: i16,
    },
}

/// Where a program keeps something.
#[derive(Clone, Copy)]
pub(super) enum Where {
    /// In this register.
    In(Reg),
    /// At this offset of the stack.
    At(i16),
}

impl Where {
    fn to(self, a: &mut Assembler, dst: Reg) {
        match self {
            Where::In(reg) => a.mov(dst, reg),
            Where::At(at) => a.load(Size::B8, dst, R::R10, at),
        }
    }
}

/// What the functions that only look at what is kept give where that says nothing: it must be climbed for.
const MISS: i32 = -1;

/// `find(dentry, mount, address of a word)`, `find_path(path)`: the state of an object by what its parent keeps, or [`MISS`]; the word is the parent.
/// `find_slow(dentry, mount, parent)` and `find_path_slow(path)` `-> found` in any case. Two of each: what is on the stack of one need not fit besides
/// what the other one calls.
fn finding(a: &mut Assembler, facts: Facts<'_>) {
    const MOUNT: i16 = NAME - 8;
    const PARENT: i16 = NAME - 16;
    for (path, name) in [(true, "find_path"), (false, "find")] {
        let miss = a.label();
        if path {
            a.function(name);
            a.note("the object");
            a.load_field(Size::B8, R::R2, R::R1, Field::PATH_MNT);
            a.load_field(Size::B8, R::R1, R::R1, Field::PATH_DENTRY);
            a.mov(R::R3, R::R10);
            a.alu(AluOp::Add, R::R3, i32::from(PARENT));
        } else {
            a.static_function(name);
        }
        a.note("what its parent keeps");
        a.store(Size::B8, R::R10, MOUNT, R::R2);
        kept_here(a, facts, miss);
        a.note("of this mount");
        a.alu(AluOp::Lsh, R::R9, 3);
        a.place(R::R1, Place::Data(Data::Places));
        a.alu(AluOp::Add, R::R1, R::R9);
        a.load(Size::B8, R::R1, R::R1, 0);
        a.load(Size::B8, R::R2, R::R10, MOUNT);
        a.branch(Test::Ne, R::R1, R::R2, miss);
        a.exit();
        a.bind(miss);
        a.mov(R::R0, MISS);
        a.exit();
    }
    for (path, name) in [(true, "find_path_slow"), (false, "find_slow")] {
        const KEY: i16 = -8;
        let unknown = a.label();
        if path {
            a.function(name);
            a.note("the object");
            a.load_field(Size::B8, R::R6, R::R1, Field::PATH_DENTRY);
            a.load_field(Size::B8, R::R7, R::R6, Field::DENTRY_PARENT);
            a.mov(R::R3, R::R1);
            peek_field(a, Field::PATH_MNT, KEY, 8);
        } else {
            a.static_function(name);
            a.note("the object");
            a.mov(R::R6, R::R1);
            a.mov(R::R7, R::R3);
            a.store(Size::B8, R::R10, KEY, R::R2);
        }
        a.note("climbed(dentry, mounts[mount], parent); no such mount -> outside");
        lookup(a, Map::Mounts, KEY);
        a.branch(Test::Eq, R::R0, 0, unknown);
        a.mov(R::R1, R::R6);
        a.mov(R::R2, R::R0);
        a.mov(R::R3, R::R7);
        a.call("climbed");
        a.exit();
        a.bind(unknown);
        a.mov(R::R1, R::R6);
        a.call("outside");
        a.exit();
    }
}

/// Goes to `own` unless the kernel acts for itself, as overlayfs does in its layers, whoever asked it to. Changes r0 to r5, and
/// sixteen bytes at `at` of the stack.
///
/// Its credentials are not the task's own then. Nor are they in access(2), which asks on behalf of the task all the same: the
/// copy that it makes is nobody else's, and says so.
pub(super) fn unless_for_itself(a: &mut Assembler, at: i16, own: Label) {
    let read = |a: &mut Assembler, to: i16, bytes: i32, field: Field| {
        peek_field(a, field, to, bytes);
        a.branch(Test::Ne, R::R0, 0, own);
    };
    a.helper(Helper::GetCurrentTask);
    a.store(Size::B8, R::R10, at, R::R0);
    a.mov(R::R3, R::R0);
    read(a, at + 8, 8, Field::TASK_CRED);
    a.load(Size::B8, R::R3, R::R10, at);
    read(a, at, 8, Field::TASK_REAL_CRED);
    a.load(Size::B8, R::R3, R::R10, at + 8);
    a.load(Size::B8, R::R2, R::R10, at);
    a.branch(Test::Eq, R::R3, R::R2, own);
    read(a, at, 4, Field::CRED_FOR_NOW);
    a.load(Size::B8, R::R1, R::R10, at);
    a.branch(Test::Ne, R::R1, 0, own);
}

/// `outside(address of a dentry) -> found`: of an object that is of no mount of the tree.
fn outside(a: &mut Assembler) {
    const KEY: i16 = -8;
    const WORDS: i16 = -24;
    a.static_function("outside");
    a.note("a file system of the kernel's own, of pipes, sockets, memory: nothing to judge");
    let (passes, own, elsewhere) = (a.label(), a.label(), a.label());
    a.store(Size::B8, R::R10, KEY, R::R1);
    a.mov(R::R3, R::R1);
    for field in [Field::DENTRY_SUPER, Field::SUPER_FLAGS] {
        peek_field(a, field, WORDS, 8);
        a.load(Size::B8, R::R3, R::R10, WORDS);
    }
    a.alu(AluOp::And, R::R3, KERNEL_MOUNT);
    a.branch(Test::Ne, R::R3, 0, passes);
    a.note("the kernel acts for itself, below another file system: nothing to judge");
    unless_for_itself(a, WORDS, own);
    a.bind(passes);
    pass(a);
    a.note("handed in with a descriptor: nothing to judge, but what it is for");
    a.bind(own);
    lookup(a, Map::Handed, KEY);
    a.branch(Test::Eq, R::R0, 0, elsewhere);
    a.load(Size::B4, R::R1, R::R0, 0);
    a.wide(R::R0, PASSED);
    a.alu(AluOp::Or, R::R0, R::R1);
    a.exit();
    a.note("from elsewhere: refused");
    a.bind(elsewhere);
    doubt(a, Doubt::Foreign);
}

/// `kept(dentry, _, address of a word) -> number of the place << 32 | state`, or [`MISS`]. The word is the parent.
fn kept(a: &mut Assembler, facts: Facts<'_>) {
    let miss = a.label();
    a.static_function("kept");
    a.note("what its parent keeps");
    kept_here(a, facts, miss);
    a.alu(AluOp::Lsh, R::R9, 32);
    a.alu(AluOp::Or, R::R0, R::R9);
    a.exit();
    a.bind(miss);
    a.mov(R::R0, MISS);
    a.exit();
}

/// Where the name of an object is put, on the stack.
const NAME: i16 = -(NAME_BYTES as i16);

/// r0 = the state of the dentry in r1 by what its parent's inode keeps of this generation, while nothing moves; r9 = the number of the place that it is
/// of. Goes to `miss` where that says nothing. Of a dentry that is the root of a mount it never says anything of that mount's place, which
/// ends there. The word that r3 points to is the parent,.
///
/// Registers: r6 dentry, r7 its sequence number, r8 what moves and the generation, then the length, r9 the word.
fn kept_here(a: &mut Assembler, facts: Facts<'_>, miss: Label) {
    let (name, same) = (a.label(), a.label());
    a.mov(R::R6, R::R1);
    a.load_field(Size::B4, R::R7, R::R6, Field::DENTRY_SEQUENCE);
    // After the number, which says whether it still is.
    a.load_field(Size::B8, R::R2, R::R6, Field::DENTRY_PARENT);
    a.store(Size::B8, R::R3, 0, R::R2);
    a.mov(R::R1, R::R7);
    a.alu(AluOp::And, R::R1, 1);
    a.branch(Test::Ne, R::R1, 0, miss);
    // It would be its own: the word is not that of a parent.
    a.branch(Test::Eq, R::R2, R::R6, miss);
    a.place(R::R1, Place::Data(Data::Moves));
    a.load(Size::B8, R::R8, R::R1, moves::MOVING as i16);
    a.load_field(Size::B8, R::R2, R::R2, Field::DENTRY_INODE);
    a.place(R::R1, Place::Map(Map::Dirs));
    a.mov(R::R3, 0);
    a.mov(R::R4, 0);
    a.helper(Helper::InodeStorageGet);
    a.branch(Test::Eq, R::R0, 0, miss);
    a.load(Size::B8, R::R9, R::R0, 0);
    a.note("of this generation, and nothing moves");
    a.mov(R::R1, R::R9);
    a.alu(AluOp::Rsh, R::R1, (dir_bits::STATE + dir_bits::PLACE) as i32);
    a.alu(AluOp::Lsh, R::R1, 32);
    a.branch(Test::Ne, R::R1, R::R8, miss);
    a.note("below a leaf: the name need not be looked at");
    a.mov(R::R1, R::R9);
    state_entry(a, facts);
    a.load(Size::B4, R::R2, R::R1, 12);
    a.load(Size::B4, R::R0, R::R1, 8);
    a.branch(Test::Eq, R::R2, 0, same);
    a.note("step(state, name, length)");
    // One that is one of several for it says nothing.
    a.load_field(Size::B4, R::R1, R::R6, Field::DENTRY_FLAGS);
    a.alu(AluOp::And, R::R1, NAMES_OF_ITS_OWN);
    a.branch(Test::Ne, R::R1, 0, miss);
    read_name(a, name, miss);
    a.bind(name);
    a.mov(R::R1, R::R9);
    a.alu(AluOp::And, R::R1, (1 << dir_bits::STATE) - 1);
    a.mov(R::R2, R::R10);
    a.alu(AluOp::Add, R::R2, i32::from(NAME));
    a.mov(R::R3, R::R8);
    a.call("step");
    a.mov32(R::R0, R::R0);
    a.note("as it was: of one parent and one name");
    a.bind(same);
    a.load_field(Size::B4, R::R1, R::R6, Field::DENTRY_SEQUENCE);
    a.branch(Test::Ne, R::R1, R::R7, miss);
    a.alu(AluOp::Lsh, R::R9, (u64::BITS - dir_bits::STATE - dir_bits::PLACE) as i32);
    a.alu(AluOp::Rsh, R::R9, (u64::BITS - dir_bits::PLACE) as i32);
}

/// Words of a name that a dentry has in itself that are read without a helper.
const WORDS: i32 = 4;

/// Puts the name of the dentry in r6 to [`NAME`], with zeros to the end of its last word, and goes on or to `done`; r8 is its length.
fn read_name(a: &mut Assembler, done: Label, miss: Label) {
    let (set, elsewhere) = (a.label(), a.label());
    // Where the verifier would not have what is never looked at.
    a.place(R::R1, Place::Data(Data::Session));
    a.load(Size::B4, R::R1, R::R1, session::UNSET as i16);
    a.branch(Test::Ne, R::R1, 0, set);
    for word in 0..NAME_BYTES as i16 / 8 {
        a.store(Size::B8, R::R10, NAME + 8 * word, R::R1);
    }
    a.bind(set);
    a.load_field(Size::B4, R::R8, R::R6, Field::DENTRY_NAME_LENGTH);
    a.load_field(Size::B8, R::R3, R::R6, Field::DENTRY_NAME);
    a.branch(Test::Lt, R::R8, 1, miss);
    a.note("a short one, in the dentry itself");
    a.place(R::R1, Place::Data(Data::Session));
    a.load(Size::B4, R::R1, R::R1, session::SHORT as i16);
    a.branch(Test::Eq, R::R1, 0, elsewhere);
    a.branch(Test::Gt, R::R8, 8 * WORDS, elsewhere);
    a.mov(R::R4, R::R6);
    a.alu(AluOp::Add, R::R4, R::R1);
    a.branch(Test::Ne, R::R3, R::R4, elsewhere);
    for word in 0..WORDS {
        let (last, at) = (a.label(), 8 * word as i16);
        a.load(Size::B8, R::R1, R::R4, at);
        a.branch(Test::Le, R::R8, 8 * (word + 1), last);
        if word + 1 < WORDS {
            a.store(Size::B8, R::R10, NAME + at, R::R1);
            let next = a.label();
            a.jump(next);
            last_word(a, last, word, done);
            a.bind(next);
        } else {
            last_word(a, last, word, done);
        }
    }
    a.note("by address");
    a.bind(elsewhere);
    a.branch(Test::Gt, R::R8, NAME_MAX as i32, miss);
    a.mov(R::R2, R::R8);
    a.alu(AluOp::And, R::R2, NAME_BYTES as i32 - 8);
    // The address first: of a number that an address is added to, the verifier does not know whose stack it is.
    a.mov(R::R1, R::R10);
    a.alu(AluOp::Add, R::R1, R::R2);
    a.mov(R::R2, 0);
    a.store(Size::B8, R::R1, NAME, R::R2);
    a.mov(R::R1, R::R10);
    a.alu(AluOp::Add, R::R1, i32::from(NAME));
    a.mov(R::R2, R::R8);
    a.helper(Helper::ProbeReadKernel);
    a.branch(Test::Ne, R::R0, 0, miss);
}

/// At `last`: stores r1, the last word of a name, without what stands in it after the name, and goes to `done`.
fn last_word(a: &mut Assembler, last: Label, word: i32, done: Label) {
    a.bind(last);
    a.mov(R::R2, 8 * (word + 1));
    a.alu(AluOp::Sub, R::R2, R::R8);
    a.alu(AluOp::Lsh, R::R2, 3);
    a.alu(AluOp::Lsh, R::R1, R::R2);
    a.alu(AluOp::Rsh, R::R1, R::R2);
    a.store(Size::B8, R::R10, NAME + 8 * word as i16, R::R1);
    a.jump(done);
}

/// `climbed(dentry, place, parent) -> found`: by all names between it and the root of the place, and keeps what is found of the parent, unless the
/// dentry has another one by now.
///
/// Registers: r6 dentry, r7 place, r8 what moves and the generation, r9 parent.
fn climbed(a: &mut Assembler) {
    const FOUND: i16 = -8;
    const LEFT: i16 = -16;
    const SCRATCH: i16 = -24;
    a.static_function("climbed");
    let (judged, below, again, once) = (a.label(), a.label(), a.label(), a.label());
    let (leave, room, moved) = (a.label(), a.label(), a.label());
    a.note("a mount that is not judged");
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.mov(R::R9, R::R3);
    a.load(Size::B4, R::R1, R::R7, place::JUDGED as i16);
    a.branch(Test::Ne, R::R1, 0, judged);
    pass(a);
    a.note("a mount that is not where it was");
    a.bind(judged);
    // After what is compared with when the state is kept.
    a.place(R::R1, Place::Data(Data::Moves));
    a.load(Size::B8, R::R8, R::R1, moves::MOVING as i16);
    unless_moved(a, (R::R7, 0), moved);
    a.note("the root of its mount");
    a.load(Size::B8, R::R1, R::R7, place::ROOT as i16);
    a.branch(Test::Ne, R::R6, R::R1, below);
    a.load(Size::B4, R::R0, R::R7, place::STATE as i16);
    a.exit();
    a.note("climb(scratch)");
    a.bind(below);
    a.mov(R::R1, TRIES);
    a.store(Size::B8, R::R10, LEFT, R::R1);
    a.bind(again);
    ready(a, R::R6, (R::R7, 0), place::STATE, room);
    a.store(Size::B8, R::R10, SCRATCH, R::R1);
    a.call("climb");
    a.store(Size::B8, R::R10, FOUND, R::R0);
    a.wide(R::R1, found(Doubt::Raced));
    a.branch(Test::Ne, R::R0, R::R1, once);
    a.load(Size::B8, R::R1, R::R10, LEFT);
    a.alu(AluOp::Sub, R::R1, 1);
    a.store(Size::B8, R::R10, LEFT, R::R1);
    a.branch(Test::SGt, R::R1, 0, again);
    a.jump(leave);
    a.bind(once);
    a.alu(AluOp::Rsh, R::R0, 32);
    a.branch(Test::Ne, R::R0, 0, leave);
    a.note("keep the parent's, unless something has moved meanwhile");
    unless_kept(a, leave);
    a.place(R::R1, Place::Data(Data::Moves));
    a.load(Size::B8, R::R1, R::R1, moves::MOVING as i16);
    a.branch(Test::Ne, R::R1, R::R8, leave);
    a.load(Size::B8, R::R1, R::R10, SCRATCH);
    a.load(Size::B8, R::R1, R::R1, (scratch::CHAIN + 8) as i16);
    // What was climbed by.
    a.branch(Test::Ne, R::R1, R::R9, leave);
    a.place(R::R1, Place::Map(Map::Dirs));
    a.load_field(Size::B8, R::R2, R::R9, Field::DENTRY_INODE);
    a.mov(R::R3, 0);
    a.mov(R::R4, F_CREATE);
    a.helper(Helper::InodeStorageGet);
    a.branch(Test::Eq, R::R0, 0, leave);
    a.load(Size::B4, R::R2, R::R7, place::NUMBER as i16);
    a.alu(AluOp::Lsh, R::R2, dir_bits::STATE as i32);
    a.alu(AluOp::Rsh, R::R8, 32);
    a.alu(AluOp::Lsh, R::R8, (dir_bits::STATE + dir_bits::PLACE) as i32);
    a.alu(AluOp::Or, R::R8, R::R2);
    a.load(Size::B8, R::R1, R::R10, SCRATCH);
    a.load(Size::B4, R::R1, R::R1, scratch::ABOVE as i16);
    a.alu(AluOp::Or, R::R8, R::R1);
    a.store(Size::B8, R::R0, 0, R::R8);
    a.bind(leave);
    a.load(Size::B8, R::R0, R::R10, FOUND);
    a.exit();
    a.bind(room);
    doubt(a, Doubt::Room);
    a.bind(moved);
    doubt(a, Doubt::Nowhere);
}

/// Goes to `target` where states are not kept: something moves, generations have come to their end, or this mount's are not to be.
fn unless_kept(a: &mut Assembler, target: Label) {
    a.mov32(R::R1, R::R8);
    a.branch(Test::Ne, R::R1, 0, target);
    a.mov(R::R1, R::R8);
    a.alu(AluOp::Rsh, R::R1, 32);
    a.branch(Test::Ge, R::R1, dir_bits::GENERATIONS as i32, target);
    a.load(Size::B4, R::R1, R::R7, place::KEPT as i16);
    a.branch(Test::Eq, R::R1, 0, target);
}

/// `r0 = map[*(r10 + key)]`
pub(super) fn lookup(a: &mut Assembler, map: Map, key: i16) {
    a.place(R::R1, Place::Map(map));
    a.mov(R::R2, R::R10);
    a.alu(AluOp::Add, R::R2, i32::from(key));
    a.helper(Helper::MapLookupElem);
}

/// r0 = r1 = the task's scratch memory, ready to climb from the dentry in `from` to the root of a place, which is at an offset of what
/// a register points to, and has its state at `state`. Goes to `room` where there is no memory.
pub(super) fn ready(a: &mut Assembler, from: Reg, (to, at): (Reg, usize), state: usize, room: Label) {
    of_this_task(a, Map::Scratch, F_CREATE);
    a.branch(Test::Eq, R::R0, 0, room);
    a.store(Size::B8, R::R0, scratch::FROM as i16, from);
    a.load(Size::B8, R::R1, to, (at + place::ROOT) as i16);
    a.store(Size::B8, R::R0, scratch::ROOT as i16, R::R1);
    a.load(Size::B4, R::R1, to, (at + state) as i16);
    a.store(Size::B8, R::R0, scratch::STATE as i16, R::R1);
    a.mov(R::R1, R::R0);
}

/// r1 = the entry of the state in r1. Changes r2.
pub(super) fn state_entry(a: &mut Assembler, facts: Facts<'_>) {
    a.alu(AluOp::And, R::R1, facts.mask(Table::States));
    a.alu(AluOp::Lsh, R::R1, 4);
    add_table(a, R::R1, R::R2, Table::States);
}
