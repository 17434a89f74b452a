//! What is refused at load, and with which words.

use boesfs_runtime::vm::{Image, MapShape, Program, Relocation, Target};

use crate::asm::*;

fn refused(image: Image, message: &str) {
    match Program::load(image) {
        Ok(_) => panic!("loaded, instead of: {message}"),
        Err(error) => assert!(error.to_string().contains(message), "{error}, instead of: {message}"),
    }
}

fn refused_code(code: &[u64], message: &str) {
    refused(image(code), message);
}

#[test]
fn instructions_that_policies_do_not_use() {
    let unknown = "none that policy programs use";
    for code in [
        word(0xdb, 1, 2, 0, 0),   // atomic add
        word(0x30, 0, 0, 0, 0),   // packet load
        word(0x81, 0, 1, 0, 0),   // load with sign
        word(0x06, 0, 0, 0, 0),   // 32-bit jump by a number
        word(0x8d, 0, 1, 0, 0),   // call by register
        word(0xe5, 0, 0, 0, 0),   // may_goto
        word(0xff, 0, 0, 0, 0),   // nothing
        word(0x00, 0, 0, 0, 0),   // the second half of a constant, alone
        word(0xb7, 11, 0, 0, 0),  // no such register
        word(0xbf, 0, 15, 0, 0),  // no such register
        word(0xb7, 10, 0, 0, 0),  // the frame pointer is not written
        word(0x79, 10, 1, 0, 0),  // neither by a load
        word(0xbf, 0, 1, 8, 0),   // mov with sign
        word(0xb7, 0, 1, 0, 0),   // a number and a register
        word(0x37, 0, 0, 1, 3),   // division with sign
        word(0x37, 0, 0, 0, 0),   // division by 0
        word(0x94, 0, 0, 0, 0),   // remainder by 0
        word(0x67, 0, 0, 0, 64),  // shift by too much
        word(0x64, 0, 0, 0, 32),  // shift by too much
        word(0xc7, 0, 0, 0, -1),  // shift by less than nothing
        word(0xd7, 0, 0, 0, 16),  // swap without regard to order
        word(0xdc, 0, 0, 0, 8),   // order of one byte
        word(0x87, 0, 0, 0, 1),   // negation of a number
        word(0x95, 0, 0, 0, 1),   // exit with a number
        word(0x05, 0, 0, 0, 1),   // jump with a number
        word(0x61, 0, 1, 0, 1),   // load with a number
        word(0x7b, 10, 1, -8, 1), // store of a register and a number
        word(0x7a, 10, 1, -8, 1), // store of a number and a register
        word(0x85, 0, 2, 0, 1),   // call of a kernel function
    ] {
        refused_code(&[code, EXIT], unknown);
    }
    // Addresses that a kernel would fill in.
    for src in 1..=6 {
        refused_code(&[word(0x18, 1, src, 0, 0), 0, EXIT], unknown);
    }
    refused_code(&[word(0x18, 1, 0, 0, 0), 1, EXIT], unknown);
    refused_code(&[word(0x18, 1, 0, 0, 0)], "second half of the instruction is missing");
    refused_code(&[helper(14), EXIT], "helper 14");
}

#[test]
fn jumps_to_nowhere() {
    let message = "where no instruction of its function starts";
    refused_code(&[jump(5), EXIT], message);
    refused_code(&[jump(-2), EXIT], message);
    refused_code(&[jump_if(1, 0, 0, i16::MIN), EXIT], message);
    let [a, b] = constant(0, 0);
    refused_code(&[jump(1), a, b, EXIT], message);
    // Into another function.
    let mut image = image(&[jump(1), EXIT, EXIT]);
    image.functions.push(function("other", 2));
    refused(image, message);
}

#[test]
fn functions_without_an_end() {
    let message = "no end here";
    refused_code(&[mov_imm(0, 0)], message);
    refused_code(&[jump_if(1, 0, 0, -1)], message);
    refused_code(&[EXIT, constant(0, 0)[0], 0], message);
    let mut running_on = image(&[mov_imm(0, 0), EXIT]);
    running_on.functions.push(function("other", 1));
    refused(running_on, message);
    let mut before = image(&[EXIT, EXIT]);
    before.functions[0].start = 1;
    refused(before, message);
    refused(Image { code: vec![EXIT], ..Image::default() }, message);
}

#[test]
fn functions_that_start_nowhere() {
    let message = "does not start where an instruction does";
    for start in [2, 4, u32::MAX] {
        let [a, b] = constant(0, 0);
        let mut image = image(&[EXIT, a, b, EXIT]);
        image.functions.push(function("other", start));
        refused(image, message);
    }
    let mut twice = image(&[EXIT]);
    twice.functions.push(function("other", 0));
    refused(twice, message);
    refused(image(&[]), message);
}

#[test]
fn calls_that_cannot_be() {
    refused_code(&[call(0), EXIT], "not the start of a function");
    refused_code(&[call(i32::MAX), EXIT], "not the start of a function");
    refused_code(&[call(-2), EXIT], "not the start of a function");
    refused_code(&[call(-1), EXIT], "calls itself");
    let mut each_other = image(&[call(1), EXIT, call(-3), EXIT]);
    each_other.functions.push(function("other", 2));
    refused(each_other, "calls itself");
}

/// `n` functions, each but the last of which calls the next.
fn chain(n: u32) -> Image {
    let code = (1..n).flat_map(|_| [call(1), EXIT]).chain([EXIT]).collect();
    let functions = (0..n).map(|i| function(&format!("f{i}"), i * 2)).collect();
    Image { code, functions, ..Image::default() }
}

#[test]
fn calls_nest_eight_deep() {
    assert!(Program::load(chain(8)).is_ok());
    refused(chain(9), "calls nest too deep");
    // Also where the deep part has been seen first.
    let mut reversed = chain(8);
    let start = reversed.code.len() as u32;
    reversed.code.extend([call(-(start as i32) - 1), EXIT]);
    reversed.functions.push(function("last", start));
    refused(reversed, "calls nest too deep");
}

#[test]
fn references_that_cannot_be() {
    let message = "cannot refer to";
    let [a, b] = constant(1, 0);
    let with = |word: u32, target: Target| Image {
        data: vec![vec![0; 8]],
        maps: vec![MapShape { value_size: 8, entries: 1 }],
        relocations: vec![Relocation { word, target }],
        ..image(&[a, b, mov_imm(0, 0), helper(5), EXIT])
    };
    assert!(Program::load(with(0, Target::Data { section: 0, offset: 0 })).is_ok());
    refused(with(0, Target::Data { section: 1, offset: 0 }), message);
    refused(with(0, Target::Map(1)), message);
    refused(with(0, Target::MapValue { map: 1, offset: 0 }), message);
    refused(with(0, Target::Function(0)), message);
    refused(with(3, Target::Map(0)), message);
    for word in [1, 2, 4, 5, u32::MAX] {
        refused(with(word, Target::Data { section: 0, offset: 0 }), message);
    }
    let mut twice = with(0, Target::Map(0));
    twice.relocations.push(twice.relocations[0]);
    refused(twice, message);
}

#[test]
fn programs_of_more_than_a_million_instructions() {
    refused_code(&vec![EXIT; 1_000_001], "more than a million");
}

#[test]
fn tables_without_end() {
    refused(Image { data: vec![Vec::new(); 5000], ..image(&[EXIT]) }, "too many tables");
    let shape = MapShape { value_size: 1, entries: 1 };
    refused(Image { maps: vec![shape; 5000], ..image(&[EXIT]) }, "too many tables");
}
