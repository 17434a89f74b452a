//! One instruction: its typed form, its eight bytes, and back.
//!
//! Numbers are those of the kernel's `Documentation/bpf/standardization/instruction-set.rst`.

use std::fmt;

use crate::emit::layout::{Data, Map, Table};

use super::program::FunctionId;

/// A register: `r0` to `r10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(u8);

#[expect(missing_docs, reason = "the names say it")]
impl Reg {
    pub const R0: Reg = Reg(0);
    pub const R1: Reg = Reg(1);
    pub const R2: Reg = Reg(2);
    pub const R3: Reg = Reg(3);
    pub const R4: Reg = Reg(4);
    pub const R5: Reg = Reg(5);
    pub const R6: Reg = Reg(6);
    pub const R7: Reg = Reg(7);
    pub const R8: Reg = Reg(8);
    pub const R9: Reg = Reg(9);
    /// The frame pointer: read-only, one past the top of 512 bytes of stack.
    pub const R10: Reg = Reg(10);
}

impl Reg {
    /// Register `number`, if there is one.
    #[must_use]
    pub const fn new(number: u8) -> Option<Reg> {
        if number <= 10 { Some(Reg(number)) } else { None }
    }

    /// Its number, 0 to 10.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// How many bits an operation works on. 32-bit arithmetic clears the upper half of its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Width {
    W32,
    W64,
}

/// Bytes moved by a load or store. Loads zero-extend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Size {
    B1,
    B2,
    B4,
    B8,
}

impl Size {
    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Size::B1 => 1,
            Size::B2 => 2,
            Size::B4 => 4,
            Size::B8 => 8,
        }
    }
}

/// Arithmetic. All of it wraps; shift amounts are taken modulo the width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
#[repr(u8)]
pub enum AluOp {
    Add = 0x00,
    Sub = 0x10,
    Mul = 0x20,
    Or = 0x40,
    And = 0x50,
    Lsh = 0x60,
    Rsh = 0x70,
    Xor = 0xa0,
    Mov = 0xb0,
    Arsh = 0xc0,
}

/// What a conditional jump tests. `S..` compare signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
#[repr(u8)]
pub enum Test {
    Eq = 0x10,
    Gt = 0x20,
    Ge = 0x30,
    /// `dst & src != 0`
    Set = 0x40,
    Ne = 0x50,
    SGt = 0x60,
    SGe = 0x70,
    Lt = 0xa0,
    Le = 0xb0,
    SLt = 0xc0,
    SLe = 0xd0,
}

/// The second operand: a register, or a constant that is sign-extended to the width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operand {
    Reg(Reg),
    Imm(i32),
}

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Operand {
        Operand::Reg(reg)
    }
}

impl From<i32> for Operand {
    fn from(imm: i32) -> Operand {
        Operand::Imm(imm)
    }
}

/// A kernel helper that the programs call, by its number in `include/uapi/linux/bpf.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Helper {
    /// `void *bpf_map_lookup_elem(map, key)`
    MapLookupElem = 1,
    /// `u64 bpf_ktime_get_ns(void)`
    KtimeGetNs = 5,
    /// `long bpf_tail_call(context, programs, index)`: does not come back, but where there is no such program.
    TailCall = 12,
    /// `u64 bpf_get_current_pid_tgid(void)`
    GetCurrentPidTgid = 14,
    /// `long bpf_get_current_comm(buffer, size)`
    GetCurrentComm = 16,
    /// `u64 bpf_get_current_task(void)`
    GetCurrentTask = 35,
    /// `u64 bpf_get_current_cgroup_id(void)`
    GetCurrentCgroupId = 80,
    /// `long bpf_send_signal(signal)`
    SendSignal = 109,
    /// `long bpf_probe_read_kernel(to, size, from)`
    ProbeReadKernel = 113,
    /// `u64 bpf_get_current_ancestor_cgroup_id(level)`
    GetCurrentAncestorCgroupId = 123,
    /// `long bpf_ringbuf_output(map, data, size, flags)`
    RingbufOutput = 130,
    /// `void *bpf_ringbuf_reserve(map, size, flags)`
    RingbufReserve = 131,
    /// `void bpf_ringbuf_submit(data, flags)`
    RingbufSubmit = 132,
    /// `void *bpf_inode_storage_get(map, inode, value, flags)`
    InodeStorageGet = 145,
    /// `void *bpf_task_storage_get(map, task, value, flags)`
    TaskStorageGet = 156,
    /// `struct task_struct *bpf_get_current_task_btf(void)`
    GetCurrentTaskBtf = 158,
    /// `struct pt_regs *bpf_task_pt_regs(task)`
    TaskPtRegs = 175,
    /// `struct unix_sock *bpf_skc_to_unix_sock(sock)`
    SkcToUnixSock = 178,
}

/// Every helper that the programs call, with its name without `bpf_`.
const HELPERS: [(Helper, &str); 18] = [
    (Helper::MapLookupElem, "map_lookup_elem"),
    (Helper::KtimeGetNs, "ktime_get_ns"),
    (Helper::TailCall, "tail_call"),
    (Helper::GetCurrentPidTgid, "get_current_pid_tgid"),
    (Helper::GetCurrentComm, "get_current_comm"),
    (Helper::GetCurrentTask, "get_current_task"),
    (Helper::GetCurrentCgroupId, "get_current_cgroup_id"),
    (Helper::SendSignal, "send_signal"),
    (Helper::ProbeReadKernel, "probe_read_kernel"),
    (Helper::GetCurrentAncestorCgroupId, "get_current_ancestor_cgroup_id"),
    (Helper::RingbufOutput, "ringbuf_output"),
    (Helper::RingbufReserve, "ringbuf_reserve"),
    (Helper::RingbufSubmit, "ringbuf_submit"),
    (Helper::InodeStorageGet, "inode_storage_get"),
    (Helper::TaskStorageGet, "task_storage_get"),
    (Helper::GetCurrentTaskBtf, "get_current_task_btf"),
    (Helper::TaskPtRegs, "task_pt_regs"),
    (Helper::SkcToUnixSock, "skc_to_unix_sock"),
];

impl Helper {
    /// The helper with number `number`, if the programs of an object use it.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Helper> {
        let used = HELPERS.iter().map(|(helper, _)| *helper).filter(|helper| *helper != Helper::TailCall);
        used.into_iter().find(|helper| *helper as u32 == number)
    }

    /// Its name without `bpf_`.
    #[must_use]
    pub fn name(self) -> &'static str {
        HELPERS.iter().find(|(helper, _)| *helper == self).map_or("?", |(_, name)| name)
    }
}

/// What a relocated wide load gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The address of the first byte of a table.
    Table(Table),
    /// The address of the first byte of a section of data.
    Data(Data),
    /// A map, as helpers take it.
    Map(Map),
    /// The address of the first byte of the table of [`family`](crate::emit::layout::family): in no object.
    Family,
    /// A program array of it: in no object.
    Programs,
}

/// One slot of a program. A wide load takes two: itself and [`Insn::Tail`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Insn {
    /// `dst = dst op src`
    #[expect(missing_docs, reason = "the names say it")]
    Alu { width: Width, op: AluOp, dst: Reg, src: Operand },
    /// `dst = value`, 64 bits; two slots.
    #[expect(missing_docs, reason = "the names say it")]
    LoadImm { dst: Reg, value: u64 },
    /// `dst = address of place`; two slots, relocated.
    #[expect(missing_docs, reason = "the names say it")]
    LoadPlace { dst: Reg, place: Place },
    /// `dst = *(base + offset)`
    #[expect(missing_docs, reason = "the names say it")]
    Load { size: Size, dst: Reg, base: Reg, offset: i16 },
    /// `*(base + offset) = src`
    #[expect(missing_docs, reason = "the names say it")]
    Store { size: Size, base: Reg, offset: i16, src: Operand },
    /// `*(u64 *)(base + offset) += src`, at once.
    #[expect(missing_docs, reason = "the names say it")]
    AtomicAdd { base: Reg, offset: i16, src: Reg },
    /// Skips `offset` slots.
    #[expect(missing_docs, reason = "the names say it")]
    Jump { offset: i16 },
    /// Skips `offset` slots if the test holds.
    #[expect(missing_docs, reason = "the names say it")]
    Branch { width: Width, test: Test, dst: Reg, src: Operand, offset: i16 },
    /// Calls a helper: `r1` to `r5` in, `r0` out.
    CallHelper(Helper),
    /// Calls a function of the program: `r1` to `r5` in, `r0` out, `r6` to `r9` kept, a stack of its own.
    Call(FunctionId),
    /// Returns `r0`.
    Exit,
    /// The second slot of a wide load: never run on its own.
    Tail,
}

/// Why bytes are not an instruction of the subset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// An opcode outside the subset, or fields that it leaves unused are set.
    #[error("unknown instruction {bytes:016x} (opcode 0x{:02x})", .bytes >> 56)]
    Unknown {
        /// The eight bytes, the first one highest.
        bytes: u64,
    },
    /// The code ends inside a wide load, or is not made of whole slots.
    #[error("code ends inside an instruction")]
    Cut,
}

const LD: u8 = 0;
const LDX: u8 = 1;
const ST: u8 = 2;
const STX: u8 = 3;
const ALU: u8 = 4;
const JMP: u8 = 5;
const JMP32: u8 = 6;
const ALU64: u8 = 7;
const FROM_REG: u8 = 0x08;
const MEM: u8 = 0x60;
/// `BPF_STX | BPF_ATOMIC | BPF_DW`; the operation, an addition, is an immediate of 0.
const ATOMIC: u8 = STX | 0xc0 | 0x18;
const WIDE: u8 = LD | 0x18;
const JA: u8 = JMP;
const CALL: u8 = JMP | 0x80;
const EXIT: u8 = JMP | 0x90;
/// Source register of a call that leads to a function of the program.
pub(crate) const PSEUDO_CALL: u8 = 1;

/// One slot as fields, before it has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) code: u8,
    pub(crate) dst: u8,
    pub(crate) src: u8,
    pub(crate) offset: i16,
    pub(crate) imm: i32,
}

impl Slot {
    pub(crate) fn to_bytes(self) -> [u8; 8] {
        let [o0, o1] = self.offset.to_le_bytes();
        let [i0, i1, i2, i3] = self.imm.to_le_bytes();
        [self.code, self.dst | self.src << 4, o0, o1, i0, i1, i2, i3]
    }

    pub(crate) fn from_bytes([code, regs, o0, o1, i0, i1, i2, i3]: [u8; 8]) -> Slot {
        Slot {
            code,
            dst: regs & 15,
            src: regs >> 4,
            offset: i16::from_le_bytes([o0, o1]),
            imm: i32::from_le_bytes([i0, i1, i2, i3]),
        }
    }

    /// The slots of a wide load of `value`, marked with `src` for the kernel (`BPF_PSEUDO_*`).
    pub(crate) fn wide(dst: Reg, src: u8, value: u64) -> [Slot; 2] {
        [
            Slot { code: WIDE, dst: dst.0, src, offset: 0, imm: value as u32 as i32 },
            Slot { code: 0, dst: 0, src: 0, offset: 0, imm: (value >> 32) as u32 as i32 },
        ]
    }

    /// The register and value of the wide load in these two slots, if it is one without a mark for the kernel.
    pub(crate) fn unwide(first: Slot, second: Slot) -> Result<(Reg, u64), DecodeError> {
        let value = u64::from(first.imm as u32) | u64::from(second.imm as u32) << 32;
        let dst = Reg::new(first.dst).ok_or(first.unknown())?;
        if Slot::wide(dst, 0, value) == [first, second] { Ok((dst, value)) } else { Err(first.unknown()) }
    }

    /// A call of the function `distance` slots after the next slot.
    pub(crate) fn call(distance: i32) -> Slot {
        Slot { code: CALL, dst: 0, src: PSEUDO_CALL, offset: 0, imm: distance }
    }

    pub(crate) fn is_wide(self) -> bool {
        self.code == WIDE
    }

    pub(crate) fn is_call(self) -> bool {
        self.code == CALL && self.src == PSEUDO_CALL
    }

    pub(crate) fn unknown(self) -> DecodeError {
        DecodeError::Unknown { bytes: u64::from_be_bytes(self.to_bytes()) }
    }

    /// The instruction, for those of one slot that need no look at their surroundings.
    pub(crate) fn decode(self) -> Result<Insn, DecodeError> {
        let insn = self.meaning().ok_or(self.unknown())?;
        // Fields that an instruction does not use must be zero: the same instruction has one encoding.
        if encode(insn) == Some(self) { Ok(insn) } else { Err(self.unknown()) }
    }

    fn meaning(self) -> Option<Insn> {
        let dst = Reg::new(self.dst)?;
        let src = if self.code & FROM_REG != 0 { Operand::Reg(Reg::new(self.src)?) } else { Operand::Imm(self.imm) };
        let offset = self.offset;
        Some(match self.code & 7 {
            ALU | ALU64 => {
                let width = if self.code & 7 == ALU { Width::W32 } else { Width::W64 };
                Insn::Alu { width, op: alu_op(self.code & 0xf0)?, dst, src }
            }
            LDX if self.code & 0xe0 == MEM => {
                Insn::Load { size: size(self.code), dst, base: Reg::new(self.src)?, offset }
            }
            ST if self.code & 0xe0 == MEM => {
                Insn::Store { size: size(self.code), base: dst, offset, src: Operand::Imm(self.imm) }
            }
            STX if self.code & 0xe0 == MEM => {
                Insn::Store { size: size(self.code), base: dst, offset, src: Operand::Reg(Reg::new(self.src)?) }
            }
            STX if self.code == ATOMIC => Insn::AtomicAdd { base: dst, offset, src: Reg::new(self.src)? },
            JMP if self.code == JA => Insn::Jump { offset },
            JMP if self.code == CALL => Insn::CallHelper(Helper::from_number(self.imm as u32)?),
            JMP if self.code == EXIT => Insn::Exit,
            JMP => Insn::Branch { width: Width::W64, test: test(self.code & 0xf0)?, dst, src, offset },
            JMP32 => Insn::Branch { width: Width::W32, test: test(self.code & 0xf0)?, dst, src, offset },
            _ => return None,
        })
    }
}

fn size(code: u8) -> Size {
    match code & 0x18 {
        0x00 => Size::B4,
        0x08 => Size::B2,
        0x10 => Size::B1,
        _ => Size::B8,
    }
}

fn size_bits(size: Size) -> u8 {
    match size {
        Size::B4 => 0x00,
        Size::B2 => 0x08,
        Size::B1 => 0x10,
        Size::B8 => 0x18,
    }
}

fn alu_op(bits: u8) -> Option<AluOp> {
    use AluOp::{Add, And, Arsh, Lsh, Mov, Mul, Or, Rsh, Sub, Xor};
    [Add, Sub, Mul, Or, And, Lsh, Rsh, Xor, Mov, Arsh].into_iter().find(|op| *op as u8 == bits)
}

fn test(bits: u8) -> Option<Test> {
    use Test::{Eq, Ge, Gt, Le, Lt, Ne, SGe, SGt, SLe, SLt, Set};
    [Eq, Gt, Ge, Set, Ne, SGt, SGe, Lt, Le, SLt, SLe].into_iter().find(|test| *test as u8 == bits)
}

/// The slot of an instruction; none for those whose bytes depend on where they stand: wide loads, calls, tails.
pub(crate) fn encode(insn: Insn) -> Option<Slot> {
    let operand = |class: u8, bits: u8, dst: Reg, src: Operand, offset: i16| match src {
        Operand::Reg(src) => Slot { code: class | bits | FROM_REG, dst: dst.0, src: src.0, offset, imm: 0 },
        Operand::Imm(imm) => Slot { code: class | bits, dst: dst.0, src: 0, offset, imm },
    };
    Some(match insn {
        Insn::Alu { width, op, dst, src } => {
            operand(if width == Width::W32 { ALU } else { ALU64 }, op as u8, dst, src, 0)
        }
        Insn::Load { size, dst, base, offset } => {
            Slot { code: LDX | MEM | size_bits(size), dst: dst.0, src: base.0, offset, imm: 0 }
        }
        Insn::Store { size, base, offset, src: Operand::Reg(src) } => {
            Slot { code: STX | MEM | size_bits(size), dst: base.0, src: src.0, offset, imm: 0 }
        }
        Insn::Store { size, base, offset, src: Operand::Imm(imm) } => {
            Slot { code: ST | MEM | size_bits(size), dst: base.0, src: 0, offset, imm }
        }
        Insn::AtomicAdd { base, offset, src } => Slot { code: ATOMIC, dst: base.0, src: src.0, offset, imm: 0 },
        Insn::Jump { offset } => Slot { code: JA, dst: 0, src: 0, offset, imm: 0 },
        Insn::Branch { width, test, dst, src, offset } => {
            operand(if width == Width::W32 { JMP32 } else { JMP }, test as u8, dst, src, offset)
        }
        Insn::CallHelper(helper) => Slot { code: CALL, dst: 0, src: 0, offset: 0, imm: helper as i32 },
        Insn::Exit => Slot { code: EXIT, dst: 0, src: 0, offset: 0, imm: 0 },
        Insn::LoadImm { .. } | Insn::LoadPlace { .. } | Insn::Call(_) | Insn::Tail => return None,
    })
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}
