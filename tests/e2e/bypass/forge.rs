//! Class 25, seen from the stream; class 24: a sandbox in a sandbox.

use super::arena::{Arena, Guard};
use super::attack::{Outcome, attack};
use crate::rig::{Sandbox, boesfs};

#[test]
fn a_name_cannot_become_a_record() {
    let run = attack("c25_forge", "names", Guard::Agent, Outcome::Stopped("names: refused"));
    assert!(run.audit.iter().all(|record| record.effect != "allow"), "{run:#?}");
    assert!(run.audit.iter().any(|record| record.path.contains("\\x0a")), "{run:#?}");
}

#[test]
fn what_a_flood_drowns_is_counted() {
    let run = attack("c25_forge", "flood", Guard::Agent, Outcome::Stopped("flood: EACCES"));
    let lost = run.audit.iter().map(|record| record.lost).max().unwrap_or_default();
    let written = run.audit.iter().filter(|record| record.op == "create").count() as u64;
    assert!(written + lost >= 20_000, "{written} written, {lost} lost");
}

#[test]
fn a_sandbox_inside_is_never_weaker() {
    let arena = Arena::new(Guard::Agent);
    let boesfs = arena.site.copy(&boesfs(), "bin/boesfs");
    let open = arena.site.file("tree/open.bfs", "policy open;\ndefault allow;\nallow all on \"/\";\n");
    let secret = arena.dir.join(".env");
    let inner = [boesfs, "exec".into(), open, "--".into(), "/bin/cat".into(), secret];
    let words: Vec<&str> = inner.iter().map(|word| word.to_str().expect("UTF-8")).collect();
    let run = Sandbox::policy(arena.policy.clone(), arena.site.at("audit.jsonl")).run(&words);
    assert!(!run.out.contains("TOKEN="), "{run:#?}");
    assert_eq!(run.status, 125, "the inner one must say that it cannot work: {run:#?}");
}
