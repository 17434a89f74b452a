//! Decoded operations, one variant for each combination of operation, width and kind of operand: one dispatch each.
//!
//! [`arithmetic`] is the only list of arithmetic and of comparisons; the enum, the decoder and the interpreter are made from it.
//! Meanings are those of the kernel's `Documentation/bpf/standardization/instruction-set.rst`.

/// A register: 0 to 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reg(pub(super) u8);

/// The read-only frame pointer.
pub(super) const R10: Reg = Reg(10);

/// Index of an operation.
pub(super) type Pc = u32;

/// Passes the list to the macro `$then`. A row: its code in the upper half of an opcode, the variants for 64 bits with a
/// register, 64 bits with a number, 32 bits with a register, 32 bits with a number; and what it computes, in either width.
macro_rules! arithmetic {
    ($then:ident $(, $($more:tt)*)?) => {
        $then! {
            $($($more)*)?
            alu {
                0x0 AddR64 AddI64 AddR32 AddI32 |a, b| a.wrapping_add(b);
                0x1 SubR64 SubI64 SubR32 SubI32 |a, b| a.wrapping_sub(b);
                0x2 MulR64 MulI64 MulR32 MulI32 |a, b| a.wrapping_mul(b);
                0x3 DivR64 DivI64 DivR32 DivI32 |a, b| a.checked_div(b).unwrap_or(0);
                0x4 OrR64 OrI64 OrR32 OrI32 |a, b| a | b;
                0x5 AndR64 AndI64 AndR32 AndI32 |a, b| a & b;
                0x6 ShlR64 ShlI64 ShlR32 ShlI32 |a, b| a.wrapping_shl(b as u32);
                0x7 ShrR64 ShrI64 ShrR32 ShrI32 |a, b| a.wrapping_shr(b as u32);
                0x9 ModR64 ModI64 ModR32 ModI32 |a, b| a.checked_rem(b).unwrap_or(a);
                0xa XorR64 XorI64 XorR32 XorI32 |a, b| a ^ b;
                0xb MovR64 MovI64 MovR32 MovI32 |_a, b| b;
                0xc SarR64 SarI64 SarR32 SarI32 |a, b| a.cast_signed().wrapping_shr(b as u32).cast_unsigned();
            }
            jump {
                0x1 EqR64 EqI64 EqR32 EqI32 |a, b| a == b;
                0x2 GtR64 GtI64 GtR32 GtI32 |a, b| a > b;
                0x3 GeR64 GeI64 GeR32 GeI32 |a, b| a >= b;
                0x4 SetR64 SetI64 SetR32 SetI32 |a, b| a & b != 0;
                0x5 NeR64 NeI64 NeR32 NeI32 |a, b| a != b;
                0x6 SgtR64 SgtI64 SgtR32 SgtI32 |a, b| a.cast_signed() > b.cast_signed();
                0x7 SgeR64 SgeI64 SgeR32 SgeI32 |a, b| a.cast_signed() >= b.cast_signed();
                0xa LtR64 LtI64 LtR32 LtI32 |a, b| a < b;
                0xb LeR64 LeI64 LeR32 LeI32 |a, b| a <= b;
                0xc SltR64 SltI64 SltR32 SltI32 |a, b| a.cast_signed() < b.cast_signed();
                0xd SleR64 SleI64 SleR32 SleI32 |a, b| a.cast_signed() <= b.cast_signed();
            }
        }
    };
}
pub(super) use arithmetic;

macro_rules! define {
    (alu { $($_a:literal $ar64:ident $ai64:ident $ar32:ident $ai32:ident |$_x:ident, $_y:ident| $_e:expr;)* }
     jump { $($_j:literal $jr64:ident $ji64:ident $jr32:ident $ji32:ident |$_z:ident, $_w:ident| $_f:expr;)* }) => {
        /// One operation. Jumps hold the index of their target.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Op {
            $($ar64(Reg, Reg), $ai64(Reg, i32), $ar32(Reg, Reg), $ai32(Reg, i32),)*
            $($jr64(Reg, Reg, Pc), $ji64(Reg, i32, Pc), $jr32(Reg, Reg, Pc), $ji32(Reg, i32, Pc),)*
            /// Two's complement.
            Neg64(Reg), Neg32(Reg),
            /// Keeps the low bits, and clears the others: what "to little-endian" does on any host, in a VM whose memory is.
            Low(Reg, Width),
            /// The same, with the order of the bytes reversed.
            Swap(Reg, Width),
            /// A constant of 64 bits, or an address.
            Constant(Reg, u64),
            /// The second word of a constant, where no jump may lead.
            Hole,
            /// `*dst = [src + offset]`
            Load8(Reg, Reg, i16), Load16(Reg, Reg, i16), Load32(Reg, Reg, i16), Load64(Reg, Reg, i16),
            /// `[dst + offset] = src`
            Store8(Reg, Reg, i16), Store16(Reg, Reg, i16), Store32(Reg, Reg, i16), Store64(Reg, Reg, i16),
            /// `[dst + offset] = number`
            StoreI8(Reg, i16, i32), StoreI16(Reg, i16, i32), StoreI32(Reg, i16, i32), StoreI64(Reg, i16, i32),
            /// Always.
            Jump(Pc),
            /// A function of the program. The structural check fills in the bytes of its frame.
            Call { target: Pc, frame: u32 },
            /// What the VM does for a program.
            Help(Help),
            /// Back to the caller, with r0.
            Exit,
        }

        impl Op {
            /// Where the operation may jump to.
            pub(super) fn jump_target(self) -> Option<Pc> {
                match self {
                    $(Op::$jr64(_, _, to) | Op::$ji64(_, _, to) | Op::$jr32(_, _, to) | Op::$ji32(_, _, to) => Some(to),)*
                    Op::Jump(to) => Some(to),
                    _ => None,
                }
            }

            /// Whether the operation mentions `reg`.
            pub(super) fn mentions(self, reg: Reg) -> bool {
                match self {
                    $(Op::$ar64(d, s) | Op::$ar32(d, s) => d == reg || s == reg,)*
                    $(Op::$ai64(d, _) | Op::$ai32(d, _) => d == reg,)*
                    $(Op::$jr64(d, s, _) | Op::$jr32(d, s, _) => d == reg || s == reg,)*
                    $(Op::$ji64(d, _, _) | Op::$ji32(d, _, _) => d == reg,)*
                    Op::Neg64(d) | Op::Neg32(d) | Op::Low(d, _) | Op::Swap(d, _) | Op::Constant(d, _) => d == reg,
                    Op::Load8(d, s, _) | Op::Load16(d, s, _) | Op::Load32(d, s, _) | Op::Load64(d, s, _) => d == reg || s == reg,
                    Op::Store8(d, s, _) | Op::Store16(d, s, _) | Op::Store32(d, s, _) | Op::Store64(d, s, _) => d == reg || s == reg,
                    Op::StoreI8(d, ..) | Op::StoreI16(d, ..) | Op::StoreI32(d, ..) | Op::StoreI64(d, ..) => d == reg,
                    Op::Hole | Op::Jump(_) | Op::Call { .. } | Op::Help(_) | Op::Exit => false,
                }
            }
        }
    };
}
arithmetic!(define);

/// Bits that [`Op::Low`] and [`Op::Swap`] keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    B16,
    B32,
    B64,
}

/// A helper of the kernel that policy objects use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Help {
    /// `bpf_map_lookup_elem`, on array maps.
    MapLookup,
    /// `bpf_ktime_get_ns`: time since some start, in nanoseconds.
    Time,
}
