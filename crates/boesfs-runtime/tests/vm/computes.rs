//! What instructions compute: results worked out by hand from the kernel's `instruction-set.rst`.

use boesfs_runtime::vm::{CONTEXT, INPUT, Image, MapShape, Memory, Relocation, Target};

use crate::asm::*;

/// `op` on two values, all four variants that give the same: the result of 64 bits and that of 32.
fn both(op: u8, a: u64, b: u64, wide: u64, narrow: u64) {
    let of = |word: u64| run(&[mov(0, 1), word, EXIT], [a, b, 0, 0, 0]).expect("it ends");
    assert_eq!(of(word(op << 4 | 0xf, 0, 2, 0, 0)), wide, "64-bit {op:#x} of {a:#x} and {b:#x}");
    assert_eq!(of(word(op << 4 | 0xc, 0, 2, 0, 0)), narrow, "32-bit {op:#x} of {a:#x} and {b:#x}");
    if b as i64 == i64::from(b as i32) && !(b == 0 && matches!(op, 0x3 | 0x9)) && !(b > 31 && matches!(op, 6 | 7 | 0xc))
    {
        assert_eq!(of(word(op << 4 | 7, 0, 0, 0, b as i32)), wide, "64-bit {op:#x} of {a:#x} and the number {b:#x}");
        assert_eq!(of(word(op << 4 | 4, 0, 0, 0, b as i32)), narrow, "32-bit {op:#x} of {a:#x} and the number {b:#x}");
    }
}

#[test]
fn arithmetic() {
    const BIG: u64 = 0xffff_ffff_ffff_fff0;
    both(0x0, BIG, 0x20, 0x10, 0x10);
    both(0x0, 1, u64::MAX, 0, 0);
    both(0x1, 1, 2, u64::MAX, 0xffff_ffff);
    both(0x2, 0x1_0000_0001, 3, 0x3_0000_0003, 3);
    both(0x3, BIG, 0x10, 0x0fff_ffff_ffff_ffff, 0x0fff_ffff);
    both(0x3, BIG, 0, 0, 0);
    both(0x4, 0x1_0000_0001, 6, 0x1_0000_0007, 7);
    both(0x5, BIG, u64::MAX, BIG, 0xffff_fff0);
    both(0x6, 1, 31, 0x8000_0000, 0x8000_0000);
    both(0x6, 1, 33, 0x2_0000_0000, 2);
    both(0x6, 1, 65, 2, 2);
    both(0x7, BIG, 4, 0x0fff_ffff_ffff_ffff, 0x0fff_ffff);
    both(0x9, 0x1_0000_0007, 4, 3, 3);
    both(0x9, 0x1_0000_0007, 0, 0x1_0000_0007, 7);
    both(0xa, BIG, u64::MAX, 0xf, 0xf);
    both(0xb, 7, u64::MAX, u64::MAX, 0xffff_ffff);
    both(0xc, BIG, 4, u64::MAX, 0xffff_ffff);
    both(0xc, 0x8000_0000, 4, 0x0800_0000, 0xf800_0000);
}

#[test]
fn negation_and_order_of_bytes() {
    let of =
        |opcode: u8, imm: i32, a: u64| run(&[mov(0, 1), word(opcode, 0, 0, 0, imm), EXIT], [a, 0, 0, 0, 0]).unwrap();
    assert_eq!(of(0x87, 0, 1), u64::MAX);
    assert_eq!(of(0x87, 0, 1 << 63), 1 << 63);
    assert_eq!(of(0x84, 0, 0x5_0000_0001), 0xffff_ffff);
    let a = 0x1122_3344_5566_7788;
    assert_eq!([of(0xd4, 16, a), of(0xd4, 32, a), of(0xd4, 64, a)], [0x7788, 0x5566_7788, a]);
    assert_eq!([of(0xdc, 16, a), of(0xdc, 32, a), of(0xdc, 64, a)], [0x8877, 0x8877_6655, 0x8877_6655_4433_2211]);
}

#[test]
fn comparisons() {
    // Row: code; then whether it jumps for (a, b) = (1, 2), (2, 2), (-1, 2), (2, -1) in 64 bits.
    let table: [(u8, [bool; 4]); 11] = [
        (0x1, [false, true, false, false]),
        (0x2, [false, false, true, false]),
        (0x3, [false, true, true, false]),
        (0x4, [false, true, true, true]),
        (0x5, [true, false, true, true]),
        (0x6, [false, false, false, true]),
        (0x7, [false, true, false, true]),
        (0xa, [true, false, false, true]),
        (0xb, [true, true, false, true]),
        (0xc, [true, false, true, false]),
        (0xd, [true, true, true, false]),
    ];
    let pairs = [(1, 2), (2, 2), (u64::MAX, 2), (2, u64::MAX)];
    for (op, expected) in table {
        for ((a, b), expected) in pairs.into_iter().zip(expected) {
            let of = |word: u64, a: u64, b: u64| {
                run(&[mov_imm(0, 0), word, jump(1), mov_imm(0, 1), EXIT], [a, b, 0, 0, 0]).unwrap() == 1
            };
            assert_eq!(of(word(op << 4 | 0xd, 1, 2, 1, 0), a, b), expected, "64-bit {op:#x} of {a:#x} and {b:#x}");
            // A number is extended with its sign also where the comparison has none.
            assert_eq!(of(word(op << 4 | 5, 1, 0, 1, b as i32), a, 0), expected, "64-bit {op:#x}, number");
            // Only the lower halves count.
            let (a, b) = (a as u32 as u64 | 7 << 32, b as u32 as u64 | 9 << 40);
            assert_eq!(of(word(op << 4 | 0xe, 1, 2, 1, 0), a, b), expected, "32-bit {op:#x} of {a:#x} and {b:#x}");
            assert_eq!(of(word(op << 4 | 6, 1, 0, 1, b as i32), a, 0), expected, "32-bit {op:#x}, number");
        }
    }
}

#[test]
fn constants_and_loops() {
    let [low, high] = constant(3, 0x0123_4567_89ab_cdef);
    assert_eq!(run(&[low, high, mov(0, 3), EXIT], [0; 5]), Ok(0x0123_4567_89ab_cdef));
    // r0 = 1 + 2 + ... + r1
    let sum = [mov_imm(0, 0), jump_if(0x1, 1, 0, 3), alu(ADD, 0, 1), alu_imm(ADD, 1, -1), jump(-4), EXIT];
    assert_eq!(run(&sum, [1000, 0, 0, 0, 0]), Ok(500_500));
}

#[test]
fn memory_of_each_kind() {
    // Sizes, and the order of bytes.
    let input = [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11];
    let table = [
        (Size::B, 0xff, 0x88),
        (Size::H, 0xffff, 0x7788),
        (Size::W, 0xffff_ffff, 0x5566_7788),
        (Size::Dw, u64::MAX, 0x1122_3344_5566_7788),
    ];
    for (size, mask, value) in table {
        let mut memory = Memory { input: &input, ..Memory::default() };
        assert_eq!(run_image(image(&[load(size, 0, 1, 0), EXIT]), [INPUT, 0, 0, 0, 0], &mut memory), Ok(value));
        // Through the stack, at both of its ends; a narrow store leaves the rest alone.
        for at in [-8, -512] {
            let code = [store_imm(Size::Dw, 10, at, -1), store(size, 10, 1, at), load(Size::Dw, 0, 10, at), EXIT];
            assert_eq!(run(&code, [0x1122_3344_5566_7788, 0, 0, 0, 0]), Ok(value | !mask));
        }
        let code = [store_imm(Size::Dw, 10, -8, 0), store_imm(size, 10, -8, -2), load(Size::Dw, 0, 10, -8), EXIT];
        assert_eq!(run(&code, [0; 5]), Ok(-2i64 as u64 & mask));
    }
    let mut context = [1, 2, 3, 4];
    let mut memory = Memory { context: &mut context, ..Memory::default() };
    let code = [load(Size::H, 0, 1, 2), store(Size::H, 1, 0, 0), EXIT];
    assert_eq!(run_image(image(&code), [CONTEXT, 0, 0, 0, 0], &mut memory), Ok(0x0403));
    assert_eq!(context, [3, 4, 3, 4]);
}

#[test]
fn tables_and_maps() {
    let [a, b] = constant(1, 0);
    let mut code = vec![a, b, load(Size::W, 6, 1, 4)];
    let [a, b] = [word(0x18, 1, 1, 0, 0), 0];
    code.extend([store_imm(Size::W, 10, -4, 2), mov(2, 10), alu_imm(ADD, 2, -4), a, b, helper(1)]);
    code.extend([jump_if(0x5, 0, 0, 2), mov_imm(0, 0), EXIT, load(Size::Dw, 0, 0, 0), alu(ADD, 0, 6), EXIT]);
    let at = |word, target| Relocation { word, target };
    let image = Image {
        data: vec![vec![0; 4], vec![9, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0]],
        maps: vec![MapShape { value_size: 12, entries: 3 }],
        relocations: vec![at(6, Target::Map(0)), at(0, Target::Data { section: 1, offset: 4 })],
        ..image(&code)
    };
    let shape = image.maps[0];
    assert_eq!(shape.bytes(), 48);
    let mut values = vec![0; shape.bytes() as usize];
    values[32..40].copy_from_slice(&37u64.to_le_bytes());
    let mut maps = [values];
    let mut memory = Memory { maps: &mut maps, ..Memory::default() };
    assert_eq!(run_image(image.clone(), [0; 5], &mut memory), Ok(42));
    // There is no fourth value.
    let mut beyond = image;
    beyond.code[3] = store_imm(Size::W, 10, -4, 3);
    assert_eq!(run_image(beyond, [0; 5], &mut memory), Ok(0));
}

#[test]
fn a_map_s_value_by_its_address() {
    let [a, b] = constant(1, 0);
    let image = Image {
        maps: vec![MapShape { value_size: 16, entries: 1 }],
        relocations: vec![Relocation { word: 0, target: Target::MapValue { map: 0, offset: 8 } }],
        ..image(&[a, b, store_imm(Size::W, 1, 0, 7), load(Size::Dw, 0, 1, -8), EXIT])
    };
    let mut maps = [(0..16).collect::<Vec<u8>>()];
    let mut memory = Memory { maps: &mut maps, ..Memory::default() };
    assert_eq!(run_image(image, [0; 5], &mut memory), Ok(0x0706_0504_0302_0100));
    assert_eq!(maps[0][8..], [7, 0, 0, 0, 12, 13, 14, 15]);
}

#[test]
fn time_goes_on() {
    let code = [helper(5), mov(6, 0), helper(5), word(0x3d, 0, 6, 2, 0), mov_imm(0, 0), EXIT, mov_imm(0, 1), EXIT];
    assert_eq!(run(&code, [0; 5]), Ok(1));
}

#[test]
fn calls_keep_what_is_the_caller_s() {
    // main: r6 = 5; [stack] = 7; r0 = add(1, address of [stack]); r0 += r6
    let main = [
        mov_imm(6, 5),
        store_imm(Size::Dw, 10, -8, 7),
        mov_imm(1, 1),
        mov(2, 10),
        alu_imm(ADD, 2, -8),
        call(2),
        alu(ADD, 0, 6),
        EXIT,
    ];
    // add: clobbers r6, and the same place of its own stack.
    let add = [mov_imm(6, 99), store_imm(Size::Dw, 10, -8, 100), load(Size::Dw, 0, 2, 0), alu(ADD, 0, 1), EXIT];
    let mut image = image(&[main.as_slice(), &add].concat());
    image.functions.push(function("add", main.len() as u32));
    assert_eq!(run_image(image, [0; 5], &mut Memory::default()), Ok(13));
}

#[test]
fn calls_by_reference() {
    let mut image = image(&[mov_imm(0, 3), EXIT, call(-1), EXIT]);
    image.functions = vec![function("three", 0), function("main", 2)];
    image.relocations = vec![Relocation { word: 2, target: Target::Function(0) }];
    assert_eq!(run_image(image, [0; 5], &mut Memory::default()), Ok(3));
}
