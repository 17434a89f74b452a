//! The automaton as a graph for Graphviz.

use std::fmt::Write as _;

use boesfs_codegen::automaton::Automaton;
use boesfs_codegen::tables::StateId;
use boesfs_lang::ops::Ops;
use boesfs_lang::policy::Policy;

use super::listing::{self, glob_edges};

/// The automaton in the dot language. States show what subjects without a role may do.
pub(super) fn dot(policy: &Policy, automaton: &Automaton) -> String {
    let mut out = format!("digraph \"{}\" {{\n    rankdir=LR;\n    node [shape=box];\n", quoted(&policy.name));
    for (number, state) in automaton.places.iter().enumerate() {
        let id = StateId(number as u32);
        // Every name leads from the dead state to itself: nothing to see.
        if id == StateId::DEAD {
            continue;
        }
        let row = automaton.answers.rows.get(automaton.answers.row_of[state.answer as usize]).first();
        let allowed = listing::ops(Ops(row.copied().unwrap_or_default() as u32));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "    {number} [label=\"{number}\\n{}\"];", quoted(&allowed));
        for (name, to) in automaton.literals_of(id) {
            edge(&mut out, id, to, &listing::bytes(name), "");
        }
        for (example, to) in glob_edges(automaton, state) {
            edge(&mut out, id, to, &format!("{} ..", listing::bytes(&example)), ", style=dashed");
        }
        edge(&mut out, id, state.default, "", ", style=dotted");
    }
    out.push_str("}\n");
    out
}

fn edge(out: &mut String, from: StateId, to: StateId, label: &str, style: &str) {
    let _ = writeln!(out, "    {} -> {} [label=\"{}\"{style}];", from.0, to.0, quoted(label));
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
