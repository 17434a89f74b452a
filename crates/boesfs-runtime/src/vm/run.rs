//! The interpreter.

use std::time::Instant;

use thiserror::Error;

use super::address::{Memory, STACK, Space, map_of_handle, value_address};
use super::op::{Help, Op, Pc, Reg, Width, arithmetic};
use super::structure::{FRAME, MAX_CALLS};
use super::{Entry, Program};

/// The most operations of one run. The longest that policies need is some thousands: a name of 255 bytes through globs,
/// or a chain of long conditions.
pub const BUDGET: u32 = 1 << 20;

/// Why a run stopped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// It ran for too long.
    #[error("the program ran for too long")]
    Budget,
    /// It touched memory that it may not.
    #[error("instruction {at}: no access to address {address:#x}")]
    Access {
        /// The operation.
        at: u32,
        /// The address: a region's number in the upper half, an offset in the lower.
        address: u64,
    },
    /// It gave a helper something else than a map.
    #[error("instruction {at}: no map")]
    NoMap {
        /// The operation.
        at: u32,
    },
    /// It went where the structural check lets nothing go.
    #[error("instruction {at}: nothing to run")]
    Lost {
        /// The operation.
        at: u32,
    },
}

impl Program {
    /// Runs `entry` with `args` in r1 to r5 and gives r0.
    ///
    /// # Errors
    /// What the program did wrong: the answer is then a refusal, whatever the question.
    #[inline]
    pub fn run(&self, entry: Entry, args: [u64; 5], memory: &mut Memory<'_>) -> Result<u64, Fault> {
        // The less stack, the less to clear: `step` needs none.
        const ONE: u32 = FRAME;
        const ALL: u32 = FRAME * MAX_CALLS;
        match entry.stack {
            0 => self.run_with::<0>(entry, args, memory),
            1..=ONE => self.run_with::<{ ONE as usize }>(entry, args, memory),
            _ => self.run_with::<{ ALL as usize }>(entry, args, memory),
        }
    }

    #[inline(always)]
    fn run_with<const STACK_SIZE: usize>(
        &self,
        entry: Entry,
        args: [u64; 5],
        memory: &mut Memory<'_>,
    ) -> Result<u64, Fault> {
        let space = Space { program: self, memory, stack: [0; STACK_SIZE] };
        Run { space, left: BUDGET }.call(entry.start, entry.frame, args)
    }
}

/// Sixteen, so that no index needs a check: a register's number is four bits.
struct Registers([u64; 16]);

impl std::ops::Index<Reg> for Registers {
    type Output = u64;
    #[inline(always)]
    fn index(&self, reg: Reg) -> &u64 {
        &self.0[usize::from(reg.0 & 15)]
    }
}

impl std::ops::IndexMut<Reg> for Registers {
    #[inline(always)]
    fn index_mut(&mut self, reg: Reg) -> &mut u64 {
        &mut self.0[usize::from(reg.0 & 15)]
    }
}

struct Run<'a, 'm, const STACK_SIZE: usize> {
    space: Space<'a, 'm, STACK_SIZE>,
    /// Operations that may still run. Straight runs of them are paid for where they end.
    left: u32,
}

impl<const STACK_SIZE: usize> Run<'_, '_, STACK_SIZE> {
    /// Runs the function at `start`, whose stack frame ends `top` bytes into the stack.
    ///
    /// Calls of a program are calls here: they nest at most [`MAX_CALLS`] deep.
    fn call(&mut self, start: Pc, top: u32, args: [u64; 5]) -> Result<u64, Fault> {
        let program = self.space.program;
        let ops = program.ops.as_slice();
        let mut r = Registers([0; 16]);
        r.0[1..6].copy_from_slice(&args);
        r.0[10] = STACK + u64::from(top);
        let mut pc = start;
        let mut since = start;

        macro_rules! pay {
            () => {
                self.left = self.left.checked_sub(pc.wrapping_sub(since)).ok_or(Fault::Budget)?
            };
        }
        macro_rules! goto {
            ($to:expr) => {{
                pay!();
                pc = $to;
                since = pc;
            }};
        }
        macro_rules! load {
            ($type:ty, $dst:expr, $src:expr, $offset:expr) => {{
                let address = r[$src].wrapping_add_signed(i64::from($offset));
                match self.space.read(address) {
                    Some(bytes) => r[$dst] = u64::from(<$type>::from_le_bytes(bytes)),
                    None => return Err(Fault::Access { at: pc - 1, address }),
                }
            }};
        }
        macro_rules! store {
            ($type:ty, $dst:expr, $offset:expr, $value:expr) => {{
                let address = r[$dst].wrapping_add_signed(i64::from($offset));
                if self.space.write(address, ($value as $type).to_le_bytes()).is_none() {
                    return Err(Fault::Access { at: pc - 1, address });
                }
            }};
        }
        macro_rules! dispatch {
            ($op:expr;
             alu { $($_a:literal $ar64:ident $ai64:ident $ar32:ident $ai32:ident |$x:ident, $y:ident| $e:expr;)* }
             jump { $($_j:literal $jr64:ident $ji64:ident $jr32:ident $ji32:ident |$z:ident, $w:ident| $f:expr;)* }) => {
                match $op {
                    $(Op::$ar64(d, s) => { let ($x, $y) = (r[d], r[s]); r[d] = $e; let _ = $x; }
                    Op::$ai64(d, i) => { let ($x, $y) = (r[d], i64::from(i).cast_unsigned()); r[d] = $e; let _ = $x; }
                    Op::$ar32(d, s) => { let ($x, $y) = (r[d] as u32, r[s] as u32); r[d] = u64::from($e); let _ = $x; }
                    Op::$ai32(d, i) => { let ($x, $y) = (r[d] as u32, i.cast_unsigned()); r[d] = u64::from($e); let _ = $x; })*
                    $(Op::$jr64(d, s, to) => { let ($z, $w) = (r[d], r[s]); if $f { goto!(to) } }
                    Op::$ji64(d, i, to) => { let ($z, $w) = (r[d], i64::from(i).cast_unsigned()); if $f { goto!(to) } }
                    Op::$jr32(d, s, to) => { let ($z, $w) = (r[d] as u32, r[s] as u32); if $f { goto!(to) } }
                    Op::$ji32(d, i, to) => { let ($z, $w) = (r[d] as u32, i.cast_unsigned()); if $f { goto!(to) } })*
                    Op::Load8(d, s, o) => load!(u8, d, s, o),
                    Op::Load16(d, s, o) => load!(u16, d, s, o),
                    Op::Load32(d, s, o) => load!(u32, d, s, o),
                    Op::Load64(d, s, o) => load!(u64, d, s, o),
                    Op::Store8(d, s, o) => store!(u8, d, o, r[s]),
                    Op::Store16(d, s, o) => store!(u16, d, o, r[s]),
                    Op::Store32(d, s, o) => store!(u32, d, o, r[s]),
                    Op::Store64(d, s, o) => store!(u64, d, o, r[s]),
                    Op::StoreI8(d, o, i) => store!(u8, d, o, i),
                    Op::StoreI16(d, o, i) => store!(u16, d, o, i),
                    Op::StoreI32(d, o, i) => store!(u32, d, o, i),
                    Op::StoreI64(d, o, i) => store!(u64, d, o, i64::from(i)),
                    Op::Neg64(d) => r[d] = r[d].wrapping_neg(),
                    Op::Neg32(d) => r[d] = u64::from((r[d] as u32).wrapping_neg()),
                    Op::Low(d, width) => r[d] = low(r[d], width),
                    Op::Swap(d, width) => r[d] = swapped(r[d], width),
                    // The second word is a hole.
                    Op::Constant(d, value) => { r[d] = value; pc += 1; }
                    Op::Jump(to) => goto!(to),
                    Op::Call { target, frame } => {
                        pay!();
                        since = pc;
                        let args = [r.0[1], r.0[2], r.0[3], r.0[4], r.0[5]];
                        r.0[0] = self.call(target, top + frame, args)?;
                    }
                    Op::Help(help) => r.0[0] = self.help(help, &r, pc - 1)?,
                    Op::Exit => {
                        pay!();
                        return Ok(r.0[0]);
                    }
                    Op::Hole => return Err(Fault::Lost { at: pc - 1 }),
                }
            };
        }

        loop {
            let Some(op) = ops.get(pc as usize) else { return Err(Fault::Lost { at: pc }) };
            pc += 1;
            arithmetic!(dispatch, *op;)
        }
    }

    #[cold]
    fn help(&mut self, help: Help, r: &Registers, at: Pc) -> Result<u64, Fault> {
        match help {
            Help::Time => {
                static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
                Ok(START.get_or_init(Instant::now).elapsed().as_nanos() as u64)
            }
            Help::MapLookup => {
                let map = map_of_handle(r.0[1]).ok_or(Fault::NoMap { at })?;
                let shape = self.space.program.maps.get(map as usize).ok_or(Fault::NoMap { at })?;
                let key = self.space.read(r.0[2]).ok_or(Fault::Access { at, address: r.0[2] })?;
                let key = u32::from_le_bytes(key);
                if key >= shape.entries {
                    return Ok(0);
                }
                match u32::try_from(shape.stride() * u64::from(key)) {
                    Ok(offset) => Ok(value_address(map, offset)),
                    Err(_) => Err(Fault::NoMap { at }),
                }
            }
        }
    }
}

fn low(value: u64, width: Width) -> u64 {
    match width {
        Width::B16 => u64::from(value as u16),
        Width::B32 => u64::from(value as u32),
        Width::B64 => value,
    }
}

fn swapped(value: u64, width: Width) -> u64 {
    match width {
        Width::B16 => u64::from((value as u16).swap_bytes()),
        Width::B32 => u64::from((value as u32).swap_bytes()),
        Width::B64 => value.swap_bytes(),
    }
}
