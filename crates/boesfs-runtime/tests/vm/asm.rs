//! A small assembler: one word an instruction.

use boesfs_runtime::vm::{Function, Image, Memory, Program};

pub(crate) const ADD: u8 = 0x0;
pub(crate) const MOV: u8 = 0xb;
pub(crate) const EXIT: u64 = word(0x95, 0, 0, 0, 0);

pub(crate) const fn word(opcode: u8, dst: u8, src: u8, offset: i16, imm: i32) -> u64 {
    opcode as u64 | (dst as u64) << 8 | (src as u64) << 12 | (offset as u16 as u64) << 16 | (imm as u32 as u64) << 32
}

/// `dst = dst op imm`, 64 bits.
pub(crate) const fn alu_imm(op: u8, dst: u8, imm: i32) -> u64 {
    word(op << 4 | 7, dst, 0, 0, imm)
}

/// `dst = dst op src`, 64 bits.
pub(crate) const fn alu(op: u8, dst: u8, src: u8) -> u64 {
    word(op << 4 | 0xf, dst, src, 0, 0)
}

pub(crate) const fn mov_imm(dst: u8, imm: i32) -> u64 {
    alu_imm(MOV, dst, imm)
}

pub(crate) const fn mov(dst: u8, src: u8) -> u64 {
    alu(MOV, dst, src)
}

pub(crate) const fn constant(dst: u8, value: u64) -> [u64; 2] {
    [word(0x18, dst, 0, 0, value as i32), word(0, 0, 0, 0, (value >> 32) as i32)]
}

pub(crate) const fn jump(offset: i16) -> u64 {
    word(0x05, 0, 0, offset, 0)
}

/// Jump where `dst op imm`, 64 bits.
pub(crate) const fn jump_if(op: u8, dst: u8, imm: i32, offset: i16) -> u64 {
    word(op << 4 | 5, dst, 0, offset, imm)
}

/// Bytes of an access, as the bits of an opcode.
#[derive(Clone, Copy)]
pub(crate) enum Size {
    B = 0x10,
    H = 0x08,
    W = 0x00,
    Dw = 0x18,
}

pub(crate) const fn load(size: Size, dst: u8, src: u8, offset: i16) -> u64 {
    word(0x61 | size as u8, dst, src, offset, 0)
}

pub(crate) const fn store(size: Size, dst: u8, src: u8, offset: i16) -> u64 {
    word(0x63 | size as u8, dst, src, offset, 0)
}

pub(crate) const fn store_imm(size: Size, dst: u8, offset: i16, imm: i32) -> u64 {
    word(0x62 | size as u8, dst, 0, offset, imm)
}

pub(crate) const fn call(delta: i32) -> u64 {
    word(0x85, 0, 1, 0, delta)
}

pub(crate) const fn helper(number: i32) -> u64 {
    word(0x85, 0, 0, 0, number)
}

/// `code` as one function called `main`.
pub(crate) fn image(code: &[u64]) -> Image {
    Image { code: code.to_vec(), functions: vec![function("main", 0)], ..Image::default() }
}

pub(crate) fn function(name: &str, start: u32) -> Function {
    Function { name: name.into(), start }
}

/// Loads and runs `main` without any memory.
pub(crate) fn run(code: &[u64], args: [u64; 5]) -> Result<u64, boesfs_runtime::vm::Fault> {
    run_image(image(code), args, &mut Memory::default())
}

pub(crate) fn run_image(
    image: Image,
    args: [u64; 5],
    memory: &mut Memory<'_>,
) -> Result<u64, boesfs_runtime::vm::Fault> {
    let program = Program::load(image).expect("the program loads");
    program.run(program.function("main").expect("there is a main"), args, memory)
}
