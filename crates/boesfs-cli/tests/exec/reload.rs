//! `boesfs reload`: another policy for a command that runs, with the FUSE hook.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use crate::rig::{EVERYONE, POLICY, Site, Who, err, out};

/// A command whose policy can be replaced: it waits for a line, and for another one.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(site: &Site, who: Who, options: &[&str], script: &str) -> Running {
        let mut command = site.exec(who, options, &["sh", "-c", script]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("run");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Running { child, lines }
    }

    /// What it says up to a line `end`.
    fn said(&mut self) -> Vec<String> {
        let lines = self.lines.by_ref().lines().map(|line| line.expect("text"));
        lines.take_while(|line| line != "end").collect()
    }

    /// Lets it go on.
    fn go(&mut self) {
        use std::io::Write as _;
        self.child.stdin.as_mut().expect("piped").write_all(b"go\n").expect("write");
    }

    fn reload(&self, site: &Site) -> Output {
        let agent = Command::new("pgrep").args(["-P", &self.child.id().to_string()]).output().expect("pgrep");
        Command::new(site.at("boesfs")).args(["reload", out(&agent).trim()]).output().expect("reload")
    }

    fn end(mut self) {
        self.go();
        assert_eq!(self.child.wait().expect("ends").code(), Some(0));
    }
}

/// Tells which of the files in the directory it is in it can read, and whether it can go on writing to one that is open.
const LOOK: &str = "cd sub; exec 3>>../held; look() {
        for f in ../kept ../taken ../given ../one ../other ../same ../again inner deep/inner ../hidden; do
            cat $f >/dev/null 2>&1 && printf '%s ' $f
        done
        ls .. | grep -c hidden; echo x >&3 && echo written || echo not; echo end
    } 2>/dev/null
    look; read go; look; sleep 2; look; read go; look; read go";

fn files(site: &Site) {
    let work = site.at("work");
    fs::create_dir_all(work.join("sub/deep")).expect("mkdir");
    for file in ["kept", "taken", "given", "held", "one", "same", "sub/inner", "sub/deep/inner", "hidden"] {
        fs::write(work.join(file), "text\n").expect("write");
    }
    for (from, to) in [("one", "other"), ("same", "again")] {
        fs::hard_link(work.join(from), work.join(to)).expect("link");
    }
    let opened = Command::new("chmod").args(["-R", "a+rwX"]).arg(&work).status().expect("chmod");
    assert!(opened.success());
}

#[test]
fn another_policy_is_in_force_at_once() {
    let site = Site::new();
    files(&site);
    let before = format!("{POLICY}deny read on \"{{dir}}/work/given\";\n");
    let after = format!(
        "{POLICY}deny read on \"{{dir}}/work/taken\", \"{{dir}}/work/other\", \"{{dir}}/work/sub/deep/\";
         hide all on \"{{dir}}/work/hidden\"; deny write, append on \"{{dir}}/work/held\";\n"
    );
    for who in EVERYONE {
        fs::write(site.at("p.bfs"), &before).expect("write");
        let mut running = Running::start(&site, who, &[], LOOK);
        let all = "../kept ../taken ../one ../other ../same ../again inner deep/inner ../hidden 1";
        assert_eq!(running.said(), [all, "written"], "{who:?}");
        fs::write(site.at("p.bfs"), &after).expect("write");
        let reloaded = running.reload(&site);
        assert!(reloaded.status.success(), "{who:?}: {}", err(&reloaded));
        running.go();
        // As root the data of an open file passes by the agent.
        let written = if who == Who::Root { "written" } else { "not" };
        for when in ["at once", "later"] {
            assert_eq!(
                running.said(),
                ["../kept ../given ../one ../same ../again inner 0", written],
                "{who:?}, {when}"
            );
        }
        fs::write(site.at("p.bfs"), &before).expect("write");
        assert!(running.reload(&site).status.success());
        running.go();
        assert_eq!(running.said(), [all, "written"], "{who:?}, the first one again");
        running.end();
    }
}

/// The kernel keeps the target of a link that may be followed.
#[test]
fn a_link_that_was_followed_is_not_any_more() {
    let site = Site::new();
    fs::write(site.at("work/file"), "text\n").expect("write");
    std::os::unix::fs::symlink("file", site.at("work/link")).expect("link");
    let script = "cat link; echo end; read go; sleep 2; cat link 2>/dev/null || echo refused; echo end; read go";
    for who in EVERYONE {
        fs::write(site.at("p.bfs"), POLICY).expect("write");
        let mut running = Running::start(&site, who, &[], script);
        assert_eq!(running.said(), ["text"]);
        fs::write(site.at("p.bfs"), format!("{POLICY}deny readlink on \"{{dir}}/work/link\";\n")).expect("write");
        assert!(running.reload(&site).status.success());
        running.go();
        assert_eq!(running.said(), ["refused"], "{who:?}");
        running.end();
    }
}

#[test]
fn a_policy_that_cannot_take_its_place_leaves_the_one_in_force() {
    let site = Site::new();
    let script = "echo end; read go; cat .env 2>/dev/null; echo still here; echo end; read go";
    let mut running = Running::start(&site, Who::Root, &["--audit", &site.at("audit").to_string_lossy()], script);
    running.said();
    let refused = [
        ("deny red on \"/\";\n", "policy in force stays"),
        ("deny read on \"/usr/x\";\n", "/usr is a native zone, where nothing is asked"),
        ("deny map on \"/srv/x\";\n", "cannot tell `map` from `read`"),
        ("audit allow readlink on \"/srv/x\";\n", "tells apart `readlink`"),
        ("allow all on \"{dir}/audit\";\n", "lets the command change the audit stream"),
        ("role r { allow read on \"/srv/y\"; }\nexe \"/usr/bin/x\" : r;\n", "roles of executables"),
    ];
    for (rule, why) in refused {
        fs::write(site.at("p.bfs"), format!("{POLICY}{rule}")).expect("write");
        let kept = running.reload(&site);
        assert_eq!(kept.status.code(), Some(1), "{rule}: {kept:?}");
        assert!(err(&kept).contains(why), "{rule}: {}", err(&kept));
    }
    let stranger = Command::new(site.at("boesfs")).args(["reload", &running.child.id().to_string()]).output();
    let stranger = stranger.expect("reload");
    assert!(err(&stranger).contains("is no agent of a sandbox"), "{stranger:?}");
    running.go();
    assert_eq!(running.said(), ["still here"]);
    running.end();
}

#[test]
fn a_reload_at_the_end_does_not_end_the_agent() {
    let site = Site::new();
    for _ in 0..10 {
        let running = site.exec(Who::Root, &["--quiet"], &["true"]).spawn().expect("run");
        let id = running.id().to_string();
        let asked = Command::new("sh")
            .args([
                "-c",
                "while kill -0 $1; do for agent in $1 $(pgrep -P $1); do \"$0\" reload $agent & done; done; wait",
            ])
            .arg(site.at("boesfs"))
            .arg(&id)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("ask");
        let ended = running.wait_with_output().expect("ends");
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        asked.wait_with_output().expect("ends");
    }
}
