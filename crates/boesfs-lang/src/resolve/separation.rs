//! Static separation of duty: roles of which nobody may hold two.

use super::assignments::{Assigned, Sets};
use super::roles::Roles;
use super::sink::Sink;
use crate::diag::{Code, Diagnostic};
use crate::source::{SourceMap, Span};
use crate::subjects::{RoleId, Subjects};
use crate::syntax::ast::Ident;

/// A statement whose roles are not settled yet.
pub(super) struct Pending {
    pub(super) roles: Vec<Ident>,
    pub(super) span: Span,
}

/// Roles of which nobody may hold two.
pub(super) struct Separation {
    pub(super) roles: Vec<RoleId>,
    span: Span,
}

/// The sets of roles that users, groups and executables hold, without those that separation forbids.
pub(super) struct Held {
    pub(super) users: Vec<Vec<RoleId>>,
    pub(super) groups: Vec<Vec<RoleId>>,
    pub(super) exes: Vec<Vec<RoleId>>,
}

/// Settles the statements, and refuses roles that inherit from two separated ones.
pub(super) fn settle(
    pending: &[Pending],
    roles: &Roles,
    subjects: &Subjects,
    sources: &SourceMap,
    sink: &mut Sink,
) -> Vec<Separation> {
    let mut separations = Vec::new();
    for statement in pending {
        let found = roles.find_all(sources, sink, &statement.roles);
        let known = statement.roles.iter().all(|name| roles.find(sources, &mut Sink::default(), *name).is_some());
        if known && found.len() < statement.roles.len() {
            let place = statement.span;
            sink.push(
                Diagnostic::error(Code::BadSeparation, "the same role twice")
                    .at(place, "a role is not separate from itself"),
            );
        } else if known && found.len() < 2 {
            sink.push(
                Diagnostic::error(Code::BadSeparation, "one role alone cannot be separated")
                    .at(statement.span, "")
                    .help("name the roles of which nobody may hold two"),
            );
        }
        separations.push(Separation { roles: found, span: statement.span });
    }
    for (i, role) in subjects.roles.iter().enumerate() {
        if let Some((a, b, separation)) = clash(&separations, &role.closure) {
            sink.push(
                Diagnostic::error(
                    Code::SeparatedRole,
                    format!(
                        "nobody could hold the role `{}`: `{}` and `{}` are separate",
                        role.name,
                        roles.name(a),
                        roles.name(b)
                    ),
                )
                .at(roles.span(RoleId(i as u32)), "it is, or inherits from, both")
                .at(separation.span, "separated here"),
            );
        }
    }
    separations
}

/// Refuses assignments that give two separated roles to one user, group or executable.
pub(super) fn check(
    separations: &[Separation],
    assigned: &Assigned,
    roles: &Roles,
    subjects: &Subjects,
    sink: &mut Sink,
) -> Held {
    let impossible: Vec<RoleId> = (0..subjects.roles.len() as u32)
        .map(RoleId)
        .filter(|role| clash(separations, &subjects.roles[role.0 as usize].closure).is_some())
        .collect();
    let mut keep = |kind: &str, sets: &Sets| -> Vec<Vec<RoleId>> {
        let mut kept = Vec::new();
        for (set, ways) in sets {
            let Some((a, b, separation)) = clash(separations, set) else {
                kept.push(set.clone());
                continue;
            };
            // A role that nobody can hold has been told.
            if set.iter().any(|role| impossible.contains(role)) {
                continue;
            }
            for places in ways {
                let message =
                    format!("one {kind} gets both `{}` and `{}`, which are separate", roles.name(a), roles.name(b));
                let mut diagnostic = Diagnostic::error(Code::SeparatedAssignment, message);
                for (i, place) in places.iter().rev().take(3).enumerate() {
                    diagnostic = diagnostic.at(*place, if i == 0 { "by this" } else { "and this" });
                }
                sink.push(diagnostic.at(separation.span, "separated here").help("inherited roles count"));
            }
        }
        kept
    };
    Held {
        users: keep("user", &assigned.users),
        groups: keep("group", &assigned.groups),
        exes: keep("executable", &assigned.exes),
    }
}

/// Two roles of `set` that are separate, if there are.
fn clash<'s>(separations: &'s [Separation], set: &[RoleId]) -> Option<(RoleId, RoleId, &'s Separation)> {
    separations.iter().find_map(|separation| {
        let mut held = separation.roles.iter().filter(|role| set.binary_search(role).is_ok());
        Some((*held.next()?, *held.next()?, separation))
    })
}
