//! Hooks on the command line: `--hook NAME`.

use boesfs_runtime::hook::Hook;
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Reads the name of a hook.
pub fn named() -> impl TypedValueParser<Value = Hook> {
    PossibleValuesParser::new(Hook::ALL.map(Hook::name)).try_map(|name| by_name(&name).ok_or("no such hook"))
}

/// Reads the name of a hook, or `auto`, which is none in particular.
pub fn named_or_auto() -> impl TypedValueParser<Value = Choice> {
    let names = std::iter::once("auto").chain(Hook::ALL.map(Hook::name)).collect::<Vec<_>>();
    PossibleValuesParser::new(names).map(|name| by_name(&name).map_or(Choice::Auto, Choice::Named))
}

fn by_name(name: &str) -> Option<Hook> {
    Hook::ALL.into_iter().find(|hook| hook.name() == name)
}

/// What `--hook` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The best that can enforce the policy.
    Auto,
    /// This one.
    Named(Hook),
}
