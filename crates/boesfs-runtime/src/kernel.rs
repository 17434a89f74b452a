//! The checker in this kernel: loads a policy object's `syscall` program and runs it by `BPF_PROG_TEST_RUN`.
//!
//! In: a [`PolicyObject`]. Out: verdicts, and times. For tests, `boesfs eval --engine kernel` and benches: no hook runs on
//! it. Needs `CAP_BPF` and `CAP_PERFMON`. Holds: the maps of the tables are frozen before the program is loaded.

mod btf;
pub(crate) mod events;
pub(crate) mod program;
pub(crate) mod shared;
pub mod struct_ops;
pub(crate) mod sys;

pub(crate) use btf::KernelTypes;

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use boesfs_codegen::bpf::{Place, ProgramError};
use boesfs_codegen::emit::layout::{
    ENTRY, MAX_REPEAT, Map, Mode, NAME_BYTES, REQUEST_BYTES, REQUEST_MAP, SLOT_BYTES, SLOTS, Table, context, who,
};
use boesfs_codegen::object::PolicyObject;
use boesfs_codegen::tables::{NOBODY, StateId, unpack_verdict};
use boesfs_lang::cond::Args;
use boesfs_lang::eval::{Cause, Verdict};
use boesfs_lang::ops::Op;
use boesfs_lang::pattern::NAME_MAX;
use boesfs_lang::policy::{Effect, Record};
use boesfs_lang::subjects::ClassId;

use crate::checker::Checker;

/// Why the kernel does not run a policy object.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A system call failed.
    #[error("bpf({what}): {source}{}", if source.raw_os_error() == Some(libc::EPERM) { "; it needs CAP_BPF and CAP_PERFMON" } else { "" })]
    System {
        /// What it was to do.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The kernel's types are not there, or lack what a program reads.
    #[error("the kernel does not tell its types{}", .0.as_ref().map_or(String::new(), |what| format!(": `{what}`")))]
    Types(Option<String>),
    /// The object does not have the program.
    #[error("the object's programs cannot be loaded: {0}")]
    Link(#[from] ProgramError),
    /// The verifier refused the program.
    #[error("the kernel's verifier refused the program{}: {reason}", place(.line))]
    Refused {
        /// What it said last.
        reason: String,
        /// The policy line, or the step of a function, that it was at.
        line: Option<String>,
        /// All it said.
        log: String,
    },
}

/// The version of the kernel and its patch level, such as 6 and 12; of what is not known, 0.
#[must_use]
pub fn version() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn place(line: &Option<String>) -> String {
    line.as_ref().map_or(String::new(), |line| format!(" at `{line}`"))
}

/// A policy object in the kernel.
#[derive(Debug)]
pub struct KernelChecker {
    program: OwnedFd,
    /// The map that names are passed in, and its value. One request at a time.
    request: Mutex<(OwnedFd, Vec<u8>)>,
    verified: u32,
}

/// One question to the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Where to start from.
    pub start: StateId,
    /// The components to walk; at most [`SLOTS`] in one question.
    pub path: &'a [&'a [u8]],
    /// The subject's class.
    pub class: ClassId,
    /// The operation.
    pub op: Op,
    /// Its arguments.
    pub args: Args,
}

/// Whose class is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: &'a [u32],
    /// The state of the executable's path from the tables' `exe_root`; [`StateId::DEAD`], if it is not known.
    pub exe: StateId,
}

impl Who<'_> {
    /// As the function `subject` takes it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; who::BYTES] {
        let mut bytes = [0; who::BYTES];
        let mut put = |at: usize, word: u32| bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        put(who::UID, self.uid);
        put(who::GID, self.gid);
        put(who::EXE, self.exe.0);
        put(who::COUNT, self.groups.len() as u32);
        for (gid, i) in self.groups.iter().take(who::GROUPS_MAX).zip(0..) {
            put(who::GROUPS + 4 * i, *gid);
        }
        bytes
    }
}

/// The kernel's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The state reached.
    pub state: StateId,
    /// What `check` says there.
    pub check: Verdict,
    /// What `decide` says there.
    pub decide: Verdict,
    /// What all repetitions took, in nanoseconds.
    pub ns: u64,
}

impl KernelChecker {
    /// Loads `object` into the kernel.
    ///
    /// # Errors
    /// The kernel refuses: rights are missing, or the verifier is not content.
    pub fn load(object: &PolicyObject) -> Result<KernelChecker, KernelError> {
        let mut maps = Vec::new();
        for table in Table::ALL {
            maps.push((table, table_map(object, table)?));
        }
        let request = sys::create_array(REQUEST_MAP, REQUEST_BYTES, sys::ArrayKind::Writable)?;
        let btf = sys::load_btf(&object.kernel.btf)?;
        let (program, info) = object.linked(&[ENTRY])?;
        let code: Vec<[u8; 8]> = program
            .encoded(|place| match place {
                Place::Table(table) => sys::map_value(&maps[table as usize].1),
                Place::Map(Map::Request) => sys::map(&request),
                // None that this program uses: the verifier refuses the null that this would be.
                Place::Map(_) | Place::Data(_) | Place::Family | Place::Programs => (0, 0),
            })
            .collect();
        let program = sys::load_program(&sys::Load {
            name: ENTRY,
            code: &code,
            btf: &btf,
            func_info: &info.func_info,
            line_info: &info.line_info,
            kind: sys::Kind::Syscall,
        })?;
        let verified = sys::verified_insns(&program)?;
        // The program holds its maps and types: their descriptors can go.
        Ok(KernelChecker { program, request: Mutex::new((request, vec![0; REQUEST_BYTES])), verified })
    }

    /// How many instructions the verifier had to look at.
    #[must_use]
    pub fn verified_insns(&self) -> u32 {
        self.verified
    }

    /// Asks one question.
    ///
    /// # Errors
    /// The kernel does not run the program.
    pub fn ask(&self, question: &Question<'_>) -> Result<Answer, KernelError> {
        self.run(question, Mode::Walk, 1)
    }

    /// Runs what `mode` says `repeat` times, at most [`MAX_REPEAT`]; [`Answer::ns`] is the time of all of them.
    ///
    /// # Errors
    /// The kernel does not run the program.
    pub fn run(&self, question: &Question<'_>, mode: Mode, repeat: u32) -> Result<Answer, KernelError> {
        let mut ctx = [0; context::BYTES];
        let mut put = |at: usize, word: u32| ctx[at..at + 4].copy_from_slice(&word.to_le_bytes());
        put(context::CLASS, question.class.0);
        put(context::OP, question.op.number());
        put(context::START, question.start.0);
        put(context::COUNT, question.path.len() as u32);
        put(context::REPEAT, repeat.clamp(1, MAX_REPEAT));
        put(context::MODE, mode as u32);
        for (to, arg) in ctx[context::ARGS..].as_chunks_mut::<8>().0.iter_mut().zip(question.args.0) {
            *to = arg.to_le_bytes();
        }
        // A panic elsewhere cannot leave it half-written in a way that matters: each request writes all it reads.
        let mut request = self.request.lock().unwrap_or_else(PoisonError::into_inner);
        let (map, value) = &mut *request;
        for (slot, name) in value.chunks_exact_mut(SLOT_BYTES).zip(question.path.iter().take(SLOTS)) {
            let kept = name.len().min(NAME_MAX);
            slot[..kept].copy_from_slice(&name[..kept]);
            slot[kept..NAME_BYTES].fill(0);
            slot[NAME_BYTES..].copy_from_slice(&(name.len() as u64).to_le_bytes());
        }
        if !question.path.is_empty() {
            sys::update(map, value)?;
        }
        sys::test_run(&self.program, &mut ctx)?;
        drop(request);
        Ok(answer(&ctx))
    }

    /// The class of a subject; `None`: it holds roles that may not be held together, or more groups than can be told.
    ///
    /// # Errors
    /// The kernel does not run the program.
    pub fn subject(&self, who: &Who<'_>) -> Result<Option<ClassId>, KernelError> {
        let mut ctx = [0; context::BYTES];
        ctx[context::REPEAT] = 1;
        ctx[context::MODE] = Mode::Subject as u8;
        let mut request = self.request.lock().unwrap_or_else(PoisonError::into_inner);
        let (map, value) = &mut *request;
        value[..who::BYTES].copy_from_slice(&who.to_bytes());
        sys::update(map, value)?;
        sys::test_run(&self.program, &mut ctx)?;
        let class = answer(&ctx).state.0;
        Ok((class != NOBODY).then_some(ClassId(class)))
    }
}

fn answer(ctx: &[u8; context::BYTES]) -> Answer {
    let get = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| ctx[at + i]));
    Answer {
        state: StateId(get(context::STATE) as u32),
        check: unpack_verdict(get(context::CHECK)),
        decide: unpack_verdict(get(context::DECIDE)),
        ns: get(context::NS),
    }
}

pub(crate) fn table_map(object: &PolicyObject, table: Table) -> Result<OwnedFd, KernelError> {
    let bytes = object.table_bytes(table);
    // Names of maps may have a dot, and 15 bytes.
    let map = sys::create_array(&table.section()[1..], bytes.len(), sys::ArrayKind::ReadOnly)?;
    sys::update(&map, &bytes)?;
    sys::freeze(&map)?;
    Ok(map)
}

/// Answers one question at a time; a failing system call is a refusal.
impl Checker for KernelChecker {
    fn step(&self, state: StateId, name: &[u8]) -> StateId {
        let question = Question { start: state, path: &[name], class: ClassId(0), op: Op::Stat, args: Args::default() };
        self.ask(&question).map_or(StateId::DEAD, |answer| answer.state)
    }

    fn check(&self, state: StateId, class: ClassId, op: Op, args: &Args) -> Verdict {
        let question = Question { start: state, path: &[], class, op, args: *args };
        self.ask(&question).map_or(REFUSED, |answer| answer.check)
    }

    fn decide(&self, state: StateId, class: ClassId, op: Op, args: &Args) -> Verdict {
        let question = Question { start: state, path: &[], class, op, args: *args };
        self.ask(&question).map_or(REFUSED, |answer| answer.decide)
    }
}

const REFUSED: Verdict = Verdict { effect: Effect::Deny, record: Record::Refusals, cause: Cause::Default };
