//! The program that tells user space the addresses of what is behind a descriptor: maps of mounts are keyed by them.

use crate::bpf::asm::Assembler;
use crate::bpf::{AluOp, Field, Helper, Place, Reg, Size, Test};
use crate::emit::layout::{Data, ENTRY_SECTION, live};

use Reg as R;

/// The program, for `BPF_PROG_TEST_RUN` by the process whose descriptor it is.
pub const LEARN: &str = "boesfs_learn";

/// The program, for `BPF_PROG_TEST_RUN`, after which the others judge. User space cannot set that one word without writing those that they
/// count in.
pub const ARM: &str = "boesfs_arm";

/// Offsets of the context of both.
pub mod learned {
    /// In, `u64`: the descriptor.
    pub const DESCRIPTOR: usize = 0;
    /// Out, `u64`: the address of its mount.
    pub const MOUNT: usize = 8;
    /// Out, `u64`: that of its dentry.
    pub const DENTRY: usize = 16;
    /// Out, `u64`: that of its super block.
    pub const SUPER: usize = 24;
    /// Out, `u64`: that of the root of its mount.
    pub const ROOT: usize = 32;
    /// Out, `u64`: that of the dentry that the mount stands on.
    pub const POINT: usize = 40;
    /// Out, `u64`: how many PID namespaces are around that of the process.
    pub const LEVEL: usize = 48;
    /// Out, `u64`: the sequence number of [`DENTRY`].
    pub const SEQUENCE: usize = 56;
    /// Out, `u64`: that of [`POINT`].
    pub const POINT_SEQUENCE: usize = 64;
    /// Bytes of it.
    pub const BYTES: usize = 72;
}

/// Registers: r6 the context, r7 the descriptor, then the file; r8 the mount.
pub(super) fn learn(a: &mut Assembler) {
    const WORD: i16 = -8;
    a.entry(LEARN, ENTRY_SECTION);
    let bad = a.label();
    a.note("file = current->files->fdt->fd[descriptor]");
    a.mov(R::R6, R::R1);
    a.load(Size::B8, R::R7, R::R6, learned::DESCRIPTOR as i16);
    a.helper(Helper::GetCurrentTaskBtf);
    a.load_field(Size::B8, R::R1, R::R0, Field::TASK_FILES);
    a.load_field(Size::B8, R::R1, R::R1, Field::FILES_TABLE);
    a.load_field(Size::B4, R::R2, R::R1, Field::TABLE_SIZE);
    a.branch(Test::Ge, R::R7, R::R2, bad);
    a.load_field(Size::B8, R::R3, R::R1, Field::TABLE_FILES);
    a.alu(AluOp::Lsh, R::R7, 3);
    a.alu(AluOp::Add, R::R3, R::R7);
    read(a, WORD, bad);
    a.load(Size::B8, R::R7, R::R10, WORD);
    a.note("its mount, that one's super block and root, its dentry");
    for (from, field, to) in [
        (R::R7, Field::FILE_MNT, learned::MOUNT),
        (R::R7, Field::FILE_DENTRY, learned::DENTRY),
        (R::R8, Field::MOUNT_SUPER, learned::SUPER),
        (R::R8, Field::MOUNT_ROOT, learned::ROOT),
    ] {
        a.mov(R::R3, from);
        a.add_field(R::R3, field);
        read(a, WORD, bad);
        a.load(Size::B8, R::R1, R::R10, WORD);
        a.store(Size::B8, R::R6, to as i16, R::R1);
        if to == learned::MOUNT {
            a.mov(R::R8, R::R1);
        }
    }
    a.note("what that stands on: the mount is a part of a larger structure");
    a.mov(R::R3, R::R8);
    a.mov(R::R1, 0);
    a.add_field(R::R1, Field::WHOLE_MOUNT);
    a.alu(AluOp::Sub, R::R3, R::R1);
    a.add_field(R::R3, Field::MOUNT_POINT);
    read(a, WORD, bad);
    a.load(Size::B8, R::R1, R::R10, WORD);
    a.store(Size::B8, R::R6, learned::POINT as i16, R::R1);
    a.note("how often either was renamed, by and large");
    for (of, to) in [(learned::DENTRY, learned::SEQUENCE), (learned::POINT, learned::POINT_SEQUENCE)] {
        a.load(Size::B8, R::R3, R::R6, of as i16);
        a.add_field(R::R3, Field::DENTRY_SEQUENCE);
        read(a, WORD, bad);
        a.load(Size::B4, R::R1, R::R10, WORD);
        a.store(Size::B8, R::R6, to as i16, R::R1);
    }
    a.note("how deep in PID namespaces this process is");
    a.helper(Helper::GetCurrentTaskBtf);
    a.load_field(Size::B8, R::R1, R::R0, Field::TASK_PID);
    a.load_field(Size::B4, R::R1, R::R1, Field::PID_LEVEL);
    a.store(Size::B8, R::R6, learned::LEVEL as i16, R::R1);
    a.mov(R::R0, 0);
    a.exit();
    a.note("no such descriptor");
    a.bind(bad);
    a.mov(R::R0, 1);
    a.exit();
}

/// Has the other programs judge.
pub(super) fn arm(a: &mut Assembler) {
    a.entry(ARM, ENTRY_SECTION);
    a.note("from here on");
    a.place(R::R1, Place::Data(Data::Live));
    a.mov(R::R2, 1);
    a.store(Size::B8, R::R1, live::ARMED as i16, R::R2);
    a.mov(R::R0, 0);
    a.exit();
}

/// Reads eight bytes at the address in r3 to the stack.
fn read(a: &mut Assembler, to: i16, bad: crate::bpf::asm::Label) {
    a.mov(R::R1, R::R10);
    a.alu(AluOp::Add, R::R1, i32::from(to));
    a.mov(R::R2, 8);
    a.helper(Helper::ProbeReadKernel);
    a.branch(Test::Ne, R::R0, 0, bad);
}
