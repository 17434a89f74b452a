//! From syntax trees to a checked policy.
//!
//! In: the main file's text, and through the caller's traits the texts of included files and the numbers of names.
//! Out: a [`Policy`], or diagnostics. Holds: everything `policy` promises.
//!
//! One pass over the statements of all files, includes in place, does what depends on order: lets, patterns, rules.
//! Roles and who holds them do not depend on order and are settled after it.

mod assignments;
mod classes;
mod conditions;
pub mod constants;
mod files;
mod numbers;
mod patterns;
mod roles;
mod rules;
mod separation;
mod sink;
mod text;

use std::collections::BTreeMap;

use crate::check::{Checked, Input, Rejected};
use crate::diag::{Code, Diagnostic, Severity};
use crate::policy::{Default, Effect, Policy, Rule};
use crate::source::{SourceMap, Span};
use crate::subjects::Subjects;
use crate::syntax::ast::Item;

use sink::Sink;

/// What is known so far.
pub(crate) struct Resolver<'i> {
    input: &'i Input<'i>,
    sources: SourceMap,
    sink: Sink,
    lets: text::Lets,
    rules: Vec<Rule>,
    roles: roles::Roles,
    assignments: Vec<assignments::Pending>,
    separations: Vec<separation::Pending>,
    name: Option<(String, Span)>,
    default: Option<(Default, Span)>,
}

/// Resolves the policy of `input`.
pub(crate) fn resolve(input: &Input<'_>) -> Result<Checked, Rejected> {
    let mut resolver = Resolver {
        input,
        sources: SourceMap::default(),
        sink: Sink::default(),
        lets: text::Lets::new(input.defines),
        rules: Vec::new(),
        roles: roles::Roles::default(),
        assignments: Vec::new(),
        separations: Vec::new(),
        name: None,
        default: None,
    };
    resolver.read_files();
    resolver.lets.report_unknown(&mut resolver.sink);
    resolver.lets.report_unused(&mut resolver.sink);
    let subjects = resolver.settle_subjects();
    resolver.finish(subjects)
}

impl Resolver<'_> {
    /// Takes one statement, in source order. Includes are the reader's.
    fn take(&mut self, item: Item, place: files::Position) {
        match item {
            Item::Policy { name, span } => {
                let text = self.sources.text(name.0).to_owned();
                let before = self.name.as_ref().map(|(_, span)| *span);
                if self.only_once("policy", span, before, place) {
                    self.name = Some((text, span));
                }
            }
            Item::Default { effect, effect_span, span } => self.take_default(effect, effect_span, span, place),
            Item::Let { name, value, .. } => self.lets.define(&self.sources, &mut self.sink, name, value),
            Item::Role(role) => {
                let id = self.roles.declare(&self.sources, &mut self.sink, &role);
                for rule in role.rules {
                    self.take_rule(rule, Some(id));
                }
            }
            Item::Rule(rule) => self.take_rule(rule, None),
            Item::Assign(assign) => self.take_assignment(assign),
            Item::Separate { roles, span } => self.separations.push(separation::Pending { roles, span }),
            Item::Include { .. } => {}
        }
    }

    fn take_default(&mut self, effect: Effect, effect_span: Span, span: Span, place: files::Position) {
        let before = self.default.map(|(_, span)| span);
        if !self.only_once("default", span, before, place) {
            return;
        }
        let default = match effect {
            Effect::Allow => Default::Allow,
            Effect::Deny => Default::Deny,
            Effect::Hide | Effect::Kill => {
                self.sink.push(
                    Diagnostic::error(Code::BadDefault, format!("`{}` cannot be the default", effect.name()))
                        .at(effect_span, "")
                        .help(format!("write `default deny;` and `{} all on \"/\";`", effect.name())),
                );
                Default::Deny
            }
        };
        self.default = Some((default, span));
    }

    /// Whether the statement `word` may stand here: in the main file, for the first time.
    fn only_once(&mut self, word: &str, span: Span, before: Option<Span>, place: files::Position) -> bool {
        if place == files::Position::Included {
            self.sink.push(
                Diagnostic::error(Code::NotInInclude, format!("`{word}` cannot stand in an included file"))
                    .at(span, "")
                    .help("it belongs into the policy itself, where its reader looks for it"),
            );
            return false;
        }
        if let Some(before) = before {
            self.sink.push(
                Diagnostic::error(Code::RepeatedStatement, format!("`{word}` stands twice"))
                    .at(span, "here again")
                    .at(before, "first here"),
            );
            return false;
        }
        true
    }

    fn finish(mut self, subjects: Subjects) -> Result<Checked, Rejected> {
        if self.default.is_none() && !self.sink.has_syntax_errors() {
            let start = Span { file: crate::source::FileId(0), start: 0, end: 0 };
            self.sink.push(
                Diagnostic::error(Code::MissingDefault, "the policy does not say what its default is")
                    .at(start, "no `default` statement in this file")
                    .help("write `default deny;` to allow only what rules allow, or `default allow;` to refuse only what rules refuse"),
            );
        }
        let diagnostics = self.sink.finish();
        if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            return Err(Rejected { diagnostics, sources: self.sources });
        }
        // Without an error there is a default.
        let default = self.default.map_or(Default::Deny, |(default, _)| default);
        let name = self.name.map_or_else(|| stem(self.input.name), |(name, _)| name);
        let role_spans = self.roles.spans();
        let policy = Policy { name, default, rules: self.rules, subjects, role_spans, sources: self.sources };
        Ok(Checked { policy, warnings: diagnostics })
    }

    fn settle_subjects(&mut self) -> Subjects {
        let Some(roles) = self.roles.settle(&self.sources, &mut self.sink, self.input.limits) else {
            return Subjects::default();
        };
        let mut subjects = Subjects { roles, ..Subjects::default() };
        let separations = separation::settle(
            &std::mem::take(&mut self.separations),
            &self.roles,
            &subjects,
            &self.sources,
            &mut self.sink,
        );
        subjects.separations = separations.iter().map(|separation| separation.roles.clone()).collect();
        let assigned = assignments::settle(
            std::mem::take(&mut self.assignments),
            &self.roles,
            &mut subjects,
            &self.sources,
            &mut self.sink,
        );
        let held = separation::check(&separations, &assigned, &self.roles, &subjects, &mut self.sink);
        match classes::close(&held, &subjects, self.input.limits.classes) {
            Ok(classes) => subjects.classes = classes,
            Err(classes::TooMany) => self.sink.push(
                Diagnostic::error(
                    Code::TooManyClasses,
                    format!("more than {} sets of roles can be active at once", self.input.limits.classes),
                )
                .help("every combination of groups with different roles counts: give combined roles to fewer groups, or separate roles that nobody needs together"),
            ),
        }
        subjects
    }
}

/// The name of a file without folders and ending.
fn stem(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
    if stem.is_empty() { "policy".into() } else { stem.into() }
}

/// Names and what they stand for.
type Table<T> = BTreeMap<String, T>;
