//! From a checked policy to packed tables: literal policies of 10 to 100,000 rules, and 10,000 rules of which 500 have globs.
//!
//! `cargo bench -p boesfs-codegen --bench compile`

use boesfs_codegen::automaton::{Limits, lower};
use boesfs_codegen::pack::{compile, pack};
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::pattern::{Component, Extent, Glob, GlobPart, Pattern};
use boesfs_lang::policy::{Default, Effect, Policy, Record, Rule};
use boesfs_lang::source::{FileId, SourceMap, Span};
use boesfs_lang::subjects::{Class, Role, RoleId, Subjects};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

/// Rules on files and trees four components deep, some refusing, some for a role.
fn literal(rules: usize) -> Policy {
    policy((0..rules).map(literal_rule).collect())
}

/// The same, of which the last `globs` have globs: in one directory, and every tenth of them anywhere.
fn with_globs(rules: usize, globs: usize) -> Policy {
    let plain = (0..rules - globs).map(literal_rule);
    let wild = (0..globs).map(|i| {
        let suffix = format!(".t{i}").into_bytes().into_iter().map(GlobPart::Byte);
        let glob = Component::Glob(Glob(std::iter::once(GlobPart::Star).chain(suffix).collect()));
        let (components, extent) = if i.is_multiple_of(10) {
            (vec![Component::Any, name(format!(".secret{i}"))], Extent::Tree)
        } else {
            (vec![name("srv".into()), name(format!("d{}", i % 100)), glob], Extent::Object)
        };
        rule(Effect::Deny, Ops::ALL, None, Pattern { components, extent })
    });
    policy(plain.chain(wild).collect())
}

fn literal_rule(i: usize) -> Rule {
    let components = vec![
        name("srv".into()),
        name(format!("d{}", i % 100)),
        name(format!("project{}", i % 1_000)),
        name(format!("file-{i}")),
    ];
    let extent = if i.is_multiple_of(3) { Extent::Tree } else { Extent::Object };
    let ops = Ops::of(&[Op::Read, Op::Stat, Op::Write]);
    let effect = if i.is_multiple_of(7) { Effect::Deny } else { Effect::Allow };
    rule(effect, ops, (i.is_multiple_of(5)).then_some(RoleId((i % 2) as u32)), Pattern { components, extent })
}

fn name(name: String) -> Component {
    Component::Literal(name.into_bytes())
}

fn rule(effect: Effect, ops: Ops, role: Option<RoleId>, pattern: Pattern) -> Rule {
    let span = Span { file: FileId(0), start: 0, end: 0 };
    Rule {
        effect,
        record: Record::Refusals,
        ops,
        named: ops,
        role,
        patterns: vec![pattern],
        except: Vec::new(),
        when: None,
        span,
        pattern_spans: vec![span],
        when_span: None,
    }
}

fn policy(rules: Vec<Rule>) -> Policy {
    let role = |i: u32| Role { name: format!("role{i}"), closure: vec![RoleId(i)] };
    let class = |roles: &[u32]| Class { roles: roles.iter().map(|r| RoleId(*r)).collect() };
    let subjects = Subjects {
        roles: vec![role(0), role(1)],
        classes: vec![class(&[]), class(&[0]), class(&[0, 1]), class(&[1])],
        ..Subjects::default()
    };
    Policy {
        name: "bench".into(),
        default: Default::Deny,
        rules,
        subjects,
        role_spans: Vec::new(),
        sources: SourceMap::default(),
    }
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("compile");
    group.sample_size(10);
    for rules in [10, 1_000, 10_000, 100_000] {
        let policy = literal(rules);
        group.bench_function(BenchmarkId::new("literal", rules), |b| {
            b.iter(|| compile(&policy, &Limits::default()).expect("within limits"));
        });
    }
    let policy = with_globs(10_000, 500);
    group.bench_function(BenchmarkId::new("500 globs", 10_000), |b| {
        b.iter(|| compile(&policy, &Limits::default()).expect("within limits"));
    });
    let policy = literal(100_000);
    let automaton = lower(&policy, &Limits::default()).expect("within limits");
    group.bench_function(BenchmarkId::new("pack alone", 100_000), |b| b.iter(|| pack(&automaton, &policy)));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
