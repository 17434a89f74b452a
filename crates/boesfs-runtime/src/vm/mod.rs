//! The user-space VM: runs the checker functions of a policy object where no kernel does.
//!
//! In: an [`Image`], the instructions and tables of an object. Out: a [`Program`] whose functions can be [run](Program::run).
//! Stages: `decode` reads instructions into operations, `structure` checks what they may do to control flow, `run` runs them.
//!
//! Holds:
//! - no `unsafe`; whatever the instructions are, running them ends, and touches only the memory they were given;
//! - no allocation, no lock and no system call while running: a program is shared by all threads;
//! - what the VM runs, the kernel runs alike: an instruction that the VM does not know is refused at load.
//!
//! Memory is a set of typed regions. An address is a region's number in the upper half and an offset in the lower, so
//! that one region is never reached from another by an offset that is too large, and a number is no address: region 0
//! does not exist. Every access is checked against the bounds and the kind of its region.

mod address;
mod decode;
mod image;
mod op;
mod run;
mod structure;

pub use address::{CONTEXT, INPUT, Memory, REGION_BITS};
pub use image::{Function, Image, MapShape, Relocation, Target};
pub use run::{BUDGET, Fault};
pub use structure::{FRAME, LoadError, MAX_CALLS, Place};

use op::Op;

/// A program that passed the structural check: decoded, linked to its tables, ready to run.
#[derive(Debug)]
pub struct Program {
    ops: Vec<Op>,
    data: Vec<Box<[u8]>>,
    maps: Vec<MapShape>,
    functions: Vec<(String, Entry)>,
}

/// A function of a [`Program`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its first operation.
    start: u32,
    /// Bytes of stack that it, and all it calls, can need.
    stack: u32,
    /// Bytes of stack of its own: 0 or [`FRAME`].
    frame: u32,
}

impl Program {
    /// Decodes and checks `image`.
    ///
    /// # Errors
    /// What the VM does not run, and where.
    pub fn load(image: Image) -> Result<Program, LoadError> {
        let ops = decode::decode(&image)?;
        let functions = structure::check(&ops, &image.functions)?;
        Ok(Program {
            ops: functions.link(ops),
            data: image.data.into_iter().map(Vec::into_boxed_slice).collect(),
            maps: image.maps,
            functions: image.functions.into_iter().map(|f| (f.name, functions.entry(f.start))).collect(),
        })
    }

    /// The function called `name`.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<Entry> {
        self.functions.iter().find(|(known, _)| known == name).map(|(_, entry)| *entry)
    }

    /// The shapes of its maps, by number: [`Memory::maps`] holds as many, each as large as its shape says.
    #[must_use]
    pub fn maps(&self) -> &[MapShape] {
        &self.maps
    }
}
