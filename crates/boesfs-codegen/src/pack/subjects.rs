//! Who is of which class, as tables: intervals of ids, executables, and the class of two classes together.
//!
//! In: the [`Subjects`] of a policy. Holds: joining the classes of a user, of each of its groups and of its executable
//! gives [`Subjects::class_of`] of [`Subjects::roles_of`] for all of them together.

use boesfs_lang::subjects::{Assignment, ClassId, IdRange, RoleId, Subjects};

use crate::automaton::exes::Exes;
use crate::tables::{IdClass, NOBODY, Tables};

/// Fills `users`, `groups`, `exes`, `exe_root` and `joins`.
pub(super) fn pack(subjects: &Subjects, exes: &Exes, tables: &mut Tables) {
    let class = |roles: &[RoleId]| subjects.class_of(roles).map_or(NOBODY, |ClassId(class)| class);
    tables.users = intervals(&subjects.users, |uid| class(&subjects.roles_of(Some(uid), &[], None)));
    tables.groups = intervals(&subjects.groups, |gid| class(&subjects.roles_of(None, &[gid], None)));
    tables.exe_root = exes.root.0;
    let of_exe = |exe: &Option<u32>| {
        exe.map_or(0, |exe| {
            let path: Vec<&[u8]> = subjects.exes[exe as usize].subject.iter().map(Vec::as_slice).collect();
            class(&subjects.roles_of(None, &[], Some(&path)))
        })
    };
    tables.exes = exes.ends.iter().map(of_exe).collect();
    let classes = &subjects.classes;
    for a in classes {
        tables.joins.extend(classes.iter().map(|b| {
            let both: Vec<RoleId> = a.roles.iter().chain(&b.roles).copied().collect();
            class(&both) as u16
        }));
    }
}

/// The ids cut where an assignment begins or ends: each entry holds from its id up to the next entry's.
fn intervals(assignments: &[Assignment<IdRange>], class: impl Fn(u32) -> u32) -> Vec<IdClass> {
    let mut cuts = vec![0];
    for Assignment { subject: IdRange { first, last }, .. } in assignments {
        cuts.push(*first);
        cuts.extend(last.checked_add(1));
    }
    cuts.sort_unstable();
    cuts.dedup();
    let mut table: Vec<IdClass> = cuts.into_iter().map(|first| IdClass { first, class: class(first) }).collect();
    table.dedup_by_key(|entry| entry.class);
    // Padding is never before the last entry, and says the same.
    let last = IdClass { first: u32::MAX, class: class(u32::MAX) };
    table.resize(table.len().next_power_of_two(), last);
    table
}
