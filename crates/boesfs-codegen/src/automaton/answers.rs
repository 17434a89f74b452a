//! What a list of rules, in the order they decide, answers to every class and operation.
//!
//! In: the lists of a `Dfa`. Out: [`Answers`]: the rows and decisions of the tables, each distinct one
//! once. Two lists with the same *answer* give every request the same verdict for the same cause.

use boesfs_lang::eval::{Cause, Verdict, concerns};
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::policy::{Default as PolicyDefault, Effect, Policy, Record, RuleId};
use rustc_hash::FxHashMap;

use super::limits::{Culprit, Limits, Resource, TooBig};
use super::names::Interner;
use crate::tables::{CauseRef, Condition, Decision, pack_verdict};

/// The rows and decisions of an automaton.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// By answer: its row for each class.
    pub rows: Interner<u64>,
    /// By answer: the number of its block of `rows`.
    pub row_of: Vec<u32>,
    /// By answer: where its decisions are, for each class.
    pub causes: Interner<CauseRef>,
    /// By operation number, an offset into a run of `links`.
    pub shapes: Vec<[u8; 32]>,
    /// Indices into `decisions`.
    pub links: Vec<u32>,
    /// The decisions. The first refuses by the default.
    pub decisions: Vec<Decision>,
    /// The conditions: number `i + 1` is `conditions[i]`.
    pub conditions: Vec<Condition>,
}

/// What one class gets: its row, and where its decisions are.
type Column = (u64, CauseRef);

struct Builder<'a> {
    policy: &'a Policy,
    limits: &'a Limits,
    answers: Answers,
    /// By rule: the number of its condition, or 0.
    conds: Vec<u32>,
    decision_ids: FxHashMap<Decision, u32>,
    shape_ids: FxHashMap<[u8; 32], u32>,
    runs: FxHashMap<Vec<u32>, u32>,
    /// What the rules that concern a class, and the operations granted to it, give.
    columns: FxHashMap<(Vec<u32>, Ops), Column>,
}

/// Answers for each of `lists`: the answers, and the number of the answer for each list.
pub(crate) fn answer(policy: &Policy, limits: &Limits, lists: &Interner<u32>) -> Result<(Answers, Vec<u32>), TooBig> {
    let classes = &policy.subjects.classes;
    if classes.len() > limits.classes as usize {
        return Err(TooBig::new(Resource::Classes, limits.classes, Vec::new()));
    }
    let mut b = Builder {
        policy,
        limits,
        answers: Answers::default(),
        conds: Vec::new(),
        decision_ids: FxHashMap::default(),
        shape_ids: FxHashMap::default(),
        runs: FxHashMap::default(),
        columns: FxHashMap::default(),
    };
    b.number_conditions()?;
    // Index 0 of everything refuses.
    b.decision(Decision::default());
    b.shape([0; 32]);
    b.run(&[0]);
    let dead = vec![CauseRef::default(); classes.len()];
    b.intern(&vec![0; classes.len()], &dead);

    let granted: Vec<Ops> = classes.iter().map(|class| granted(policy, &class.roles)).collect();
    let active: Vec<Vec<bool>> = classes
        .iter()
        .map(|class| {
            (0..policy.subjects.roles.len()).map(|r| class.roles.iter().any(|role| role.0 as usize == r)).collect()
        })
        .collect();
    let (mut rows, mut causes, mut own) = (Vec::new(), Vec::new(), Vec::new());
    let mut of_list = Vec::with_capacity(lists.len());
    for list in 0..lists.len() as u32 {
        rows.clear();
        causes.clear();
        for (active, granted) in active.iter().zip(&granted) {
            own.clear();
            let concerned = |rule: &&u32| policy.rules[**rule as usize].role.is_none_or(|role| active[role.0 as usize]);
            own.extend(lists.get(list).iter().filter(concerned));
            let (row, cause) = b.column(&own, *granted)?;
            rows.push(row);
            causes.push(cause);
        }
        of_list.push(b.intern(&rows, &causes));
        if b.answers.causes.len() * classes.len() > limits.cells as usize {
            return Err(TooBig::new(Resource::Cells, limits.cells, Vec::new()));
        }
    }
    Ok((b.answers, of_list))
}

/// The operations that some rule allows these roles somewhere.
fn granted(policy: &Policy, roles: &[boesfs_lang::subjects::RoleId]) -> Ops {
    let allows = policy.rules.iter().filter(|rule| rule.effect == Effect::Allow && concerns(rule, roles));
    allows.fold(Ops::NONE, |ops, rule| ops | rule.ops)
}

impl Builder<'_> {
    fn number_conditions(&mut self) -> Result<(), TooBig> {
        let mut known = FxHashMap::default();
        for (rule, id) in self.policy.rules.iter().zip(0..) {
            let number = rule.when.as_ref().map_or(0, |cond| {
                let conditions = &mut self.answers.conditions;
                *known.entry(cond).or_insert_with(|| {
                    conditions.push(Condition { cond: cond.clone(), rule: RuleId(id) });
                    conditions.len() as u32
                })
            });
            self.conds.push(number);
            if self.answers.conditions.len() > self.limits.conditions as usize {
                let culprit = Culprit::rule(self.policy, RuleId(id));
                return Err(TooBig::new(Resource::Conditions, self.limits.conditions, vec![culprit]));
            }
        }
        Ok(())
    }

    /// The answer with these rows and causes, by class.
    fn intern(&mut self, rows: &[u64], causes: &[CauseRef]) -> u32 {
        let row = self.answers.rows.intern(rows).0;
        let (answer, new) = self.answers.causes.intern(causes);
        if new {
            self.answers.row_of.push(row);
        }
        answer
    }

    fn decision(&mut self, decision: Decision) -> u32 {
        let decisions = &mut self.answers.decisions;
        *self.decision_ids.entry(decision).or_insert_with(|| {
            decisions.push(decision);
            decisions.len() as u32 - 1
        })
    }

    fn shape(&mut self, shape: [u8; 32]) -> u32 {
        let shapes = &mut self.answers.shapes;
        *self.shape_ids.entry(shape).or_insert_with(|| {
            shapes.push(shape);
            shapes.len() as u32 - 1
        })
    }

    fn run(&mut self, run: &[u32]) -> u32 {
        if let Some(base) = self.runs.get(run) {
            return *base;
        }
        let base = self.answers.links.len() as u32;
        self.answers.links.extend_from_slice(run);
        self.runs.insert(run.to_vec(), base);
        base
    }

    /// What `rules`, in the order they decide, give a class to which `granted` is granted.
    fn column(&mut self, rules: &[u32], granted: Ops) -> Result<Column, TooBig> {
        let key = (rules.to_vec(), granted);
        if let Some(column) = self.columns.get(&key) {
            return Ok(*column);
        }
        let mut row = 0;
        // Numbers that no operation has keep offset 0: decision 0 refuses.
        let (mut shape, mut run) = ([0; 32], vec![0]);
        for op in Ops::ALL.iter() {
            let first = self.chain(rules, op, granted)?;
            let at = run.iter().position(|decision| *decision == first).unwrap_or_else(|| {
                run.push(first);
                run.len() - 1
            });
            shape[op.number() as usize] = at as u8;
            row |= bits(&self.answers.decisions[first as usize]) << op.number();
        }
        let column = (row, CauseRef { shape: self.shape(shape), base: self.run(&run) });
        self.columns.insert(key, column);
        Ok(column)
    }

    /// The first decision to try for `op`.
    fn chain(&mut self, rules: &[u32], op: Op, granted: Ops) -> Result<u32, TooBig> {
        let mut tried: Vec<(u32, u32)> = Vec::new();
        let mut last = None;
        for rule in rules.iter().filter(|rule| self.policy.rules[**rule as usize].ops.contains(op)) {
            let cond = self.conds[*rule as usize];
            if cond == 0 {
                last = Some(*rule);
                break;
            }
            // The same condition has failed already when it comes a second time.
            if tried.iter().all(|(_, before)| *before != cond) {
                tried.push((*rule, cond));
            }
        }
        let limit = self.limits.chain.min(crate::tables::MAX_CHAIN);
        if tried.len() + 1 > limit as usize {
            let culprits = tried.iter().map(|(rule, _)| Culprit::rule(self.policy, RuleId(*rule))).collect();
            return Err(TooBig::new(Resource::Chain, limit, culprits));
        }
        let verdict = last.map_or_else(|| self.by_default(op, granted), |rule| self.by_rule(rule));
        let last = self.decision(Decision { verdict: pack_verdict(&verdict), cond: 0, next: 0 });
        Ok(tried.iter().rev().fold(last, |next, (rule, cond)| {
            let verdict = pack_verdict(&self.by_rule(*rule));
            self.decision(Decision { verdict, cond: *cond, next })
        }))
    }

    fn by_rule(&self, id: u32) -> Verdict {
        let rule = &self.policy.rules[id as usize];
        Verdict { effect: rule.effect, record: rule.record, cause: Cause::Rule(RuleId(id)) }
    }

    fn by_default(&self, op: Op, granted: Ops) -> Verdict {
        let (effect, cause) = match self.policy.default {
            PolicyDefault::Allow => (Effect::Allow, Cause::Default),
            PolicyDefault::Deny if granted.contains(op) => (Effect::Deny, Cause::Default),
            PolicyDefault::Deny => (Effect::Deny, Cause::NotGranted),
        };
        Verdict { effect, record: Record::Refusals, cause }
    }
}

/// The two bits of a row for an operation whose first decision is `decision`, as bits 0 and 32.
fn bits(decision: &Decision) -> u64 {
    const ALLOWED: u64 = 1;
    const LOOK: u64 = 1 << 32;
    let verdict = crate::tables::unpack_verdict(decision.verdict);
    if decision.cond != 0 {
        return LOOK;
    }
    match (verdict.effect, verdict.record) {
        (Effect::Allow, Record::Audit) => ALLOWED | LOOK,
        (Effect::Allow, Record::Refusals | Record::Quiet) => ALLOWED,
        (Effect::Deny, Record::Refusals) => 0,
        (Effect::Deny | Effect::Hide | Effect::Kill, _) => LOOK,
    }
}
