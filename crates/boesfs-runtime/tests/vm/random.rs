//! Random programs: rbpf as a second opinion, and whatever bytes there are.

use boesfs_runtime::vm::{CONTEXT, INPUT, Image, MapShape, Memory, Program, Relocation, Target};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::asm::*;

/// Values at which widths and signs matter.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        any::<u32>().prop_map(u64::from),
        0..4u64,
        Just(u64::MAX),
        Just(1 << 63),
        Just(0x8000_0000),
        Just(0x7fff_ffff)
    ]
}

/// One instruction, which may jump over the next few. Left out is where rbpf differs from the kernel: remainders of 32
/// bits, negation of the least number, and comparisons with a negative number.
fn instruction() -> impl Strategy<Value = u64> {
    let register = 0..10u8;
    let alu = (
        prop::sample::select(vec![0u8, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12]),
        any::<bool>(),
        any::<bool>(),
        register.clone(),
        register.clone(),
        any::<i32>(),
    )
        .prop_map(|(code, wide, by_register, dst, src, imm)| {
            let wide = wide || code == 9;
            let class = if wide { 7 } else { 4 };
            let bits = if wide { 64 } else { 32 };
            let imm = match code {
                6 | 7 | 12 => imm.rem_euclid(bits),
                3 | 9 if imm == 0 => 1,
                _ => imm,
            };
            if by_register {
                word(code << 4 | 8 | class, dst, src, 0, 0)
            } else {
                word(code << 4 | class, dst, 0, 0, imm)
            }
        });
    let order = (any::<bool>(), register.clone(), prop::sample::select(vec![16, 32, 64]))
        .prop_map(|(swap, dst, bits)| word(if swap { 0xdc } else { 0xd4 }, dst, 0, 0, bits));
    let jumps = (
        prop::sample::select(vec![1u8, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13]),
        any::<bool>(),
        any::<bool>(),
        register.clone(),
        register.clone(),
        0..i32::MAX,
        0..4i16,
    )
        .prop_map(|(code, wide, by_register, dst, src, imm, offset)| {
            let class = if wide { 5 } else { 6 };
            if by_register {
                word(code << 4 | 8 | class, dst, src, offset, 0)
            } else {
                word(code << 4 | class, dst, 0, offset, imm)
            }
        });
    let sizes = || {
        prop::sample::select(vec![Size::B, Size::H, Size::W, Size::Dw].into_iter().map(|s| s as u8).collect::<Vec<_>>())
    };
    let memory = (0..3u8, sizes(), register.clone(), -64..-8i16, any::<i32>()).prop_map(
        |(kind, size, register, offset, imm)| match kind {
            0 => word(0x61 | size, register, 10, offset, 0),
            1 => word(0x63 | size, 10, register, offset, 0),
            _ => word(0x62 | size, 10, 0, offset, imm),
        },
    );
    prop_oneof![6 => alu, 1 => order, 2 => jumps, 3 => memory]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn rbpf_agrees(registers in vec(value(), 10), body in vec(instruction(), 1..60)) {
        let mut code = Vec::new();
        for (register, value) in (0..).zip(&registers) {
            code.extend(constant(register, *value));
        }
        // Both start with a cleared stack only where the program clears it.
        code.extend((1..=8).map(|i| store_imm(Size::Dw, 10, -8 * i, 0)));
        code.extend(&body);
        // Every register counts for the answer. Jumps may lead here, at most.
        code.extend([alu(0xa, 0, 1); 4]);
        for register in 1..10 {
            code.extend([alu_imm(2, 0, 31), alu(0xa, 0, register)]);
        }
        for i in 1..=8 {
            code.extend([load(Size::Dw, 1, 10, -8 * i), alu_imm(2, 0, 31), alu(0xa, 0, 1)]);
        }
        code.push(EXIT);
        let bytes: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
        let theirs = rbpf::EbpfVmNoData::new(Some(&bytes)).unwrap().execute_program().unwrap();
        prop_assert_eq!(run(&code, [0; 5]), Ok(theirs));
    }

    #[test]
    fn whatever_loads_ends(code in vec(prop_oneof![any::<u64>(), instruction()], 0..64), starts in vec(0..80u32, 0..3)) {
        run_all(code, starts);
    }

    #[test]
    fn whatever_address_is_checked(body in vec(anything(), 1..64), args in vec(address(), 5)) {
        let mut code = body;
        code.push(EXIT);
        run_with(code, Vec::new(), [args[0], args[1], args[2], args[3], args[4]]);
    }
}

/// Instructions that load, jump and call as they like, also backwards: nearly all programs of these load.
fn anything() -> impl Strategy<Value = u64> {
    let register = 0..10u8;
    prop_oneof![
        2 => instruction(),
        2 => (prop::sample::select(vec![0x61u8, 0x69, 0x71, 0x79, 0x63, 0x6b, 0x73, 0x7b]), register.clone(), register.clone(), any::<i16>())
            .prop_map(|(opcode, dst, src, offset)| word(opcode, dst, src, offset, 0)),
        1 => (register.clone(), register.clone(), -6..6i16).prop_map(|(dst, src, offset)| word(0x5d, dst, src, offset, 0)),
        1 => (register, -64..64i32).prop_map(|(dst, imm)| alu_imm(ADD, dst, imm)),
        1 => prop::sample::select(vec![helper(1), helper(5)]),
    ]
}

/// Addresses in and around regions.
fn address() -> impl Strategy<Value = u64> {
    let base = prop::sample::select(vec![0, 1 << 32, INPUT, CONTEXT, 16 << 32, 17 << 32, 1 << 48, 1 << 49]);
    (base, -70i64..70).prop_map(|(base, offset)| base.wrapping_add_signed(offset))
}

fn run_all(code: Vec<u64>, starts: Vec<u32>) {
    run_with(code, starts, [INPUT, CONTEXT, 3, 4, 5]);
}

/// Loads what loads, and runs each function: nothing panics, and all come to an end.
fn run_with(code: Vec<u64>, starts: Vec<u32>, args: [u64; 5]) {
    let functions = [0].iter().chain(&starts).map(|start| function(&start.to_string(), *start)).collect();
    let image = Image {
        functions,
        data: vec![vec![0xa5; 64], vec![1; 7]],
        maps: vec![MapShape { value_size: 8, entries: 4 }],
        relocations: vec![Relocation { word: 2, target: Target::Map(0) }],
        code,
    };
    let without = Image { relocations: Vec::new(), ..image.clone() };
    for image in [image, without] {
        let Ok(program) = Program::load(image) else { continue };
        for start in [0].iter().chain(&starts) {
            let entry = program.function(&start.to_string()).expect("it was loaded");
            let (input, mut context, mut maps) = ([7; 64], [8; 64], [vec![9; 32]]);
            let mut memory = Memory { input: &input, context: &mut context, maps: &mut maps };
            let _answer = program.run(entry, args, &mut memory);
        }
    }
}
