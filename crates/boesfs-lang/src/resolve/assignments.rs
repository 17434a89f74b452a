//! Assignments: who holds which roles.

use std::collections::{BTreeMap, BTreeSet};

use super::roles::Roles;
use super::sink::Sink;
use super::{Resolver, numbers, patterns};
use crate::diag::{Code, Diagnostic};
use crate::source::{SourceMap, Span};
use crate::subjects::{Assignment, IdRange, RoleId, Subjects};
use crate::syntax::ast::{Assign, Ident, Subject, SubjectKind};

/// An assignment whose roles are not settled yet.
pub(super) struct Pending {
    to: Vec<(To, Option<String>)>,
    roles: Vec<Ident>,
    span: Span,
}

/// To whom.
enum To {
    User(IdRange),
    Group(IdRange),
    Exe(Vec<Vec<u8>>),
}

/// Sets of active roles, flattened, each with the statements that make it up, in one or more ways.
pub(super) type Sets = BTreeMap<Vec<RoleId>, Vec<Vec<Span>>>;

/// How many ways to the same set are kept: enough to tell of all mistakes that people make.
const WAYS: usize = 16;

fn add(sets: &mut Sets, roles: Vec<RoleId>, places: impl FnOnce() -> Vec<Span>) {
    let ways = sets.entry(roles).or_default();
    if ways.len() < WAYS {
        ways.push(places());
    }
}

/// The sets of roles that subjects hold: by one user, by one group, by one executable.
#[derive(Debug, Default)]
pub(super) struct Assigned {
    pub(super) users: Sets,
    pub(super) groups: Sets,
    pub(super) exes: Sets,
}

impl Resolver<'_> {
    /// Takes an assignment.
    pub(super) fn take_assignment(&mut self, assign: Assign) {
        let to = assign.subjects.iter().filter_map(|subject| self.subject(assign.kind, *subject)).collect();
        self.assignments.push(Pending { to, roles: assign.roles, span: assign.span });
    }

    fn subject(&mut self, kind: SubjectKind, subject: Subject) -> Option<(To, Option<String>)> {
        if kind == SubjectKind::Exe {
            return self.executable(subject).map(|path| (To::Exe(path), None));
        }
        let ids = match subject {
            Subject::Id(span) => numbers::id(&self.sources, span).map(|id| IdRange { first: id, last: id }),
            Subject::Range { first, last, span } => self.range(first, last, span),
            Subject::Name(Ident(span)) => {
                let name = self.sources.text(span).to_owned();
                return self.named(kind, name, span);
            }
            Subject::Text(string) => {
                let text = self.lets.read(&self.sources, &mut self.sink, string)?;
                let bytes = text.bytes.iter().map(|byte| byte.value).collect();
                return match String::from_utf8(bytes) {
                    Ok(name) => self.named(kind, name, string.0),
                    Err(_) => {
                        self.refuse(Code::UnknownSubject, "a name that is not UTF-8".into(), string.0, None);
                        None
                    }
                };
            }
        };
        match ids {
            Ok(ids) if kind == SubjectKind::User => Some((To::User(ids), None)),
            Ok(ids) => Some((To::Group(ids), None)),
            Err(diagnostic) => {
                self.sink.push(diagnostic);
                None
            }
        }
    }

    fn range(&self, first: Span, last: Span, span: Span) -> Result<IdRange, Diagnostic> {
        let (first, last) = (numbers::id(&self.sources, first)?, numbers::id(&self.sources, last)?);
        if first > last {
            return Err(Diagnostic::error(Code::BadId, "this range is empty")
                .at(span, format!("{first} is greater than {last}"))
                .help(format!("write `{last}..{first}`; both ends belong to the range")));
        }
        Ok(IdRange { first, last })
    }

    fn named(&mut self, kind: SubjectKind, name: String, span: Span) -> Option<(To, Option<String>)> {
        let (word, id) = match kind {
            SubjectKind::User => ("user", self.input.names.user(&name)),
            _ => ("group", self.input.names.group(&name)),
        };
        let Some(id) = id.filter(|id| *id != u32::MAX) else {
            let message = format!("the {word} `{name}` has no number here");
            let help = self.input.names.help(word, &name);
            self.refuse(Code::UnknownSubject, message, span, Some(help));
            return None;
        };
        let ids = IdRange { first: id, last: id };
        Some((if kind == SubjectKind::User { To::User(ids) } else { To::Group(ids) }, Some(name)))
    }

    fn executable(&mut self, subject: Subject) -> Option<Vec<Vec<u8>>> {
        let span = match subject {
            Subject::Text(string) => {
                let text = self.lets.read(&self.sources, &mut self.sink, string)?;
                return match patterns::literal_path(&text) {
                    Ok(path) => Some(path),
                    Err(diagnostic) => {
                        self.sink.push(diagnostic);
                        None
                    }
                };
            }
            Subject::Name(Ident(span)) | Subject::Id(span) | Subject::Range { span, .. } => span,
        };
        let help = Some("write the path of the file, in double quotes".to_owned());
        self.refuse(Code::NotOneFile, "an executable is named by its path".into(), span, help);
        None
    }
}

/// Settles all assignments: puts them into `subjects`, and says which sets of roles follow.
pub(super) fn settle(
    pending: Vec<Pending>,
    roles: &Roles,
    subjects: &mut Subjects,
    sources: &SourceMap,
    sink: &mut Sink,
) -> Assigned {
    let mut user_spans = Vec::new();
    let mut group_spans = Vec::new();
    let mut exe_spans = Vec::new();
    for Pending { to, roles: names, span } in pending {
        let roles = roles.find_all(sources, sink, &names);
        for (to, name) in to {
            let roles = roles.clone();
            match to {
                To::User(subject) => {
                    subjects.users.push(Assignment { subject, name, roles });
                    user_spans.push(span);
                }
                To::Group(subject) => {
                    subjects.groups.push(Assignment { subject, name, roles });
                    group_spans.push(span);
                }
                To::Exe(subject) => {
                    subjects.exes.push(Assignment { subject, name, roles });
                    exe_spans.push(span);
                }
            }
        }
    }
    Assigned {
        users: by_id(&subjects.users, &user_spans, subjects),
        groups: by_id(&subjects.groups, &group_spans, subjects),
        exes: by_path(&subjects.exes, &exe_spans, subjects),
    }
}

/// The sets of roles that single ids hold: a sweep over the ends of all ranges.
fn by_id(assignments: &[Assignment<IdRange>], spans: &[Span], subjects: &Subjects) -> Sets {
    let mut edges: Vec<(u64, usize)> = Vec::with_capacity(assignments.len() * 2);
    for (i, assignment) in assignments.iter().enumerate() {
        edges.push((u64::from(assignment.subject.first), i));
        edges.push((u64::from(assignment.subject.last) + 1, i));
    }
    edges.sort_unstable();
    let mut open: BTreeSet<usize> = BTreeSet::new();
    let mut held: BTreeMap<RoleId, u32> = BTreeMap::new();
    let mut sets = Sets::new();
    for (n, (id, i)) in edges.iter().enumerate() {
        let flat = subjects.flatten(&assignments[*i].roles);
        if open.insert(*i) {
            for role in flat {
                *held.entry(role).or_default() += 1;
            }
        } else {
            open.remove(i);
            for role in flat {
                if let Some(count) = held.get_mut(&role) {
                    *count -= 1;
                    if *count == 0 {
                        held.remove(&role);
                    }
                }
            }
        }
        let last_here = edges.get(n + 1).is_none_or(|(next, _)| next != id);
        if last_here && !open.is_empty() {
            let roles: Vec<RoleId> = held.keys().copied().collect();
            add(&mut sets, roles, || open.iter().map(|i| spans[*i]).collect());
        }
    }
    sets
}

fn by_path(assignments: &[Assignment<Vec<Vec<u8>>>], spans: &[Span], subjects: &Subjects) -> Sets {
    type Holds = (Vec<RoleId>, Vec<Span>);
    let mut files: BTreeMap<&[Vec<u8>], Holds> = BTreeMap::new();
    for (assignment, span) in assignments.iter().zip(spans) {
        let (roles, places) = files.entry(&assignment.subject).or_default();
        roles.extend_from_slice(&assignment.roles);
        places.push(*span);
    }
    let mut sets = Sets::new();
    for (roles, places) in files.into_values() {
        add(&mut sets, subjects.flatten(&roles), || places);
    }
    sets
}
