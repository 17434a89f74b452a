//! A checked program: the functions of one object, linked.

use std::collections::BTreeSet;
use std::ops::Range;

use super::insn::{AluOp, DecodeError, Insn, Operand, Place, Reg, Slot, encode};
use super::kernel::Field;

/// The section of the functions that are no entry programs.
pub const TEXT: &str = ".text";

/// Index of a function in [`Program::functions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub u32);

/// How the verifier takes a function that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// With the arguments of each call: it may take pointers to kernel objects.
    Static,
    /// Once and on its own: it takes numbers and pointers to memory of known size.
    Global,
}

/// A function: a name for a range of slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The section it stands in: [`TEXT`], or that of an entry program, which says its type.
    pub section: String,
    /// How it is verified.
    pub linkage: Linkage,
    /// Its first slot.
    pub start: usize,
    /// One past its last slot.
    pub end: usize,
}

/// What the instructions from `slot` on are there for, until the next line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The first slot.
    pub slot: usize,
    /// The policy file, or the function for what serves every policy.
    pub file: String,
    /// Line in the file, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
    /// The text of that line, trimmed.
    pub text: String,
}

/// An instruction whose constant is the offset of a field of a kernel structure, and differs between kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocated {
    /// The instruction: a load, whose offset it is, or an addition or move of a constant.
    pub slot: usize,
    /// The field.
    pub field: Field,
}

/// Instructions of several functions, one after another without gaps.
///
/// Holds: every function begins and ends on an instruction; its last instruction is an exit or a jump back; jumps stay
/// inside their function and do not lead into a wide load; every call leads to a function; `r10` is never written;
/// lines are in order, inside the code, and each function's first slot has one, unless there are none at all; functions of one section stand together,
/// those of [`TEXT`] last; what is relocated to a field's offset is an instruction with such a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    insns: Vec<Insn>,
    functions: Vec<Function>,
    lines: Vec<Line>,
    fields: Vec<Relocated>,
}

/// Some functions of a [`Program`], as one of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The functions.
    pub program: Program,
    /// For each of its functions, its index in the program it was taken from.
    pub functions: Vec<usize>,
    /// For each of its lines, its index in the program it was taken from.
    pub lines: Vec<usize>,
}

/// Why instructions are not a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// Bytes that are no instruction.
    #[error("instruction {slot}: {error}")]
    Decode {
        /// The slot.
        slot: usize,
        /// What is wrong.
        error: DecodeError,
    },
    /// The functions do not cover the code one after another, or a name stands twice.
    #[error("function `{name}` does not stand where it should")]
    Layout {
        /// The function.
        name: String,
    },
    /// A function runs off its end.
    #[error("function `{name}` runs off its end")]
    FallsThrough {
        /// The function.
        name: String,
    },
    /// A jump leaves its function, leads into a wide load, or is too far for its 16 bits.
    #[error("instruction {slot}: the jump leads nowhere")]
    Jump {
        /// The slot.
        slot: usize,
    },
    /// A call of a function that is not there.
    #[error("instruction {slot}: the call leads nowhere")]
    Call {
        /// The slot.
        slot: usize,
    },
    /// A wide load without its second slot, or a second slot alone.
    #[error("instruction {slot}: half of a wide load")]
    Half {
        /// The slot.
        slot: usize,
    },
    /// The frame pointer is written.
    #[error("instruction {slot}: the frame pointer is read-only")]
    FramePointer {
        /// The slot.
        slot: usize,
    },
    /// A line outside the code or out of order, or a function without one.
    #[error("line information at instruction {slot} is out of place")]
    Line {
        /// The slot.
        slot: usize,
    },
    /// A relocation to a field of an instruction without an offset, or out of order.
    #[error("instruction {slot}: it has no offset of a field")]
    Field {
        /// The slot.
        slot: usize,
    },
}

impl Program {
    /// Checks the parts and makes them a program.
    ///
    /// # Errors
    /// The first thing that [`Program`] says holds and does not.
    pub fn new(
        insns: Vec<Insn>,
        functions: Vec<Function>,
        lines: Vec<Line>,
        fields: Vec<Relocated>,
    ) -> Result<Program, ProgramError> {
        let program = Program { insns, functions, lines, fields };
        program.check_layout()?;
        for function in &program.functions {
            program.check_function(function)?;
        }
        program.check_lines()?;
        program.check_fields()?;
        Ok(program)
    }

    /// The instructions, by slot.
    #[must_use]
    pub fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// The functions, in order.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The lines, in order of their slots.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The instructions relocated to offsets of kernel fields, in order of their slots.
    #[must_use]
    pub fn fields(&self) -> &[Relocated] {
        &self.fields
    }

    /// The sections, in order, each with its slots.
    #[must_use]
    pub fn sections(&self) -> Vec<(&str, Range<usize>)> {
        let mut out: Vec<(&str, Range<usize>)> = Vec::new();
        for function in &self.functions {
            match out.last_mut() {
                Some((section, slots)) if *section == function.section => slots.end = function.end,
                _ => out.push((&function.section, function.start..function.end)),
            }
        }
        out
    }

    /// The entry programs: the functions outside [`TEXT`].
    pub fn entries(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|function| function.section != TEXT)
    }

    /// The functions `roots` and all that they call, as a program of their own, with the number of each function and
    /// line in this one. The functions keep their order.
    ///
    /// # Errors
    /// A root is not there.
    pub fn linked(&self, roots: &[&str]) -> Result<Linked, ProgramError> {
        let mut wanted = BTreeSet::new();
        let mut open = Vec::new();
        for root in roots {
            let (id, _) = self.function(root).ok_or_else(|| ProgramError::Layout { name: (*root).to_owned() })?;
            open.push(id.0);
        }
        while let Some(id) = open.pop() {
            if wanted.insert(id) {
                let function = &self.functions[id as usize];
                open.extend(self.insns[function.start..function.end].iter().filter_map(|insn| match insn {
                    Insn::Call(id) => Some(id.0),
                    _ => None,
                }));
            }
        }
        let number = |id: FunctionId| FunctionId(wanted.range(..id.0).count() as u32);
        let (mut insns, mut functions, mut lines, mut fields) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut function_numbers, mut line_numbers) = (Vec::new(), Vec::new());
        for id in &wanted {
            let function = &self.functions[*id as usize];
            let (from, to) = (function.start, insns.len());
            let slots = from..function.end;
            insns.extend(self.insns[slots.clone()].iter().map(|insn| match insn {
                Insn::Call(id) => Insn::Call(number(*id)),
                insn => *insn,
            }));
            functions.push(Function { start: to, end: insns.len(), ..function.clone() });
            function_numbers.push(*id as usize);
            let first = self.lines.partition_point(|line| line.slot < from);
            for (line, index) in self.lines.iter().zip(0..).skip(first).take_while(|(line, _)| line.slot < slots.end) {
                lines.push(Line { slot: line.slot - from + to, ..line.clone() });
                line_numbers.push(index);
            }
            let inside = self.fields.iter().filter(|field| slots.contains(&field.slot));
            fields.extend(inside.map(|field| Relocated { slot: field.slot - from + to, ..*field }));
        }
        let program = Program::new(insns, functions, lines, fields)?;
        Ok(Linked { program, functions: function_numbers, lines: line_numbers })
    }

    /// The functions `roots` and all that they call, in sections without the `?` that has libbpf leave out what is in them.
    ///
    /// # Errors
    /// A root is not there, or two sections have one name then.
    pub fn unasked(&self, roots: &[&str]) -> Result<Program, ProgramError> {
        let mut program = self.linked(roots)?.program;
        for function in &mut program.functions {
            function.section = function.section.trim_start_matches('?').to_owned();
        }
        program.check_layout()?;
        Ok(program)
    }

    /// The function called `name`.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<(FunctionId, &Function)> {
        self.functions.iter().zip(0..).find(|(f, _)| f.name == name).map(|(f, i)| (FunctionId(i), f))
    }

    /// The line that the instruction at `slot` belongs to.
    #[must_use]
    pub fn line_at(&self, slot: usize) -> Option<&Line> {
        let after = self.lines.partition_point(|line| line.slot <= slot);
        self.lines.get(after.checked_sub(1)?)
    }

    /// Its bytes, with nothing relocated: wide loads of places load 0, calls are relative.
    pub fn slots(&self) -> impl Iterator<Item = [u8; 8]> + '_ {
        self.encoded(|_| (0, 0))
    }

    /// Its bytes for loading: `resolve` gives the source register (`BPF_PSEUDO_*`) and the value of each place.
    pub fn encoded<'a>(&'a self, resolve: impl Fn(Place) -> (u8, u64) + 'a) -> impl Iterator<Item = [u8; 8]> + 'a {
        let wide = move |insn: Insn| match insn {
            Insn::LoadImm { dst, value } => Some(Slot::wide(dst, 0, value)),
            Insn::LoadPlace { dst, place } => {
                let (src, value) = resolve(place);
                Some(Slot::wide(dst, src, value))
            }
            _ => None,
        };
        self.insns.iter().enumerate().flat_map(move |(slot, insn)| {
            let slots = match *insn {
                Insn::Tail => Vec::new(),
                Insn::Call(id) => {
                    let start = self.functions[id.0 as usize].start as i64;
                    vec![Slot::call((start - slot as i64 - 1) as i32)]
                }
                insn => wide(insn).map_or_else(|| encode(insn).into_iter().collect(), |pair| pair.to_vec()),
            };
            slots.into_iter().map(Slot::to_bytes)
        })
    }

    /// The instructions in `code`, not checked yet: `place` says what the wide load at a slot is relocated to, `callee`
    /// which function a call at a slot with this distance leads to.
    ///
    /// # Errors
    /// Bytes that are no instruction, or a call that leads nowhere.
    pub(crate) fn decode(
        code: &[u8],
        place: impl Fn(usize) -> Option<Place>,
        callee: impl Fn(usize, i32) -> Option<FunctionId>,
    ) -> Result<Vec<Insn>, ProgramError> {
        let (chunks, rest) = code.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(ProgramError::Decode { slot: chunks.len(), error: DecodeError::Cut });
        }
        let mut insns = Vec::with_capacity(chunks.len());
        let mut slots = chunks.iter().map(|bytes| Slot::from_bytes(*bytes)).enumerate();
        while let Some((slot, first)) = slots.next() {
            let error = |error| ProgramError::Decode { slot, error };
            if first.is_wide() {
                let (_, second) = slots.next().ok_or(error(DecodeError::Cut))?;
                let (dst, value) = Slot::unwide(first, second).map_err(error)?;
                insns.push(match place(slot) {
                    Some(place) if value == 0 => Insn::LoadPlace { dst, place },
                    Some(_) => return Err(error(first.unknown())),
                    None => Insn::LoadImm { dst, value },
                });
                insns.push(Insn::Tail);
            } else if first.is_call() {
                let id = callee(slot, first.imm).ok_or(ProgramError::Call { slot })?;
                if Slot::call(first.imm) != first {
                    return Err(error(first.unknown()));
                }
                insns.push(Insn::Call(id));
            } else {
                insns.push(first.decode().map_err(error)?);
            }
        }
        Ok(insns)
    }

    fn check_layout(&self) -> Result<(), ProgramError> {
        let mut at = 0;
        let (mut names, mut sections) = (BTreeSet::new(), BTreeSet::new());
        let mut last = None;
        for function in &self.functions {
            let section = function.section.as_str();
            let apart = last != Some(section) && (!sections.insert(section) || last == Some(TEXT));
            last = Some(section);
            let again = !names.insert(function.name.as_str());
            if function.start != at || function.end <= at || again || apart {
                return Err(ProgramError::Layout { name: function.name.clone() });
            }
            at = function.end;
        }
        if at != self.insns.len() {
            return Err(ProgramError::Layout { name: self.functions.last().map_or(String::new(), |f| f.name.clone()) });
        }
        Ok(())
    }

    fn check_function(&self, function: &Function) -> Result<(), ProgramError> {
        let insn = |slot: usize| self.insns[slot];
        let is_wide = |slot: usize| matches!(insn(slot), Insn::LoadImm { .. } | Insn::LoadPlace { .. });
        for slot in function.start..function.end {
            match insn(slot) {
                Insn::Jump { offset } | Insn::Branch { offset, .. } => {
                    let target = slot as i64 + 1 + i64::from(offset);
                    let inside = (function.start as i64..function.end as i64).contains(&target);
                    if !inside || insn(target as usize) == Insn::Tail {
                        return Err(ProgramError::Jump { slot });
                    }
                }
                Insn::Call(id) if id.0 as usize >= self.functions.len() => return Err(ProgramError::Call { slot }),
                Insn::LoadImm { .. } | Insn::LoadPlace { .. }
                    if slot + 1 >= function.end || insn(slot + 1) != Insn::Tail =>
                {
                    return Err(ProgramError::Half { slot });
                }
                Insn::Tail if slot == function.start || !is_wide(slot - 1) => return Err(ProgramError::Half { slot }),
                _ => {}
            }
            if written(insn(slot)) == Some(Reg::R10) {
                return Err(ProgramError::FramePointer { slot });
            }
        }
        match insn(function.end - 1) {
            Insn::Exit | Insn::Jump { .. } => Ok(()),
            _ => Err(ProgramError::FallsThrough { name: function.name.clone() }),
        }
    }

    fn check_fields(&self) -> Result<(), ProgramError> {
        let mut least = 0;
        for Relocated { slot, .. } in &self.fields {
            let has_offset = matches!(
                self.insns.get(*slot),
                Some(Insn::Load { .. } | Insn::Alu { op: AluOp::Add | AluOp::Mov, src: Operand::Imm(_), .. })
            );
            if *slot < least || !has_offset {
                return Err(ProgramError::Field { slot: *slot });
            }
            least = slot + 1;
        }
        Ok(())
    }

    fn check_lines(&self) -> Result<(), ProgramError> {
        let mut least = 0;
        for line in &self.lines {
            if line.slot < least || line.slot >= self.insns.len() || self.insns[line.slot] == Insn::Tail {
                return Err(ProgramError::Line { slot: line.slot });
            }
            least = line.slot + 1;
        }
        if self.lines.is_empty() {
            return Ok(());
        }
        match self.functions.iter().find(|f| self.lines.binary_search_by_key(&f.start, |line| line.slot).is_err()) {
            Some(function) => Err(ProgramError::Line { slot: function.start }),
            None => Ok(()),
        }
    }
}

impl Program {
    /// The same program with every relocated instruction's constant set to what `offset` gives.
    ///
    /// # Errors
    /// The field that `offset` has no answer for, or whose offset does not fit.
    pub fn with_offsets(&self, offset: impl Fn(Field) -> Option<u32>) -> Result<Program, Field> {
        let mut out = self.clone();
        for Relocated { slot, field } in &self.fields {
            let value = offset(*field).ok_or(*field)?;
            match &mut out.insns[*slot] {
                Insn::Load { offset, .. } => *offset = i16::try_from(value).map_err(|_| *field)?,
                Insn::Alu { src: Operand::Imm(imm), .. } => *imm = i32::try_from(value).map_err(|_| *field)?,
                _ => return Err(*field),
            }
        }
        Ok(out)
    }
}

/// The register that an instruction sets by name.
fn written(insn: Insn) -> Option<Reg> {
    match insn {
        Insn::Alu { dst, .. } | Insn::LoadImm { dst, .. } | Insn::LoadPlace { dst, .. } | Insn::Load { dst, .. } => {
            Some(dst)
        }
        _ => None,
    }
}
