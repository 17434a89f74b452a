//! `examples/build`: make builds into its target, and can write nowhere else.

use crate::rig::{Run, Sandbox, Site, repository};

fn package() -> Site {
    let site = Site::new();
    for name in ["Makefile", "main.c", "shout.c"] {
        site.copy(&repository(&format!("examples/build/{name}")), &format!("src/{name}"));
    }
    site.dir("out");
    site.file("home/.ssh/id_ed25519", "PRIVATE\n");
    site
}

fn make(site: &Site, targets: &[&str]) -> Run {
    let (src, out) = (site.at("src"), site.at("out"));
    let shown = |path: &std::path::Path| path.display().to_string();
    let words = ["make", "-j2", "-C", &shown(&src), &format!("BUILD={}", shown(&out))].map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).chain(targets.iter().copied()).collect();
    Sandbox::example("build", &[("src", &src), ("out", &out)], site.at("audit.jsonl"))
        .env("TMPDIR", &shown(&out))
        .env("HOME", &shown(&site.at("home")))
        .run(&words)
}

#[test]
fn make_builds() {
    let site = package();
    make(&site, &[]).ok();
    let output = std::process::Command::new(site.at("out/shout")).arg("hear me").output().expect("shout");
    assert_eq!(output.stdout, b"HEAR ME\n");
    // Nothing to do the second time: times are right.
    assert!(make(&site, &[]).ok().out.contains("is up to date"));
}

#[test]
fn a_build_of_bad_intent_changes_nothing() {
    let site = package();
    let source = site.text("src/shout.c");
    let run = make(&site, &["evil"]).ok();
    assert_eq!(site.text("src/shout.c"), source);
    assert!(!run.out.contains("PRIVATE"), "{run:#?}");
    assert!(!site.at("out/etc").exists(), "{run:#?}");
    let mode = std::fs::metadata(site.at("out/su"))
        .map(|metadata| std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()));
    assert_eq!(mode.unwrap_or_default() & 0o6000, 0, "{run:#?}");
    assert_eq!(
        run.err.matches("Error 1 (ignored)").count() + run.err.matches("Error 2 (ignored)").count(),
        5,
        "{run:#?}"
    );
}
