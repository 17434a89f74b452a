//! Patterns: what they cover, against a definition by recursion that is plainly the reference's text.

use boesfs_lang::pattern::{Component, Extent, Glob, GlobPart, Pattern};
use boesfs_lang::{Input, check};
use proptest::prelude::*;

fn pattern(text: &str) -> Pattern {
    let policy = format!("default deny; allow read on \"{text}\";");
    let checked = check(&Input::new("p.bfs", &policy)).unwrap_or_else(|rejected| panic!("{rejected}"));
    checked.policy.rules[0].patterns[0].clone()
}

fn components(path: &str) -> Vec<&[u8]> {
    path.split('/').filter(|name| !name.is_empty()).map(str::as_bytes).collect()
}

fn depth(text: &str, path: &str) -> Option<u32> {
    pattern(text).match_depth(&components(path))
}

#[test]
fn an_object_is_itself_and_a_tree_all_below_too() {
    assert_eq!(depth("/a/b", "/a/b"), Some(2));
    assert_eq!(depth("/a/b", "/a/b/c"), None);
    assert_eq!(depth("/a/b", "/a"), None);
    assert_eq!(depth("/a/b/", "/a/b"), Some(2));
    assert_eq!(depth("/a/b/", "/a/b/c/d"), Some(2));
    assert_eq!(depth("/a/b/", "/a/bc"), None);
    assert_eq!(depth("/", "/"), Some(0));
    assert_eq!(depth("/", "/a/b"), Some(0));
}

#[test]
fn stars_of_components() {
    assert_eq!(depth("/a/**", "/a"), None);
    assert_eq!(depth("/a/**", "/a/b/c"), Some(3));
    assert_eq!(depth("/a/**/c", "/a/c"), Some(2));
    assert_eq!(depth("/a/**/c", "/a/b/b/c"), Some(4));
    assert_eq!(depth("/a/**/c", "/a/b/b"), None);
    assert_eq!(depth("/**/.git/", "/x/.git/y/.git/z"), Some(4));
    assert_eq!(depth("/**", "/"), None);
    assert_eq!(depth("/a/**/", "/a"), None);
    assert_eq!(depth("/a/**/", "/a/b"), Some(2));
}

#[test]
fn globs_are_over_bytes() {
    let matches = |glob: &str, name: &str| depth(&format!("/{glob}"), &format!("/{name}")).is_some();
    assert!(matches("*", ".hidden") && matches("*.c", ".c") && !matches("*.c", "a.cc"));
    assert!(matches("a?c", "abc") && !matches("a?c", "ac"));
    assert!(matches("{a,b}*", "bx") && !matches("{a,b}*", "cx"));
    assert!(matches("{,.}profile", "profile") && matches("{,.}profile", ".profile"));
    assert!(matches("[a-c]", "b") && !matches("[a-c]", "d") && matches("[!a-c]", "d"));
    assert!(matches("??", "ä") && !matches("?", "ä"), "a character of two bytes is two");
    assert!(matches("\\*", "*") && !matches("\\*", "x"));
}

#[test]
fn the_rank_of_an_allow_is_its_literal_beginning() {
    assert_eq!(pattern("/a/b/c").literal_prefix(), 3);
    assert_eq!(pattern("/a/*/c").literal_prefix(), 1);
    assert_eq!(pattern("/**/c").literal_prefix(), 0);
    assert_eq!(pattern("/a/[b]/c").literal_prefix(), 1);
}

#[test]
fn many_stars_take_no_time() {
    let pattern = Pattern {
        components: (0..400)
            .map(|i| if i % 2 == 0 { Component::Any } else { Component::Literal(b"a".into()) })
            .collect(),
        extent: Extent::Object,
    };
    let path = vec![b"a".as_slice(); 300];
    assert_eq!(pattern.match_depth(&path), Some(300));
    let glob = Glob([GlobPart::Star, GlobPart::Byte(b'a')].into_iter().cycle().take(200).collect());
    assert!(!glob.matches(&[b"a".repeat(254), b"b".to_vec()].concat()));
}

/// The definition: how the text of the reference would be read aloud.
fn covers(components: &[Component], path: &[&[u8]]) -> bool {
    let Some((first, rest)) = components.split_first() else { return path.is_empty() };
    match first {
        Component::Any => (usize::from(rest.is_empty())..=path.len()).any(|n| covers(rest, &path[n..])),
        one => path.split_first().is_some_and(|(name, below)| one.matches(name) && covers(rest, below)),
    }
}

fn parts_match(parts: &[GlobPart], name: &[u8]) -> bool {
    let Some((first, rest)) = parts.split_first() else { return name.is_empty() };
    match first {
        GlobPart::Star => (0..=name.len()).any(|n| parts_match(rest, &name[n..])),
        GlobPart::Alt(branches) => branches.iter().any(|branch| parts_match(&[branch, rest].concat(), name)),
        one => name.split_first().is_some_and(|(byte, below)| one.matches_byte(*byte) && parts_match(rest, below)),
    }
}

fn any_part() -> impl Strategy<Value = GlobPart> {
    let leaf = prop_oneof![
        3 => prop::sample::select(b"ab".to_vec()).prop_map(GlobPart::Byte),
        1 => Just(GlobPart::One),
        1 => Just(GlobPart::Star),
        1 => any::<bool>().prop_map(|negated| GlobPart::Set { negated, ranges: vec![(b'a', b'a')] }),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop::collection::vec(prop::collection::vec(inner, 0..3), 2..3).prop_map(GlobPart::Alt)
    })
}

fn any_component() -> impl Strategy<Value = Component> {
    prop_oneof![
        3 => prop::sample::select(vec!["a", "b"]).prop_map(|name| Component::Literal(name.into())),
        1 => prop::collection::vec(any_part(), 1..4).prop_map(|parts| Component::Glob(Glob(parts))),
        2 => Just(Component::Any),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn globs_match_as_defined(parts in prop::collection::vec(any_part(), 0..6), name in "[abc]{0,6}") {
        let glob = Glob(parts);
        prop_assert_eq!(glob.matches(name.as_bytes()), parts_match(&glob.0, name.as_bytes()));
    }

    #[test]
    fn patterns_cover_as_defined(
        components in prop::collection::vec(any_component(), 0..6),
        tree in any::<bool>(),
        path in prop::collection::vec("[ab]{1,2}", 0..7),
    ) {
        let pattern = Pattern { components, extent: if tree { Extent::Tree } else { Extent::Object } };
        let path: Vec<&[u8]> = path.iter().map(String::as_bytes).collect();
        let shortest = if tree { 0 } else { path.len() };
        let expected = (shortest..=path.len()).rev().find(|n| covers(&pattern.components, &path[..*n]));
        prop_assert_eq!(pattern.match_depth(&path), expected.map(|n| n as u32));
    }
}
