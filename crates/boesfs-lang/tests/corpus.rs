//! A file in `ok/` is a policy that must compile, a file in `errors/` one that must give the diagnostic its name
//! begins with. What comes out is in `snapshots/`; `INSTA_UPDATE=always cargo test` accepts changes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use boesfs_lang::check::{Define, Limits, Loader, Names, Rejected};
use boesfs_lang::cond::{Arg, Cmp, Cond, Term};
use boesfs_lang::diag::render::{Color, render};
use boesfs_lang::diag::{Code, Diagnostic, json};
use boesfs_lang::pattern::Component;
use boesfs_lang::policy::Policy;
use boesfs_lang::{Input, check};

struct Folder(PathBuf);

impl Loader for Folder {
    fn load(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.0.join(path)).map_err(|_| "no such file".into())
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

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The policies of a folder, by name.
fn policies(name: &str) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder(name)).expect("the folder is readable");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("the entry is readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "bfs"))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("the file is readable"))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no policies in {name}");
    files
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn good_policies() {
    for (name, text) in policies("ok") {
        let loader = Folder(folder("ok"));
        let input = Input { loader: &loader, names: &People, ..Input::new(&name, &text) };
        match check(&input) {
            Ok(checked) => {
                assert!(checked.warnings.is_empty(), "{name}: {:?}", checked.warnings);
                snapshot(&format!("ok-{name}"), &show(&checked.policy));
            }
            Err(rejected) => panic!("{name} is refused:\n{rejected}"),
        }
    }
}

/// All that a policy says.
fn show(policy: &Policy) -> String {
    let mut out = format!("policy {}, default {:?}\n", policy.name, policy.default);
    for (i, rule) in policy.rules.iter().enumerate() {
        let (line, _) = policy.sources.line_col(rule.span);
        let file = &policy.sources.file(rule.span.file).name;
        let ops: Vec<_> = rule.ops.iter().map(|op| op.name()).collect();
        let named: Vec<_> = rule.named.iter().map(|op| op.name()).collect();
        let role = rule.role.map(|role| policy.subjects.roles[role.0 as usize].name.as_str());
        let effect = rule.effect;
        let record = rule.record;
        writeln!(out, "rule {i} at {file}:{line}: {effect:?} {record:?} role {role:?}").expect("a string");
        writeln!(out, "    on {ops:?}, named {named:?}").expect("a string");
        for pattern in &rule.patterns {
            writeln!(out, "    {pattern:?}").expect("a string");
        }
        for pattern in &rule.except {
            writeln!(out, "    except {pattern:?}").expect("a string");
        }
        if let Some(when) = &rule.when {
            writeln!(out, "    when {when:?}").expect("a string");
        }
    }
    writeln!(out, "{:#?}", policy.subjects).expect("a string");
    out
}

#[test]
fn bad_policies() {
    for (name, text) in policies("errors") {
        let loader = Folder(folder("errors"));
        let input = Input { loader: &loader, ..Input::new(&name, &text) };
        let (diagnostics, sources) = match check(&input) {
            Ok(checked) => (checked.warnings, checked.policy.sources),
            Err(rejected) => (rejected.diagnostics, rejected.sources),
        };
        let code = name.split(['-', '.']).next().expect("a code");
        assert!(diagnostics.iter().any(|d| d.code.id() == code), "{name} does not give {code}: {diagnostics:?}");
        let shown = render(&sources, &diagnostics, Color::Never);
        let machine: serde_json::Value = serde_json::from_str(&json::render(&sources, &diagnostics)).expect("JSON");
        assert_eq!(machine["version"], json::VERSION);
        assert_eq!(machine["diagnostics"].as_array().map(Vec::len), Some(diagnostics.len()));
        for diagnostic in &diagnostics {
            assert!(well_worded(diagnostic), "{name}: {diagnostic:?}");
        }
        snapshot(&format!("errors-{name}"), &shown);
    }
}

/// Lower-case, no full stop, and no word of the parser generator.
fn well_worded(diagnostic: &Diagnostic) -> bool {
    let message = &diagnostic.message;
    let first = message.chars().next();
    first.is_some_and(|c| !c.is_uppercase()) && !message.ends_with('.') && !message.contains("IDENT")
}

/// Every code has a policy that shows it, or a test here.
#[test]
fn every_code_is_shown() {
    let files: BTreeSet<String> =
        policies("errors").iter().filter_map(|(name, _)| name.split(['-', '.']).next().map(str::to_owned)).collect();
    let here = [Code::TextTooLong, Code::TooManyFiles, Code::UnusedDefine];
    for code in Code::ALL {
        // Codes from 08 on are those of the compiler; its tests show them.
        let later = code.id() >= "BFS0800";
        assert!(
            later || here.contains(code) || files.contains(code.id()),
            "no file in tests/errors shows {}",
            code.id()
        );
        assert!(!code.explanation().is_empty() && !code.title().is_empty());
    }
    let mut ids: Vec<_> = Code::ALL.iter().map(|code| code.id()).collect();
    ids.dedup();
    assert!(ids.is_sorted() && ids.len() == Code::ALL.len(), "codes are unique and in order");
}

fn codes(rejected: &Rejected) -> Vec<Code> {
    rejected.diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn a_text_can_be_too_long() {
    let text = vec![b' '; (256 << 20) + 1];
    let rejected = check(&Input::new("p.bfs", &text)).expect_err("too long");
    assert_eq!(codes(&rejected), [Code::TextTooLong]);
}

#[test]
fn values_from_outside_replace_those_of_lets() {
    let text = "default deny; let app = \"/srv/app\"; let most = 1 KiB; allow write on \"{app}/x\" when size < most;";
    let define = |name: &str, value: &str| Define { name: name.into(), value: value.into() };
    let checked = |defines: &[Define]| check(&Input { defines, ..Input::new("p.bfs", text) });
    let good = checked(&[define("app", "/a*b/{c}"), define("most", "2 MiB")]).unwrap_or_else(|e| panic!("{e}"));
    let rule = &good.policy.rules[0];
    let literal = |name: &str| Component::Literal(name.into());
    assert_eq!(rule.patterns[0].components, [literal("a*b"), literal("{c}"), literal("x")]);
    assert_eq!(rule.when, Some(Cond::Cmp(Cmp::Lt, Term::Arg(Arg::Size), Term::Int(2 << 20))));
    let bad = |defines: &[Define]| codes(&checked(defines).expect_err("refused"));
    assert_eq!(bad(&[define("ap", "/x")]), [Code::UnusedDefine]);
    assert_eq!(bad(&[define("app", "x")]), [Code::RelativePattern]);
    assert_eq!(bad(&[define("app", "/a/../b")]), [Code::DotComponent]);
    assert_eq!(bad(&[define("app", "/a\0b")]), [Code::BadByte]);
    assert_eq!(bad(&[define("most", "many")]), [Code::BadNumber]);
}

/// Every file includes every other one.
#[test]
fn includes_that_run_in_circles_end() {
    struct All;
    impl Loader for All {
        fn load(&self, path: &str) -> Result<Vec<u8>, String> {
            let n: u32 = path.trim_end_matches(".bfs").parse().map_err(|_| "no such file")?;
            Ok((0..12)
                .filter(|other| *other != n)
                .map(|other| format!("include \"{other}.bfs\";\n"))
                .collect::<String>()
                .into())
        }
    }
    let input = Input { loader: &All, ..Input::new("p.bfs", "default deny; include \"0.bfs\";") };
    let codes = codes(&check(&input).expect_err("circles"));
    assert!(!codes.is_empty() && codes.iter().all(|code| *code == Code::IncludeCycle), "{codes:?}");
}

#[test]
fn includes_can_nest_too_deep() {
    struct Down;
    impl Loader for Down {
        fn load(&self, path: &str) -> Result<Vec<u8>, String> {
            Ok(format!("include \"x{path}\";").into_bytes())
        }
    }
    let input = Input { loader: &Down, ..Input::new("p.bfs", "default deny; include \"x.bfs\";") };
    assert_eq!(codes(&check(&input).expect_err("too deep")), [Code::TooManyFiles]);
}

#[test]
fn the_limit_on_classes_can_be_raised() {
    let text = std::fs::read(folder("errors/BFS0701-groups.bfs")).expect("readable");
    let input = Input { limits: Limits { classes: 2048 }, ..Input::new("p.bfs", &text) };
    let policy = check(&input).unwrap_or_else(|rejected| panic!("{rejected}")).policy;
    assert_eq!(policy.subjects.classes.len(), 2048);
}
