//! Front-end work grows with the text, not faster: 100,000 rules in a bounded time even without optimisation.

use std::time::{Duration, Instant};

use boesfs_lang::{Input, check};

fn rules(n: usize) -> String {
    let mut text = String::from("default deny;\nlet root = \"/srv/data\";\n");
    for i in 0..n {
        let (a, b) = (i % 97, i % 1009);
        text.push_str(&format!("allow read, write on \"{{root}}/dir{a}/sub{b}/file{i}\";\n"));
    }
    text
}

fn time(n: usize) -> Duration {
    let text = rules(n);
    let start = Instant::now();
    let checked = check(&Input::new("p.bfs", &text)).unwrap_or_else(|rejected| panic!("{rejected}"));
    assert_eq!(checked.policy.rules.len(), n);
    start.elapsed()
}

#[test]
fn a_hundred_thousand_rules() {
    let large = time(100_000);
    println!("100,000 rules in {large:?}");
    let limit = if cfg!(debug_assertions) { 10 } else { 2 };
    assert!(large < Duration::from_secs(limit), "{large:?}");
}

#[test]
fn twice_the_rules_take_about_twice_the_time() {
    let small = (0..3).map(|_| time(10_000)).min().expect("three");
    let large = (0..3).map(|_| time(80_000)).min().expect("three");
    assert!(large < small * 8 * 4, "{small:?} for 10,000 rules, {large:?} for 80,000");
}
