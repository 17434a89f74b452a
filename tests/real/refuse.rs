//! What a hook says it cannot enforce: it must refuse the policy and name the rule, and what is left is tried.

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::object::build;
use boesfs_codegen::pack::compile;
use boesfs_lang::policy::{Policy, RuleId};
use boesfs_runtime::hook::{Hook, Loss};

use crate::case::Case;
use crate::plan::Session;
use crate::session::exec;

/// The case's policy without the rules that the hook cannot enforce; `None` if that is the default. `refused` takes what it
/// refused.
pub(crate) fn enforceable(hook: Hook, case: &Case, refused: &mut Vec<String>) -> Option<Policy> {
    let packed = compile(&case.policy, &Limits::default()).expect("a case is within the limits");
    let object = build(&case.policy, &packed).expect("a policy that compiles has an object");
    let manifest = boesfs_codegen::object::read(&object).expect("the object can be read").manifest;
    let losses = hook.losses(&manifest);
    if losses.is_empty() {
        return Some(case.policy.clone());
    }
    says(hook, &object, &losses, &manifest);
    for Loss { rule, what } in &losses {
        let place = rule
            .and_then(|rule| manifest.place(rule))
            .map_or("default".to_owned(), |(file, line)| format!("{file}:{line}"));
        refused.push(format!("{}: {place}: {what}", case.name));
    }
    if losses.iter().any(|loss| loss.rule.is_none()) {
        return None;
    }
    let mut policy = case.policy.clone();
    let lost = |id: u32| losses.iter().any(|loss| loss.rule == Some(RuleId(id)));
    let mut id = 0;
    policy.rules.retain(|_| {
        id += 1;
        !lost(id - 1)
    });
    (!policy.rules.is_empty()).then_some(policy)
}

/// The hook refuses the policy, and says each loss.
fn says(hook: Hook, object: &[u8], losses: &[Loss], manifest: &boesfs_codegen::manifest::Manifest) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("policy.o");
    std::fs::write(&file, object).expect("write the object");
    let output = exec(hook, &Session::Caller).arg(&file).args(["--", "/bin/true"]).output().expect("run boesfs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "not refused: {said}");
    for Loss { rule, what } in losses {
        let place = rule
            .and_then(|rule| manifest.place(rule))
            .map_or("default".to_owned(), |(file, line)| format!("{file}:{line}"));
        let line = format!("boesfs: {place}: the {hook} hook {what}: {}", what.help());
        assert!(said.contains(&line), "`{line}` is not among what is said:\n{said}");
    }
}
