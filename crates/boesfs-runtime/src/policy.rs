//! A loaded policy: an object's programs in the user-space VM, its tables and its manifest.
//!
//! In: the bytes of a `policy.o`. Out: something that answers. Holds: whatever goes wrong inside is a refusal, and counted.

use std::sync::atomic::{AtomicU64, Ordering};

use boesfs_codegen::bpf::{Insn, Place, ProgramError};
use boesfs_codegen::emit::layout::{FUNCTIONS, Map, NAME_BYTES, REQUEST_BYTES, Table};
use boesfs_codegen::manifest::Manifest;
use boesfs_codegen::object::{PolicyObject, ReadError, read};
use boesfs_codegen::tables::{StateId, Tables, unpack_verdict};
use boesfs_lang::cond::{ARG_COUNT, Args};
use boesfs_lang::eval::{Cause, Verdict};
use boesfs_lang::ops::Op;
use boesfs_lang::pattern::NAME_MAX;
use boesfs_lang::policy::{Effect, Record};
use boesfs_lang::subjects::ClassId;

use crate::checker::Checker;
use crate::fuse::{Rights, Row};
use crate::vm::{Entry, Fault, Function, INPUT, Image, LoadError, MapShape, Memory, Program, Relocation, Target};

/// What is answered where nothing else can be.
pub const REFUSED: Verdict = Verdict { effect: Effect::Deny, record: Record::Refusals, cause: Cause::Default };

/// Why an object cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is not a policy object, or a damaged one.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// One of the functions that run here is missing.
    #[error("the object's programs cannot be run: {0}")]
    Link(#[from] ProgramError),
    /// Its programs are none that the VM runs.
    #[error("the object's programs cannot be run: {0}")]
    Load(#[from] LoadError),
    /// One of the functions that hooks call is missing.
    #[error("the object has no function `{0}`")]
    Missing(&'static str),
}

/// A policy that answers.
#[derive(Debug)]
pub struct LoadedPolicy {
    manifest: Manifest,
    tables: Tables,
    digest: [u8; 32],
    program: Program,
    step: Entry,
    check: Entry,
    decide: Entry,
    faults: AtomicU64,
}

impl LoadedPolicy {
    /// Reads an object and readies its programs.
    ///
    /// # Errors
    /// It is not a policy object that this version can run.
    pub fn read(bytes: &[u8]) -> Result<LoadedPolicy, PolicyError> {
        LoadedPolicy::new(read(bytes)?)
    }

    /// Readies the programs of an object.
    ///
    /// # Errors
    /// The VM does not run them.
    pub fn new(object: PolicyObject) -> Result<LoadedPolicy, PolicyError> {
        let program = Program::load(image(&object)?)?;
        let function = |name| program.function(name).ok_or(PolicyError::Missing(name));
        let (step, check, decide) = (function("step")?, function("check")?, function("decide")?);
        let PolicyObject { manifest, tables, digest, .. } = object;
        Ok(LoadedPolicy { manifest, tables, digest, program, step, check, decide, faults: AtomicU64::new(0) })
    }

    /// What the object says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its tables.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Names the very object.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Its programs, ready to run.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// How many questions were refused because the programs failed: 0, unless the compiler is at fault.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    #[cold]
    fn failed(&self, _fault: Fault) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    fn ask(&self, entry: Entry, state: StateId, class: ClassId, op: Op, args: &Args) -> Verdict {
        let mut input = [0; 8 * ARG_COUNT];
        for (bytes, arg) in input.as_chunks_mut().0.iter_mut().zip(args.0) {
            *bytes = arg.to_le_bytes();
        }
        let registers = [state.0.into(), class.0.into(), op.number().into(), INPUT, 0];
        match self.program.run(entry, registers, &mut Memory { input: &input, ..Memory::default() }) {
            Ok(bits) => unpack_verdict(bits),
            Err(fault) => {
                self.failed(fault);
                REFUSED
            }
        }
    }
}

impl Checker for LoadedPolicy {
    fn step(&self, state: StateId, name: &[u8]) -> StateId {
        if name.is_empty() || name.len() > NAME_MAX {
            return StateId::DEAD;
        }
        let mut input = [0; NAME_BYTES];
        input[..name.len()].copy_from_slice(name);
        let registers = [state.0.into(), INPUT, name.len() as u64, 0, 0];
        match self.program.run(self.step, registers, &mut Memory { input: &input, ..Memory::default() }) {
            Ok(state) => StateId(state as u32),
            Err(fault) => {
                self.failed(fault);
                StateId::DEAD
            }
        }
    }

    fn check(&self, state: StateId, class: ClassId, op: Op, args: &Args) -> Verdict {
        self.ask(self.check, state, class, op, args)
    }

    fn decide(&self, state: StateId, class: ClassId, op: Op, args: &Args) -> Verdict {
        self.ask(self.decide, state, class, op, args)
    }
}

impl Rights for LoadedPolicy {
    fn row(&self, state: StateId, class: ClassId) -> Row {
        Rights::row(&self.tables, state, class)
    }

    fn leaf(&self, state: StateId) -> Option<StateId> {
        self.tables.leaf(state)
    }

    fn conditional(&self, state: StateId, class: ClassId, op: Op) -> bool {
        self.tables.conditional(state, class, op)
    }

    fn within(&self, new: StateId, old: StateId, class: ClassId) -> bool {
        self.tables.within(new, old, class)
    }

    fn hides_below(&self, state: StateId, class: ClassId) -> bool {
        self.tables.hides_below(state, class)
    }

    fn lock_follows_open(&self) -> bool {
        Rights::lock_follows_open(&self.tables)
    }

    fn always_plain(&self, op: Op) -> bool {
        Rights::always_plain(&self.tables, op)
    }
}

/// The functions that answer, and the tables, of `object`, for the VM. Table *i* of [`Table::ALL`] is section *i* of the data.
fn image(object: &PolicyObject) -> Result<Image, PolicyError> {
    let program = object.program.linked(&FUNCTIONS)?.program;
    let place = |place| match place {
        Place::Table(table) => Some(Target::Data { section: table as u32, offset: 0 }),
        Place::Map(Map::Request) => Some(Target::Map(0)),
        // None that the functions of `.text` that run here lead to.
        Place::Map(_) | Place::Data(_) | Place::Family | Place::Programs => None,
    };
    let relocation = |(insn, word): (&Insn, u32)| match insn {
        Insn::LoadPlace { place: to, .. } => Some(Relocation { word, target: place(*to)? }),
        _ => None,
    };
    let functions = program.functions().iter();
    Ok(Image {
        code: program.slots().map(u64::from_le_bytes).collect(),
        functions: functions.map(|f| Function { name: f.name.clone(), start: f.start as u32 }).collect(),
        data: Table::ALL.iter().map(|table| object.table_bytes(*table)).collect(),
        maps: vec![MapShape { value_size: REQUEST_BYTES as u32, entries: 1 }],
        relocations: program.insns().iter().zip(0..).filter_map(relocation).collect(),
    })
}
