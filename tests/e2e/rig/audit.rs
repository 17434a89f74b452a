//! The audit stream, read as a machine would.

use std::path::Path;

use serde::Deserialize;

/// One line of the stream.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) op: String,
    pub(crate) path: String,
    pub(crate) effect: String,
    pub(crate) comm: String,
    pub(crate) roles: Vec<String>,
    pub(crate) rule: Option<Place>,
    pub(crate) lost: u64,
}

/// Where the rule that decided is written.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u32,
}

/// A line of a loss alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Loss {
    #[serde(rename = "v")]
    _v: u32,
    #[serde(rename = "time")]
    _time: String,
    #[serde(rename = "lost")]
    _lost: u64,
}

fn is_loss(line: &str) -> bool {
    serde_json::from_str::<Loss>(line).is_ok()
}

/// Every record of the stream in `file`: each line must be one, or tell of losses.
pub(crate) fn records(file: &Path) -> Vec<Record> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .filter(|line| !is_loss(line))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("not a record: {line}: {error}")))
        .collect()
}
