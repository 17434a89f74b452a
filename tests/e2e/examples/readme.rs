//! The README's demo is what really happens.

use super::function;
use crate::rig::{Run, Site, repository};

/// What a run shows, with the README's place and process in place of the test's; in no order, since two processes write.
fn shown(site: &Site, run: &Run) -> Vec<String> {
    let place = site.at("functions").display().to_string();
    let mut lines: Vec<String> =
        run.out.lines().chain(run.err.lines()).map(|line| line.replace(&place, "/tmp/boesfs-demo")).collect();
    for line in &mut lines {
        if let Some((start, rest)) = line.split_once("(pid ")
            && let Some((_, comm)) = rest.split_once(' ')
        {
            *line = format!("{start}(pid 4711 {comm}");
        }
    }
    // Python may try the same thing more than once.
    lines.retain(|line| !line.contains(" more like these "));
    lines.push(format!("exit status {}", run.status));
    lines.sort();
    lines
}

#[test]
fn the_demo_is_what_happens() {
    let readme = std::fs::read_to_string(repository("README.md")).expect("README.md");
    let block =
        readme.split("<!-- demo").nth(1).and_then(|rest| rest.split("<!-- end of demo -->").next()).expect("a demo");
    let plays: Vec<&str> = block.split("\n$ ").skip(1).collect();
    assert_eq!(plays.len(), 2, "{block}");
    for (play, function) in plays.into_iter().zip(["handler.py", "malicious.py"]) {
        assert!(play.lines().next().is_some_and(|command| command.ends_with(function)), "{play}");
        let mut told: Vec<String> =
            play.lines().skip(1).filter(|line| !line.is_empty() && *line != "```").map(str::to_owned).collect();
        told.sort();
        let site = function::host_of(function, function);
        assert_eq!(shown(&site, &function::run_of(&site, function)), told);
    }
}
