//! `cond(number, args) -> 0, 1 or 2`: the conditions of the policy, as instructions.
//!
//! A binary decision tree over the number leads to the condition, whose comparisons short-circuit by jumps. Many
//! conditions are spread over several functions, so that no jump is longer than its 16 bits.

use boesfs_lang::cond::{Cmp, Cond, Term};
use boesfs_lang::policy::Policy;

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{AluOp, Reg, Size, Test};
use crate::tables::Condition;

use super::EmitError;

use Reg as R;

/// What `cond` returns: the condition does not hold.
pub(super) const FAILS: i32 = 0;
/// What `cond` returns: the condition holds.
pub(super) const HOLDS: i32 = 1;
/// What `cond` returns: no such condition, no arguments.
const UNKNOWN: i32 = 2;

/// The most operands of comparisons in one function: its code then stays within reach of a jump.
pub(super) const MAX_COMPARISONS: usize = 3000;
/// The most operands of comparisons in a policy: the kernel refuses programs of a million instructions.
pub(super) const MAX_ALL: usize = 60_000;

/// Emits `cond`, and the functions `cond_0`, `cond_1` ... that it calls if the conditions do not fit into one.
pub(super) fn cond(a: &mut Assembler, policy: &Policy, conditions: &[Condition]) -> Result<(), EmitError> {
    let groups = groups(conditions)?;
    a.function("cond");
    if let [(first, group)] = groups.as_slice() {
        tree(a, *first, &mut |a, i| leaf(a, policy, &group[i]), group.len());
        return Ok(());
    }
    let starts: Vec<u32> = groups.iter().map(|(first, _)| *first).collect();
    prologue(a, conditions.len());
    choose(a, &starts, 0, starts.len(), &mut |a, i| {
        a.note("the conditions of one function");
        a.call(&format!("cond_{i}"));
        a.exit();
    });
    for (i, (first, group)) in groups.iter().enumerate() {
        a.function(&format!("cond_{i}"));
        tree(a, *first, &mut |a, i| leaf(a, policy, &group[i]), group.len());
    }
    Ok(())
}

/// Consecutive conditions that fit into one function each, with the number of the first.
fn groups(conditions: &[Condition]) -> Result<Vec<(u32, &[Condition])>, EmitError> {
    let mut groups = Vec::new();
    let (mut start, mut cost, mut all) = (0, 0, 0);
    for (i, condition) in conditions.iter().enumerate() {
        let this = operands(&condition.cond);
        if this > MAX_COMPARISONS {
            return Err(EmitError::ConditionTooLong { rule: condition.rule.0, terms: this });
        }
        if cost + this > MAX_COMPARISONS {
            groups.push((start as u32 + 1, &conditions[start..i]));
            (start, cost) = (i, 0);
        }
        cost += this;
        all += this;
    }
    if all > MAX_ALL {
        return Err(EmitError::TooManyConditions { terms: all });
    }
    groups.push((start as u32 + 1, &conditions[start..]));
    Ok(groups)
}

/// The operands of all comparisons of `cond`, and one for itself: each takes a handful of instructions.
fn operands(cond: &Cond) -> usize {
    fn of(term: &Term) -> usize {
        match term {
            Term::Int(_) | Term::Arg(_) => 1,
            Term::And(a, b) => of(a) + of(b),
        }
    }
    1 + match cond {
        Cond::Cmp(_, a, b) => of(a) + of(b),
        Cond::Not(cond) => operands(cond),
        Cond::All(conds) | Cond::Any(conds) => conds.iter().map(operands).sum(),
    }
}

fn prologue(a: &mut Assembler, last: usize) {
    a.note("a number that no condition has, or no arguments: unknown");
    let (known, out) = (a.label(), a.label());
    a.mov32(R::R0, UNKNOWN);
    a.branch(Test::Eq, R::R2, 0, out);
    a.mov32(R::R1, R::R1);
    a.branch(Test::Eq, R::R1, 0, out);
    a.branch(Test::Le, R::R1, last as i32, known);
    a.bind(out);
    a.exit();
    a.bind(known);
}

/// A function's body: the numbers `first` to `first + count - 1`, by a tree with `leaf(i)` for each.
fn tree(a: &mut Assembler, first: u32, leaf: &mut dyn FnMut(&mut Assembler, usize), count: usize) {
    prologue(a, first as usize - 1 + count);
    if count == 0 {
        // No number passes the prologue; the verifier wants an end all the same.
        a.note("no conditions");
        a.mov32(R::R0, UNKNOWN);
        a.exit();
        return;
    }
    let starts: Vec<u32> = (first..first + count as u32).collect();
    choose(a, &starts, 0, count, leaf);
}

/// Goes on with `leaf(i)` for the last `i` in `low..high` whose `starts[i]` is not above the number in r1.
fn choose(a: &mut Assembler, starts: &[u32], low: usize, high: usize, leaf: &mut dyn FnMut(&mut Assembler, usize)) {
    if high - low == 1 {
        return leaf(a, low);
    }
    let middle = low + (high - low) / 2;
    let upper = a.label();
    a.note(&format!("condition {} and up", starts[middle]));
    a.branch(Test::Ge, R::R1, starts[middle] as i32, upper);
    choose(a, starts, low, middle, leaf);
    a.bind(upper);
    choose(a, starts, middle, high, leaf);
}

/// One condition, below the line of the policy that it stands on.
fn leaf(a: &mut Assembler, policy: &Policy, condition: &Condition) {
    let rule = policy.rule(condition.rule);
    let span = rule.when_span.unwrap_or(rule.span);
    let file = policy.sources.file(span.file);
    let (line, column) = policy.sources.line_col(span);
    a.line(file.name.clone(), line, column, line_text(&file.text, span.start as usize));
    let fails = a.label();
    jump_if(a, &condition.cond, Outcome::Fails, fails);
    a.mov32(R::R0, HOLDS);
    a.exit();
    a.bind(fails);
    a.mov32(R::R0, FAILS);
    a.exit();
}

/// The most bytes kept of a line of the policy.
const MAX_LINE: usize = 256;

/// The line around byte `at`, trimmed, for logs and terminals: not too long, no control characters.
fn line_text(text: &str, at: usize) -> String {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    let line = text[start..end].trim();
    let line = &line[..line.floor_char_boundary(MAX_LINE)];
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Holds,
    Fails,
}

impl Outcome {
    fn other(self) -> Outcome {
        match self {
            Outcome::Holds => Outcome::Fails,
            Outcome::Fails => Outcome::Holds,
        }
    }
}

/// Goes to `target` if `cond` has this outcome, else goes on with the next instruction.
fn jump_if(a: &mut Assembler, cond: &Cond, outcome: Outcome, target: Label) {
    let (conds, one_decides) = match cond {
        Cond::Cmp(cmp, left, right) => return compare(a, *cmp, left, right, outcome, target),
        Cond::Not(cond) => return jump_if(a, cond, outcome.other(), target),
        Cond::All(conds) => (conds, Outcome::Fails),
        Cond::Any(conds) => (conds, Outcome::Holds),
    };
    let Some((last, others)) = conds.split_last() else {
        // Nothing to test, and the verifier refuses code that no jump can reach: so a test that always holds.
        if outcome != one_decides {
            a.mov32(R::R3, 0);
            a.branch(Test::Eq, R::R3, 0, target);
        }
        return;
    };
    if outcome == one_decides {
        conds.iter().for_each(|cond| jump_if(a, cond, outcome, target));
    } else {
        let decided = a.label();
        others.iter().for_each(|cond| jump_if(a, cond, one_decides, decided));
        jump_if(a, last, outcome, target);
        a.bind(decided);
    }
}

fn compare(a: &mut Assembler, cmp: Cmp, left: &Term, right: &Term, outcome: Outcome, target: Label) {
    let test = match (cmp, outcome) {
        (Cmp::Eq, Outcome::Holds) | (Cmp::Ne, Outcome::Fails) => Test::Eq,
        (Cmp::Ne, Outcome::Holds) | (Cmp::Eq, Outcome::Fails) => Test::Ne,
        (Cmp::Lt, Outcome::Holds) | (Cmp::Ge, Outcome::Fails) => Test::Lt,
        (Cmp::Ge, Outcome::Holds) | (Cmp::Lt, Outcome::Fails) => Test::Ge,
        (Cmp::Le, Outcome::Holds) | (Cmp::Gt, Outcome::Fails) => Test::Le,
        (Cmp::Gt, Outcome::Holds) | (Cmp::Le, Outcome::Fails) => Test::Gt,
    };
    value(a, R::R3, left);
    match right {
        Term::Int(value) if i32::try_from(*value as i64).is_ok() => a.branch(test, R::R3, *value as i32, target),
        right => {
            value(a, R::R4, right);
            a.branch(test, R::R3, R::R4, target);
        }
    }
}

/// `dst = term`. Uses r5.
fn value(a: &mut Assembler, dst: Reg, term: &Term) {
    let (mut args, mut mask, mut todo) = (Vec::new(), u64::MAX, vec![term]);
    while let Some(term) = todo.pop() {
        match term {
            Term::Int(value) => mask &= value,
            Term::Arg(arg) => args.push(*arg),
            Term::And(a, b) => todo.extend([b.as_ref(), a.as_ref()]),
        }
    }
    let Some((first, rest)) = args.split_first() else {
        return a.constant(dst, mask);
    };
    a.load(Size::B8, dst, R::R2, 8 * *first as i16);
    for arg in rest {
        a.load(Size::B8, R::R5, R::R2, 8 * *arg as i16);
        a.alu(AluOp::And, dst, R::R5);
    }
    if let Ok(mask) = i32::try_from(mask as i64) {
        if mask != -1 {
            a.alu(AluOp::And, dst, mask);
        }
    } else {
        a.constant(R::R5, mask);
        a.alu(AluOp::And, dst, R::R5);
    }
}
