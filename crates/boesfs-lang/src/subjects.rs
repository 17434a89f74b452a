//! Roles, the subjects that hold them, and classes: the sets of active roles that can occur.

use serde::{Deserialize, Serialize};

/// Index of a role in [`Subjects::roles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoleId(pub u32);

/// Index of a class in [`Subjects::classes`]. Class 0 holds no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClassId(pub u32);

/// A role, with its inheritance flattened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Itself and all it inherits from, sorted: the roles that are active where this one is.
    pub closure: Vec<RoleId>,
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

/// Who may act, and as what.
///
/// A subject's active roles are the union of those of its user, of each of its groups, and of the executable it runs.
/// A role entered by an executable lasts as long as that image: a fork keeps it, the next exec decides anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subjects {
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
    /// Every set of active roles that can occur, sorted; the empty set first. None holds two separated roles: a
    /// subject whose assignments would give it such a set has no class, and is refused everything.
    pub classes: Vec<Class>,
}

impl Subjects {
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

    /// The active roles of a subject, flattened. Unassigned subjects hold none.
    #[must_use]
    pub fn roles_of(&self, uid: Option<u32>, gids: &[u32], exe: Option<&[&[u8]]>) -> Vec<RoleId> {
        let holds = |range: &IdRange, id: u32| (range.first..=range.last).contains(&id);
        let users = self.users.iter().filter(|a| uid.is_some_and(|uid| holds(&a.subject, uid))).flat_map(|a| &a.roles);
        let groups =
            self.groups.iter().filter(|a| gids.iter().any(|gid| holds(&a.subject, *gid))).flat_map(|a| &a.roles);
        let runs = |path: &[Vec<u8>]| exe.is_some_and(|exe| path.iter().map(Vec::as_slice).eq(exe.iter().copied()));
        let exes = self.exes.iter().filter(|a| runs(&a.subject)).flat_map(|a| &a.roles);
        self.flatten(&users.chain(groups).chain(exes).copied().collect::<Vec<_>>())
    }
}
