//! The command `boesfsc`, as its users meet it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policies");

/// Runs the command in the folder of policies.
fn boesfsc(args: &[&str]) -> Output {
    run_in(Path::new(POLICIES), args)
}

fn run_in(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_boesfsc"));
    command.args(args).current_dir(folder).env_clear().output().expect("the command starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output of a command that must succeed.
fn good(args: &[&str]) -> String {
    let output = boesfsc(args);
    assert!(output.status.success(), "{args:?}: {}", err(&output));
    assert_eq!(err(&output), "", "{args:?}");
    out(&output)
}

fn status(args: &[&str]) -> Option<i32> {
    boesfsc(args).status.code()
}

/// A folder with the policy `text`.
fn folder(text: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("p.bfs"), text).expect("a file");
    folder
}

#[test]
fn exit_statuses() {
    assert_eq!(status(&["check", "notes.bfs"]), Some(0));
    assert_eq!(status(&["check", "broken.bfs"]), Some(1));
    assert_eq!(status(&["check"]), Some(2));
    assert_eq!(status(&["frobnicate"]), Some(2));
    assert_eq!(status(&["check", "notes.bfs", "--limits", "stars=3"]), Some(2));
    assert_eq!(status(&["check", "notes.bfs", "-D", "no-equals-sign"]), Some(2));
    assert_eq!(status(&["check", "no-such-file.bfs"]), Some(4));
    assert_eq!(status(&["disasm", "notes.bfs"]), Some(4));
    assert_eq!(status(&["check", "notes.bfs", "--users", "no-such-file"]), Some(4));
    assert_eq!(status(&["--help"]), Some(0));
}

#[test]
fn help_shows_examples() {
    for command in ["compile", "check", "explain", "dump", "disasm", "stats"] {
        let help = good(&[command, "--help"]);
        assert!(help.contains("Examples:") && help.contains(&format!("boesfsc {command}")), "{help}");
    }
    let page = good(&["man"]);
    assert!(page.contains(".TH boesfsc") && page.contains("boesfsc disasm notes.o"), "{page}");
}

#[test]
fn diagnostics_for_people() {
    let output = boesfsc(&["check", "broken.bfs"]);
    assert_eq!(out(&output), "");
    insta::assert_snapshot!("broken", err(&output));
}

#[test]
fn source_gives_a_terminal_no_orders() {
    let folder = folder("policy p;\ndefault deny; // \u{1b}]0;title\u{7} \u{85}\nallow reed on \"/\"; // \u{1b}[31m\n");
    let shown = err(&run_in(folder.path(), &["check", "p.bfs"]));
    assert!(shown.contains("allow reed on") && shown.contains("?[31m"), "{shown:?}");
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
}

#[test]
fn an_object_is_no_source_and_source_no_object() {
    let folder = folder("policy p;\ndefault deny;\n");
    assert!(run_in(folder.path(), &["compile", "p.bfs"]).status.success());
    let checked = run_in(folder.path(), &["check", "p.o"]);
    assert_eq!(checked.status.code(), Some(4));
    assert!(err(&checked).contains("this is an object, not source"), "{}", err(&checked));
    for text in ["", "\u{7f}E", "\0\0\0\0"] {
        fs::write(folder.path().join("p.o"), text).expect("write");
        let explained = run_in(folder.path(), &["explain", "p.o", "--op", "read", "/x"]);
        assert_eq!(explained.status.code(), Some(4), "{}", err(&explained));
        assert!(err(&explained).contains("not a BPF object file"), "{}", err(&explained));
    }
}

#[test]
fn diagnostics_for_machines() {
    let output = boesfsc(&["check", "--format", "json", "broken.bfs"]);
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(1), ""));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["version"], 1);
    let codes: Vec<_> = report["diagnostics"].as_array().expect("a list").iter().map(|d| d["code"].as_str()).collect();
    assert_eq!(codes, [Some("BFS0501"), Some("BFS0202"), Some("BFS0503")]);
    assert_eq!(report["diagnostics"][0]["labels"][0]["line"], 2);
    let fine = good(&["check", "--format", "json", "notes.bfs"]);
    assert_eq!(fine, "{\"version\":1,\"diagnostics\":[]}\n");
}

#[test]
fn an_object_is_the_same_each_time_and_can_be_read() {
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (a, b) = (path("a.o"), path("b.o"));
    good(&["compile", "notes.bfs", "-o", &a]);
    good(&["compile", "notes.bfs", "-o", &b]);
    let bytes = fs::read(&a).expect("an object");
    assert!(bytes.starts_with(b"\x7fELF"));
    assert_eq!(bytes, fs::read(&b).expect("an object"));
    assert_eq!(bytes, boesfsc(&["compile", "notes.bfs", "-o", "-"]).stdout);
    assert_eq!(fs::metadata(&a).expect("a file").permissions().mode() & 0o600, 0o600);
    let listing = good(&["disasm", &a]);
    assert!(listing.starts_with("; policy notes, 11 rules"), "{listing}");
    for part in ["step:", "check:", "decide:", "when mode & 0o6000 != 0", "@ notes.bfs:21", "exit"] {
        assert!(listing.contains(part), "{part} is missing in\n{listing}");
    }
}

#[test]
fn the_default_output_is_the_name_with_another_ending() {
    let folder = folder("default deny;");
    assert!(run_in(folder.path(), &["compile", "p.bfs"]).status.success());
    assert!(folder.path().join("p.o").is_file());
}

#[test]
fn a_failed_compile_leaves_what_was_there() {
    let folder = folder("default deny; allow read on \"x\";");
    let object = folder.path().join("p.o");
    fs::write(&object, "before").expect("a file");
    assert_eq!(run_in(folder.path(), &["compile", "p.bfs"]).status.code(), Some(1));
    assert_eq!(fs::read(&object).expect("a file"), b"before");
    fs::write(folder.path().join("p.bfs"), "default deny;").expect("a file");
    fs::create_dir(folder.path().join("d")).expect("a folder");
    assert_eq!(run_in(folder.path(), &["compile", "p.bfs", "-o", "d"]).status.code(), Some(4));
    assert_eq!(run_in(folder.path(), &["compile", "p.bfs", "-o", "none/p.o"]).status.code(), Some(4));
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["d", "p.bfs", "p.o"], "no temporary file stays");
}

#[test]
fn a_damaged_object_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("a.o").to_string_lossy().into_owned();
    let mut bytes = boesfsc(&["compile", "small.bfs", "-o", "-"]).stdout;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).expect("a file");
    assert_eq!(status(&["disasm", &path]), Some(4));
    fs::write(&path, &bytes[..middle]).expect("a file");
    assert_eq!(status(&["disasm", &path]), Some(4));
}

#[test]
fn explanations() {
    let explain = |args: &[&str]| good(&[&["explain", "notes.bfs"], args].concat());
    insta::assert_snapshot!("explain-role", explain(&["--as", "writer", "--op", "write", "/srv/notes/.git/hooks/x"]));
    insta::assert_snapshot!(
        "explain-condition",
        explain(&["--op", "write", "--arg", "size=2000000", "/srv/notes/quota"])
    );
    insta::assert_snapshot!("explain-user", explain(&["--as", "user:1000", "--op", "read", "/home/bob/.ssh/id_rsa"]));
    insta::assert_snapshot!("explain-not-granted", explain(&["--op", "mkdir", "/tmp/x"]));
    let apart = explain(&["--as", "writer", "--as", "auditor", "--op", "read", "/srv/notes"]);
    assert!(apart.contains("refused everything"), "{apart}");
    assert_eq!(status(&["explain", "notes.bfs", "--as", "wirter", "--op", "read", "/x"]), Some(2));
    assert_eq!(status(&["explain", "notes.bfs", "--op", "raed", "/x"]), Some(2));
    assert_eq!(status(&["explain", "notes.bfs", "--op", "read", "x"]), Some(2));
}

#[test]
fn objects_explain_themselves() {
    let dir = tempfile::tempdir().expect("a directory");
    let object = dir.path().join("notes.o");
    let object = object.to_str().expect("a path");
    good(&["compile", "notes.bfs", "-o", object]);
    // What it says is what the source says, but for the rules that compete.
    for (who, op, size, path) in [
        ("writer", "write", "0", "/srv/notes/.git/hooks/x"),
        ("writer", "write", "2000000", "/srv/notes/quota"),
        ("user:1000", "read", "0", "/home/bob/.ssh/id_rsa"),
        ("auditor", "mkdir", "0", "/tmp/x"),
    ] {
        let size = format!("size={size}");
        let explain = |policy| good(&["explain", policy, "--as", who, "--op", op, "--arg", &size, path]);
        let (source, own) = (explain("notes.bfs"), explain(object));
        let (first, last) =
            (|text: &str| text.lines().next().map(str::to_owned), |text: &str| text.lines().last().map(str::to_owned));
        assert_eq!((first(&own), last(&own)), (first(&source), last(&source)));
        assert!(
            own.lines()
                .filter(|line| line.contains("=>"))
                .all(|line| source.contains(line.split("  ").last().expect("a rule"))),
            "{own}"
        );
    }
    let stats = good(&["stats", object]);
    let source = good(&["stats", "notes.bfs"]);
    assert!(stats.lines().all(|line| source.lines().any(|other| other == line)), "{stats}{source}");
    assert_eq!(status(&["explain", object, "-D", "a=b", "--op", "read", "/x"]), Some(4));
}

#[test]
fn explanations_of_everything_agree_with_the_automaton() {
    // The command fails where they do not.
    for op in ["read", "write", "chmod", "exec", "list"] {
        for path in ["/", "/usr/lib/x", "/srv/notes/data/a/.git/hooks/b", "/home/a/.ssh", "/etc/shadow", "/lib64"] {
            for who in ["reader", "writer", "admin", "auditor", "group:33", "exe:/srv/notes/bin/admin", "user:7"] {
                good(&["explain", "notes.bfs", "--as", who, "--op", op, "--arg", "mode=S_ISUID|0o755", path]);
            }
        }
    }
}

#[test]
fn dumps() {
    let dump = |stage: &str| good(&["dump", "small.bfs", "--stage", stage]);
    insta::assert_snapshot!("dump-tokens", dump("tokens"));
    insta::assert_snapshot!("dump-policy", dump("policy"));
    assert!(dump("automaton").contains("state 1 (root)"));
    assert!(good(&["dump", "small.bfs", "--dot"]).starts_with("digraph \"small\" {"));
    assert!(dump("ast").contains("Rule("));
    assert!(dump("asm").contains("step:"));
    assert!(dump("tables").contains(".rodata.states"));
}

#[test]
fn sizes() {
    let stats = good(&["stats", "notes.bfs"]);
    for row in ["rules", "states", "instructions", "bytes of the object"] {
        assert!(stats.lines().any(|line| line.starts_with(row)), "{stats}");
    }
    assert!(!stats.contains("time") && good(&["stats", "notes.bfs", "--time"]).contains("time of automaton"));
}

#[test]
fn limits_and_hooks() {
    let output = boesfsc(&["check", "notes.bfs", "--limits", "states=3"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("BFS0801") && err(&output).contains("more than 3 states"), "{}", err(&output));
    assert!(boesfsc(&["check", "notes.bfs", "--limits", "classes=2"]).status.code() == Some(1));

    let folder = folder("default allow;\ndeny map on \"/x\";");
    let check = |more: &[&str]| run_in(folder.path(), &[&["check", "p.bfs"], more].concat());
    assert!(check(&[]).status.success());
    let refused = check(&["--hook", "fuse"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("error[BFS0802]"), "{}", err(&refused));
    let warned = check(&["--hook", "fuse", "--best-effort"]);
    assert!(warned.status.success() && err(&warned).contains("warning[BFS0802]"), "{}", err(&warned));
    // What a hook is not asked about may not be refused by name.
    fs::write(folder.path().join("p.bfs"), "default deny;\nallow stat on \"/**\";\ndeny stat, watch on \"/x\";")
        .expect("a file");
    let refused = check(&["--hook", "fuse"]);
    assert!(err(&refused).contains("the fuse hook does not see `watch`"), "{}", err(&refused));
    assert!(check(&["--hook", "kmod"]).status.success() && check(&["--hook", "lsm"]).status.success());
    fs::write(folder.path().join("p.bfs"), "default deny;\nallow stat on \"/**\";\ndeny all on \"/x\";")
        .expect("a file");
    assert!(check(&["--hook", "fuse"]).status.success());
}

#[test]
fn an_object_for_loaders_that_do_not_choose() {
    let folder = folder("default deny;\nallow read on \"/x\";");
    let run = |args: &[&str]| run_in(folder.path(), args);
    let compile = |output: &str| run(&["compile", "p.bfs", "--autoload", "lsm", "-o", output]);
    assert!(compile("p.o").status.success() && compile("again.o").status.success());
    let read = |name: &str| fs::read(folder.path().join(name)).expect("an object");
    assert_eq!(read("p.o"), read("again.o"));
    assert!(run(&["compile", "p.bfs", "-o", "all.o"]).status.success());
    let told = |args: &[&str]| {
        let output = run(args);
        assert!(output.status.success(), "{args:?}: {}", err(&output));
        out(&output)
    };
    let listing = told(&["disasm", "p.o"]);
    assert!(listing.contains("; programs of the LSM hook alone") && listing.contains("\nlsm_file_open_path:\n"));
    assert!(!listing.contains("\nlsm_file_open:\n") && !listing.contains("\nkmod_check:\n"));
    assert!(!told(&["disasm", "all.o"]).contains("; programs of the LSM hook alone"));
    let programs = |name: &str| {
        let stats = told(&["stats", name]);
        let row = stats.lines().find_map(|line| line.strip_prefix("programs"));
        row.and_then(|count| count.trim().parse::<u32>().ok()).unwrap_or_else(|| panic!("no programs in {stats}"))
    };
    assert!(programs("p.o") > 30 && programs("p.o") < programs("all.o"));
    assert!(told(&["explain", "p.o", "--op", "read", "/x"]).contains("allow"));

    // It is for this hook, which must be able to enforce the policy.
    fs::write(folder.path().join("p.bfs"), "default allow;\nhide all on \"/x\";").expect("a file");
    let refused = compile("p.o");
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("the lsm hook cannot keep a hidden name out of listings"), "{}", err(&refused));
    assert!(run(&["compile", "p.bfs", "--autoload", "lsm", "--best-effort"]).status.success());
    assert_eq!(run(&["compile", "p.bfs", "--best-effort"]).status.code(), Some(2));
    let refused = run(&["compile", "p.bfs", "--autoload", "kmod"]);
    assert!(refused.status.code() == Some(2) && err(&refused).contains("possible values: lsm"), "{}", err(&refused));
}

#[test]
fn names_and_lets_from_outside() {
    let folder = folder("default deny; let home = \"/home/x\"; role r { allow read on \"{home}/\"; } user alice : r;");
    fs::write(folder.path().join("people"), "# who\nuser alice 1000\n").expect("a file");
    let run = |args: &[&str]| run_in(folder.path(), args);
    assert_eq!(run(&["check", "p.bfs"]).status.code(), Some(1));
    assert!(run(&["check", "p.bfs", "--users", "people"]).status.success());
    let args = ["--users", "people", "-D", "home=/h*", "--as", "user:alice", "--op", "read"];
    let explain = |path: &str| out(&run(&[&["explain", "p.bfs", path], &args[..]].concat()));
    assert!(explain("/h*/x").contains("\nallow, by p.bfs:1"), "{}", explain("/h*/x"));
    assert!(explain("/home/x").contains("\ndeny (EACCES), by the default"), "{}", explain("/home/x"));
}

#[test]
fn includes_stay_in_the_policys_folder() {
    let folder = folder("default deny; include \"sub/a.bfs\";");
    let outside = TempDir::new().expect("a folder");
    fs::write(outside.path().join("a.bfs"), "allow read on \"/\";").expect("a file");
    std::os::unix::fs::symlink(outside.path(), folder.path().join("sub")).expect("a link");
    let output = run_in(folder.path(), &["check", "p.bfs"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("BFS0305"), "{}", err(&output));
}
