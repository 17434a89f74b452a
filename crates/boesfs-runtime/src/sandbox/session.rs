//! Which classes can occur in a session: those of the caller's user and groups, with every executable that the policy knows.

use boesfs_lang::subjects::{ClassId, RoleId, Subjects};
use rustix::process::{getegid, geteuid, getgroups, getuid};
use rustix::thread::CapabilitySet;

/// The classes that can occur.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    /// Each of them, sorted.
    pub list: Vec<ClassId>,
    /// Whether there can be a subject that no class fits: it holds separated roles, and is refused everything.
    pub without: Unclassed,
}

/// Whether a subject without a class can occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclassed {
    /// It can: every request must be judged.
    Possible,
    /// It cannot.
    Impossible,
}

impl Classes {
    /// One class, whoever asks.
    #[must_use]
    pub fn fixed(class: ClassId) -> Classes {
        Classes { list: vec![class], without: Unclassed::Impossible }
    }

    /// The class that everybody has; none, if subjects can differ.
    #[must_use]
    pub fn single(&self) -> Option<ClassId> {
        match (self.list.as_slice(), self.without) {
            ([class], Unclassed::Impossible) => Some(*class),
            _ => None,
        }
    }

    /// Those of the caller's processes under a policy with these `subjects`, where they keep the capabilities `keep`.
    #[must_use]
    pub fn of_caller(subjects: &Subjects, keep: CapabilitySet) -> Classes {
        if keep.intersects(CapabilitySet::SETUID | CapabilitySet::SETGID) || getuid() != geteuid() {
            return Classes::all(subjects);
        }
        // Without the capabilities, and without set-id programs, these stay as they are.
        let uid = geteuid().as_raw();
        let mut gids: Vec<u32> = getgroups().unwrap_or_default().into_iter().map(|gid| gid.as_raw()).collect();
        gids.push(getegid().as_raw());
        let exes = subjects.exes.iter().map(|assignment| Some(&assignment.subject));
        let classes = std::iter::once(None).chain(exes).map(|exe| {
            let exe: Option<Vec<&[u8]>> = exe.map(|exe| exe.iter().map(Vec::as_slice).collect());
            let roles: Vec<RoleId> = subjects.roles_of(Some(uid), &gids, exe.as_deref());
            subjects.class_of(&roles)
        });
        let classes: Vec<Option<ClassId>> = classes.collect();
        let without = if classes.contains(&None) { Unclassed::Possible } else { Unclassed::Impossible };
        let mut list: Vec<ClassId> = classes.into_iter().flatten().collect();
        list.sort_unstable();
        list.dedup();
        Classes { list, without }
    }

    /// All that the policy knows.
    fn all(subjects: &Subjects) -> Classes {
        let without = if subjects.separations.is_empty() { Unclassed::Impossible } else { Unclassed::Possible };
        Classes { list: (0..subjects.classes.len() as u32).map(ClassId).collect(), without }
    }
}
