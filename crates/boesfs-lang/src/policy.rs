//! A checked policy: what the resolver makes of the syntax tree, and all that later stages may rely on.
//!
//! Holds: names are resolved, roles form a DAG and are flattened, every pattern is well-formed, every condition
//! speaks only of arguments that all operations of its rule carry, the classes cover every subject that can occur,
//! and no class holds two separated roles.

use serde::{Deserialize, Serialize};

use crate::cond::Cond;
use crate::ops::Ops;
use crate::pattern::Pattern;
use crate::source::{SourceMap, Span};

/// Index of a rule in [`Policy::rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleId(pub u32);

/// Index of a role in [`Policy::roles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoleId(pub u32);

/// Index of a class in [`Policy::classes`]. Class 0 holds no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClassId(pub u32);

/// What a rule does with a request, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Effect {
    /// Goes through.
    Allow = 0,
    /// Fails with `EACCES`.
    Deny = 1,
    /// Fails with `ENOENT`; the object is absent from listings.
    Hide = 2,
    /// Fails with `EACCES`, and the offender is killed with `SIGKILL`.
    Kill = 3,
}

impl Effect {
    /// The word used in policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
            Effect::Hide => "hide",
            Effect::Kill => "kill",
        }
    }
}

/// Which requests that a rule decides are recorded, most first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// All: the `audit` qualifier.
    Audit,
    /// Refusals.
    #[default]
    Refusals,
    /// None: the `quiet` qualifier.
    Quiet,
}

/// The answer where no rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Default {
    /// `default allow;`
    Allow,
    /// `default deny;`
    Deny,
}

/// One rule. A statement in the source is one rule, with all its patterns.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it does.
    pub effect: Effect,
    /// What is recorded.
    pub record: Record,
    /// On which operations; never empty.
    pub ops: Ops,
    /// For which role; everyone, if none.
    pub role: Option<RoleId>,
    /// On which objects: those that one of these patterns covers; never empty.
    pub patterns: Vec<Pattern>,
    /// But not those that one of these covers.
    pub except: Vec<Pattern>,
    /// When this holds.
    pub when: Option<Cond>,
    /// Where it is written.
    pub span: Span,
    /// Where each of `patterns` is written.
    pub pattern_spans: Vec<Span>,
    /// Where the condition is written.
    pub when_span: Option<Span>,
}

/// A role, with its inheritance flattened.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Itself and all it inherits from, sorted: the roles that are active where this one is.
    pub closure: Vec<RoleId>,
    /// Where it is declared.
    pub span: Span,
}

/// An inclusive range of user or group ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IdRange {
    /// First id.
    pub first: u32,
    /// Last id.
    pub last: u32,
}

/// Roles given to subjects of one kind: `K` is [`IdRange`] for users and groups, an absolute path's components for executables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment<K> {
    /// To whom.
    pub subject: K,
    /// The name as written, if it was not a number: for messages and requests by name.
    pub name: Option<String>,
    /// The roles as written, not flattened.
    pub roles: Vec<RoleId>,
}

/// A set of active roles that can occur: one column of the decision tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Class {
    /// The active roles, flattened and sorted.
    pub roles: Vec<RoleId>,
}

/// A checked policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name, from `policy NAME;`, or the file's stem.
    pub name: String,
    /// The answer where no rule decides.
    pub default: Default,
    /// The rules, in source order, includes in place.
    pub rules: Vec<Rule>,
    /// The roles, in source order.
    pub roles: Vec<Role>,
    /// Roles of users.
    pub users: Vec<Assignment<IdRange>>,
    /// Roles of groups.
    pub groups: Vec<Assignment<IdRange>>,
    /// Roles entered by executing a file.
    pub exes: Vec<Assignment<Vec<Vec<u8>>>>,
    /// Sets of roles of which nobody may hold two (closures counted).
    pub separations: Vec<Vec<RoleId>>,
    /// Every set of active roles that can occur, sorted; the empty set first.
    pub classes: Vec<Class>,
    /// The text it was made from.
    pub sources: SourceMap,
}

impl Policy {
    /// The rule with id `id`.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.0 as usize]
    }

    /// The role called `name`.
    #[must_use]
    pub fn role_by_name(&self, name: &str) -> Option<RoleId> {
        self.roles.iter().position(|role| role.name == name).map(|i| RoleId(i as u32))
    }

    /// `roles` with all they inherit, sorted: a set of active roles.
    #[must_use]
    pub fn flatten(&self, roles: &[RoleId]) -> Vec<RoleId> {
        let mut all: Vec<RoleId> =
            roles.iter().flat_map(|role| self.roles[role.0 as usize].closure.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The class whose active roles are `roles` (flattened here), or `None` if that set cannot occur.
    #[must_use]
    pub fn class_of(&self, roles: &[RoleId]) -> Option<ClassId> {
        let roles = self.flatten(roles);
        self.classes.binary_search_by(|class| class.roles.cmp(&roles)).ok().map(|i| ClassId(i as u32))
    }

    /// The roles of a subject: those of its user, of each of its groups, and of the executable it runs.
    /// Unassigned subjects hold none.
    #[must_use]
    pub fn roles_of(&self, uid: Option<u32>, gids: &[u32], exe: Option<&[&[u8]]>) -> Vec<RoleId> {
        let holds = |range: &IdRange, id: u32| (range.first..=range.last).contains(&id);
        let users = self.users.iter().filter(|a| uid.is_some_and(|uid| holds(&a.subject, uid))).flat_map(|a| &a.roles);
        let groups =
            self.groups.iter().filter(|a| gids.iter().any(|gid| holds(&a.subject, *gid))).flat_map(|a| &a.roles);
        let exes = self
            .exes
            .iter()
            .filter(|a| exe.is_some_and(|exe| a.subject.iter().map(Vec::as_slice).eq(exe.iter().copied())));
        self.flatten(&users.chain(groups).chain(exes.flat_map(|a| &a.roles)).copied().collect::<Vec<_>>())
    }
}
