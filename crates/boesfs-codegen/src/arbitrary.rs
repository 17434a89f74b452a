//! Random policies and requests for property tests, over small alphabets, so that patterns overlap heavily.
//!
//! In: proptest. Out: [`Policy`] values, as the resolver would make them, and requests. For tests alone.

use boesfs_lang::cond::{Arg, Args, Cmp, Cond, Term};
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::pattern::{Component, Extent, Glob, GlobPart, Pattern};
use boesfs_lang::policy::{Default, Effect, Policy, Record, Rule};
use boesfs_lang::source::{SourceMap, Span};
use boesfs_lang::subjects::{Assignment, Class, IdRange, Role, RoleId, Subjects};
use proptest::prelude::*;

use crate::tables::graph::read_only;

/// The names that patterns and paths are made of.
pub const NAMES: [&str; 6] = ["a", "b", "c", "ab", ".x", "abcdefghi"];

/// The operations that rules and requests are about.
pub const OPS: [Op; 4] = [Op::Read, Op::Write, Op::Stat, Op::Create];

/// A name.
pub fn names() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(&NAMES[..]).prop_map(|name| name.as_bytes().to_vec())
}

/// Every path of at most `depth` components.
#[must_use]
pub fn all_paths(depth: usize) -> Vec<Vec<&'static [u8]>> {
    let mut paths = vec![Vec::new()];
    let mut last = paths.clone();
    for _ in 0..depth {
        last = last
            .iter()
            .flat_map(|path| NAMES.iter().map(move |name| [&path[..], &[name.as_bytes()]].concat()))
            .collect();
        paths.extend_from_slice(&last);
    }
    paths
}

/// A glob.
pub fn globs() -> impl Strategy<Value = Glob> {
    let byte = |b: u8| GlobPart::Byte(b);
    let set = |negated, lo, hi| GlobPart::Set { negated, ranges: vec![(lo, hi)] };
    prop::sample::select(vec![
        vec![GlobPart::Star],
        vec![GlobPart::One],
        vec![byte(b'a'), GlobPart::Star],
        vec![GlobPart::Star, byte(b'b')],
        vec![byte(b'.'), GlobPart::Star],
        vec![GlobPart::One, GlobPart::One],
        vec![GlobPart::Star, byte(b'b'), GlobPart::Star],
        vec![set(false, b'a', b'b')],
        vec![set(true, b'a', b'b'), GlobPart::Star],
        vec![GlobPart::Alt(vec![vec![byte(b'a')], vec![byte(b'a'), byte(b'b')], vec![]])],
        vec![GlobPart::Alt(vec![vec![byte(b'a'), GlobPart::Star], vec![byte(b'.'), GlobPart::One]])],
    ])
    .prop_map(Glob)
}

/// One component of a pattern.
fn components() -> impl Strategy<Value = Component> {
    prop_oneof![
        6 => names().prop_map(Component::Literal),
        2 => globs().prop_map(Component::Glob),
        2 => Just(Component::Any),
    ]
}

/// A pattern.
pub fn patterns() -> impl Strategy<Value = Pattern> {
    let extent = prop::sample::select(vec![Extent::Object, Extent::Tree]);
    (prop::collection::vec(components(), 0..5), extent).prop_map(|(components, extent)| Pattern { components, extent })
}

/// A condition that every operation can have.
pub fn conditions() -> impl Strategy<Value = Cond> {
    let arg = prop::sample::select(vec![Arg::Uid, Arg::Owner, Arg::Gid]);
    let cmp = prop::sample::select(vec![Cmp::Eq, Cmp::Ne, Cmp::Lt, Cmp::Le, Cmp::Gt, Cmp::Ge]);
    let leaf = (arg, cmp, 0_u64..4, 0_u64..4).prop_map(|(arg, cmp, mask, value)| {
        let left = match mask {
            0 => Term::Arg(arg),
            mask => Term::And(Box::new(Term::Arg(arg)), Box::new(Term::Int(mask))),
        };
        Cond::Cmp(cmp, left, Term::Int(value))
    });
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|cond| Cond::Not(Box::new(cond))),
            prop::collection::vec(inner.clone(), 2..3).prop_map(Cond::All),
            prop::collection::vec(inner, 2..3).prop_map(Cond::Any),
        ]
    })
}

/// The arguments that conditions speak of.
pub fn args() -> impl Strategy<Value = Args> {
    (0_u64..4, 0_u64..4, 0_u64..4)
        .prop_map(|(uid, gid, owner)| Args::default().with(Arg::Uid, uid).with(Arg::Gid, gid).with(Arg::Owner, owner))
}

fn ops() -> impl Strategy<Value = Ops> {
    prop_oneof![
        3 => prop::sample::subsequence(&OPS[..], 1..=OPS.len()).prop_map(|ops| Ops::of(&ops)),
        1 => Just(Ops::ALL),
        1 => Just(read_only()),
    ]
}

fn rules(roles: u32) -> impl Strategy<Value = Rule> {
    let effect = prop_oneof![
        4 => Just(Effect::Allow),
        3 => Just(Effect::Deny),
        1 => Just(Effect::Hide),
        1 => Just(Effect::Kill),
    ];
    let record = prop_oneof![4 => Just(Record::Refusals), 1 => Just(Record::Audit), 1 => Just(Record::Quiet)];
    let role = prop::option::of(0..roles.max(1)).prop_map(move |role| role.filter(|_| roles > 0));
    (
        (effect, record, ops(), role),
        prop::collection::vec(patterns(), 1..4),
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(patterns(), 1..3)],
        prop::option::weighted(0.25, conditions()),
    )
        .prop_map(|((effect, record, ops, role), patterns, except, when)| {
            let span = Span { file: boesfs_lang::source::FileId(0), start: 0, end: 0 };
            Rule {
                effect,
                record,
                ops,
                named: ops,
                role: role.map(RoleId),
                pattern_spans: vec![span; patterns.len()],
                when_span: when.as_ref().map(|_| span),
                patterns,
                except,
                when,
                span,
            }
        })
}

/// The largest id that assignments speak of, and requests ask about.
pub const LAST_ID: u32 = 9;

/// To whom a role is given: a kind, the first and last id or the path, and the role.
type Given = (u8, u32, u32, Vec<Vec<u8>>, prop::sample::Index);

/// Up to three roles, each inheriting from some before it, who holds them, and all classes they can make; none with
/// the first two, if these are separated.
fn subjects() -> impl Strategy<Value = Subjects> {
    let path = prop::collection::vec(names(), 1..4);
    let given =
        (0_u8..3, 0..=LAST_ID, prop_oneof![4 => 0..=LAST_ID, 1 => Just(u32::MAX)], path, any::<prop::sample::Index>());
    let roles = prop::collection::vec(any::<u8>(), 0..4);
    (roles, prop::collection::vec(given, 0..6), any::<bool>()).prop_map(|(inherits, given, separated)| {
        let mut subjects = Subjects::default();
        for (bits, i) in inherits.iter().zip(0_u32..) {
            let own: Vec<RoleId> = (0..i).filter(|j| bits >> j & 1 == 1).map(RoleId).collect();
            let mut closure = subjects.flatten(&own);
            closure.push(RoleId(i));
            subjects.roles.push(Role { name: format!("role{i}"), closure });
        }
        let count = subjects.roles.len() as u32;
        let mut classes: Vec<Class> = (0_u32..1 << count)
            .map(|set| (0..count).filter(|role| set >> role & 1 == 1).map(RoleId).collect::<Vec<_>>())
            .map(|roles| Class { roles: subjects.flatten(&roles) })
            .collect();
        classes.sort_unstable();
        classes.dedup();
        if separated && count > 1 {
            classes.retain(|class| !(class.roles.contains(&RoleId(0)) && class.roles.contains(&RoleId(1))));
        }
        subjects.classes = classes;
        if count > 0 {
            given.into_iter().for_each(|given| assign(&mut subjects, given));
        }
        subjects
    })
}

fn assign(subjects: &mut Subjects, (kind, a, b, path, role): Given) {
    let roles = vec![RoleId(role.index(subjects.roles.len()) as u32)];
    let range = IdRange { first: a.min(b), last: a.max(b) };
    match kind {
        0 => subjects.users.push(Assignment { subject: range, name: None, roles }),
        1 => subjects.groups.push(Assignment { subject: range, name: None, roles }),
        _ => subjects.exes.push(Assignment { subject: path, name: None, roles }),
    }
}

/// A policy of up to `most` rules. Some cover what an earlier one covers.
pub fn policies(most: usize) -> impl Strategy<Value = Policy> {
    let default = prop::sample::select(vec![Default::Deny, Default::Allow]);
    (subjects(), default).prop_flat_map(move |(subjects, default)| {
        let roles = subjects.roles.len() as u32;
        let as_before = prop::option::weighted(0.25, any::<prop::sample::Index>());
        prop::collection::vec((rules(roles), as_before), 0..=most).prop_map(move |drawn| {
            let mut rules: Vec<Rule> = Vec::new();
            for (mut rule, as_before) in drawn {
                if let Some(index) = as_before.filter(|_| !rules.is_empty()) {
                    let before: &Rule = index.get(&rules);
                    rule.patterns.clone_from(&before.patterns);
                    rule.pattern_spans.clone_from(&before.pattern_spans);
                }
                rules.push(rule);
            }
            assemble(subjects.clone(), default, rules)
        })
    })
}

/// Puts a policy together. Its source has a line for each rule, where the rule's spans point.
fn assemble(subjects: Subjects, default: Default, mut rules: Vec<Rule>) -> Policy {
    let mut text = String::from("policy random;\n");
    let mut sources = SourceMap::default();
    for (i, rule) in rules.iter_mut().enumerate() {
        let start = text.len() as u32;
        text.push_str(&format!("{} rule {i};\n", rule.effect.name()));
        rule.span.start = start;
        rule.span.end = text.len() as u32 - 1;
        rule.pattern_spans.fill(rule.span);
        rule.when_span = rule.when_span.map(|_| rule.span);
    }
    sources.add("random.bfs", text);
    let role_spans = vec![Span { file: boesfs_lang::source::FileId(0), start: 0, end: 6 }; subjects.roles.len()];
    Policy { name: "random".into(), default, rules, subjects, role_spans, sources }
}
