//! `boesfs eval` as its users meet it. The engine `kernel` needs privileges: without them its test fails, unless
//! `BOESFS_WITHOUT_KERNEL` is set.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const POLICY: &str = r#"policy p;
default deny;
role writer { allow write on "/a/" when size <= 4 KiB; }
role auditor { audit allow read on "/a/"; }
separate writer, auditor;
user 1000, 7 : writer;
group 5, 7 : auditor;
exe "/bin/w" : writer;
hide read on "/a/\xff";
let where = "/x";
quiet deny write on "{where}";
"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().expect("a temporary folder"));
        std::fs::write(folder.path("p.bfs"), POLICY).expect("the policy is written");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn eval(&self, args: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_boesfs"))
            .arg("eval")
            .args(args)
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("boesfs runs");
        // A command that refuses its policy reads nothing.
        let _unread = child.stdin.take().expect("it has an input").write_all(input.as_bytes());
        child.wait_with_output().expect("boesfs ends")
    }

    fn compile(&self) {
        let status = Command::new(env!("CARGO_BIN_EXE_boesfsc"))
            .args(["compile", "-o", "p.o", "p.bfs"])
            .current_dir(self.0.path())
            .status();
        assert!(status.expect("boesfsc runs").success());
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// Requests, and their answers.
const DIALOGUE: &str = r#"
{"op":"write","path":"/a/b","roles":["writer"],"args":{"size":4096}}
{"effect":"allow","audit":false,"rule":{"file":"p.bfs","line":3}}
{"op":"write","path":"/a/b","roles":["writer"],"args":{"size":4097}}
{"effect":"deny","audit":false,"rule":null,"cause":"default"}
{"id":[1,{"x": "y"}],"op":"read","path":"/a/b","roles":["auditor"]}
{"id":[1,{"x": "y"}],"effect":"allow","audit":true,"rule":{"file":"p.bfs","line":4}}
{"op":"read","path":"/a/b"}
{"effect":"deny","audit":false,"rule":null,"cause":"not-granted"}
{"op":"read","path":"/a/b","user":1000}
{"effect":"deny","audit":false,"rule":null,"cause":"not-granted"}
{"op":"read","path":"/a/b","user":1,"group":[3,5]}
{"effect":"allow","audit":true,"rule":{"file":"p.bfs","line":4}}
{"op":"read","path":"/a/b","user":1,"group":7}
{"effect":"allow","audit":true,"rule":{"file":"p.bfs","line":4}}
{"op":"write","path":"/a/b","exe":"/bin/w"}
{"effect":"allow","audit":false,"rule":{"file":"p.bfs","line":3}}
{"op":"write","path":"/a/b","exe_bytes":"2f62696e2f77"}
{"effect":"allow","audit":false,"rule":{"file":"p.bfs","line":3}}
{"id":"both","op":"write","path":"/a/b","user":7,"group":7}
{"id":"both","effect":"deny","audit":false,"rule":null,"cause":"no-class"}
{"op":"read","path_bytes":"2f612fFF"}
{"effect":"hide","audit":false,"rule":{"file":"p.bfs","line":9}}
{"op":"write","path":"//./x/","roles":[]}
{"effect":"deny","audit":false,"rule":{"file":"p.bfs","line":11}}
{"op":"wr\u0069te","path":"/\u0078"}
{"effect":"deny","audit":false,"rule":{"file":"p.bfs","line":11}}
"#;

fn dialogue() -> (String, String) {
    let lines: Vec<&str> = DIALOGUE.trim().lines().collect();
    let every_other = |from: usize| lines[from..].iter().step_by(2).map(|line| format!("{line}\n")).collect();
    (every_other(0), every_other(1))
}

#[test]
fn each_engine_answers_source() {
    let folder = Folder::new();
    let (requests, answers) = dialogue();
    for engine in ["eval", "automaton", "vm"] {
        let output = folder.eval(&["--engine", engine, "p.bfs"], &requests);
        assert_eq!(text(&output.stdout), answers, "{engine}");
        assert_eq!(output.status.code(), Some(0), "{engine}: {}", text(&output.stderr));
    }
}

#[test]
fn the_vm_answers_an_object() {
    let folder = Folder::new();
    folder.compile();
    let (requests, answers) = dialogue();
    let output = folder.eval(&["p.o"], &requests);
    assert_eq!(text(&output.stdout), answers, "{}", text(&output.stderr));
    for engine in ["eval", "automaton"] {
        let output = folder.eval(&["--engine", engine, "p.o"], &requests);
        assert_eq!(output.status.code(), Some(4));
        assert_eq!(text(&output.stdout), "");
        assert!(text(&output.stderr).contains("need the policy's source"), "{}", text(&output.stderr));
    }
}

#[test]
fn the_kernel_answers() {
    if std::env::var_os("BOESFS_WITHOUT_KERNEL").is_some() {
        return;
    }
    let folder = Folder::new();
    folder.compile();
    let (requests, answers) = dialogue();
    for policy in ["p.bfs", "p.o"] {
        let output = folder.eval(&["--engine", "kernel", policy], &requests);
        assert_eq!(text(&output.stdout), answers, "{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn mistakes_are_told_in_their_place() {
    let table = [
        (r#"{"op":"wirte","path":"/a"}"#, r#"{"error":"there is no operation `wirte`"}"#),
        (r#"{"id":1,"op":"read"}"#, r#"{"id":1,"error":"the request names no path"}"#),
        (r#"{"id":2,"op":"read","path":"a"}"#, r#"{"id":2,"error":"the path is not absolute"}"#),
        (r#"{"op":"read","path":"/a/../b"}"#, r#"{"error":"the path contains `..`: resolve it first"}"#),
        (r#"{"op":"read","path":"/\u0000"}"#, r#"{"error":"the path contains NUL"}"#),
        (r#"{"op":"read","path":"/","path_bytes":"2f"}"#, r#"{"error":"a path as text and as bytes"}"#),
        (r#"{"op":"read","path":"/","roles":["x"]}"#, r#"{"error":"the policy has no role `x`"}"#),
        (
            r#"{"op":"read","path":"/","roles":["writer","auditor"]}"#,
            r#"{"error":"nobody can have the roles writer, auditor at once"}"#,
        ),
        (r#"{"op":"read","path":"/","roles":[],"user":1}"#, r#"{"error":"give either roles, or user, group and exe"}"#),
        (r#"{"op":"read","path":"/","user":"eve"}"#, r#"{"error":"the policy names no user `eve`: give its number"}"#),
        (r#"{"op":"stat","path":"/","args":{"size":1}}"#, r#"{"error":"`stat` carries no `size`"}"#),
    ];
    let folder = Folder::new();
    for (request, answer) in table {
        let output = folder.eval(&["p.bfs"], request);
        assert_eq!(text(&output.stdout).trim_end(), answer);
        assert_eq!(output.status.code(), Some(1));
    }
    // Words of the JSON reader: that they are there, and that the others are answered all the same.
    let bad = [
        "{",
        "[]",
        "1",
        "\"x\"",
        "{\"op\":1}",
        "{\"op\":\"read\",\"path\":\"/\",\"as\":\"x\"}",
        "\u{0}",
        "{\"op\":\"read\",\"path_bytes\":\"2\"}",
        "{\"op\":\"read\",\"path\":\"/\",\"user\":-1}",
        "{\"op\":\"read\",\"path\":\"/\",\"args\":{\"sise\":1}}",
        "{\"op\":\"read\",\"op\":\"read\",\"path\":\"/\"}",
    ];
    let good = "{\"op\":\"write\",\"path\":\"/x\"}";
    let input: String = bad.iter().map(|bad| format!("{bad}\n\n{good}\n")).collect();
    let output = folder.eval(&["p.bfs"], input.trim_end());
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 2 * bad.len());
    for (i, pair) in lines.chunks(2).enumerate() {
        assert!(pair[0].starts_with("{\"error\":"), "{}: {}", bad[i], pair[0]);
        assert!(pair[1].contains("\"line\":11"), "{}", pair[1]);
    }
    let long = format!("{{\"op\":\"read\",\"path\":\"/{}\"}}", "x".repeat(256));
    assert!(text(&folder.eval(&["p.bfs"], &long).stdout).contains("a name of 256 bytes"));
}

#[test]
fn policies_that_cannot_be_used() {
    let folder = Folder::new();
    std::fs::write(folder.path("bad.bfs"), "default deny; allow raed on \"/\";").expect("written");
    std::fs::write(folder.path("bad.o"), b"\x7fELF and nothing else").expect("written");
    for (policy, status) in [("bad.bfs", 1), ("bad.o", 4), ("none.bfs", 4)] {
        let output = folder.eval(&[policy], "");
        assert_eq!(output.status.code(), Some(status), "{policy}: {}", text(&output.stderr));
        assert!(!output.stderr.is_empty());
    }
    std::fs::write(folder.path("names.bfs"), "policy p; default deny; role r; user \"nobody.here\": r;")
        .expect("written");
    let output = folder.eval(&["names.bfs"], "");
    let said = text(&output.stderr);
    assert!(said.contains("/etc/passwd") && !said.contains("--system-users"), "{said}");
    assert_eq!(folder.eval(&["--engine", "guess", "p.bfs"], "").status.code(), Some(2));
}

#[test]
fn lets_have_other_values() {
    let folder = Folder::new();
    let output = folder.eval(&["-D", "where=/y", "p.bfs"], "{\"op\":\"write\",\"path\":\"/y\"}");
    assert!(text(&output.stdout).contains("\"line\":11"), "{}", text(&output.stdout));
}

#[test]
fn one_can_talk_with_it() {
    let folder = Folder::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_boesfs"))
        .args(["eval", "p.bfs"])
        .current_dir(folder.0.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("boesfs runs");
    let mut input = child.stdin.take().expect("it has an input");
    let mut output = BufReader::new(child.stdout.take().expect("it has an output"));
    for _ in 0..3 {
        input.write_all(b"{\"op\":\"write\",\"path\":\"/x\"}\n").expect("it reads");
        let mut answer = String::new();
        output.read_line(&mut answer).expect("it answers");
        assert!(answer.contains("\"line\":11"), "{answer}");
    }
    drop(input);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_large_batch_streams() {
    let folder = Folder::new();
    let request =
        "{\"op\":\"write\",\"path\":\"/a/some/file/far/down\",\"roles\":[\"writer\"],\"args\":{\"size\":1}}\n";
    let requests = request.repeat(50_000);
    let input = folder.path("requests");
    std::fs::write(&input, requests).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_boesfs"))
        .args(["eval", "p.bfs"])
        .current_dir(folder.0.path())
        .stdin(std::fs::File::open(input).expect("the requests can be read"))
        .output()
        .expect("boesfs runs");
    assert!(output.status.success());
    assert_eq!(text(&output.stdout).lines().count(), 50_000);
    assert!(text(&output.stdout).lines().all(|line| line.contains("\"line\":3")));
}
