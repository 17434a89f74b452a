//! The assembler: functions written instruction by instruction, with labels, calls by name and lines.

use std::collections::BTreeMap;

use super::insn::{AluOp, Helper, Insn, Operand, Place, Reg, Size, Test, Width};
use super::kernel::Field;
use super::program::{Function, FunctionId, Line, Linkage, Program, ProgramError, Relocated, TEXT};

/// A place to jump to, inside the function it was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(usize);

/// Writes functions one after another. Labels and calls are resolved by [`Assembler::finish`].
#[derive(Debug, Default)]
pub struct Assembler {
    insns: Vec<Insn>,
    functions: Vec<Function>,
    lines: Vec<Line>,
    /// Notes in the function being written.
    notes: u32,
    /// Slot of each label, once bound.
    labels: Vec<Option<usize>>,
    jumps: Vec<(usize, Label)>,
    calls: Vec<(usize, String)>,
    fields: Vec<Relocated>,
}

/// Why what was assembled is not a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AsmError {
    /// A jump to a label that was never bound.
    #[error("instruction {slot}: the label is not bound")]
    Unbound {
        /// The slot of the jump.
        slot: usize,
    },
    /// A jump farther than 16 bits reach.
    #[error("instruction {slot}: the label is too far away")]
    TooFar {
        /// The slot of the jump.
        slot: usize,
    },
    /// A call of a function that was never begun.
    #[error("instruction {slot}: no function `{name}`")]
    NoFunction {
        /// The slot of the call.
        slot: usize,
        /// The function called.
        name: String,
    },
    /// The structure is wrong.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

impl Assembler {
    /// Ends the function begun before, if any, and begins the global function `name` of [`TEXT`].
    pub fn function(&mut self, name: &str) {
        self.begin(name, TEXT, Linkage::Global);
    }

    /// Begins the static function `name` of [`TEXT`].
    pub fn static_function(&mut self, name: &str) {
        self.begin(name, TEXT, Linkage::Static);
    }

    /// Begins the entry program `name` in `section`, which says its type.
    pub fn entry(&mut self, name: &str, section: &str) {
        self.begin(name, section, Linkage::Global);
    }

    fn begin(&mut self, name: &str, section: &str, linkage: Linkage) {
        self.end_function();
        self.notes = 0;
        let start = self.insns.len();
        let section = section.to_owned();
        self.functions.push(Function { name: name.to_owned(), section, linkage, start, end: start });
    }

    /// The number of slots written since the function began.
    #[must_use]
    pub fn length(&self) -> usize {
        self.insns.len() - self.functions.last().map_or(0, |f| f.start)
    }

    /// Says what the next instructions do, for listings and verifier logs. The function stands for the file.
    pub fn note(&mut self, text: &str) {
        let file = self.functions.last().map_or(String::new(), |f| f.name.clone());
        self.notes += 1;
        self.line(file, self.notes, 1, text.to_owned());
    }

    /// Says which line of a policy the next instructions come from.
    pub fn line(&mut self, file: String, line: u32, column: u32, text: String) {
        let slot = self.insns.len();
        if self.lines.last().is_some_and(|last| last.slot == slot) {
            self.lines.pop();
        }
        self.lines.push(Line { slot, file, line, column, text });
    }

    /// A new label, not bound yet.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Binds `label` to the next instruction.
    pub fn bind(&mut self, label: Label) {
        self.labels[label.0] = Some(self.insns.len());
    }

    /// A new label, bound to the next instruction.
    pub fn here(&mut self) -> Label {
        let label = self.label();
        self.bind(label);
        label
    }

    /// `dst = dst op src`
    pub fn alu(&mut self, op: AluOp, dst: Reg, src: impl Into<Operand>) {
        self.insns.push(Insn::Alu { width: Width::W64, op, dst, src: src.into() });
    }

    /// `dst = dst op src` in 32 bits, which clears the upper half.
    pub fn alu32(&mut self, op: AluOp, dst: Reg, src: impl Into<Operand>) {
        self.insns.push(Insn::Alu { width: Width::W32, op, dst, src: src.into() });
    }

    /// `dst = src`
    pub fn mov(&mut self, dst: Reg, src: impl Into<Operand>) {
        self.alu(AluOp::Mov, dst, src);
    }

    /// `dst = src`, the lower half of it.
    pub fn mov32(&mut self, dst: Reg, src: impl Into<Operand>) {
        self.alu32(AluOp::Mov, dst, src);
    }

    /// `dst = value`, in two slots.
    pub fn wide(&mut self, dst: Reg, value: u64) {
        self.insns.extend([Insn::LoadImm { dst, value }, Insn::Tail]);
    }

    /// `dst = value`, in the shortest way.
    pub fn constant(&mut self, dst: Reg, value: u64) {
        match (i32::try_from(value as i64), u32::try_from(value)) {
            (Ok(imm), _) => self.mov(dst, imm),
            (_, Ok(imm)) => self.mov32(dst, imm as i32),
            _ => self.wide(dst, value),
        }
    }

    /// `dst = address of place`
    pub fn place(&mut self, dst: Reg, place: Place) {
        self.insns.extend([Insn::LoadPlace { dst, place }, Insn::Tail]);
    }

    /// `dst = *(base + offset)`
    pub fn load(&mut self, size: Size, dst: Reg, base: Reg, offset: i16) {
        self.insns.push(Insn::Load { size, dst, base, offset });
    }

    /// `*(base + offset) = src`
    pub fn store(&mut self, size: Size, base: Reg, offset: i16, src: impl Into<Operand>) {
        self.insns.push(Insn::Store { size, base, offset, src: src.into() });
    }

    /// `dst = base->field`, a field of a kernel structure.
    pub fn load_field(&mut self, size: Size, dst: Reg, base: Reg, field: Field) {
        self.fields.push(Relocated { slot: self.insns.len(), field });
        self.load(size, dst, base, field.local_offset() as i16);
    }

    /// `dst += offset of field`
    pub fn add_field(&mut self, dst: Reg, field: Field) {
        self.fields.push(Relocated { slot: self.insns.len(), field });
        self.alu(AluOp::Add, dst, field.local_offset() as i32);
    }

    /// `*(u64 *)(base + offset) += src`, at once.
    pub fn atomic_add(&mut self, base: Reg, offset: i16, src: Reg) {
        self.insns.push(Insn::AtomicAdd { base, offset, src });
    }

    /// Goes to `label`.
    pub fn jump(&mut self, label: Label) {
        self.jumps.push((self.insns.len(), label));
        self.insns.push(Insn::Jump { offset: 0 });
    }

    /// Goes to `label` if the test holds.
    pub fn branch(&mut self, test: Test, dst: Reg, src: impl Into<Operand>, label: Label) {
        self.branch_in(Width::W64, test, dst, src.into(), label);
    }

    /// Goes to `label` if the test holds of the lower halves.
    pub fn branch32(&mut self, test: Test, dst: Reg, src: impl Into<Operand>, label: Label) {
        self.branch_in(Width::W32, test, dst, src.into(), label);
    }

    fn branch_in(&mut self, width: Width, test: Test, dst: Reg, src: Operand, label: Label) {
        self.jumps.push((self.insns.len(), label));
        self.insns.push(Insn::Branch { width, test, dst, src, offset: 0 });
    }

    /// Calls a helper.
    pub fn helper(&mut self, helper: Helper) {
        self.insns.push(Insn::CallHelper(helper));
    }

    /// Calls the function `name`, which may be begun later.
    pub fn call(&mut self, name: &str) {
        self.calls.push((self.insns.len(), name.to_owned()));
        self.insns.push(Insn::Call(FunctionId(u32::MAX)));
    }

    /// Returns `r0`.
    pub fn exit(&mut self) {
        self.insns.push(Insn::Exit);
    }

    /// Resolves labels and calls and checks the whole.
    ///
    /// # Errors
    /// A label or a function is missing, or the structure is wrong.
    pub fn finish(mut self) -> Result<Program, AsmError> {
        self.end_function();
        for (slot, label) in &self.jumps {
            let target = self.labels[label.0].ok_or(AsmError::Unbound { slot: *slot })?;
            let distance = target as i64 - *slot as i64 - 1;
            let distance = i16::try_from(distance).map_err(|_| AsmError::TooFar { slot: *slot })?;
            match &mut self.insns[*slot] {
                Insn::Jump { offset } | Insn::Branch { offset, .. } => *offset = distance,
                _ => return Err(ProgramError::Jump { slot: *slot }.into()),
            }
        }
        let ids: BTreeMap<&str, u32> = self.functions.iter().map(|f| f.name.as_str()).zip(0..).collect();
        for (slot, name) in &self.calls {
            let id = ids.get(name.as_str());
            let id = id.ok_or_else(|| AsmError::NoFunction { slot: *slot, name: name.clone() })?;
            self.insns[*slot] = Insn::Call(FunctionId(*id));
        }
        Ok(Program::new(self.insns, self.functions, self.lines, self.fields)?)
    }

    fn end_function(&mut self) {
        let end = self.insns.len();
        if let Some(last) = self.functions.last_mut() {
            last.end = end;
        }
    }
}
