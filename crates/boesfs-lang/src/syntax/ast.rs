//! The syntax tree: what was written, statement by statement, with spans on everything.
//!
//! Names, numbers and strings are spans; their text is in the [`crate::source::SourceMap`].

use crate::cond::Cmp;
use crate::policy::Effect;
use crate::source::{FileId, Span};

/// A file's statements.
#[derive(Clone, Debug)]
pub struct Ast {
    /// The file.
    pub file: FileId,
    /// The statements, in order. Those that could not be read are missing.
    pub items: Vec<Item>,
    /// The comments, in order.
    pub comments: Vec<Span>,
}

/// A name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ident(pub Span);

/// A string, with its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Str(pub Span);

/// A number: digits, with prefix and perhaps a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// The digits.
    pub digits: Span,
    /// `KiB` and the like, where it stands apart from the digits.
    pub unit: Option<Ident>,
    /// All of it.
    pub span: Span,
}

/// A statement at top level.
#[derive(Clone, Debug)]
pub enum Item {
    /// `policy NAME;`
    Policy {
        /// The name.
        name: Ident,
        /// The statement.
        span: Span,
    },
    /// `default allow;`
    Default {
        /// The effect: only `allow` and `deny` make sense.
        effect: Effect,
        /// The effect's word.
        effect_span: Span,
        /// The statement.
        span: Span,
    },
    /// `let NAME = VALUE;`
    Let {
        /// The name.
        name: Ident,
        /// The value.
        value: LetValue,
        /// The statement.
        span: Span,
    },
    /// `include "FILE";`
    Include {
        /// The file.
        path: Str,
        /// The statement.
        span: Span,
    },
    /// `role NAME : PARENTS { RULES }`
    Role(Role),
    /// `user SUBJECTS : ROLES;` and its kin
    Assign(Assign),
    /// `separate ROLES;`
    Separate {
        /// The roles.
        roles: Vec<Ident>,
        /// The statement.
        span: Span,
    },
    /// A rule.
    Rule(Rule),
}

impl Item {
    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Item::Policy { span, .. }
            | Item::Default { span, .. }
            | Item::Let { span, .. }
            | Item::Include { span, .. }
            | Item::Separate { span, .. } => *span,
            Item::Role(role) => role.span,
            Item::Assign(assign) => assign.span,
            Item::Rule(rule) => rule.span,
        }
    }
}

/// The value of a `let`.
#[derive(Clone, Copy, Debug)]
pub enum LetValue {
    /// A part of patterns.
    Text(Str),
    /// A number, for conditions.
    Number(Number),
}

/// A role and its rules.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name.
    pub name: Ident,
    /// The roles it inherits from.
    pub parents: Vec<Ident>,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// The statement.
    pub span: Span,
}

/// Who is assigned roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    /// `user`
    User,
    /// `group`
    Group,
    /// `exe`
    Exe,
}

/// An assignment of roles.
#[derive(Clone, Debug)]
pub struct Assign {
    /// To what kind of subject.
    pub kind: SubjectKind,
    /// To whom.
    pub subjects: Vec<Subject>,
    /// The roles.
    pub roles: Vec<Ident>,
    /// The statement.
    pub span: Span,
}

/// A subject, as written.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// A name of letters and digits.
    Name(Ident),
    /// A path, or a name with other characters.
    Text(Str),
    /// An id.
    Id(Span),
    /// An inclusive range of ids.
    Range {
        /// First id.
        first: Span,
        /// Last id.
        last: Span,
        /// Both.
        span: Span,
    },
}

/// What to record, as written before an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qualifier {
    /// `audit`
    Audit,
    /// `quiet`
    Quiet,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The words before the effect.
    pub qualifiers: Vec<(Qualifier, Span)>,
    /// The effect.
    pub effect: Effect,
    /// The effect's word.
    pub effect_span: Span,
    /// The operations and groups.
    pub ops: Vec<Ident>,
    /// The patterns.
    pub patterns: Vec<Str>,
    /// The patterns behind `except`.
    pub except: Vec<Str>,
    /// The condition.
    pub when: Option<Expr>,
    /// The statement.
    pub span: Span,
}

/// A condition, as written.
#[derive(Clone, Debug)]
pub enum Expr {
    /// `A or B or ..`
    Any(Vec<Expr>, Span),
    /// `A and B and ..`
    All(Vec<Expr>, Span),
    /// `not A`
    Not(Box<Expr>, Span),
    /// `A <= B`
    Compare {
        /// The comparison.
        cmp: Cmp,
        /// What stands before it.
        left: Term,
        /// What stands behind it.
        right: Term,
        /// All of it.
        span: Span,
    },
}

impl Expr {
    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Expr::Any(_, span) | Expr::All(_, span) | Expr::Not(_, span) | Expr::Compare { span, .. } => *span,
        }
    }
}

/// One or more values joined by `&`.
#[derive(Clone, Debug)]
pub struct Term {
    /// The values.
    pub values: Vec<Value>,
    /// All of it.
    pub span: Span,
}

/// A value in a condition.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A number.
    Number(Number),
    /// An argument, a named constant, or a `let`.
    Word(Ident),
}
