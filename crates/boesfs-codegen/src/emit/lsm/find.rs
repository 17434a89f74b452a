//! The state of an object: `find` by its mount, `shown` where a hook does not say the mount.

use boesfs_lang::pattern::NAME_MAX;

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Field, Helper, Place, Reg, Size, Test};
use crate::emit::layout::{Data, Doubt, Map, NAME_BYTES, Table, dir_bits, live, place, scratch, supers};
use crate::emit::{Facts, add_table};

use super::climb::climb_here;
use super::entries::{Asked, plain};
use super::scope::{F_CREATE, of_this_task};

use Reg as R;

/// What `find` gives, above the 32 bits of a state: nothing is judged there.
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
    find_path(a);
    find(a);
    shown(a);
    by_places(a, facts);
    outside(a);
    below(a);
    dir(a);
    child(a, facts);
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

/// `find_path(path) -> found`: for files of kernels where the verifier takes no pointer out of `file.f_path`, which is in a
/// union there. Its argument is declared to be a kernel object, so it can be a part of the file.
fn find_path(a: &mut Assembler) {
    a.function("find_path");
    a.note("find(dentry, mount)");
    a.load_field(Size::B8, R::R2, R::R1, Field::PATH_MNT);
    a.load_field(Size::B8, R::R1, R::R1, Field::PATH_DENTRY);
    a.call("find");
    a.exit();
}

/// `find(dentry, mount) -> found`
fn find(a: &mut Assembler) {
    const KEY: i16 = -8;
    a.static_function("find");
    a.note("place = mounts[mount]; none -> outside");
    let unknown = a.label();
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.store(Size::B8, R::R10, KEY, R::R2);
    lookup(a, Map::Mounts, KEY);
    a.branch(Test::Eq, R::R0, 0, unknown);
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R0);
    a.call("below");
    a.exit();
    a.bind(unknown);
    a.mov(R::R1, R::R6);
    a.load_field(Size::B8, R::R2, R::R7, Field::MOUNT_SUPER);
    a.call("outside");
    a.exit();
}

/// Goes to `own` unless the kernel acts for itself, as overlayfs does in its layers, whoever asked it to. Changes r0 to r5.
///
/// Its credentials are not the task's own then. Nor are they in access(2), which asks on behalf of the task all the same: the
/// copy that it makes is nobody else's, and says so.
pub(super) fn unless_for_itself(a: &mut Assembler, own: Label) {
    a.helper(Helper::GetCurrentTaskBtf);
    a.load_field(Size::B8, R::R1, R::R0, Field::TASK_CRED);
    a.load_field(Size::B8, R::R2, R::R0, Field::TASK_REAL_CRED);
    a.branch(Test::Eq, R::R1, R::R2, own);
    a.load_field(Size::B4, R::R1, R::R1, Field::CRED_FOR_NOW);
    a.branch(Test::Ne, R::R1, 0, own);
}

/// `shown(dentry, ops) -> found`: by the mounts that show its file system, where `ops` are asked.
fn shown(a: &mut Assembler) {
    const KEY: i16 = -8;
    a.static_function("shown");
    let (unknown, several) = (a.label(), a.label());
    a.note("s = supers[super block]; none -> outside");
    a.mov(R::R6, R::R1);
    a.mov(R::R9, R::R2);
    a.load_field(Size::B8, R::R7, R::R6, Field::DENTRY_SUPER);
    a.store(Size::B8, R::R10, KEY, R::R7);
    lookup(a, Map::Supers, KEY);
    a.branch(Test::Eq, R::R0, 0, unknown);
    a.note("one mount: below(dentry, place)");
    a.mov(R::R8, R::R0);
    a.load(Size::B4, R::R1, R::R8, supers::COUNT as i16);
    a.branch(Test::Ne, R::R1, 1, several);
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R8);
    a.alu(AluOp::Add, R::R2, supers::PLACES as i32);
    a.call("below");
    a.exit();
    a.note("several: by_places(dentry, s, ops)");
    a.bind(several);
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R8);
    a.mov(R::R3, R::R9);
    a.call("by_places");
    a.exit();
    a.bind(unknown);
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R7);
    a.call("outside");
    a.exit();
}

/// `by_places(address of a dentry, super, ops) -> found`: the state of an object that any of several mounts may show. Of two
/// states, the one that does not plainly allow `ops`; where neither does, it is not known which mount is meant: a doubt.
///
/// Registers: r6 the address, r7 the super, r8 ops, r9 what is found by one mount.
fn by_places(a: &mut Assembler, facts: Facts<'_>) {
    const HARSHEST: i16 = -8;
    a.static_function("by_places");
    let (done, room, several) = (a.label(), a.label(), a.label());
    a.note("too many mounts");
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.mov(R::R8, R::R3);
    a.load(Size::B4, R::R1, R::R7, supers::COUNT as i16);
    a.branch(Test::Gt, R::R1, supers::MOST as i32, several);
    a.wide(R::R1, found(Doubt::Nowhere));
    a.store(Size::B8, R::R10, HARSHEST, R::R1);
    for number in 0..supers::MOST {
        let at = supers::PLACES + number * place::BYTES;
        let (next, judged, first, compare, leave) = (a.label(), a.label(), a.label(), a.label(), a.label());
        a.note("climb(scratch) to this mount's root");
        a.load(Size::B4, R::R1, R::R7, supers::COUNT as i16);
        a.branch(Test::Le, R::R1, number as i32, done);
        a.wide(R::R9, PASSED);
        a.load(Size::B4, R::R1, R::R7, (at + place::JUDGED) as i16);
        a.branch(Test::Eq, R::R1, 0, judged);
        ready(a, R::R6, (R::R7, at), place::STATE, room);
        a.call("climb");
        a.mov(R::R9, R::R0);
        a.note("it is not below that one: the next; another doubt stands");
        a.wide(R::R1, found(Doubt::Nowhere));
        a.branch(Test::Eq, R::R9, R::R1, next);
        a.alu(AluOp::Rsh, R::R0, 32);
        a.branch(Test::Eq, R::R0, DOUBT, leave);
        a.bind(judged);
        a.note("the first, or what is known already");
        a.load(Size::B8, R::R1, R::R10, HARSHEST);
        a.mov(R::R2, R::R1);
        a.alu(AluOp::Rsh, R::R2, 32);
        a.branch(Test::Eq, R::R2, DOUBT, first);
        a.branch(Test::Ne, R::R1, R::R9, compare);
        a.jump(next);
        a.bind(leave);
        a.mov(R::R0, R::R9);
        a.exit();
        a.note("the harsher of two");
        a.bind(compare);
        plain(a, facts, Asked::Bits(R::R8), next);
        a.mov(R::R1, R::R9);
        a.load(Size::B8, R::R9, R::R10, HARSHEST);
        a.store(Size::B8, R::R10, HARSHEST, R::R1);
        plain(a, facts, Asked::Bits(R::R8), next);
        a.jump(several);
        a.bind(first);
        a.store(Size::B8, R::R10, HARSHEST, R::R9);
        a.bind(next);
    }
    a.bind(done);
    a.load(Size::B8, R::R0, R::R10, HARSHEST);
    a.exit();
    a.note("several mounts, and the hook does not say which");
    a.bind(several);
    doubt(a, Doubt::Several);
    a.bind(room);
    doubt(a, Doubt::Room);
}

/// `outside(dentry, super block) -> found`: of an object that is of no mount of the tree.
fn outside(a: &mut Assembler) {
    const KEY: i16 = -8;
    a.static_function("outside");
    a.note("a file system of the kernel's own, of pipes, sockets, memory: nothing to judge");
    let (passes, own) = (a.label(), a.label());
    a.mov(R::R6, R::R1);
    a.load_field(Size::B8, R::R1, R::R2, Field::SUPER_FLAGS);
    a.alu(AluOp::And, R::R1, KERNEL_MOUNT);
    a.branch(Test::Ne, R::R1, 0, passes);
    a.note("the kernel acts for itself, below another file system: nothing to judge");
    unless_for_itself(a, own);
    a.bind(passes);
    pass(a);
    a.note("handed in with a descriptor: nothing to judge");
    a.bind(own);
    a.store(Size::B8, R::R10, KEY, R::R6);
    lookup(a, Map::Handed, KEY);
    a.branch(Test::Ne, R::R0, 0, passes);
    a.note("from elsewhere: refused");
    doubt(a, Doubt::Foreign);
}

/// `below(dentry, place) -> found`. Registers: r6 dentry, r7 place, r8 the sequence number, r9 tries left.
fn below(a: &mut Assembler) {
    a.static_function("below");
    let (judged, other, again, retry, leave, nowhere) =
        (a.label(), a.label(), a.label(), a.label(), a.label(), a.label());
    a.note("a mount that is not judged");
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.load(Size::B4, R::R1, R::R7, place::JUDGED as i16);
    a.branch(Test::Ne, R::R1, 0, judged);
    pass(a);
    a.note("the root of its mount");
    a.bind(judged);
    a.load(Size::B8, R::R1, R::R7, place::ROOT as i16);
    a.branch(Test::Ne, R::R6, R::R1, other);
    a.load(Size::B4, R::R0, R::R7, place::STATE as i16);
    a.exit();
    a.note("child(dentry, dir(parent, place)), of one parent and one name");
    a.bind(other);
    a.mov(R::R9, TRIES);
    a.bind(again);
    a.load_field(Size::B4, R::R8, R::R6, Field::DENTRY_SEQUENCE);
    a.mov(R::R1, R::R8);
    a.alu(AluOp::And, R::R1, 1);
    a.branch(Test::Ne, R::R1, 0, retry);
    a.load_field(Size::B8, R::R1, R::R6, Field::DENTRY_PARENT);
    a.branch(Test::Eq, R::R1, R::R6, nowhere);
    a.mov(R::R2, R::R7);
    a.call("dir");
    a.wide(R::R1, found(Doubt::Raced));
    a.branch(Test::Eq, R::R0, R::R1, retry);
    a.mov(R::R1, R::R0);
    a.alu(AluOp::Rsh, R::R1, 32);
    a.branch(Test::Ne, R::R1, 0, leave);
    a.mov(R::R1, R::R6);
    a.mov(R::R2, R::R0);
    a.call("child");
    a.load_field(Size::B4, R::R1, R::R6, Field::DENTRY_SEQUENCE);
    a.branch(Test::Eq, R::R1, R::R8, leave);
    a.bind(retry);
    a.alu(AluOp::Sub, R::R9, 1);
    a.branch(Test::SGt, R::R9, 0, again);
    doubt(a, Doubt::Raced);
    a.bind(leave);
    a.exit();
    a.note("a root, but not that of its mount");
    a.bind(nowhere);
    doubt(a, Doubt::Nowhere);
}

/// `dir(dentry, place) -> found`: of a directory. Registers: r6 dentry, r7 place, r8 the generation and what moves, r9
/// the mark of a state that is kept.
fn dir(a: &mut Assembler) {
    const STATE: i16 = -8;
    const CLIMB: i16 = -16;
    const ROUNDS: i16 = -24;
    a.static_function("dir");
    let (other, climb, room, leave) = (a.label(), a.label(), a.label(), a.label());
    a.note("the root of its mount");
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.load(Size::B8, R::R1, R::R7, place::ROOT as i16);
    a.branch(Test::Ne, R::R6, R::R1, other);
    a.load(Size::B4, R::R0, R::R7, place::STATE as i16);
    a.exit();

    a.note("kept in its inode, of this generation and this mount, and nothing moves");
    a.bind(other);
    a.place(R::R1, Place::Data(Data::Live));
    a.load(Size::B8, R::R8, R::R1, live::MOVING as i16);
    mark(a);
    unless_kept(a, climb);
    a.place(R::R1, Place::Map(Map::Dirs));
    a.load_field(Size::B8, R::R2, R::R6, Field::DENTRY_INODE);
    a.mov(R::R3, 0);
    a.mov(R::R4, 0);
    a.helper(Helper::InodeStorageGet);
    a.branch(Test::Eq, R::R0, 0, climb);
    a.load(Size::B8, R::R0, R::R0, 0);
    a.mov(R::R1, R::R0);
    a.alu(AluOp::Rsh, R::R1, dir_bits::STATE as i32);
    a.branch(Test::Ne, R::R1, R::R9, climb);
    a.alu(AluOp::And, R::R0, (1 << dir_bits::STATE) - 1);
    a.exit();

    a.note("climb(scratch)");
    a.bind(climb);
    ready(a, R::R6, (R::R7, 0), place::STATE, room);
    climb_here(a, CLIMB, ROUNDS);
    a.store(Size::B8, R::R10, STATE, R::R0);
    a.mov(R::R1, R::R0);
    a.alu(AluOp::Rsh, R::R1, 32);
    a.branch(Test::Ne, R::R1, 0, leave);
    a.note("keep it, unless something has moved meanwhile");
    unless_kept(a, leave);
    a.place(R::R1, Place::Data(Data::Live));
    a.load(Size::B8, R::R1, R::R1, live::MOVING as i16);
    a.branch(Test::Ne, R::R1, R::R8, leave);
    a.place(R::R1, Place::Map(Map::Dirs));
    a.load_field(Size::B8, R::R2, R::R6, Field::DENTRY_INODE);
    a.mov(R::R3, 0);
    a.mov(R::R4, F_CREATE);
    a.helper(Helper::InodeStorageGet);
    a.branch(Test::Eq, R::R0, 0, leave);
    a.alu(AluOp::Lsh, R::R9, dir_bits::STATE as i32);
    a.load(Size::B8, R::R1, R::R10, STATE);
    a.alu(AluOp::Or, R::R1, R::R9);
    a.store(Size::B8, R::R0, 0, R::R1);
    a.bind(leave);
    a.load(Size::B8, R::R0, R::R10, STATE);
    a.exit();
    a.bind(room);
    doubt(a, Doubt::Room);
}

/// r9 = generation and number of the place, as kept states are marked. Changes r1.
fn mark(a: &mut Assembler) {
    a.mov(R::R9, R::R8);
    a.alu(AluOp::Rsh, R::R9, 32);
    a.alu(AluOp::Lsh, R::R9, dir_bits::PLACE as i32);
    a.load(Size::B4, R::R1, R::R7, place::NUMBER as i16);
    a.alu(AluOp::Or, R::R9, R::R1);
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

/// `child(dentry, state) -> found`: one step down by the dentry's name. Registers: r6 dentry, r7 state, r8 length.
fn child(a: &mut Assembler, facts: Facts<'_>) {
    const NAME: i16 = -(NAME_BYTES as i16);
    a.static_function("child");
    let (name, bad, inexact) = (a.label(), a.label(), a.label());
    a.note("below a leaf: the name need not be looked at");
    a.mov(R::R6, R::R1);
    a.mov(R::R7, R::R2);
    a.mov(R::R1, R::R7);
    state_entry(a, facts);
    a.load(Size::B4, R::R2, R::R1, 12);
    a.branch(Test::Ne, R::R2, 0, name);
    a.load(Size::B4, R::R0, R::R1, 8);
    a.exit();
    a.note("the name is one of several for it");
    a.bind(name);
    a.load_field(Size::B4, R::R1, R::R6, Field::DENTRY_FLAGS);
    a.alu(AluOp::And, R::R1, NAMES_OF_ITS_OWN);
    a.branch(Test::Ne, R::R1, 0, inexact);
    a.note("step(state, name, length)");
    a.mov(R::R1, 0);
    for word in 0..NAME_BYTES as i16 / 8 {
        a.store(Size::B8, R::R10, NAME + 8 * word, R::R1);
    }
    a.load_field(Size::B4, R::R8, R::R6, Field::DENTRY_NAME_LENGTH);
    a.branch(Test::Lt, R::R8, 1, bad);
    a.branch(Test::Gt, R::R8, NAME_MAX as i32, bad);
    a.load_field(Size::B8, R::R3, R::R6, Field::DENTRY_NAME);
    a.mov(R::R1, R::R10);
    a.alu(AluOp::Add, R::R1, i32::from(NAME));
    a.mov(R::R2, R::R8);
    a.helper(Helper::ProbeReadKernel);
    a.branch(Test::Ne, R::R0, 0, bad);
    a.mov(R::R1, R::R7);
    a.mov(R::R2, R::R10);
    a.alu(AluOp::Add, R::R2, i32::from(NAME));
    a.mov(R::R3, R::R8);
    a.call("step");
    a.mov32(R::R0, R::R0);
    a.exit();
    a.note("renamed just now");
    a.bind(bad);
    doubt(a, Doubt::Raced);
    a.bind(inexact);
    doubt(a, Doubt::Inexact);
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
