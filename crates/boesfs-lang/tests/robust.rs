//! Whatever the input, the front end answers: no panic, no overflow, no label outside its text, no endless run.

use boesfs_lang::check::{Checked, Rejected};
use boesfs_lang::diag::render::{Color, render};
use boesfs_lang::diag::{Diagnostic, json};
use boesfs_lang::source::SourceMap;
use boesfs_lang::{Input, check};
use proptest::prelude::*;

const POLICY: &str = include_str!("ok/patterns.bfs");
const OTHER: &str = include_str!("ok/conditions.bfs");

fn outcome(text: &[u8]) -> (Vec<Diagnostic>, SourceMap, bool) {
    match check(&Input::new("p.bfs", text)) {
        Ok(Checked { policy, warnings }) => (warnings, policy.sources, true),
        Err(Rejected { diagnostics, sources }) => (diagnostics, sources, false),
    }
}

/// Checks a text and all that is said of it.
fn survives(text: &[u8]) {
    let (diagnostics, sources, good) = outcome(text);
    assert!(good || !diagnostics.is_empty(), "refused without a reason");
    for label in diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels) {
        let file = sources.file(label.span.file);
        assert!(label.span.start <= label.span.end && label.span.end as usize <= file.text.len(), "{diagnostics:?}");
        assert!(file.text.is_char_boundary(label.span.start as usize), "{diagnostics:?}");
        assert!(file.text.is_char_boundary(label.span.end as usize), "{diagnostics:?}");
    }
    let shown = render(&sources, &diagnostics, Color::Ansi);
    let machine = json::render(&sources, &diagnostics);
    assert!(serde_json::from_str::<serde_json::Value>(&machine).is_ok());
    assert!(diagnostics.is_empty() == shown.is_empty());
}

/// Words and signs of the language, in any order.
fn soup() -> impl Strategy<Value = String> {
    let words = vec![
        "policy",
        "default",
        "let",
        "include",
        "role",
        "user",
        "group",
        "exe",
        "separate",
        "allow",
        "deny",
        "hide",
        "kill",
        "audit",
        "quiet",
        "on",
        "except",
        "when",
        "and",
        "or",
        "not",
        ";",
        ":",
        ",",
        "{",
        "}",
        "(",
        ")",
        "..",
        "=",
        "&",
        "==",
        "<=",
        "read",
        "all",
        "view",
        "a",
        "b",
        "size",
        "flags",
        "O_CREAT",
        "1",
        "0x10",
        "4 KiB",
        "\"/a\"",
        "\"/{a}/*\"",
        "\"/**/[a-c]{x,y}\"",
        "\"",
        "// c\n",
        "\\",
        "é",
    ];
    prop::collection::vec(prop::sample::select(words), 0..60).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes(text in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(&text);
    }

    #[test]
    fn texts(text in "\\PC{0,200}") {
        survives(text.as_bytes());
    }

    #[test]
    fn words(text in soup()) {
        survives(text.as_bytes());
    }

    #[test]
    fn strings(text in "[/a-c*?{},!\\[\\]\\\\x0-9.-]{0,40}") {
        survives(format!("default deny; let a = \"x\"; allow read on \"/{text}\";").as_bytes());
    }

    #[test]
    fn mutated_policies(cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..20usize, any::<Option<u8>>()), 1..6)) {
        for policy in [POLICY, OTHER] {
            let mut text = policy.as_bytes().to_vec();
            for (at, length, byte) in &cuts {
                let at = at.index(text.len());
                let end = (at + length).min(text.len());
                text.splice(at..end, *byte);
                if text.is_empty() {
                    text.push(b' ');
                }
            }
            survives(&text);
        }
    }
}

#[test]
fn deep_and_long_texts() {
    let many = |part: &str, n: usize| part.repeat(n);
    for text in [
        many("(", 100_000),
        format!("default deny; allow write on \"/a\" when {}size > 1;", many("not ", 100_000)),
        format!("default deny; allow write on \"/a\" when size{} > 1;", many(" & 1", 100_000)),
        format!("default deny; allow write on \"/a\" when size > 1{};", many(" and size > 1", 100_000)),
        format!("default deny; allow read on \"/{}\";", many("{a,", 1000)),
        format!("default deny; allow read on \"/{}\";", many("[", 1000)),
        format!("default deny; allow read on \"{}\";", many("/a", 1_000_000)),
        format!("default deny; allow {}read on \"/a\";", many("read, ", 100_000)),
        format!("default deny; allow read on {}\"/a\";", many("\"/b\", ", 100_000)),
        many("role r { ", 100_000),
        many("}", 100_000),
        many(";", 100_000),
        many("\"", 100_001),
        many("// c\n", 200_000),
        many("§", 100_000),
        many("allow raed on \"/a\";", 100_000),
        many("allow read on \"a\";", 100_000),
        many("user x : y;", 100_000),
        (0..100_000).map(|i| format!("role r{i} : r{} {{ }}", i + 1)).collect(),
        (0..1000).map(|i| format!("role r{i} : r{} {{ }}", (i + 1) % 1000)).collect(),
        (0..100_000).map(|i| format!("let a{} = \"{{a{i}}}{{a{i}}}\";", i + 1)).collect(),
    ] {
        let start = std::time::Instant::now();
        survives(text.as_bytes());
        let begin: String = text.chars().take(30).collect();
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "`{begin}..` took {:?}", start.elapsed());
    }
}

#[test]
fn many_subjects() {
    let mut text = "default deny; role a { } role b { } ".to_owned();
    for i in 0..50_000 {
        text.push_str(&format!("user {i}..{} : a; group {i} : b;\n", i + 10));
    }
    let checked = check(&Input::new("p.bfs", &text)).unwrap_or_else(|rejected| panic!("{rejected}"));
    assert_eq!(checked.policy.subjects.classes.len(), 4);
}
