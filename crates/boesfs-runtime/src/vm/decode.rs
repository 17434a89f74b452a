//! Instructions to operations: refuses what the VM does not know, and resolves references.

use super::address::{MAX_REGIONS, data_address, map_handle, value_address};
use super::image::{Image, Relocation, Target};
use super::op::{Help, Op, Pc, R10, Reg, Width, arithmetic};
use super::structure::{LoadError, Place};

/// The longest program, in words: the kernel's own limit.
const MAX_WORDS: usize = 1_000_000;

/// The fields of an instruction word.
#[derive(Clone, Copy)]
struct Fields {
    opcode: u8,
    dst: Reg,
    src: Reg,
    offset: i16,
    imm: i32,
}

fn fields(word: u64) -> Fields {
    Fields {
        opcode: word as u8,
        dst: Reg((word >> 8) as u8 & 0xf),
        src: Reg((word >> 12) as u8 & 0xf),
        offset: (word >> 16) as i16,
        imm: (word >> 32) as i32,
    }
}

/// Decodes the instructions of `image`: one operation a word.
pub(super) fn decode(image: &Image) -> Result<Vec<Op>, LoadError> {
    if image.code.len() > MAX_WORDS {
        return Err(LoadError::TooLarge);
    }
    if image.data.len() > MAX_REGIONS || image.maps.len() > MAX_REGIONS {
        return Err(LoadError::TooManyTables);
    }
    let mut relocations = image.relocations.clone();
    relocations.sort_by_key(|relocation| relocation.word);
    if let Some(pair) = relocations.windows(2).find(|pair| pair[0].word == pair[1].word) {
        return Err(LoadError::Reference(Place(pair[0].word)));
    }
    let mut relocations = relocations.iter().peekable();

    let mut ops = Vec::with_capacity(image.code.len());
    while let Some(word) = image.code.get(ops.len()) {
        let at = ops.len() as Pc;
        let reference = relocations.next_if(|relocation| relocation.word == at);
        let it = Decoder { image, at, it: fields(*word), reference };
        let op = it.op()?;
        ops.push(op);
        if matches!(op, Op::Constant(..)) {
            ops.push(Op::Hole);
        }
    }
    match relocations.next() {
        Some(left) => Err(LoadError::Reference(Place(left.word))),
        None => Ok(ops),
    }
}

struct Decoder<'a> {
    image: &'a Image,
    at: Pc,
    it: Fields,
    reference: Option<&'a Relocation>,
}

impl Decoder<'_> {
    fn op(&self) -> Result<Op, LoadError> {
        let it = self.it;
        if it.dst.0 > R10.0 || it.src.0 > R10.0 {
            return Err(self.unknown());
        }
        let op = match it.opcode {
            0x18 => return self.constant(),
            0x85 => return self.call(),
            opcode => match opcode & 7 {
                0 | 4 | 7 if opcode & 7 != 0 => self.alu(),
                1..=3 => self.memory(),
                5 | 6 => return self.jump().ok_or(self.unknown())?,
                _ => None,
            },
        };
        match op {
            Some(op) if self.reference.is_none() => Ok(op),
            Some(_) => Err(LoadError::Reference(Place(self.at))),
            None => Err(self.unknown()),
        }
    }

    fn unknown(&self) -> LoadError {
        LoadError::Unknown { place: Place(self.at), opcode: self.it.opcode }
    }

    fn alu(&self) -> Option<Op> {
        let Fields { opcode, dst, src, offset, imm } = self.it;
        let (wide, register, code) = (opcode & 7 == 7, opcode & 8 != 0, opcode >> 4);
        if offset != 0 || dst == R10 {
            return None;
        }
        match code {
            0x8 if register || src != Reg(0) || imm != 0 => return None,
            0x8 => return Some(if wide { Op::Neg64(dst) } else { Op::Neg32(dst) }),
            0xd if wide || src != Reg(0) => return None,
            0xd => {
                let width = match imm {
                    16 => Width::B16,
                    32 => Width::B32,
                    64 => Width::B64,
                    _ => return None,
                };
                return Some(if register { Op::Swap(dst, width) } else { Op::Low(dst, width) });
            }
            _ => {}
        }
        if (register && imm != 0) || (!register && src != Reg(0)) {
            return None;
        }
        let bits = if wide { 64 } else { 32 };
        let refused = match code {
            0x3 | 0x9 => imm == 0,
            0x6 | 0x7 | 0xc => !(0..bits).contains(&imm),
            _ => false,
        };
        if !register && refused {
            return None;
        }
        macro_rules! pick {
            (alu { $($code:literal $r64:ident $i64:ident $r32:ident $i32:ident |$_x:ident, $_y:ident| $_e:expr;)* } jump $_jump:tt) => {
                match code {
                    $($code => Some(match (wide, register) {
                        (true, true) => Op::$r64(dst, src),
                        (true, false) => Op::$i64(dst, imm),
                        (false, true) => Op::$r32(dst, src),
                        (false, false) => Op::$i32(dst, imm),
                    }),)*
                    _ => None,
                }
            };
        }
        arithmetic!(pick)
    }

    fn memory(&self) -> Option<Op> {
        let Fields { opcode, dst, src, offset, imm } = self.it;
        // Only plain accesses (mode MEM): no atomics, no packet loads, no sign extension.
        if opcode >> 5 != 3 {
            return None;
        }
        let size = opcode >> 3 & 3;
        Some(match opcode & 7 {
            1 if imm != 0 || dst == R10 => return None,
            1 => match size {
                0 => Op::Load32(dst, src, offset),
                1 => Op::Load16(dst, src, offset),
                2 => Op::Load8(dst, src, offset),
                _ => Op::Load64(dst, src, offset),
            },
            2 if src != Reg(0) => return None,
            2 => match size {
                0 => Op::StoreI32(dst, offset, imm),
                1 => Op::StoreI16(dst, offset, imm),
                2 => Op::StoreI8(dst, offset, imm),
                _ => Op::StoreI64(dst, offset, imm),
            },
            _ if imm != 0 => return None,
            _ => match size {
                0 => Op::Store32(dst, src, offset),
                1 => Op::Store16(dst, src, offset),
                2 => Op::Store8(dst, src, offset),
                _ => Op::Store64(dst, src, offset),
            },
        })
    }

    /// `None` where the opcode is none.
    fn jump(&self) -> Option<Result<Op, LoadError>> {
        let Fields { opcode, dst, src, offset, imm } = self.it;
        let (wide, register, code) = (opcode & 7 == 5, opcode & 8 != 0, opcode >> 4);
        if self.reference.is_some() {
            return Some(Err(LoadError::Reference(Place(self.at))));
        }
        if opcode == 0x95 {
            return (dst == Reg(0) && src == Reg(0) && offset == 0 && imm == 0).then_some(Ok(Op::Exit));
        }
        let target = i64::from(self.at) + 1 + i64::from(offset);
        let Some(to) = Pc::try_from(target).ok().filter(|to| (*to as usize) < self.image.code.len()) else {
            return Some(Err(LoadError::JumpTarget(Place(self.at))));
        };
        if opcode == 0x05 {
            return (dst == Reg(0) && src == Reg(0) && imm == 0).then_some(Ok(Op::Jump(to)));
        }
        if (register && imm != 0) || (!register && src != Reg(0)) {
            return None;
        }
        macro_rules! pick {
            (alu $_alu:tt jump { $($code:literal $r64:ident $i64:ident $r32:ident $i32:ident |$_x:ident, $_y:ident| $_e:expr;)* }) => {
                match code {
                    $($code => Some(match (wide, register) {
                        (true, true) => Op::$r64(dst, src, to),
                        (true, false) => Op::$i64(dst, imm, to),
                        (false, true) => Op::$r32(dst, src, to),
                        (false, false) => Op::$i32(dst, imm, to),
                    }),)*
                    _ => None,
                }
            };
        }
        arithmetic!(pick).map(Ok)
    }

    fn constant(&self) -> Result<Op, LoadError> {
        let second = *self.image.code.get(self.at as usize + 1).ok_or(LoadError::Cut(Place(self.at)))?;
        // The second word holds a number and nothing else.
        if self.it.offset != 0 || self.it.dst == R10 || second as u32 != 0 {
            return Err(self.unknown());
        }
        let image = self.image;
        let value = match self.reference.map(|reference| reference.target) {
            // Without a reference, the source register would name a kind of address that only a kernel can fill in.
            None if self.it.src != Reg(0) => return Err(self.unknown()),
            None => u64::from(self.it.imm as u32) | second & 0xffff_ffff_0000_0000,
            Some(Target::Data { section, offset }) if (section as usize) < image.data.len() => {
                data_address(section, offset)
            }
            Some(Target::Map(map)) if (map as usize) < image.maps.len() => map_handle(map),
            Some(Target::MapValue { map, offset }) if (map as usize) < image.maps.len() => value_address(map, offset),
            Some(_) => return Err(LoadError::Reference(Place(self.at))),
        };
        Ok(Op::Constant(self.it.dst, value))
    }

    fn call(&self) -> Result<Op, LoadError> {
        let Fields { dst, src, offset, imm, .. } = self.it;
        if dst != Reg(0) || offset != 0 {
            return Err(self.unknown());
        }
        if let Some(reference) = self.reference {
            return match reference.target {
                Target::Function(target) if src.0 == 1 => Ok(Op::Call { target, frame: 0 }),
                _ => Err(LoadError::Reference(Place(self.at))),
            };
        }
        match (src.0, imm) {
            (0, 1) => Ok(Op::Help(Help::MapLookup)),
            (0, 5) => Ok(Op::Help(Help::Time)),
            (0, number) => Err(LoadError::Helper { place: Place(self.at), number }),
            (1, delta) => match Pc::try_from(i64::from(self.at) + 1 + i64::from(delta)) {
                Ok(target) => Ok(Op::Call { target, frame: 0 }),
                Err(_) => Err(LoadError::CallTarget(Place(self.at))),
            },
            _ => Err(self.unknown()),
        }
    }
}
