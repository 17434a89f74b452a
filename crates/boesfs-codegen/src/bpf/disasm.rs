//! Programs as text, in the notation of the kernel's verifier: for people and golden files.

use std::fmt::{self, Write as _};

use super::insn::{AluOp, Insn, Operand, Place, Reg, Size, Test, Width};
use super::program::{Function, Program};

/// The whole program: each function by name, its instructions by slot, each group below the line it comes from.
#[must_use]
pub fn listing(program: &Program) -> String {
    program.functions().iter().map(|function| function_listing(program, function)).collect::<Vec<_>>().join("\n")
}

/// One function of a [`listing`].
#[must_use]
pub fn function_listing(program: &Program, function: &Function) -> String {
    let mut out = format!("{}:\n", function.name);
    let mut lines = program.lines().iter().filter(|line| line.slot >= function.start).peekable();
    for slot in function.start..function.end {
        let insn = program.insns()[slot];
        if let Some(line) = lines.next_if(|line| line.slot == slot) {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "; {} @ {}:{}", line.text, line.file, line.line);
        }
        if insn != Insn::Tail {
            let _ = write!(out, "{:4}: {}", slot - function.start, Text { program, slot, insn });
            if let Ok(index) = program.fields().binary_search_by_key(&slot, |field| field.slot) {
                let _ = write!(out, "  ; {}", program.fields()[index].field);
            }
            out.push('\n');
        }
    }
    out
}

/// The text of the instruction at `slot`: jumps name their target slot within the function.
#[must_use]
pub fn text(program: &Program, slot: usize) -> String {
    Text { program, slot, insn: program.insns()[slot] }.to_string()
}

struct Text<'a> {
    program: &'a Program,
    slot: usize,
    insn: Insn,
}

impl Text<'_> {
    fn target(&self, offset: i16) -> i64 {
        let functions = self.program.functions();
        let start = functions.iter().rev().find(|f| f.start <= self.slot).map_or(0, |f| f.start);
        self.slot as i64 + 1 + i64::from(offset) - start as i64
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.insn {
            Insn::Alu { width, op, dst, src } => {
                write!(f, "{} {} {}", sized(width, dst), alu(op), operand(width, src))
            }
            Insn::LoadImm { dst, value } => write!(f, "{dst} = 0x{value:x} ll"),
            Insn::LoadPlace { dst, place: Place::Table(table) } => write!(f, "{dst} = {} ll", table.section()),
            Insn::LoadPlace { dst, place: Place::Data(data) } => write!(f, "{dst} = {} ll", data.section()),
            Insn::LoadPlace { dst, place: Place::Map(map) } => write!(f, "{dst} = map {} ll", map.name()),
            Insn::LoadPlace { dst, place: Place::Family } => write!(f, "{dst} = family ll"),
            Insn::LoadPlace { dst, place: Place::Programs } => write!(f, "{dst} = map programs ll"),
            Insn::Load { size, dst, base, offset } => write!(f, "{dst} = {}", memory(size, base, offset)),
            Insn::Store { size, base, offset, src } => {
                write!(f, "{} = {}", memory(size, base, offset), operand(Width::W64, src))
            }
            Insn::AtomicAdd { base, offset, src } => {
                write!(f, "lock {} += {src}", memory(Size::B8, base, offset))
            }
            Insn::Jump { offset } => write!(f, "goto {}", self.target(offset)),
            Insn::Branch { width, test, dst, src, offset } => {
                let (dst, src) = (sized(width, dst), operand(width, src));
                write!(f, "if {dst} {} {src} goto {}", symbol(test), self.target(offset))
            }
            Insn::CallHelper(helper) => write!(f, "call bpf_{}", helper.name()),
            Insn::Call(id) => match self.program.functions().get(id.0 as usize) {
                Some(function) => write!(f, "call {}", function.name),
                None => write!(f, "call #{}", id.0),
            },
            Insn::Exit => f.write_str("exit"),
            Insn::Tail => f.write_str("(second half)"),
        }
    }
}

fn sized(width: Width, reg: Reg) -> String {
    match width {
        Width::W32 => format!("w{}", reg.number()),
        Width::W64 => reg.to_string(),
    }
}

fn operand(width: Width, operand: Operand) -> String {
    match operand {
        Operand::Reg(reg) => sized(width, reg),
        Operand::Imm(imm) => imm.to_string(),
    }
}

fn memory(size: Size, base: Reg, offset: i16) -> String {
    format!("*(u{} *)({base} {offset:+})", size.bytes() * 8)
}

fn alu(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "+=",
        AluOp::Sub => "-=",
        AluOp::Mul => "*=",
        AluOp::Or => "|=",
        AluOp::And => "&=",
        AluOp::Lsh => "<<=",
        AluOp::Rsh => ">>=",
        AluOp::Xor => "^=",
        AluOp::Mov => "=",
        AluOp::Arsh => "s>>=",
    }
}

fn symbol(test: Test) -> &'static str {
    match test {
        Test::Eq => "==",
        Test::Gt => ">",
        Test::Ge => ">=",
        Test::Set => "&",
        Test::Ne => "!=",
        Test::SGt => "s>",
        Test::SGe => "s>=",
        Test::Lt => "<",
        Test::Le => "<=",
        Test::SLt => "s<",
        Test::SLe => "s<=",
    }
}
