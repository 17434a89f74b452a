//! An automaton as text and as a graph for Graphviz.

use std::fmt::Write as _;

use boesfs_lang::ops::{COUNT, Ops};
use boesfs_lang::policy::Policy;

use super::Automaton;
use super::globs::{ByteClasses, ByteDfa};
use crate::tables::StateId;

impl Automaton {
    /// One paragraph a state: what it answers to each class, and where names lead.
    #[must_use]
    pub fn to_text(&self, policy: &Policy) -> String {
        let mut out = String::new();
        for state in (0..self.places.len() as u32).map(StateId) {
            let title = match state {
                StateId::DEAD => " (dead)",
                StateId::ROOT => " (root)",
                _ => "",
            };
            line(&mut out, format_args!("state {}{title}", state.0));
            for class in 0..self.classes {
                line(&mut out, format_args!("  {}: {}", class_name(policy, class), self.answer_text(state, class)));
            }
            for (label, to) in self.edges(state) {
                line(&mut out, format_args!("  {label} -> {}", to.0));
            }
        }
        out
    }

    /// The automaton as a directed graph in Graphviz's language.
    #[must_use]
    pub fn to_dot(&self, policy: &Policy) -> String {
        let mut out = String::new();
        line(&mut out, format_args!("digraph {} {{", quoted(&policy.name)));
        line(&mut out, format_args!("  rankdir=LR; node [shape=box, fontname=monospace]; edge [fontname=monospace];"));
        for state in (1..self.places.len() as u32).map(StateId) {
            let mut label = format!("{}", state.0);
            for class in 0..self.classes {
                let _ = write!(label, "\n{}: {}", class_name(policy, class), self.answer_text(state, class));
            }
            line(&mut out, format_args!("  s{} [label={}];", state.0, quoted(&label)));
            for (label, to) in self.edges(state) {
                line(&mut out, format_args!("  s{} -> s{} [label={}];", state.0, to.0, quoted(&label)));
            }
        }
        line(&mut out, format_args!("}}"));
        out
    }

    /// The edges of a state, each with a label; the default last.
    fn edges(&self, state: StateId) -> Vec<(String, StateId)> {
        let place = &self.places[state.0 as usize];
        let mut edges: Vec<(String, StateId)> =
            self.literals_of(state).map(|(name, to)| (format!("\"{}\"", name.escape_ascii()), to)).collect();
        if let Some(globs) = &place.globs {
            let dfa = &self.dfas[globs.dfa as usize];
            let examples = dfa.examples(&self.byte_classes, globs.targets.len());
            for (to, example) in globs.targets.iter().zip(examples).skip(1) {
                let like = example.map_or_else(|| "glob".into(), |name| format!("like \"{}\"", name.escape_ascii()));
                edges.push((like, *to));
            }
        }
        edges.push(("else".into(), place.default));
        edges
    }

    fn answer_text(&self, state: StateId, class: u32) -> String {
        let answer = self.places[state.0 as usize].answer;
        let row = self.answers.rows.get(self.answers.row_of[answer as usize])[class as usize];
        let (allowed, look) = (Ops(row as u32), Ops((row >> 32) as u32));
        match look.is_empty() {
            true => format!("allow {}", ops_text(allowed)),
            false => format!("allow {}; look at {}", ops_text(allowed), ops_text(look)),
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}

fn class_name(policy: &Policy, class: u32) -> String {
    let roles = policy.subjects.classes.get(class as usize).map_or(&[][..], |class| &class.roles);
    let names: Vec<&str> = roles.iter().map(|role| policy.subjects.roles[role.0 as usize].name.as_str()).collect();
    match names.is_empty() {
        true => "everyone".into(),
        false => names.join("+"),
    }
}

fn ops_text(ops: Ops) -> String {
    let some = |ops: Ops| ops.iter().map(|op| op.name()).collect::<Vec<_>>().join(",");
    let rest = Ops(Ops::ALL.0 & !ops.0);
    match ops.0.count_ones() as usize {
        0 => "nothing".into(),
        COUNT => "all".into(),
        n if n > COUNT / 2 => format!("all but {}", some(rest)),
        _ => some(ops),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

impl ByteDfa {
    /// By outcome: one of the shortest names that have it.
    fn examples(&self, classes: &ByteClasses, outcomes: usize) -> Vec<Option<Vec<u8>>> {
        let mut found = vec![None; outcomes];
        let mut seen = vec![false; self.states()];
        let mut names = vec![(self.start, Vec::new())];
        // Letters and digits make the better examples.
        let mut bytes: Vec<u8> = (1..=u8::MAX).filter(|byte| *byte != b'/').collect();
        bytes.sort_by_key(|byte| (!byte.is_ascii_lowercase(), !byte.is_ascii_graphic(), *byte));
        let mut at = 0;
        while let Some((q, name)) = names.get(at).cloned() {
            at += 1;
            for byte in &bytes {
                let column = usize::from(classes.class[usize::from(*byte)]);
                let to = self.next[q as usize * classes.columns + column];
                if std::mem::replace(&mut seen[to as usize], true) {
                    continue;
                }
                let longer = [&name[..], &[*byte]].concat();
                if let Some(example) = found.get_mut(self.outcome[to as usize] as usize) {
                    example.get_or_insert_with(|| longer.clone());
                }
                names.push((to, longer));
            }
        }
        found
    }
}
