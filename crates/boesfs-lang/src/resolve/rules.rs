//! Rules: operations, qualifiers, patterns.

use super::Resolver;
use super::{conditions, patterns};
use crate::diag::suggest::did_you_mean;
use crate::diag::{Code, Diagnostic};
use crate::ops::{self, Op, Ops};
use crate::pattern::Pattern;
use crate::policy::{Effect, Record, Rule};
use crate::source::Span;
use crate::subjects::RoleId;
use crate::syntax::ast::{self, Ident, Qualifier, Str};

impl Resolver<'_> {
    /// Takes a rule, of `role` or of everyone.
    pub(super) fn take_rule(&mut self, rule: ast::Rule, role: Option<RoleId>) {
        let record = self.record(&rule);
        let (ops, named) = self.operations(&rule.ops);
        let patterns = self.patterns(&rule.patterns);
        let except = self.patterns(&rule.except);
        let when_span = rule.when.as_ref().map(ast::Expr::span);
        let when = match &rule.when {
            None => Some(None),
            Some(expr) => conditions::condition(self, expr, &rule.ops, ops).map(Some),
        };
        // What is missing here has been told; the rule only stands if it is whole.
        if let (Some(when), Some(patterns), Some(except)) = (when, patterns, except) {
            let pattern_spans = rule.patterns.iter().map(|pattern| pattern.0).collect();
            let effect = rule.effect;
            let span = rule.span;
            self.rules.push(Rule {
                effect,
                record,
                ops,
                named,
                role,
                patterns,
                except,
                when,
                span,
                pattern_spans,
                when_span,
            });
        }
    }

    fn record(&mut self, rule: &ast::Rule) -> Record {
        let mut qualifiers = rule.qualifiers.iter().copied();
        let Some((qualifier, span)) = qualifiers.next() else {
            return Record::Refusals;
        };
        if let Some((second, second_span)) = qualifiers.next() {
            let message = if second == qualifier {
                "the same qualifier twice"
            } else {
                "`audit` records everything and `quiet` nothing: not both"
            };
            self.sink
                .push(Diagnostic::error(Code::BadQualifier, message).at(second_span, "").at(span, "the other one"));
        }
        if qualifier == Qualifier::Quiet && rule.effect == Effect::Allow {
            self.sink.push(
                Diagnostic::error(Code::BadQualifier, "`quiet` has no effect on `allow`")
                    .at(span, "")
                    .help("what is allowed is not recorded unless the rule says `audit`"),
            );
        }
        match qualifier {
            Qualifier::Audit => Record::Audit,
            Qualifier::Quiet => Record::Quiet,
        }
    }

    /// The operations that `words` name, and those named one by one.
    fn operations(&mut self, words: &[Ident]) -> (Ops, Ops) {
        let mut all = Ops::NONE;
        let mut named = Ops::NONE;
        for word in words {
            let name = self.sources.text(word.0);
            if let Some(op) = Op::from_name(name) {
                all = all | Ops::from(op);
                named = named | Ops::from(op);
            } else if let Some(group) = group(name) {
                all = all | group;
            } else {
                // Beyond the findings that are shown, a suggestion is not worth its time.
                let help = if self.sink.has_room() { operation_help(name) } else { String::new() };
                self.sink.push(
                    Diagnostic::error(Code::UnknownOperation, format!("there is no operation `{name}`"))
                        .at(word.0, "")
                        .help(help),
                );
            }
        }
        (all, named)
    }

    fn patterns(&mut self, strings: &[Str]) -> Option<Vec<Pattern>> {
        let mut all = Some(Vec::with_capacity(strings.len()));
        for string in strings {
            let pattern = self.pattern(*string);
            all = all.zip(pattern).map(|(mut all, pattern)| {
                all.push(pattern);
                all
            });
        }
        all
    }

    fn pattern(&mut self, string: Str) -> Option<Pattern> {
        let text = self.lets.read(&self.sources, &mut self.sink, string)?;
        match patterns::pattern(&text) {
            Ok(pattern) => Some(pattern),
            Err(diagnostic) => {
                self.sink.push(diagnostic);
                None
            }
        }
    }

    /// Adds a diagnostic at the word `span`.
    pub(super) fn refuse(&mut self, code: Code, message: String, span: Span, help: Option<String>) {
        let diagnostic = Diagnostic { help, ..Diagnostic::error(code, message).at(span, "") };
        self.sink.push(diagnostic);
    }
}

/// The group of operations called `name`.
pub(super) fn group(name: &str) -> Option<Ops> {
    ops::GROUPS.iter().find(|group| group.name == name).map(|group| group.ops)
}

/// What is said to an unknown operation.
fn operation_help(name: &str) -> String {
    let known = ops::TABLE.iter().map(|info| info.name).chain(ops::GROUPS.iter().map(|group| group.name));
    foreign_operation(name)
        .map(str::to_owned)
        .or_else(|| did_you_mean(name, known))
        .unwrap_or_else(|| "the language reference lists the operations; `all` is every one".into())
}

/// What words of other systems are called here.
fn foreign_operation(name: &str) -> Option<&'static str> {
    Some(match name {
        "open" => "opening is asked as `read`, `write`, `append`, `create`, `exec` or `list`",
        "delete" | "remove" | "rm" => "removing is `unlink` for files and `rmdir` for directories",
        "execute" | "execve" => "executing is `exec`",
        "mmap" => "mapping is `map`",
        "readdir" | "ls" => "reading a directory is `list`",
        "getattr" | "lookup" | "access" => "reading attributes is `stat`",
        "setattr" => "attributes are set by `chmod`, `chown`, `utimes` and `truncate`",
        "mv" | "move" => "moving is `rename` of the old name and `create` of the new",
        _ => return None,
    })
}
