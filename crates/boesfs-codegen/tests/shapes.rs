//! Automata of policies as people write them: their size, their limits, their zones, and how they are shown.

use boesfs_codegen::automaton::{Limits, Resource, TooBig, lower};
use boesfs_codegen::pack::compile;
use boesfs_codegen::tables::graph::{Graph, Zone};
use boesfs_codegen::tables::{StateId, Tables};
use boesfs_lang::cond::Args;
use boesfs_lang::eval::{Request, eval};
use boesfs_lang::ops::Op;
use boesfs_lang::policy::Policy;
use boesfs_lang::subjects::ClassId;
use boesfs_lang::{Input, check};

fn policy(text: &str) -> Policy {
    check(&Input::new("test.bfs", text)).unwrap_or_else(|rejected| panic!("{rejected}")).policy
}

fn tables(text: &str) -> Tables {
    compile(&policy(text), &Limits::default()).expect("within limits").tables
}

fn too_big(text: &str, limits: &Limits) -> (TooBig, Vec<String>) {
    let policy = policy(text);
    let error = compile(&policy, limits).expect_err("over the limit");
    let diagnostic = error.diagnostic();
    let texts = diagnostic.labels.iter().map(|label| policy.sources.text(label.span).to_owned()).collect();
    (error, texts)
}

fn at(tables: &Tables, path: &str) -> StateId {
    let names: Vec<&[u8]> = path.split('/').filter(|name| !name.is_empty()).map(str::as_bytes).collect();
    tables.walk(&names)
}

const APP: &str = r#"
default deny;
role reader { allow view, exec on "/usr/"; }
allow view, exec on "/usr/";
allow all on "/tmp/";
allow all on "/home/*/work/";
deny write on "/home/**/.git/hooks/";
hide all on "/home/*/.ssh/";
allow view on "/etc/";
allow write on "/quota/" when size < 10;
"#;

#[test]
fn trees_below_one_rule_are_one_leaf() {
    let tables = tables(APP);
    let usr = at(&tables, "/usr");
    assert!(tables.is_leaf(usr));
    assert_eq!(at(&tables, "/usr/lib/x86/libc.so"), usr);
    assert!(!tables.is_leaf(at(&tables, "/home/ann/work")));
    assert!(!tables.is_leaf(StateId::DEAD) || tables.row(StateId::DEAD, ClassId(0)) == 0);
}

#[test]
fn a_state_knows_its_zone() {
    let tables = tables(APP);
    let graph = Graph::new(&tables);
    let zone = |path: &str| graph.zone(at(&tables, path), &[ClassId(0)]);
    assert_eq!(zone("/usr"), Some(Zone::ReadOnly));
    assert_eq!(zone("/tmp/a"), Some(Zone::Open));
    assert_eq!(zone("/etc"), Some(Zone::View), "executing is refused");
    assert_eq!(zone("/home/ann/work"), None, "hooks are refused by a rule below");
    assert_eq!(zone("/quota"), None, "a condition");
    assert_eq!(zone("/"), None);
    let file = |path: &str| graph.file(at(&tables, path), &[ClassId(0)]);
    assert_eq!(file("/etc/ld.so.cache"), Some(Zone::View));
    assert_eq!(file("/usr/bin/true"), Some(Zone::ReadOnly));
    assert_eq!(file("/quota"), None);
    assert_eq!(graph.file(at(&tables, "/etc/hosts"), &[]), None, "nobody asks");
}

#[test]
fn names_move_only_where_rights_do_not_grow() {
    let tables = tables(APP);
    let may = |old: &str, new: &str| tables.may_gain_name(at(&tables, old), at(&tables, new));
    assert!(may("/tmp/a", "/etc/a"), "from everything to a part");
    assert!(!may("/etc/a", "/tmp/a"));
    assert!(!may("/home/ann/work/.git/hooks/x", "/home/ann/work/x"));
    assert!(may("/home/ann/work/x", "/home/ann/work/.git/hooks/x"));
    assert!(!may("/etc/a", "/quota/a"), "what is allowed under a condition is gained");
    assert!(may("/quota/a", "/quota/b"));
}

#[test]
fn a_hidden_directory_with_nothing_below_is_known() {
    let tables = tables(&format!("{APP} allow stat on \"/home/*/.ssh/config\";"));
    let visible = Graph::new(&tables).visible_below(ClassId(0));
    assert!(!visible[at(&tables, "/home/ann/.ssh").0 as usize], "an allow of lower rank opens nothing");
    let tables = self::tables("default deny; hide all on \"/secret/\"; allow stat on \"/secret/door/\";");
    let visible = Graph::new(&tables).visible_below(ClassId(0));
    assert!(visible[at(&tables, "/secret").0 as usize]);
    assert!(!visible[at(&tables, "/secret/other").0 as usize]);
}

#[test]
fn patterns_that_multiply_states_are_named() {
    // Which of the last twelve components were `a`: two to the twelfth states.
    let text = format!("default deny; allow read on \"/plain/\"; deny read on \"/**/a{}\";", "/*".repeat(12));
    let (error, texts) = too_big(&text, &Limits { states: 1_000, ..Limits::default() });
    assert_eq!((error.resource, error.limit), (Resource::States, 1_000));
    assert!(texts[0].starts_with("\"/**/a/*"), "{texts:?}");

    let text = format!("default deny; deny read on \"/x/*a{}\";", "?".repeat(12));
    let (error, texts) = too_big(&text, &Limits { glob_states: 1_000, ..Limits::default() });
    assert_eq!(error.resource, Resource::GlobStates);
    assert!(texts[0].starts_with("\"/x/*a?"), "{texts:?}");

    // Few states, with very many places in each: refused before they have all been made.
    let text: String = (0..200)
        .fold("default deny;".to_owned(), |text, i| text + &format!("deny write on \"/**/a*x{i}/**/*a{i}y/**\";"));
    let (error, _) = too_big(&text, &Limits::default());
    assert_eq!(error.resource, Resource::GlobPlaces);
}

#[test]
fn overlapping_globstars_within_the_limits_agree() {
    let policy = policy(
        r#"default deny;
        allow read on "/**/a/*/*/*/";
        deny read on "/**/a/**/a/**/a";
        kill read on "/**/b/**/a/**/b/*";
        hide read on "/a/**" except "/**/b/";"#,
    );
    let packed = compile(&policy, &Limits::default()).expect("within limits");
    // All paths of up to nine components over two names.
    for depth in 0..=9_u32 {
        for bits in 0..1_u32 << depth {
            let path: Vec<&[u8]> = (0..depth).map(|i| if bits >> i & 1 == 1 { &b"a"[..] } else { b"b" }).collect();
            let verdict = packed.tables.decide(packed.tables.walk(&path), ClassId(0), Op::Read, |_| true);
            let request = Request { op: Op::Read, path: &path, roles: &[], args: Args::default() };
            assert_eq!(verdict, eval(&policy, &request), "{path:?}");
        }
    }
}

#[test]
fn chains_of_conditions_end() {
    let rules = |n: u32| -> String { (0..n).map(|i| format!("allow read on \"/a\" when size == {i};\n")).collect() };
    tables(&format!("default deny; {}", rules(31)));
    let (error, texts) = too_big(&format!("default deny; {}", rules(40)), &Limits::default());
    assert_eq!(error.resource, Resource::Chain);
    assert_eq!(texts.len(), 40);
    // The same condition again is no further link.
    let same = "deny read on \"/a\" when size == 1;\n".repeat(40);
    tables(&format!("default deny; {same}"));
}

#[test]
fn other_limits_hold() {
    let text = "default deny; role a {} role b {} user 1: a; user 2: b; allow read on \"/x\" when size < 1; allow read on \"/y\" when size < 2;";
    let none = Limits::default();
    assert_eq!(too_big(text, &Limits { classes: 1, ..none }).0.resource, Resource::Classes);
    assert_eq!(too_big(text, &Limits { conditions: 1, ..none }).0.resource, Resource::Conditions);
    assert_eq!(too_big(text, &Limits { edges: 1, ..none }).0.resource, Resource::Edges);
    assert_eq!(too_big(text, &Limits { cells: 3, ..none }).0.resource, Resource::Cells);
}

#[test]
fn damaged_tables_refuse() {
    let empty = Tables { classes: 1, ..Tables::default() };
    assert_eq!(empty.step(StateId::ROOT, b"a"), StateId::DEAD);
    let verdict = empty.check(StateId::ROOT, ClassId(0), Op::Read, |_| true);
    assert_eq!(verdict.effect, boesfs_lang::policy::Effect::Deny);
    let tables = tables("default allow;");
    let refused =
        |state, class| tables.check(state, class, Op::Read, |_| true).effect != boesfs_lang::policy::Effect::Allow;
    assert!(refused(StateId::DEAD, ClassId(0)), "the dead state");
    assert!(refused(StateId::ROOT, ClassId(7)), "no such class");
    assert_eq!(tables.step(StateId::ROOT, &[b'a'; 256]), StateId::DEAD, "no such name");
    assert_eq!(tables.step(StateId::ROOT, b""), StateId::DEAD);
}

#[test]
fn an_automaton_is_shown() {
    let policy = policy("policy show; default deny; allow view on \"/a/\"; audit deny read on \"/a/*.key\";");
    let automaton = lower(&policy, &Limits::default()).expect("within limits");
    insta::assert_snapshot!("text", automaton.to_text(&policy));
    insta::assert_snapshot!("dot", automaton.to_dot(&policy));
}
