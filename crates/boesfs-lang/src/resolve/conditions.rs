//! Conditions: words to arguments and numbers; every operation of the rule must carry every argument.

use super::constants::{self, CONSTANTS, Constant};
use super::{Resolver, numbers, rules};
use crate::cond::{Arg, Cmp, Cond, Term};
use crate::diag::suggest::did_you_mean;
use crate::diag::{Code, Diagnostic};
use crate::ops::Ops;
use crate::source::Span;
use crate::syntax::ast::{self, Expr, Ident, Value};

/// How many comparisons one condition may have: each is instructions in every object.
const MAX_COMPARISONS: u32 = 256;

/// Resolves the condition of a rule on `ops`, which `words` name. `None`: told already.
pub(super) fn condition(resolver: &mut Resolver<'_>, expr: &Expr, words: &[Ident], ops: Ops) -> Option<Cond> {
    let comparisons = count(expr);
    if comparisons > MAX_COMPARISONS {
        let message = format!("a condition of {comparisons} comparisons");
        let diagnostic = Diagnostic::error(Code::ConditionTooLarge, message)
            .at(expr.span(), format!("at most {MAX_COMPARISONS} are possible"));
        resolver.sink.push(diagnostic.help("split the rule"));
        return None;
    }
    Conditions { resolver, words, ops, told: Vec::new() }.cond(expr)
}

fn count(expr: &Expr) -> u32 {
    match expr {
        Expr::Any(all, _) | Expr::All(all, _) => all.iter().map(count).fold(0, u32::saturating_add),
        Expr::Not(inner, _) => count(inner),
        Expr::Compare { .. } => 1,
    }
}

struct Conditions<'r, 'i> {
    resolver: &'r mut Resolver<'i>,
    words: &'r [Ident],
    ops: Ops,
    /// Arguments already found not to be carried.
    told: Vec<Arg>,
}

impl Conditions<'_, '_> {
    fn cond(&mut self, expr: &Expr) -> Option<Cond> {
        match expr {
            Expr::Any(all, _) => self.list(all).map(Cond::Any),
            Expr::All(all, _) => self.list(all).map(Cond::All),
            Expr::Not(inner, _) => self.cond(inner).map(|cond| Cond::Not(Box::new(cond))),
            Expr::Compare { cmp, left, right, span } => self.compare(*cmp, left, right, *span),
        }
    }

    /// All of them, so that each is looked at even where one before is wrong.
    fn list(&mut self, all: &[Expr]) -> Option<Vec<Cond>> {
        let conds: Vec<Option<Cond>> = all.iter().map(|expr| self.cond(expr)).collect();
        conds.into_iter().collect()
    }

    fn compare(&mut self, cmp: Cmp, left: &ast::Term, right: &ast::Term, span: Span) -> Option<Cond> {
        let mut named = Vec::new();
        let a = self.term(left, &mut named);
        let b = self.term(right, &mut named);
        let (a, b) = a.zip(b)?;
        let args: Vec<Arg> = [&a, &b].into_iter().flat_map(arguments).collect();
        for (constant, place) in named {
            if !args.is_empty() && !args.contains(&constant.of) {
                let message = format!("`{}` is a number of `{}`", constant.name, constant.of.name());
                let diagnostic = Diagnostic::error(Code::ForeignConstant, message)
                    .at(place, format!("compared with `{}`", args[0].name()));
                self.resolver.sink.push(diagnostic);
                return None;
            }
        }
        if let Some(always) = constant_outcome(cmp, &a, &b) {
            let message = if always { "this condition always holds" } else { "this condition never holds" };
            self.resolver.sink.push(Diagnostic::warning(Code::ConstantCondition, message).at(span, ""));
        }
        Some(Cond::Cmp(cmp, a, b))
    }

    fn term(&mut self, term: &ast::Term, named: &mut Vec<(Constant, Span)>) -> Option<Term> {
        let mut constant: Option<u64> = None;
        let mut args: Vec<Arg> = Vec::new();
        let mut good = true;
        for value in &term.values {
            match self.value(value, named) {
                Some(Term::Arg(arg)) if !args.contains(&arg) => args.push(arg),
                Some(Term::Int(value)) => constant = Some(constant.map_or(value, |before| before & value)),
                Some(_) => {}
                None => good = false,
            }
        }
        let parts = args.into_iter().map(Term::Arg).chain(constant.map(Term::Int));
        parts.reduce(|a, b| Term::And(Box::new(a), Box::new(b))).filter(|_| good)
    }

    fn value(&mut self, value: &Value, named: &mut Vec<(Constant, Span)>) -> Option<Term> {
        let word = match value {
            Value::Word(word) => *word,
            Value::Number(number) => {
                return match numbers::value(&self.resolver.sources, *number) {
                    Ok(value) => Some(Term::Int(value)),
                    Err(diagnostic) => {
                        self.resolver.sink.push(diagnostic);
                        None
                    }
                };
            }
        };
        let name = self.resolver.sources.text(word.0).to_owned();
        if let Some(arg) = Arg::from_name(&name) {
            self.carried(arg, word.0);
            return Some(Term::Arg(arg));
        }
        if let Some(constant) = constants::by_name(&name) {
            named.push((constant, word.0));
            return Some(Term::Int(constant.value));
        }
        match self.resolver.lets.number(&mut self.resolver.sink, &name, word.0) {
            Ok(Some(value)) => return Some(Term::Int(value)),
            Err(()) => return None,
            Ok(None) => {}
        }
        let known = Arg::ALL.iter().map(|arg| arg.name());
        let known = known.chain(CONSTANTS.iter().map(|constant| constant.name));
        let help = did_you_mean(&name, known.chain(self.resolver.lets.number_names())).unwrap_or_else(|| {
            let args: Vec<&str> = Arg::ALL.iter().map(|arg| arg.name()).collect();
            format!("arguments are {}; a let must be defined above", args.join(", "))
        });
        self.resolver.refuse(
            Code::UnknownArgument,
            format!("there is no argument, constant or let `{name}`"),
            word.0,
            Some(help),
        );
        None
    }

    /// Refuses an argument that some operation of the rule does not carry.
    fn carried(&mut self, arg: Arg, span: Span) {
        let lacking: Vec<&str> = self.ops.iter().filter(|op| !op.carries(arg)).map(|op| op.name()).collect();
        if lacking.is_empty() || self.told.contains(&arg) {
            return;
        }
        self.told.push(arg);
        let carrying: Vec<&str> = self.ops.iter().filter(|op| op.carries(arg)).map(|op| op.name()).collect();
        let verb = if lacking.len() == 1 { "does" } else { "do" };
        let message = format!("`{}` {verb} not carry `{}`", lacking.join("`, `"), arg.name());
        let mut diagnostic = Diagnostic::error(Code::NotCarried, message).at(span, "not known for every operation");
        for word in self.words {
            let name = self.resolver.sources.text(word.0);
            if lacking.contains(&name) {
                diagnostic = diagnostic.at(word.0, "does not carry it");
            } else if let Some(group) = rules::group(name) {
                let members = group.iter().filter(|op| !op.carries(arg)).count();
                if members > 0 {
                    diagnostic = diagnostic.at(word.0, format!("{members} of this group do not carry it"));
                }
            }
        }
        let help = if carrying.is_empty() {
            "drop the condition, or name operations that carry it".into()
        } else {
            format!("name the operations that carry it: `{}`; give the others a rule of their own", carrying.join(", "))
        };
        self.resolver.sink.push(diagnostic.help(help));
    }
}

fn arguments(term: &Term) -> Vec<Arg> {
    match term {
        Term::Int(_) => Vec::new(),
        Term::Arg(arg) => vec![*arg],
        Term::And(a, b) => [arguments(a), arguments(b)].concat(),
    }
}

/// Whether a comparison has the same outcome whatever the arguments are, as far as that is plain.
fn constant_outcome(cmp: Cmp, a: &Term, b: &Term) -> Option<bool> {
    let (cmp, term, value) = match (a, b) {
        (Term::Int(a), Term::Int(b)) => return Some(cmp.holds(*a, *b)),
        (term, Term::Int(value)) => (cmp, term, *value),
        (Term::Int(value), term) => (mirrored(cmp), term, *value),
        _ => return None,
    };
    // `term` lies between 0 and `most`, and has no bits outside it.
    let mask = if let Term::And(_, mask) = term { mask } else { term };
    let most = if let Term::Int(mask) = mask { *mask } else { u64::MAX };
    match cmp {
        Cmp::Eq if value & !most != 0 => Some(false),
        Cmp::Ne if value & !most != 0 => Some(true),
        Cmp::Eq if most == 0 => Some(value == 0),
        Cmp::Ne if most == 0 => Some(value != 0),
        Cmp::Lt if value == 0 => Some(false),
        Cmp::Ge if value == 0 => Some(true),
        Cmp::Gt if value >= most => Some(false),
        Cmp::Le if value >= most => Some(true),
        _ => None,
    }
}

fn mirrored(cmp: Cmp) -> Cmp {
    match cmp {
        Cmp::Lt => Cmp::Gt,
        Cmp::Le => Cmp::Ge,
        Cmp::Gt => Cmp::Lt,
        Cmp::Ge => Cmp::Le,
        same => same,
    }
}
