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
