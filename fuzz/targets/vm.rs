//! VM: whatever the instructions are, they are refused at load, or every run of them ends.
//!
//! The input: a byte each for the number of references and functions; then two bytes a reference (word, target), one a
//! function (word), and instructions.

#![no_main]

use boesfs_runtime::vm::{CONTEXT, Function, INPUT, Image, MapShape, Memory, Program, Relocation, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(([references, functions], rest)) = data.split_first_chunk::<2>() else { return };
    let Some((references, rest)) = rest.split_at_checked(usize::from(references % 8) * 2) else { return };
    let Some((functions, rest)) = rest.split_at_checked(usize::from(functions % 4)) else { return };
    let relocations = references.as_chunks::<2>().0.iter().map(|[word, target]| Relocation {
        word: u32::from(*word),
        target: match target % 4 {
            0 => Target::Data { section: u32::from(target >> 2) % 3, offset: u32::from(target >> 4) },
            1 => Target::Map(u32::from(target >> 2) % 3),
            2 => Target::MapValue { map: u32::from(target >> 2) % 3, offset: u32::from(target >> 4) },
            _ => Target::Function(u32::from(target >> 2)),
        },
    });
    let starts: Vec<u32> = std::iter::once(0).chain(functions.iter().map(|start| u32::from(*start))).collect();
    let name = |start: &u32| Function { name: start.to_string(), start: *start };
    let image = Image {
        code: rest.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect(),
        functions: starts.iter().map(name).collect(),
        data: vec![vec![0xa5; 64], vec![1; 7]],
        maps: vec![MapShape { value_size: 8, entries: 4 }, MapShape { value_size: 5, entries: 1 }],
        relocations: relocations.collect(),
    };
    let Ok(program) = Program::load(image) else { return };
    for start in starts {
        let Some(entry) = program.function(&start.to_string()) else { continue };
        let (input, mut context) = ([7; 64], [8; 64]);
        let mut maps: Vec<Vec<u8>> = program.maps().iter().map(|shape| vec![9; shape.bytes() as usize]).collect();
        let mut memory = Memory { input: &input, context: &mut context, maps: &mut maps };
        let _answer = program.run(entry, [INPUT, CONTEXT, 3, 4, 5], &mut memory);
    }
});
