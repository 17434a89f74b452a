//! What stops a run: time, and memory that is not the program's.

use boesfs_runtime::vm::{
    BUDGET, CONTEXT, Fault, INPUT, Image, MapShape, Memory, Program, REGION_BITS, Relocation, Target,
};

use crate::asm::*;

#[test]
fn running_for_too_long() {
    assert_eq!(run(&[jump(-1)], [0; 5]), Err(Fault::Budget));
    // A loop of two operations, r1 times, then two more: exactly what is left, and one more.
    let code = [alu_imm(ADD, 1, -1), jump_if(5, 1, 0, -2), mov_imm(0, 0), EXIT];
    let most = u64::from(BUDGET - 2) / 2;
    assert_eq!(run(&code, [most, 0, 0, 0, 0]), Ok(0));
    assert_eq!(run(&code, [most + 1, 0, 0, 0, 0]), Err(Fault::Budget));
}

#[test]
fn calls_share_the_budget() {
    // main calls `burn` eight times, each a fifth of the budget.
    let burn = [mov_imm(1, (BUDGET / 10) as i32), alu_imm(ADD, 1, -1), jump_if(5, 1, 0, -2), EXIT];
    let mut code: Vec<u64> = (0..8).map(|i| call(8 - i)).collect();
    code.extend([mov_imm(0, 0)]);
    code[8] = EXIT;
    code.extend(burn);
    let mut image = image(&code);
    image.functions.push(function("burn", 9));
    assert_eq!(run_image(image, [0; 5], &mut Memory::default()), Err(Fault::Budget));
}

/// Every address around the edges of a region of `len` bytes at `base`, and whether each size may be accessed there.
fn edges(base: u64, len: u64) -> Vec<(u64, Size, bool)> {
    let sizes = [(Size::B, 1), (Size::H, 2), (Size::W, 4), (Size::Dw, 8)];
    let mut all = Vec::new();
    for offset in (-9i64..9).chain(len as i64 - 9..len as i64 + 9).chain([i64::from(i32::MAX), i64::from(u32::MAX) - 2])
    {
        for (size, bytes) in sizes {
            let inside = offset >= 0 && offset + bytes <= len as i64;
            all.push((base.wrapping_add_signed(offset), size, inside));
        }
    }
    all
}

fn readable(code: &[u64; 2], address: u64) -> bool {
    let input = [0; 24];
    let mut context = [0; 24];
    let mut memory = Memory { input: &input, context: &mut context, ..Memory::default() };
    match run_image(image(code), [address, 0, 0, 0, 0], &mut memory) {
        Ok(_) => true,
        Err(Fault::Access { at: 0, address: told }) if told == address => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn reading_and_writing_past_the_edges() {
    for (base, written) in [(INPUT, false), (CONTEXT, true)] {
        for (address, size, inside) in edges(base, 24) {
            assert_eq!(readable(&[load(size, 0, 1, 0), EXIT], address), inside, "read at {address:#x}");
            assert_eq!(readable(&[store(size, 1, 1, 0), EXIT], address), inside && written, "write at {address:#x}");
            assert_eq!(
                readable(&[store_imm(size, 1, 0, 1), EXIT], address),
                inside && written,
                "write at {address:#x}"
            );
        }
    }
}

#[test]
fn the_stack_has_edges() {
    for (offset, inside) in [(-512, true), (-8, true), (-513, false), (-7, false), (0, false), (-520, false)] {
        for op in [load(Size::Dw, 0, 10, offset), store(Size::Dw, 10, 1, offset)] {
            assert_eq!(run(&[op, mov_imm(0, 0), EXIT], [0; 5]).is_ok(), inside, "offset {offset}");
        }
    }
}

#[test]
fn a_callee_sees_no_stack_below_its_own() {
    // Two frames, of which the callee's is the upper: its lower end is the caller's upper end, and not below the stack.
    let code = [store_imm(Size::Dw, 10, -8, 1), call(2), mov_imm(0, 0), EXIT, load(Size::Dw, 0, 10, -1032), EXIT];
    let mut image = image(&code);
    image.functions.push(function("callee", 4));
    assert!(matches!(run_image(image, [0; 5], &mut Memory::default()), Err(Fault::Access { at: 4, .. })));
}

#[test]
fn a_number_is_no_address() {
    for address in [0, 1, 8, 4096, u64::from(u32::MAX), 0x7fff_0000_0000, u64::MAX, u64::MAX - 7] {
        assert!(!readable(&[load(Size::B, 0, 1, 0), EXIT], address));
        assert!(!readable(&[store(Size::B, 1, 1, 0), EXIT], address));
    }
    for region in 0..1 << 18 {
        let address = region << REGION_BITS;
        let known = [INPUT, CONTEXT].contains(&address);
        // The stack is none of a program that does not use it.
        assert_eq!(readable(&[load(Size::B, 0, 1, 0), EXIT], address), known, "{address:#x}");
        assert_eq!(readable(&[store(Size::B, 1, 1, 0), EXIT], address), address == CONTEXT, "{address:#x}");
    }
}

#[test]
fn tables_are_read_only_and_have_edges() {
    let [a, b] = constant(2, 0);
    let with = |op: u64, offset: u32| {
        let image = Image {
            data: vec![vec![1; 12], vec![2; 8]],
            relocations: vec![Relocation { word: 0, target: Target::Data { section: 0, offset } }],
            ..image(&[a, b, op, mov_imm(0, 0), EXIT])
        };
        run_image(image, [0; 5], &mut Memory::default())
    };
    for offset in 0..20 {
        assert_eq!(with(load(Size::Dw, 0, 2, 0), offset).is_ok(), offset <= 4);
        assert!(matches!(with(store(Size::Dw, 2, 2, 0), offset), Err(Fault::Access { at: 2, .. })));
    }
    assert!(with(load(Size::B, 0, 2, -1), 0).is_err());
    assert!(with(load(Size::B, 0, 2, 0), u32::MAX).is_err());
}

#[test]
fn helpers_want_a_map_and_a_key() {
    let [a, b] = [word(0x18, 1, 1, 0, 0), 0];
    let with = |code: &[u64], target: Target, r2: u64| {
        let image = Image {
            data: vec![vec![0; 8]],
            maps: vec![MapShape { value_size: 8, entries: 1 }],
            relocations: vec![Relocation { word: 0, target }],
            ..image(&[&[a, b], code, &[helper(1), EXIT]].concat())
        };
        let mut maps = [vec![0; 8]];
        let input = [0; 4];
        let mut memory = Memory { input: &input, maps: &mut maps, ..Memory::default() };
        run_image(image, [0, r2, 0, 0, 0], &mut memory)
    };
    assert!(with(&[], Target::Map(0), INPUT).is_ok());
    assert!(matches!(with(&[], Target::Map(0), INPUT + 1), Err(Fault::Access { .. })));
    assert!(matches!(with(&[], Target::Data { section: 0, offset: 0 }, INPUT), Err(Fault::NoMap { .. })));
    assert!(matches!(with(&[], Target::MapValue { map: 0, offset: 0 }, INPUT), Err(Fault::NoMap { .. })));
    assert!(matches!(with(&[alu_imm(ADD, 1, 1)], Target::Map(0), INPUT), Err(Fault::NoMap { .. })));
    assert!(matches!(with(&[mov_imm(1, -1)], Target::Map(0), INPUT), Err(Fault::NoMap { .. })));
    // A map itself is not memory.
    assert!(matches!(with(&[load(Size::B, 0, 1, 0)], Target::Map(0), INPUT), Err(Fault::Access { .. })));
}

#[test]
fn memory_smaller_than_its_map() {
    let [a, b] = [word(0x18, 1, 1, 0, 0), 0];
    let image = Image {
        maps: vec![MapShape { value_size: 8, entries: 4 }],
        relocations: vec![Relocation { word: 0, target: Target::Map(0) }],
        ..image(&[store_imm(Size::W, 10, -4, 3)][..0])
    };
    let code =
        [a, b, store_imm(Size::W, 10, -4, 3), mov(2, 10), alu_imm(ADD, 2, -4), helper(1), load(Size::B, 0, 0, 0), EXIT];
    let image = Image { code: code.to_vec(), ..image };
    let program = Program::load(image).unwrap();
    let main = program.function("main").unwrap();
    let mut maps = [vec![0; 8]];
    let mut memory = Memory { maps: &mut maps, ..Memory::default() };
    assert!(matches!(program.run(main, [0; 5], &mut memory), Err(Fault::Access { .. })));
    assert!(matches!(program.run(main, [0; 5], &mut Memory::default()), Err(Fault::Access { .. })));
}
