//! Conditions over an operation's arguments: the `when` part of a rule.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An argument of an operation that a condition can speak of. Its number is its place in [`Args`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Arg {
    /// Open or call flags, with the numbers of Linux on x86-64 (`O_*`, `RENAME_*`, `XATTR_*`).
    Flags = 0,
    /// Permission and type bits (`S_*`): of the file for `exec`, else those asked for.
    Mode,
    /// Bytes: the file's size once the operation is done; for xattr operations, the size of the value.
    Size,
    /// Bytes from the start of the file; 0 at open.
    Offset,
    /// Bytes read or written; 0 at open.
    Length,
    /// User id of the caller, as the file system sees it.
    Uid,
    /// Group id of the caller, as the file system sees it.
    Gid,
    /// User id of the object's owner; for an object to be made, the owner of its directory.
    Owner,
}

/// The number of arguments.
pub const ARG_COUNT: usize = 8;

impl Arg {
    /// Every argument, by number.
    pub const ALL: [Arg; ARG_COUNT] =
        [Arg::Flags, Arg::Mode, Arg::Size, Arg::Offset, Arg::Length, Arg::Uid, Arg::Gid, Arg::Owner];

    /// The word used in policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Arg::Flags => "flags",
            Arg::Mode => "mode",
            Arg::Size => "size",
            Arg::Offset => "offset",
            Arg::Length => "length",
            Arg::Uid => "uid",
            Arg::Gid => "gid",
            Arg::Owner => "owner",
        }
    }

    /// The argument called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Arg> {
        Arg::ALL.into_iter().find(|arg| arg.name() == name)
    }
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The arguments of one request, by [`Arg`] number. Those that the operation does not carry are 0.
///
/// This is also their layout in memory for BPF programs: eight little-endian `u64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Args(pub [u64; ARG_COUNT]);

impl Args {
    /// The value of `arg`.
    #[must_use]
    pub const fn get(&self, arg: Arg) -> u64 {
        self.0[arg as usize]
    }

    /// The same arguments with `arg` set to `value`.
    #[must_use]
    pub const fn with(mut self, arg: Arg, value: u64) -> Args {
        self.0[arg as usize] = value;
        self
    }
}

/// A comparison of two unsigned 64-bit values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Cmp {
    /// Whether `a` stands in this relation to `b`.
    #[must_use]
    pub const fn holds(self, a: u64, b: u64) -> bool {
        match self {
            Cmp::Eq => a == b,
            Cmp::Ne => a != b,
            Cmp::Lt => a < b,
            Cmp::Le => a <= b,
            Cmp::Gt => a > b,
            Cmp::Ge => a >= b,
        }
    }

    /// The operator as written.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Cmp::Eq => "==",
            Cmp::Ne => "!=",
            Cmp::Lt => "<",
            Cmp::Le => "<=",
            Cmp::Gt => ">",
            Cmp::Ge => ">=",
        }
    }
}

/// A value inside a condition: unsigned, 64 bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Term {
    /// A number.
    Int(u64),
    /// An argument of the operation.
    Arg(Arg),
    /// Bitwise and.
    And(Box<Term>, Box<Term>),
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cond {
    /// A comparison.
    Cmp(Cmp, Term, Term),
    /// Negation.
    Not(Box<Cond>),
    /// All hold.
    All(Vec<Cond>),
    /// One holds at least.
    Any(Vec<Cond>),
}

/// A set of arguments: bit *i* is the argument with number *i*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArgSet(pub u8);

impl ArgSet {
    /// Whether `arg` is in the set.
    #[must_use]
    pub const fn contains(self, arg: Arg) -> bool {
        self.0 >> arg as u8 & 1 == 1
    }
}

impl std::ops::BitOr for ArgSet {
    type Output = ArgSet;
    fn bitor(self, other: ArgSet) -> ArgSet {
        ArgSet(self.0 | other.0)
    }
}

impl Term {
    /// The arguments it speaks of.
    #[must_use]
    pub fn args(&self) -> ArgSet {
        match self {
            Term::Int(_) => ArgSet::default(),
            Term::Arg(arg) => ArgSet(1 << *arg as u8),
            Term::And(a, b) => a.args() | b.args(),
        }
    }

    /// Its value for a request's arguments.
    #[must_use]
    pub fn value(&self, args: &Args) -> u64 {
        match self {
            Term::Int(value) => *value,
            Term::Arg(arg) => args.get(*arg),
            Term::And(a, b) => a.value(args) & b.value(args),
        }
    }
}

impl Cond {
    /// The arguments it speaks of.
    #[must_use]
    pub fn args(&self) -> ArgSet {
        match self {
            Cond::Cmp(_, a, b) => a.args() | b.args(),
            Cond::Not(cond) => cond.args(),
            Cond::All(conds) | Cond::Any(conds) => {
                conds.iter().map(Cond::args).fold(ArgSet::default(), std::ops::BitOr::bitor)
            }
        }
    }

    /// Whether it holds for a request's arguments.
    #[must_use]
    pub fn holds(&self, args: &Args) -> bool {
        match self {
            Cond::Cmp(cmp, a, b) => cmp.holds(a.value(args), b.value(args)),
            Cond::Not(cond) => !cond.holds(args),
            Cond::All(conds) => conds.iter().all(|cond| cond.holds(args)),
            Cond::Any(conds) => conds.iter().any(|cond| cond.holds(args)),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Term::Int(value) => write!(f, "{value}"),
            Term::Arg(arg) => f.write_str(arg.name()),
            Term::And(a, b) => write!(f, "{a} & {b}"),
        }
    }
}
