//! The corpus below `tests/conformance/` against every engine.

use boesfs_runtime::engine::Question;

use crate::case::{Kind, corpus};
use crate::engines::Engines;

#[test]
fn every_engine_answers_as_expected() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for case in corpus() {
        let engines = Engines::new(case.policy).expect("a case is within the limits");
        for request in &case.requests {
            count += 1;
            let path: Vec<&[u8]> = request.path.iter().map(Vec::as_slice).collect();
            let question = Question { path: &path, class: request.class, op: request.op, args: request.args };
            let expected = request.verdict;
            let meaning = engines.meaning(&question);
            let mut answers = engines.differing(&question, expected);
            answers.extend((meaning != expected).then_some(("eval", meaning)));
            for (engine, answer) in answers {
                let (name, line, subject) = (&case.name, request.line, &request.subject);
                wrong.push(format!("{name}:{line}: {subject:?}: {engine} answers {answer:?}, not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} requests:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 300, "the corpus has shrunk to {count} requests");
}

#[test]
fn trees_can_be_made() {
    for case in corpus() {
        for (i, object) in case.tree.iter().enumerate() {
            let again = case.tree[..i].iter().any(|other| other.path == object.path);
            assert!(!again, "{}: {:?} stands twice", case.name, object.path);
            let Some((_, parents)) = object.path.split_last() else { continue };
            let is_dir = |other: &crate::case::Object| other.kind == Kind::Dir && other.path == parents;
            assert!(
                parents.is_empty() || case.tree[..i].iter().any(is_dir),
                "{}: {:?} has no folder",
                case.name,
                object.path
            );
        }
    }
}
