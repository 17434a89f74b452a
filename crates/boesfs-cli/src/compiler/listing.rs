//! Policies and tables as text, for `dump` and `explain`. Writing to a string cannot fail, so its results are dropped.

use std::fmt::Write as _;

use boesfs_codegen::tables::Tables;
use boesfs_lang::ops::Ops;
use boesfs_lang::pattern::{Component, Extent, GlobPart, Pattern};
use boesfs_lang::policy::{Policy, Record, Rule};
use boesfs_lang::source::Span;
use boesfs_lang::subjects::{Class, RoleId, Subjects};

/// Bytes as they are written in a policy, without quotes.
pub(super) fn bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.escape_debug().to_string(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// `file:line` of a span.
pub(super) fn place(policy: &Policy, span: Span) -> String {
    format!("{}:{}", policy.sources.file(span.file).name, policy.sources.line_col(span).0)
}

/// The text of a span on one line.
pub(super) fn one_line(policy: &Policy, span: Span) -> String {
    policy.sources.text(span).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Operations by name, or the group that they are.
pub(super) fn ops(ops: Ops) -> String {
    if ops.is_empty() {
        return "none".into();
    }
    match boesfs_lang::ops::GROUPS.iter().find(|group| group.ops == ops) {
        Some(group) => group.name.into(),
        None => ops.iter().map(|op| op.name()).collect::<Vec<_>>().join(" "),
    }
}

/// A set of roles by name.
pub(super) fn roles(subjects: &Subjects, roles: &[RoleId]) -> String {
    if roles.is_empty() {
        return "no role".into();
    }
    roles.iter().map(|role| subjects.roles[role.0 as usize].name.as_str()).collect::<Vec<_>>().join(" ")
}

/// A checked policy: everything resolved.
pub(super) fn policy(policy: &Policy) -> String {
    let default = format!("{:?}", policy.default).to_lowercase();
    let mut out = format!("policy {}, default {default}\n", policy.name);
    for role in &policy.subjects.roles {
        let _ = writeln!(out, "role {}: {}", role.name, roles(&policy.subjects, &role.closure));
    }
    for (word, assignments) in [("user", &policy.subjects.users), ("group", &policy.subjects.groups)] {
        for given in assignments {
            let name = given.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            let range = given.subject;
            let _ = writeln!(
                out,
                "{word} {}..{}{name}: {}",
                range.first,
                range.last,
                roles(&policy.subjects, &given.roles)
            );
        }
    }
    for given in &policy.subjects.exes {
        let path: String = given.subject.iter().map(|name| format!("/{}", bytes(name))).collect();
        let _ = writeln!(out, "exe {path}: {}", roles(&policy.subjects, &given.roles));
    }
    for apart in &policy.subjects.separations {
        let _ = writeln!(out, "separate {}", roles(&policy.subjects, apart));
    }
    for (number, Class { roles: active }) in policy.subjects.classes.iter().enumerate() {
        let _ = writeln!(out, "class {number}: {}", roles(&policy.subjects, active));
    }
    for (number, rule) in policy.rules.iter().enumerate() {
        self::rule(policy, number, rule, &mut out);
    }
    out
}

fn rule(policy: &Policy, number: usize, rule: &Rule, out: &mut String) {
    let record = match rule.record {
        Record::Audit => "audit ",
        Record::Refusals => "",
        Record::Quiet => "quiet ",
    };
    let role = rule.role.map(|role| format!(" for {}", roles(&policy.subjects, &[role]))).unwrap_or_default();
    let _ = writeln!(
        out,
        "rule {number} at {}: {record}{}{role}\n    operations {}",
        place(policy, rule.span),
        rule.effect.name(),
        ops(rule.ops)
    );
    for covered in &rule.patterns {
        let _ = writeln!(out, "    on {}", pattern(covered));
    }
    for left_out in &rule.except {
        let _ = writeln!(out, "    except {}", pattern(left_out));
    }
    if let Some(span) = rule.when_span {
        let _ = writeln!(out, "    when {}", one_line(policy, span));
    }
}

/// A pattern as it could be written, lets filled in.
fn pattern(pattern: &Pattern) -> String {
    let mut out: String = pattern.components.iter().map(|part| format!("/{}", component(part))).collect();
    if pattern.extent == Extent::Tree {
        out.push('/');
    }
    out
}

fn component(component: &Component) -> String {
    match component {
        Component::Literal(name) => name.iter().map(|byte| literal(*byte)).collect(),
        Component::Glob(glob) => parts(&glob.0),
        Component::Any => "**".into(),
    }
}

fn parts(parts: &[GlobPart]) -> String {
    parts
        .iter()
        .map(|part| match part {
            GlobPart::Byte(byte) => literal(*byte),
            GlobPart::One => "?".into(),
            GlobPart::Star => "*".into(),
            GlobPart::Set { negated, ranges } => {
                let ranges: String = ranges.iter().map(|(low, high)| range(*low, *high)).collect();
                format!("[{}{ranges}]", if *negated { "!" } else { "" })
            }
            GlobPart::Alt(branches) => {
                format!("{{{}}}", branches.iter().map(|branch| self::parts(branch)).collect::<Vec<_>>().join(","))
            }
        })
        .collect()
}

fn range(low: u8, high: u8) -> String {
    if low == high { literal(low) } else { format!("{}-{}", literal(low), literal(high)) }
}

fn literal(byte: u8) -> String {
    match byte {
        b'*' | b'?' | b'[' | b']' | b'{' | b'}' | b',' | b'-' | b'!' | b'^' if !matches!(byte, b'-' | b',') => {
            format!("\\{}", char::from(byte))
        }
        byte => byte.escape_ascii().to_string(),
    }
}

/// The tables: their sizes, and the entries of the small ones.
pub(super) fn tables(tables: &Tables) -> String {
    let mut out = String::new();
    for table in boesfs_codegen::emit::layout::Table::ALL {
        let entries = table.entries(tables);
        let _ = writeln!(out, "{:<20} {entries:>9} entries of {:>2} bytes", table.section(), table.entry_bytes());
    }
    let _ = writeln!(out, "seed {:#018x}, {} classes, glob shift {}\n", tables.seed, tables.classes, tables.glob_shift);
    for (i, state) in tables.states.iter().enumerate() {
        let _ = writeln!(out, "states[{i}] {state:?}");
    }
    for (i, edge) in tables.edges.iter().enumerate().filter(|(_, edge)| edge.state != 0) {
        let _ = writeln!(out, "edges[{i}] {edge:?}");
    }
    for (i, row) in tables.rows.iter().enumerate() {
        let _ = writeln!(out, "rows[{i}] {row:#018x}");
    }
    for (i, cause) in tables.causes.iter().enumerate() {
        let _ = writeln!(out, "causes[{i}] {cause:?}");
    }
    for (i, shape) in tables.shapes.iter().enumerate() {
        let _ = writeln!(out, "shapes[{i}] {shape:?}");
    }
    let _ = writeln!(out, "links {:?}", tables.links);
    for (i, decision) in tables.decisions.iter().enumerate() {
        let _ = writeln!(out, "decisions[{i}] {decision:?}");
    }
    for (i, globs) in tables.globs.iter().enumerate() {
        let _ = writeln!(out, "globs[{i}] {globs:?}");
    }
    out
}
