//! `examples/function`: a function computes, and its evil twin gets nowhere.

use crate::rig::{Run, Sandbox, Site, repository};

/// A host of functions, on which `handler` is installed as `name`.
pub(super) fn host_of(handler: &str, name: &str) -> Site {
    let site = Site::new();
    site.copy(&repository(&format!("examples/function/{handler}")), &format!("functions/resize/code/{name}"));
    if name != "handler.py" {
        site.file("functions/resize/code/handler.py", "");
    }
    site.file("functions/resize/in/text", "to be or not to be");
    site.dir("functions/resize/out");
    site.file("functions/billing/code/key.pem", "PRIVATE\n");
    site
}

fn host(handler: &str) -> Site {
    host_of(handler, "handler.py")
}

/// Runs the function installed as `name`.
pub(super) fn run_of(site: &Site, name: &str) -> Run {
    let script = site.at("functions/resize/code").join(name);
    Sandbox::example("function", &[("functions", &site.at("functions"))], site.at("audit.jsonl"))
        .option("--clean-env")
        .run(&["/usr/bin/python3", script.to_str().expect("UTF-8")])
}

fn run(site: &Site) -> Run {
    run_of(site, "handler.py")
}

#[test]
fn the_function_works() {
    let site = host("handler.py");
    let run = run(&site).ok();
    assert_eq!(site.text("functions/resize/out/counts.json"), r#"{"be": 2, "not": 1, "or": 1, "to": 2}"#);
    assert!(run.audit.is_empty(), "an honest function leaves no trace: {run:#?}");
}

#[test]
fn its_evil_twin_is_stopped_and_killed() {
    let site = host("malicious.py");
    let source = site.text("functions/resize/code/handler.py");
    let run = run(&site);
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(
        lines,
        [
            "its input: 'to be or not to be'",
            "who else is here: Permission denied",
            "another tenant's key: No such file or directory",
            "a back door for its next run: Permission denied",
            "a full disk: Permission denied",
        ],
        "{run:#?}"
    );
    assert_eq!(run.status, 137, "killed at the password file: {run:#?}");
    assert_eq!(site.text("functions/resize/code/handler.py"), source);
    let junk = site.at("functions/resize/out/junk").metadata().map_or(0, |metadata| metadata.len());
    assert!(junk <= 1 << 20, "{junk} bytes");
    let killed = run.audit.last().expect("recorded");
    assert_eq!(
        (killed.path.as_str(), killed.effect.as_str(), killed.comm.as_str()),
        ("/etc/shadow", "kill", "python3")
    );
    assert_eq!(killed.rule.as_ref().map(|rule| rule.file.as_str()), Some("function.bfs"));
}
