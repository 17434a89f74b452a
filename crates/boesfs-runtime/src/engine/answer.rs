//! One answer as a line of JSON.
//!
//! ```json
//! {"effect":"deny","audit":false,"rule":{"file":"p.bfs","line":7}}
//! {"id":7,"effect":"deny","audit":false,"rule":null,"cause":"default"}
//! {"id":8,"error":"there is no operation `wirte`"}
//! ```
//!
//! `audit` says whether the rule that decided is marked `audit`. `cause` stands where no rule decided: `default`;
//! `not-granted`, if no rule allows the operation to these roles anywhere; `no-class`, if the subject would hold roles
//! that nobody may hold at once, and is refused everything.

use boesfs_codegen::manifest::Manifest;
use boesfs_lang::eval::{Cause, Verdict};
use boesfs_lang::policy::{Policy, Record, RuleId};
use serde::Serialize;
use serde_json::value::RawValue;

/// Where the rules of a policy are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    files: Vec<String>,
    rules: Vec<(u32, u32)>,
}

impl From<&Policy> for Places {
    fn from(policy: &Policy) -> Places {
        let line = |span| policy.sources.line_col(span).0;
        Places {
            files: policy.sources.files().iter().map(|file| file.name.clone()).collect(),
            rules: policy.rules.iter().map(|rule| (rule.span.file.0, line(rule.span))).collect(),
        }
    }
}

impl From<&Manifest> for Places {
    fn from(manifest: &Manifest) -> Places {
        Places {
            files: manifest.files.clone(),
            rules: manifest.rules.iter().map(|rule| (rule.file, rule.line)).collect(),
        }
    }
}

impl Places {
    /// The file and the line of `rule`.
    #[must_use]
    pub fn of(&self, rule: RuleId) -> Option<(&str, u32)> {
        let (file, line) = self.rules.get(rule.0 as usize)?;
        Some((self.files.get(*file as usize)?, *line))
    }
}

/// What is written for one request.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    effect: &'static str,
    audit: bool,
    rule: Option<Place<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    line: u32,
}

/// What is written for a request that has no answer.
#[derive(Serialize)]
pub(super) struct Failure<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a RawValue>,
    pub(super) error: String,
}

impl<'a> Answer<'a> {
    /// The answer `verdict`, or none for a subject without a class. `None`: it names a rule that the policy does not have.
    pub(super) fn new(id: Option<&'a RawValue>, verdict: Option<Verdict>, places: &'a Places) -> Option<Answer<'a>> {
        let cause = match verdict.map(|verdict| verdict.cause) {
            Some(Cause::Rule(_)) => None,
            Some(Cause::Default) => Some("default"),
            Some(Cause::NotGranted) => Some("not-granted"),
            None => Some("no-class"),
        };
        let verdict = verdict.unwrap_or(crate::policy::REFUSED);
        let rule = match verdict.cause {
            Cause::Rule(rule) => Some(places.of(rule).map(|(file, line)| Place { file, line })?),
            Cause::Default | Cause::NotGranted => None,
        };
        Some(Answer { id, effect: verdict.effect.name(), audit: verdict.record == Record::Audit, rule, cause })
    }
}
