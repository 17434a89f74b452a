//! What the language means, statement by statement: each test is a sentence of the language reference.

use std::collections::BTreeMap;

use boesfs_lang::check::{Loader, Names};
use boesfs_lang::cond::{Arg, Args};
use boesfs_lang::eval::{Cause, Request, Verdict, eval};
use boesfs_lang::ops::Op;
use boesfs_lang::policy::{Effect, Policy};
use boesfs_lang::{Input, check};

struct Files(BTreeMap<&'static str, &'static str>);

impl Loader for Files {
    fn load(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).map(|text| text.as_bytes().to_vec()).ok_or_else(|| "no such file".into())
    }
}

struct People;

impl Names for People {
    fn user(&self, name: &str) -> Option<u32> {
        (name == "alice").then_some(500)
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "www-data").then_some(33)
    }
}

fn policy(text: &str) -> Policy {
    match check(&Input { names: &People, ..Input::new("p.bfs", text) }) {
        Ok(checked) => checked.policy,
        Err(rejected) => panic!("{rejected}"),
    }
}

fn ask(policy: &Policy, roles: &[&str], op: &str, path: &str, args: Args) -> Verdict {
    let roles: Vec<_> = roles.iter().map(|role| policy.subjects.role_by_name(role).expect("a role")).collect();
    let roles = policy.subjects.flatten(&roles);
    let path: Vec<&[u8]> = path.split('/').filter(|name| !name.is_empty()).map(str::as_bytes).collect();
    eval(policy, &Request { op: Op::from_name(op).expect("an operation"), path: &path, roles: &roles, args })
}

fn effect(policy: &Policy, op: &str, path: &str) -> Effect {
    ask(policy, &[], op, path, Args::default()).effect
}

use Effect::{Allow, Deny, Hide, Kill};

fn notes() -> Policy {
    let files = Files(BTreeMap::from([("lib/base.bfs", include_str!("ok/lib/base.bfs"))]));
    let input = Input { loader: &files, names: &People, ..Input::new("notes.bfs", include_str!("ok/notes.bfs")) };
    check(&input).unwrap_or_else(|rejected| panic!("{rejected}")).policy
}

#[test]
fn the_example_of_the_reference() {
    let p = notes();
    let none = Args::default();
    let as_role = |role: &str, op: &str, path: &str| ask(&p, &[role], op, path, none);
    assert_eq!(p.name, "notes");
    // Roles.
    assert_eq!(as_role("reader", "read", "/srv/notes/data/a").effect, Allow);
    assert_eq!(as_role("reader", "write", "/srv/notes/data/a").effect, Deny);
    assert_eq!(as_role("writer", "write", "/srv/notes/data/a").effect, Allow);
    assert_eq!(as_role("writer", "read", "/srv/notes/x").effect, Allow);
    assert_eq!(as_role("writer", "write", "/srv/notes/x").effect, Deny);
    assert_eq!(effect(&p, "read", "/srv/notes/x"), Deny);
    let audited = as_role("admin", "chmod", "/srv/notes/x");
    assert!(audited.effect == Allow && audited.recorded());
    // Subjects.
    let role = |name| p.subjects.role_by_name(name).expect("a role");
    assert!(p.subjects.roles_of(Some(500), &[], None).contains(&role("writer")));
    assert!(p.subjects.roles_of(Some(1999), &[], None).contains(&role("writer")));
    assert!(p.subjects.roles_of(Some(2000), &[], None).is_empty());
    assert_eq!(p.subjects.roles_of(Some(0), &[33], None), [role("reader")]);
    let admin: Vec<&[u8]> = vec![b"srv", b"notes", b"bin", b"admin"];
    assert!(p.subjects.roles_of(None, &[], Some(&admin)).contains(&role("admin")));
    assert_eq!(p.subjects.class_of(&[role("writer"), role("auditor")]), None);
    assert!(p.subjects.class_of(&[role("writer")]).is_some());
    // Rules for everyone.
    assert_eq!(effect(&p, "read", "/usr/bin/x"), Allow);
    assert_eq!(effect(&p, "write", "/usr/bin/x"), Deny);
    assert_eq!(effect(&p, "read", "/lib64/x.so"), Allow);
    assert_eq!(effect(&p, "read", "/etc/ld.so.cache"), Allow);
    assert_eq!(effect(&p, "read", "/etc/ld.so.cache/x"), Deny);
    assert_eq!(effect(&p, "write", "/dev/null"), Allow);
    assert_eq!(as_role("admin", "write", "/srv/notes/.git/hooks/x").effect, Deny);
    assert_eq!(as_role("admin", "write", "/srv/notes/.git/hooks/sample").effect, Allow);
    assert_eq!(effect(&p, "stat", "/home/bob/.ssh"), Hide);
    assert_eq!(effect(&p, "read", "/home/bob/.ssh/id"), Hide);
    assert_eq!(effect(&p, "read", "/home/bob/x"), Deny);
    assert_eq!(effect(&p, "stat", "/etc/shadow"), Kill);
    let quota = |size| ask(&p, &[], "write", "/srv/notes/quota", none.with(Arg::Size, size)).effect;
    assert_eq!((quota(1 << 20), quota((1 << 20) + 1)), (Allow, Deny));
    let chmod = |mode| ask(&p, &["admin"], "chmod", "/srv/notes/x", none.with(Arg::Mode, mode)).effect;
    assert_eq!((chmod(0o755), chmod(0o4755), chmod(0o2755)), (Allow, Deny, Deny));
}

#[test]
fn a_cause_is_the_rule_or_the_default_or_that_nothing_is_granted() {
    let p = policy("default deny; role r { allow write on \"/a\"; } allow read on \"/b\";");
    let cause = |roles: &[&str], op| ask(&p, roles, op, "/x", Args::default()).cause;
    assert_eq!(cause(&[], "read"), Cause::Default);
    assert_eq!(cause(&[], "write"), Cause::NotGranted);
    assert_eq!(cause(&["r"], "write"), Cause::Default);
    assert!(matches!(ask(&p, &[], "read", "/b", Args::default()).cause, Cause::Rule(id) if id.0 == 1));
}

#[test]
fn the_default_decides_where_no_rule_does() {
    assert_eq!(effect(&policy("default allow;"), "write", "/x"), Allow);
    assert_eq!(effect(&policy("default deny;"), "write", "/x"), Deny);
}

#[test]
fn the_deepest_rule_decides() {
    let p = policy("default deny; deny all on \"/etc/\"; allow read on \"/etc/hosts\"; allow read on \"/\";");
    assert_eq!(effect(&p, "read", "/etc/hosts"), Allow);
    assert_eq!(effect(&p, "read", "/etc/passwd"), Deny);
    assert_eq!(effect(&p, "read", "/x"), Allow);
}

#[test]
fn a_deny_with_globs_is_as_deep_as_what_it_matched() {
    let p = policy("default deny; allow all on \"/work/\"; deny read on \"/**/.env\";");
    assert_eq!(effect(&p, "read", "/work/.env"), Deny);
    assert_eq!(effect(&p, "read", "/work/a/b/.env"), Deny);
    assert_eq!(effect(&p, "write", "/work/.env"), Allow);
    let p = policy("default deny; allow all on \"/a/b/c/\"; deny all on \"/*/b/\"; deny write on \"/**/x/\";");
    assert_eq!(effect(&p, "read", "/a/b/c/d"), Allow, "the allow is deeper than /*/b/");
    assert_eq!(effect(&p, "write", "/a/b/c/x/y"), Deny, "the longest prefix counts");
    assert_eq!(effect(&p, "write", "/a/x/c"), Deny);
}

#[test]
fn a_wildcard_never_makes_an_allow_deeper() {
    let p = policy("default deny; allow read on \"/home/**/*.md\"; deny all on \"/home/alice/private/\";");
    assert_eq!(effect(&p, "read", "/home/alice/x.md"), Allow);
    assert_eq!(effect(&p, "read", "/home/alice/private/x.md"), Deny);
    let p = policy("default deny; allow read on \"/a/*/c/d\"; deny read on \"/a/b/\";");
    assert_eq!(effect(&p, "read", "/a/b/c/d"), Deny);
}

#[test]
fn ties_go_to_the_harsher_rule_whatever_the_order() {
    for (first, second) in [("allow", "deny"), ("deny", "hide"), ("hide", "kill"), ("allow", "kill")] {
        for (a, b) in [(first, second), (second, first)] {
            let p = policy(&format!("default allow; {a} read on \"/a/\"; {b} read on \"/a/\";"));
            assert_eq!(ask(&p, &[], "read", "/a/x", Args::default()).effect.name(), second);
        }
    }
}

#[test]
fn at_equal_rank_and_effect_audit_wins_over_plain_over_quiet() {
    let p = policy("default deny; quiet deny read on \"/a\"; deny read on \"/a\"; audit deny read on \"/a\";");
    assert!(matches!(ask(&p, &[], "read", "/a", Args::default()).cause, Cause::Rule(id) if id.0 == 2));
    let p = policy("default deny; quiet deny read on \"/a\"; deny read on \"/a\"; deny read on \"/a\";");
    assert!(matches!(ask(&p, &[], "read", "/a", Args::default()).cause, Cause::Rule(id) if id.0 == 1));
}

#[test]
fn what_is_recorded() {
    let p = policy(
        "default deny; allow read on \"/a\"; audit allow read on \"/b\"; deny read on \"/c\"; quiet deny read on \"/d\";",
    );
    let recorded = |path| ask(&p, &[], "read", path, Args::default()).recorded();
    assert_eq!(
        [recorded("/a"), recorded("/b"), recorded("/c"), recorded("/d"), recorded("/e")],
        [false, true, true, false, true]
    );
}

#[test]
fn except_takes_objects_out_of_a_rule() {
    let p = policy("default allow; deny write on \"/a/\" except \"/a/b/\", \"/a/*.c\";");
    assert_eq!(effect(&p, "write", "/a/x"), Deny);
    assert_eq!(effect(&p, "write", "/a/b/x"), Allow);
    assert_eq!(effect(&p, "write", "/a/x.c"), Allow);
    let p = policy("default deny; allow list, stat on \"/\" except \"/**\";");
    assert_eq!((effect(&p, "list", "/"), effect(&p, "list", "/a")), (Allow, Deny));
}

#[test]
fn a_rule_whose_condition_does_not_hold_does_not_compete() {
    let p = policy("default deny; allow write on \"/a/\"; deny write on \"/a/b\" when size > 4 KiB or uid == 0;");
    let write = |args| ask(&p, &[], "write", "/a/b", args).effect;
    assert_eq!(write(Args::default().with(Arg::Uid, 1000)), Allow);
    assert_eq!(write(Args::default().with(Arg::Uid, 1000).with(Arg::Size, 4097)), Deny);
    assert_eq!(write(Args::default()), Deny);
}

#[test]
fn conditions_bind_as_documented() {
    let holds = |when: &str, args: Args| {
        let p = policy(&format!("default deny; allow create on \"/a\" when {when};"));
        ask(&p, &[], "create", "/a", args).effect == Allow
    };
    let mode = |mode| Args::default().with(Arg::Mode, mode);
    assert!(holds("mode & 0o7 == 0o4", mode(0o754)), "& binds tighter than ==");
    assert!(holds("not mode == 1", mode(2)), "not binds looser than ==");
    assert!(holds("mode == 1 or mode == 2 and uid == 1", mode(1)), "and binds tighter than or");
    assert!(!holds("(mode == 1 or mode == 2) and uid == 1", mode(1)));
    assert!(holds("not (mode == 1 or mode == 2)", mode(3)));
    assert!(holds("not not mode == 3 and flags & O_CREAT == 0", mode(3)));
}

#[test]
fn roles_add_to_what_concerns_everyone() {
    let p = policy(
        "default deny; allow read on \"/a\"; role r { deny read on \"/a\"; allow write on \"/a\"; } role s : r { allow exec on \"/a\"; }",
    );
    let as_role = |roles: &[&str], op| ask(&p, roles, op, "/a", Args::default()).effect;
    assert_eq!((as_role(&[], "read"), as_role(&["r"], "read"), as_role(&["s"], "read")), (Allow, Deny, Deny));
    assert_eq!((as_role(&[], "write"), as_role(&["r"], "write"), as_role(&["s"], "write")), (Deny, Allow, Allow));
    assert_eq!((as_role(&["r"], "exec"), as_role(&["s"], "exec")), (Deny, Allow));
}

#[test]
fn active_roles_are_the_union_over_user_groups_and_executable() {
    let p = policy(
        "default deny; role u { } role g { } role h { } role e { } user 1..5 : u; group 1 : g; group 2 : h; exe \"/bin/x\" : e;",
    );
    let names = |uid, gids: &[u32], exe: Option<&[&[u8]]>| -> Vec<String> {
        let roles = p.subjects.roles_of(uid, gids, exe);
        assert!(p.subjects.class_of(&roles).is_some(), "the set can occur");
        roles.iter().map(|role| p.subjects.roles[role.0 as usize].name.clone()).collect()
    };
    assert_eq!(names(Some(3), &[1, 2], Some(&[b"bin", b"x"])), ["u", "g", "h", "e"]);
    assert_eq!(names(Some(6), &[2, 7], Some(&[b"bin", b"y"])), ["h"]);
    assert!(names(None, &[], None).is_empty());
}

#[test]
fn a_session_started_as_a_role_still_enters_roles_by_executing() {
    let p = policy("default deny; role r { } role e { } exe \"/bin/x\" : e;");
    let both: Vec<_> = ["r", "e"].iter().filter_map(|name| p.subjects.role_by_name(name)).collect();
    assert!(p.subjects.class_of(&both).is_some());
}

#[test]
fn separated_roles_have_no_class() {
    let p = policy(
        "default deny; role a { } role b : a { } role c { } separate a, c; user 1 : b; group 1 : c; exe \"/bin/x\" : c;",
    );
    let roles = p.subjects.roles_of(Some(1), &[1], None);
    assert_eq!(roles.len(), 3);
    assert_eq!(p.subjects.class_of(&roles), None);
    assert!(p.subjects.class_of(&p.subjects.roles_of(Some(1), &[], None)).is_some());
}

#[test]
fn hide_kill_and_groups_of_operations() {
    let p = policy("default allow; hide view on \"/h/\"; kill edit on \"/k\"; deny all on \"/d\";");
    assert_eq!((effect(&p, "stat", "/h/x"), effect(&p, "write", "/h/x")), (Hide, Allow));
    assert_eq!((effect(&p, "rename", "/k"), effect(&p, "read", "/k")), (Kill, Allow));
    assert_eq!((effect(&p, "ioctl", "/d"), effect(&p, "watch", "/d")), (Deny, Deny));
}

#[test]
fn the_name_of_a_policy() {
    assert_eq!(policy("policy notes; default deny;").name, "notes");
    let named = |file| check(&Input::new(file, "default deny;")).map(|checked| checked.policy.name).ok();
    assert_eq!(named("a/b/web.v2.bfs").as_deref(), Some("web"));
    assert_eq!(named(".bfs").as_deref(), Some("policy"));
}
