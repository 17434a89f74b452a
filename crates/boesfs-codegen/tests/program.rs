//! Instructions and programs: every encoding there and back, and every way in which code is not a program.

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::bpf::asm::{AsmError, Assembler};
use boesfs_codegen::bpf::{
    AluOp, Field, Function, FunctionId, Helper, Insn, Line, Linkage, Operand, Place, Program, ProgramError, Reg, Size,
    TEXT, Test, Width, disasm,
};
use boesfs_codegen::emit::layout::{Map, Table};
use boesfs_codegen::object::{build, read};
use boesfs_codegen::{arbitrary, emit, pack};
use proptest::prelude::*;

const EXIT: [Insn; 2] =
    [Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R0, src: Operand::Imm(0) }, Insn::Exit];

fn line(slot: usize) -> Line {
    Line { slot, file: "f".into(), line: 1, column: 1, text: "t".into() }
}

fn function(name: &str, start: usize, end: usize) -> Function {
    Function { name: name.into(), section: TEXT.into(), linkage: Linkage::Global, start, end }
}

/// A program of one function.
fn program(insns: &[Insn]) -> Result<Program, ProgramError> {
    let function = function("f", 0, insns.len());
    Program::new(insns.to_vec(), vec![function], vec![line(0)], Vec::new())
}

#[test]
fn what_is_no_program_is_refused() {
    use ProgramError::{Call, FallsThrough, FramePointer, Half, Jump, Layout};
    let name = || "f".to_owned();
    assert!(program(&EXIT).is_ok());
    assert_eq!(program(&EXIT[..1]), Err(FallsThrough { name: name() }));
    assert_eq!(program(&[]), Err(Layout { name: name() }));
    for offset in [-2, 1, i16::MIN, i16::MAX] {
        assert_eq!(program(&[Insn::Jump { offset }, Insn::Exit]), Err(Jump { slot: 0 }), "{offset}");
    }
    let wide = Insn::LoadImm { dst: Reg::R1, value: 1 };
    assert_eq!(program(&[Insn::Jump { offset: 1 }, wide, Insn::Tail, Insn::Exit]), Err(Jump { slot: 0 }));
    assert_eq!(program(&[wide, Insn::Exit]), Err(Half { slot: 0 }));
    assert_eq!(program(&[Insn::Tail, Insn::Exit]), Err(Half { slot: 0 }));
    assert_eq!(program(&[Insn::Call(FunctionId(1)), Insn::Exit]), Err(Call { slot: 0 }));
    let frame = Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R10, src: Operand::Imm(0) };
    assert_eq!(program(&[frame, Insn::Exit]), Err(FramePointer { slot: 0 }));
}

#[test]
fn functions_and_lines_stand_in_order() {
    let insns = [EXIT, EXIT].concat();
    let make = |functions: &[Function], lines: &[usize]| {
        Program::new(insns.clone(), functions.to_vec(), lines.iter().map(|slot| line(*slot)).collect(), Vec::new())
    };
    let good = [function("f", 0, 2), function("g", 2, 4)];
    assert!(make(&good, &[0, 2]).is_ok());
    for lines in [&[0][..], &[2], &[0, 2, 2], &[2, 0], &[0, 2, 4]] {
        assert!(matches!(make(&good, lines), Err(ProgramError::Line { .. })), "{lines:?}");
    }
    for bad in [
        [function("f", 0, 2), function("f", 2, 4)],
        [function("f", 0, 2), function("g", 2, 3)],
        [function("f", 0, 1), function("g", 2, 4)],
        [function("f", 0, 3), function("g", 2, 4)],
        [function("f", 0, 0), function("g", 0, 4)],
    ] {
        assert!(matches!(make(&bad, &[0, 2]), Err(ProgramError::Layout { .. })), "{bad:?}");
    }
}

#[test]
fn functions_stand_by_section_and_are_linked_apart() {
    let mut a = Assembler::default();
    a.entry("open", "lsm/file_open");
    a.note("reads a field");
    a.load_field(Size::B8, Reg::R1, Reg::R1, Field::FILE_DENTRY);
    a.call("both");
    a.exit();
    a.entry("walk", "syscall");
    a.note("calls another");
    a.call("other");
    a.exit();
    for name in ["other", "both"] {
        a.function(name);
        a.note(name);
        a.mov(Reg::R0, 0);
        a.exit();
    }
    let program = a.finish().unwrap_or_else(|error| panic!("{error}"));
    let sections: Vec<&str> = program.sections().into_iter().map(|(name, _)| name).collect();
    assert_eq!(sections, ["lsm/file_open", "syscall", TEXT]);
    let linked = program.linked(&["open"]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((linked.functions, linked.lines), (vec![0, 3], vec![0, 3]));
    let linked = linked.program;
    assert_eq!(linked.fields().len(), 1);
    assert_eq!(linked.insns()[1], Insn::Call(FunctionId(1)));
    let moved = linked.with_offsets(|field| (field == Field::FILE_DENTRY).then_some(72)).expect("its offset is known");
    assert_eq!(moved.insns()[0], Insn::Load { size: Size::B8, dst: Reg::R1, base: Reg::R1, offset: 72 });
    assert_eq!(linked.with_offsets(|_| None), Err(Field::FILE_DENTRY));
    assert!(program.linked(&["nobody"]).is_err());

    let (insns, lines) = (program.insns().to_vec(), program.lines().to_vec());
    let mut functions = program.functions().to_vec();
    functions[3].section = "syscall".into();
    let refused = Program::new(insns, functions, lines, Vec::new());
    assert_eq!(refused, Err(ProgramError::Layout { name: "both".into() }));
}

#[test]
fn the_assembler_finds_what_is_missing() {
    let mut a = Assembler::default();
    a.function("f");
    a.note("nowhere");
    let label = a.label();
    a.jump(label);
    assert_eq!(a.finish(), Err(AsmError::Unbound { slot: 0 }));

    let mut a = Assembler::default();
    a.function("f");
    a.note("nobody");
    a.call("g");
    a.exit();
    assert_eq!(a.finish(), Err(AsmError::NoFunction { slot: 0, name: "g".into() }));

    let mut a = Assembler::default();
    a.function("f");
    a.note("far");
    let label = a.label();
    a.branch(Test::Eq, Reg::R1, 0, label);
    (0..40_000).for_each(|_| a.mov(Reg::R0, 0));
    a.bind(label);
    a.exit();
    assert_eq!(a.finish(), Err(AsmError::TooFar { slot: 0 }));
}

#[test]
fn text_is_that_of_the_verifier() {
    let mut a = Assembler::default();
    a.function("f");
    a.note("one of each");
    let label = a.label();
    a.mov32(Reg::R1, Reg::R2);
    a.alu(AluOp::Arsh, Reg::R1, 3);
    a.wide(Reg::R3, 0x1_0000_0001);
    a.place(Reg::R4, Place::Table(Table::Edges));
    a.place(Reg::R1, Place::Map(Map::Request));
    a.load(Size::B2, Reg::R0, Reg::R4, 6);
    a.store(Size::B8, Reg::R10, -8, Reg::R0);
    a.branch32(Test::SGe, Reg::R6, 0, label);
    a.helper(Helper::KtimeGetNs);
    a.call("f");
    a.bind(label);
    a.exit();
    let program = a.finish().unwrap_or_else(|error| panic!("{error}"));
    let expected = "f:\n; one of each @ f:1\n   0: w1 = w2\n   1: r1 s>>= 3\n   2: r3 = 0x100000001 ll\n   \
                    4: r4 = .rodata.edges ll\n   6: r1 = map request ll\n   8: r0 = *(u16 *)(r4 +6)\n   \
                    9: *(u64 *)(r10 -8) = r0\n  10: if w6 s>= 0 goto 13\n  11: call bpf_ktime_get_ns\n  \
                    12: call f\n  13: exit\n";
    assert_eq!(disasm::listing(&program), expected);
}

/// What the emitter makes and what is read from the object are the same program, for any policy: so each instruction
/// that is ever emitted has one encoding, and it is decoded.
fn there_and_back(policy: &boesfs_lang::policy::Policy) -> Result<(), TestCaseError> {
    let packed = pack::compile(policy, &Limits::default()).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let emitted = emit::emit(policy, &packed).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let bytes = build(policy, &packed).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let object = read(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(object.program, emitted);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn programs_survive_the_object(policy in arbitrary::policies(10)) {
        there_and_back(&policy)?;
    }
}
