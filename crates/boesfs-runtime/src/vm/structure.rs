//! The structural check: control flow that can be followed, calls that end, a stack that suffices.
//!
//! After it, no run leaves its function but by a call or an exit, and calls nest at most [`MAX_CALLS`] deep.

use std::collections::BTreeSet;

use thiserror::Error;

use super::Entry;
use super::image::Function;
use super::op::{Op, Pc, R10};

/// Bytes of stack of a function that uses its stack: the kernel's limit.
pub const FRAME: u32 = 512;

/// How deep calls nest at most, the first function counted: the kernel's limit.
pub const MAX_CALLS: u32 = 8;

/// A word of an image's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub u32);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "instruction {}", self.0)
    }
}

/// Why the VM does not run a program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// More instructions than the kernel would take.
    #[error("the program has more than a million instructions")]
    TooLarge,
    /// More tables or maps than the VM can number.
    #[error("the program has too many tables or maps")]
    TooManyTables,
    /// An opcode, or fields of an instruction, that policy objects do not use.
    #[error("{place}: opcode {opcode:#04x} with these operands is none that policy programs use")]
    Unknown {
        /// Where.
        place: Place,
        /// The opcode.
        opcode: u8,
    },
    /// A helper that policy objects do not use.
    #[error("{place}: calls helper {number}, which policy programs do not use")]
    Helper {
        /// Where.
        place: Place,
        /// Its number.
        number: i32,
    },
    /// The second half of a 16-byte instruction is missing.
    #[error("{0}: the second half of the instruction is missing")]
    Cut(Place),
    /// A reference to what there is not, or from an instruction that cannot hold it.
    #[error("{0}: refers to a table, map or function that it cannot refer to")]
    Reference(Place),
    /// A jump out of its function, or into the middle of an instruction.
    #[error("{0}: jumps to where no instruction of its function starts")]
    JumpTarget(Place),
    /// A call of something else than a function's start.
    #[error("{0}: calls what is not the start of a function")]
    CallTarget(Place),
    /// A function that starts outside of the code, in the middle of an instruction, or where another does.
    #[error("function `{0}` does not start where an instruction does, or where another function does")]
    FunctionStart(String),
    /// The last instruction of a function can run into what follows.
    #[error("{0}: the function has no end here")]
    NoEnd(Place),
    /// Calls that come back to themselves.
    #[error("{0}: the function calls itself, maybe through others")]
    Recursion(Place),
    /// Calls nested too deep.
    #[error("{0}: calls nest too deep")]
    TooDeep(Place),
}

/// What is known of each function, by its start.
pub(super) struct Functions {
    entries: Vec<Entry>,
}

impl Functions {
    /// The function that starts at `start`, which [`check`] has seen.
    pub(super) fn entry(&self, start: Pc) -> Entry {
        match self.entries.binary_search_by_key(&start, |entry| entry.start) {
            Ok(i) => self.entries[i],
            Err(_) => Entry { start, stack: 0, frame: 0 },
        }
    }

    /// `ops` with what calls need to know of the functions they call.
    pub(super) fn link(&self, mut ops: Vec<Op>) -> Vec<Op> {
        for op in &mut ops {
            if let Op::Call { target, frame } = op {
                *frame = self.entry(*target).frame;
            }
        }
        ops
    }
}

/// Checks `ops`, split into `functions` and the targets of calls.
pub(super) fn check(ops: &[Op], functions: &[Function]) -> Result<Functions, LoadError> {
    let starts_op = |at: Pc| ops.get(at as usize).is_some_and(|op| *op != Op::Hole);
    let mut starts = BTreeSet::new();
    for function in functions {
        if !starts_op(function.start) || !starts.insert(function.start) {
            return Err(LoadError::FunctionStart(function.name.clone()));
        }
    }
    for (at, op) in (0..).zip(ops) {
        if let Op::Call { target, .. } = op
            && !starts.contains(target)
        {
            return Err(LoadError::CallTarget(Place(at)));
        }
    }
    let starts: Vec<Pc> = starts.into_iter().collect();
    match starts.first() {
        Some(0) => {}
        // Code before the first function, or without one, belongs to nothing.
        _ if !ops.is_empty() => return Err(LoadError::NoEnd(Place(0))),
        _ => {}
    }
    let ends = starts.iter().skip(1).copied().chain([ops.len() as Pc]);
    let ranges: Vec<(Pc, Pc)> = starts.iter().copied().zip(ends).collect();
    for (start, end) in &ranges {
        flow(ops, *start, *end)?;
    }
    let mut calls = Calls { ops, ranges: &ranges, found: vec![Found::No; ranges.len()] };
    let entries = (0..ranges.len()).map(|i| calls.visit(i, 1).map(|(entry, _)| entry)).collect::<Result<_, _>>()?;
    Ok(Functions { entries })
}

/// Jumps stay in the function, and its last operation does not run on.
fn flow(ops: &[Op], start: Pc, end: Pc) -> Result<(), LoadError> {
    for at in start..end {
        if let Some(to) = ops[at as usize].jump_target()
            && (!(start..end).contains(&to) || ops[to as usize] == Op::Hole)
        {
            return Err(LoadError::JumpTarget(Place(at)));
        }
    }
    match ops[end as usize - 1] {
        Op::Exit | Op::Jump(_) => Ok(()),
        _ => Err(LoadError::NoEnd(Place(end - 1))),
    }
}

/// The call graph: how deep it is, and the stack it needs.
struct Calls<'a> {
    ops: &'a [Op],
    ranges: &'a [(Pc, Pc)],
    found: Vec<Found>,
}

#[derive(Clone, Copy)]
enum Found {
    No,
    /// Being visited: to come here again is recursion.
    Open,
    /// The function, and how deep calls nest from it.
    Yes(Entry, u32),
}

impl Calls<'_> {
    /// Depth of this recursion: at most [`MAX_CALLS`], because it stops there.
    fn visit(&mut self, function: usize, depth: u32) -> Result<(Entry, u32), LoadError> {
        let (start, end) = self.ranges[function];
        if depth > MAX_CALLS {
            return Err(LoadError::TooDeep(Place(start)));
        }
        match self.found[function] {
            Found::No => {}
            Found::Open => return Err(LoadError::Recursion(Place(start))),
            Found::Yes(entry, height) if depth + height - 1 <= MAX_CALLS => return Ok((entry, height)),
            Found::Yes(..) => return Err(LoadError::TooDeep(Place(start))),
        }
        self.found[function] = Found::Open;
        let ops = &self.ops[start as usize..end as usize];
        let frame = if ops.iter().any(|op| op.mentions(R10)) { FRAME } else { 0 };
        let (mut below, mut height) = (0, 0);
        for op in ops {
            if let Op::Call { target, .. } = op {
                let callee = self.ranges.partition_point(|(start, _)| start < target);
                let (entry, deep) = self.visit(callee, depth + 1)?;
                below = below.max(entry.stack);
                height = height.max(deep);
            }
        }
        let entry = Entry { start, stack: frame + below, frame };
        self.found[function] = Found::Yes(entry, height + 1);
        Ok((entry, height + 1))
    }
}
