//! Roles: names, inheritance, closures.

use std::collections::BTreeSet;

use super::Table;
use super::sink::Sink;
use crate::check::Limits;
use crate::diag::suggest::did_you_mean;
use crate::diag::{Code, Diagnostic};
use crate::source::{SourceMap, Span};
use crate::subjects::{Role, RoleId};
use crate::syntax::ast::{self, Ident};

/// How many links of a circle are shown.
const MAX_SHOWN: usize = 8;

/// The roles of a policy, as declared.
#[derive(Debug, Default)]
pub(super) struct Roles {
    declared: Vec<Declared>,
    ids: Table<RoleId>,
}

#[derive(Debug)]
struct Declared {
    name: String,
    span: Span,
    parents: Vec<Ident>,
}

impl Roles {
    /// Takes a declaration. A second one of the same name is an error, and stands for the first.
    pub(super) fn declare(&mut self, sources: &SourceMap, sink: &mut Sink, role: &ast::Role) -> RoleId {
        let name = sources.text(role.name.0);
        if let Some(first) = self.ids.get(name) {
            sink.push(
                Diagnostic::error(Code::RepeatedName, format!("the role `{name}` is declared twice"))
                    .at(role.name.0, "here again")
                    .at(self.span(*first), "first here")
                    .help("put all its rules into one declaration"),
            );
            return *first;
        }
        let id = RoleId(self.declared.len() as u32);
        self.ids.insert(name.to_owned(), id);
        self.declared.push(Declared { name: name.to_owned(), span: role.name.0, parents: role.parents.clone() });
        id
    }

    /// Where `role` is declared.
    pub(super) fn span(&self, role: RoleId) -> Span {
        self.declared[role.0 as usize].span
    }

    /// Where each role is declared.
    pub(super) fn spans(&self) -> Vec<Span> {
        self.declared.iter().map(|role| role.span).collect()
    }

    /// The name of `role`.
    pub(super) fn name(&self, role: RoleId) -> &str {
        &self.declared[role.0 as usize].name
    }

    /// The role that `name` names.
    pub(super) fn find(&self, sources: &SourceMap, sink: &mut Sink, name: Ident) -> Option<RoleId> {
        let text = sources.text(name.0);
        let found = self.ids.get(text).copied();
        // A role that could not be read is missing here, and has been told.
        if found.is_none() && sink.has_room() && !sink.has_syntax_errors() {
            let help = did_you_mean(text, self.ids.keys().map(String::as_str))
                .unwrap_or_else(|| format!("declare it by `role {text} {{ .. }}`"));
            sink.push(
                Diagnostic::error(Code::UnknownRole, format!("there is no role `{text}`")).at(name.0, "").help(help),
            );
        }
        found
    }

    /// The roles that `names` name, without repetition, sorted.
    pub(super) fn find_all(&self, sources: &SourceMap, sink: &mut Sink, names: &[Ident]) -> Vec<RoleId> {
        let mut found: Vec<RoleId> = names.iter().filter_map(|name| self.find(sources, sink, *name)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Settles inheritance. `None` if it has no sense; told then.
    pub(super) fn settle(&self, sources: &SourceMap, sink: &mut Sink, limits: Limits) -> Option<Vec<Role>> {
        if let Some(over) = self.declared.get(limits.classes as usize) {
            let message = format!("more than {} roles", limits.classes);
            sink.push(
                Diagnostic::error(Code::TooManyClasses, message)
                    .at(over.span, "one too many")
                    .help("each role alone is a class of the decision tables, and their number is limited"),
            );
            return None;
        }
        let parents: Vec<Vec<RoleId>> =
            self.declared.iter().map(|role| self.find_all(sources, sink, &role.parents)).collect();
        let order = match order(&parents) {
            Ok(order) => order,
            Err(cycle) => {
                sink.push(self.cycle(sources, &cycle));
                return None;
            }
        };
        let mut closures: Vec<BTreeSet<RoleId>> = vec![BTreeSet::new(); parents.len()];
        for role in order {
            let mut closure = BTreeSet::from([role]);
            for parent in &parents[role.0 as usize] {
                closure.extend(closures[parent.0 as usize].iter().copied());
            }
            closures[role.0 as usize] = closure;
        }
        let role = |(declared, closure): (&Declared, BTreeSet<RoleId>)| Role {
            name: declared.name.clone(),
            closure: closure.into_iter().collect(),
        };
        Some(self.declared.iter().zip(closures).map(role).collect())
    }

    fn cycle(&self, sources: &SourceMap, cycle: &[RoleId]) -> Diagnostic {
        let first = cycle[0];
        let mut diagnostic =
            Diagnostic::error(Code::RoleCycle, format!("the role `{}` inherits from itself", self.name(first)));
        for (i, role) in cycle.iter().enumerate().take(MAX_SHOWN) {
            let next = cycle[(i + 1) % cycle.len()];
            let parents = &self.declared[role.0 as usize].parents;
            let named = parents.iter().find(|parent| self.ids.get(sources.text(parent.0)) == Some(&next));
            let span = named.map_or_else(|| self.span(*role), |parent| parent.0);
            diagnostic = diagnostic.at(span, format!("`{}` inherits from `{}`", self.name(*role), self.name(next)));
        }
        diagnostic
    }
}

/// The roles so that each stands behind its parents, or a cycle of roles.
fn order(parents: &[Vec<RoleId>]) -> Result<Vec<RoleId>, Vec<RoleId>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; parents.len()];
    let mut order = Vec::with_capacity(parents.len());
    for start in 0..parents.len() {
        // The path from `start` down, each with the parents still to visit: a stack of our own, as chains may be long.
        let mut path = vec![(RoleId(start as u32), 0)];
        while let Some((role, next)) = path.last_mut() {
            let index = role.0 as usize;
            if *next == 0 && marks[index] != Mark::New {
                path.pop();
                continue;
            }
            marks[index] = Mark::Open;
            match parents[index].get(*next) {
                Some(parent) => {
                    *next += 1;
                    let parent = *parent;
                    if marks[parent.0 as usize] == Mark::Open {
                        let from = path.iter().position(|(role, _)| *role == parent).unwrap_or(0);
                        return Err(path[from..].iter().map(|(role, _)| *role).collect());
                    }
                    path.push((parent, 0));
                }
                None => {
                    marks[index] = Mark::Done;
                    order.push(*role);
                    path.pop();
                }
            }
        }
    }
    Ok(order)
}
