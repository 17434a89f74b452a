//! All engines over one policy.
//!
//! The kernel is one of them, which takes privileges (`CAP_BPF`, `CAP_PERFMON`): without them the tests fail, unless
//! `BOESFS_WITHOUT_KERNEL` is set.

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::object::{build, read};
use boesfs_codegen::pack::compile;
use boesfs_codegen::tables::{NOBODY, Packed, ROW_ABSENT, StateId, unpack_verdict};
use boesfs_lang::eval::{Cause, Verdict};
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::policy::{Effect, Policy, Record};
use boesfs_lang::subjects::{ClassId, Subjects};
use boesfs_runtime::checker::Checker;
use boesfs_runtime::engine::{Engine, Kernel, Meaning, Question, Walker};
use boesfs_runtime::fuse::Rights;
use boesfs_runtime::kernel::{KernelChecker, Who};
use boesfs_runtime::policy::LoadedPolicy;
use boesfs_runtime::vm::{INPUT, Memory};

/// What is said of a state, and of moving there from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) allowed: Ops,
    pub(crate) closer: Ops,
    pub(crate) conditional: Ops,
    pub(crate) within: bool,
    /// Where it is hidden: whether everything below is hidden.
    pub(crate) absent: Option<bool>,
}

/// One policy in all its forms.
pub(crate) struct Engines {
    policy: Policy,
    packed: Packed,
    vm: LoadedPolicy,
    kernel: Option<KernelChecker>,
}

impl Engines {
    /// `None`: the policy exceeds a limit, which random ones may.
    pub(crate) fn new(policy: Policy) -> Option<Engines> {
        let packed = compile(&policy, &Limits::default()).ok()?;
        let object = build(&policy, &packed).expect("a policy that compiles has an object");
        let vm = LoadedPolicy::read(&object).expect("the VM runs what the compiler emits");
        let kernel = std::env::var_os("BOESFS_WITHOUT_KERNEL").is_none().then(|| {
            let object = read(&object).expect("the object can be read");
            KernelChecker::load(&object).unwrap_or_else(|error| panic!("{error} (or set BOESFS_WITHOUT_KERNEL)"))
        });
        Some(Engines { policy, packed, vm, kernel })
    }

    /// What the policy means.
    pub(crate) fn meaning(&self, question: &Question<'_>) -> Verdict {
        Meaning(&self.policy).answer(question).expect("the definition answers always")
    }

    /// The class of a subject by the tables, the VM and the kernel, with the engine's name.
    pub(crate) fn classes(&self, who: &Who<'_>) -> Vec<(&'static str, Option<ClassId>)> {
        let gids: Vec<u32> = std::iter::once(who.gid).chain(who.groups.iter().copied()).collect();
        let program = self.vm.program();
        let entry = program.function("subject").expect("every object has it");
        let mut memory = Memory { input: &who.to_bytes(), ..Memory::default() };
        let class = program.run(entry, [INPUT, 0, 0, 0, 0], &mut memory).expect("the VM runs it") as u32;
        let mut classes = vec![
            ("tables", self.packed.tables.subject(who.uid, &gids, who.exe)),
            ("vm", (class != NOBODY).then_some(ClassId(class))),
        ];
        if let Some(kernel) = &self.kernel {
            classes.push(("kernel", kernel.subject(who).expect("the kernel runs the program")));
        }
        classes
    }

    /// States and classes that there are.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.packed.sizes.states as usize, self.packed.tables.classes as usize)
    }

    /// The policy.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What a function of numbers gives, in the VM.
    pub(crate) fn call(&self, name: &str, numbers: [u32; 4]) -> u64 {
        let program = self.vm.program();
        let entry = program.function(name).expect("every object has it");
        let [a, b, c, d] = numbers.map(u64::from);
        program.run(entry, [a, b, c, d, 0], &mut Memory::default()).expect("the VM runs it")
    }

    /// What the tables say of two states.
    pub(crate) fn rights(&self, to: StateId, from: StateId, class: ClassId) -> Said {
        let tables = &self.packed.tables;
        let row = Rights::row(tables, to, class);
        let conditional = Ops::ALL.iter().filter(|op| tables.conditional(to, class, *op));
        Said {
            allowed: row.allowed,
            closer: row.closer,
            conditional: conditional.fold(Ops::NONE, |ops, op| ops | op.into()),
            within: Rights::within(tables, to, from, class),
            absent: self.is_hidden(to, class).then(|| tables.hides_below(to, class)),
        }
    }

    /// Whether objects of a state are hidden, whatever the arguments.
    fn is_hidden(&self, state: StateId, class: ClassId) -> bool {
        let mut chain = self.packed.tables.chain(state, class, Op::Stat);
        chain.all(|decision| unpack_verdict(decision.verdict).effect == Effect::Hide)
    }

    /// The same by the functions.
    pub(crate) fn rights_by_functions(&self, to: StateId, from: StateId, class: ClassId) -> Said {
        let row = self.call("row", [to.0, class.0, 0, 0]);
        let closer = Ops((row >> 32) as u32);
        let asked = |op: &Op| self.call("conditional", [to.0, class.0, op.number(), 0]) == 1;
        Said {
            allowed: Ops(row as u32 & Ops::ALL.0),
            closer,
            // Asked only where a closer look is needed.
            conditional: closer.iter().filter(asked).fold(Ops::NONE, |ops, op| ops | op.into()),
            within: self.call("within", [to.0, from.0, class.0, 0]) == 1,
            absent: self.is_hidden(to, class).then_some(row & ROW_ABSENT != 0),
        }
    }

    /// The state of an executable's path.
    pub(crate) fn exe(&self, path: &[&[u8]]) -> StateId {
        let tables = &self.packed.tables;
        let root = StateId(tables.exe_root);
        let end = path.iter().fold(root, |state, name| tables.step(state, name));
        assert_eq!(end, path.iter().fold(root, |state, name| self.vm.step(state, name)));
        end
    }

    /// Who may act, and as what.
    pub(crate) fn subjects(&self) -> &Subjects {
        &self.policy.subjects
    }

    /// The answers of the other engines that differ from `expected`, with the engine's name.
    pub(crate) fn differing(&self, question: &Question<'_>, expected: Verdict) -> Vec<(&'static str, Verdict)> {
        let mut answers = Vec::new();
        answers.extend(both("automaton", &Walker(&self.packed), question, expected));
        answers.extend(both("vm", &self.vm, question, expected));
        if let Some(kernel) = &self.kernel {
            let answer = Kernel(kernel).ask(question).expect("the kernel runs the program");
            answers.extend([("kernel", answer.decide), ("kernel", excused(answer.check, expected))]);
        }
        assert_eq!(self.vm.faults(), 0, "the program did what the VM does not let it");
        answers.retain(|(_, verdict)| *verdict != expected);
        answers
    }
}

/// What a checker decides, and what it checks: the cause of an unrecorded allow may be left out there.
fn both(
    name: &'static str,
    checker: &dyn Checker,
    question: &Question<'_>,
    expected: Verdict,
) -> [(&'static str, Verdict); 2] {
    let Question { path, class, op, args } = *question;
    let state = path.iter().fold(StateId::ROOT, |state, name| checker.step(state, name));
    let check = checker.check(state, class, op, &args);
    [(name, checker.decide(state, class, op, &args)), (name, excused(check, expected))]
}

/// What was checked; `expected`, if only the cause is left out that may be.
fn excused(check: Verdict, expected: Verdict) -> Verdict {
    let plain = Verdict { effect: Effect::Allow, record: Record::Refusals, cause: Cause::Default };
    let unrecorded = expected.effect == Effect::Allow && expected.record != Record::Audit;
    if check == plain && unrecorded { expected } else { check }
}
