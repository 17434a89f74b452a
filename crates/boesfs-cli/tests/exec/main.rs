//! `boesfs exec` as its users meet it: statuses, signals, the terminal, ways out, the audit stream. As root and as an
//! ordinary user. Needs root, /dev/fuse, setpriv, script and python3.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const POLICY: &str = r#"policy test;
default deny;
let dir = "/nowhere";
allow view, exec on "/usr/", "/bin/", "/lib/", "/lib64/", "/sbin/", "/etc/";
allow view on "/tmp/";
allow view on "/";
deny all on "/root/";
allow all on "{dir}/work/";
deny all on "{dir}/work/**/.env";
kill all on "{dir}/work/trap";
"#;

/// An ordinary user: no name is needed for one.
const USER: &str = "54321";

struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Site {
        let dir = tempfile::Builder::new().prefix("boesfs-exec").tempdir_in("/tmp").expect("temp dir");
        let site = Site { dir };
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("chmod");
        open(site.dir.path());
        fs::create_dir(site.at("work")).expect("mkdir");
        open(&site.at("work"));
        fs::write(site.at("p.bfs"), POLICY).expect("policy");
        fs::write(site.at("work/.env"), "secret\n").expect("write");
        fs::write(site.at("work/trap"), "trap\n").expect("write");
        // The test binary's folder may be closed to other users.
        let boesfs = site.at("boesfs");
        fs::copy(env!("CARGO_BIN_EXE_boesfs"), &boesfs).expect("copy");
        open(&boesfs);
        // As udev sets it on installed systems.
        let device = fs::Permissions::from_mode(0o666);
        fs::set_permissions("/dev/fuse", device).expect("/dev/fuse: is FUSE there, and are you root?");
        site
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// `boesfs exec OPTIONS POLICY -- WORDS` as `who`.
    fn exec(&self, who: Who, options: &[&str], words: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "5", "60"]);
        if who == Who::User {
            command.args(["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]);
        }
        command.arg(self.at("boesfs")).args(["exec", "-D", &format!("dir={}", self.dir.path().display())]);
        command.args(options).arg(self.at("p.bfs")).arg("--").args(words);
        // Every directory of it open to everyone: one that is not makes 126 of 127, as with env(1).
        command
            .current_dir(self.at("work"))
            .stdin(Stdio::null())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        command
    }

    fn run(&self, who: Who, options: &[&str], words: &[&str]) -> Output {
        self.exec(who, options, words).output().expect("run")
    }

    fn sh(&self, who: Who, script: &str) -> Output {
        self.run(who, &[], &["sh", "-c", script])
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Root,
    User,
}

const EVERYONE: [Who; 2] = [Who::Root, Who::User];

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn exit_statuses() {
    let site = Site::new();
    for who in EVERYONE {
        let status = |words: &[&str]| site.run(who, &[], words).status.code();
        assert_eq!(status(&["true"]), Some(0), "{who:?}");
        assert_eq!(status(&["sh", "-c", "exit 7"]), Some(7), "{who:?}");
        assert_eq!(status(&["sh", "-c", "kill -TERM $$"]), Some(143), "{who:?}");
        assert_eq!(status(&["sh", "-c", "kill -INT $$"]), Some(130), "{who:?}");
        assert_eq!(status(&["no-such-command"]), Some(127), "{who:?}");
        assert_eq!(status(&["/etc/passwd"]), Some(126), "{who:?}");
    }
    fs::write(site.at("p.bfs"), "policy x; default denny;").expect("write");
    let output = site.run(Who::Root, &[], &["true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(err(&output).contains("denny"), "{}", err(&output));
    assert_eq!(site.run(Who::Root, &["--chdir", "/no/such"], &["true"]).status.code(), Some(125));
}

#[test]
fn a_set_up_that_fails_runs_nothing() {
    let site = Site::new();
    let output = site.run(Who::Root, &["--chdir", "/no/such"], &["touch", "made"]);
    assert_eq!(output.status.code(), Some(125), "{}", err(&output));
    assert!(err(&output).contains("/no/such"), "{}", err(&output));
    assert!(!site.at("work/made").exists());
    let mut command = site.exec(Who::Root, &[], &["touch", "made"]);
    let output = command.stdin(fs::File::open("/").expect("open")).output().expect("run");
    assert_eq!(output.status.code(), Some(125), "a directory as standard input: {}", err(&output));
    assert!(!site.at("work/made").exists());
}

#[test]
fn the_policy_holds_and_people_are_told() {
    let site = Site::new();
    for who in EVERYONE {
        let output =
            site.sh(who, "echo hi > new && cat new; cat .env; cat /root/x; touch /usr/x; cat trap; echo \"end $?\"");
        assert_eq!(out(&output), "hi\nend 137\n", "{who:?}: {}", err(&output));
        let shown = err(&output);
        let env = format!("boesfs: denied read {}/.env by p.bfs:9 (pid ", site.at("work").display());
        assert!(shown.contains(&env), "{shown}");
        assert!(shown.contains(" cat)"), "{shown}");
        assert!(shown.contains("boesfs: killed for "), "{shown}");
        assert!(!site.run(who, &["-q"], &["cat", ".env"]).stderr.starts_with(b"boesfs:"));
        fs::remove_file(site.at("work/new")).expect("remove");
    }
}

#[test]
fn nothing_leads_out() {
    let site = Site::new();
    let script = r#"
        id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs):' /proc/self/status
        for words in 'unshare -U true' 'unshare -m true' 'mount -t tmpfs none /tmp' 'umount /proc' 'chroot / true' \
            'nsenter -t 1 -m true' 'ls /proc/1/root/' 'cat /proc/1/environ' 'readlink /proc/1/cwd' 'cat /proc/self/root/root/.profile'; do
            $words >/dev/null 2>&1 && echo "out: $words"
        done
        ls -A /sys /proc/self/fd; ls /proc | grep -c '^[0-9]'; echo x > /proc/sys/kernel/core_pattern && echo out
        test -e /dev/vda && echo out; test -e /dev/fuse && echo out; echo ok > /dev/null && echo end"#;
    for who in EVERYONE {
        let output = site.exec(who, &[], &["sh", "-c", script]).output().expect("run");
        let text = out(&output);
        assert!(!text.contains("out"), "{who:?}: {text}\n{}", err(&output));
        assert!(text.contains("CapEff:\t0000000000000000") && text.contains("CapBnd:\t0000000000000000"), "{text}");
        assert!(text.contains("NoNewPrivs:\t1") && text.ends_with("end\n"), "{text}");
    }
}

#[test]
fn refused_calls() {
    let site = Site::new();
    // Each call must fail in the way it is refused, not for another reason.
    let script = r"
import ctypes, errno, os, fcntl
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *args):
    ctypes.set_errno(0)
    libc.syscall(number, *args)
    print(name, errno.errorcode.get(ctypes.get_errno(), 'through'))
call('mount', 165, b'x', b'/tmp', b'tmpfs', 0, 0)
call('open_tree', 428, -100, b'/', 1)
call('open_by_handle_at', 304, 3, 0, 0)
call('setns', 308, 0, 0)
call('unshare-user', 272, 0x10000000)
call('clone-user', 56, 0x10000000 | 17, 0, 0, 0, 0)
call('clone3', 435, 0, 0)
call('io_uring_setup', 425, 1, 0)
call('bpf', 321, 0, 0, 0)
call('keyctl', 250, 0, 0)
call('x32', 0x40000000 | 39)
call('tiocsti', 16, 0, 0x5412, b'x')
call('tiocsti-high', 16, 0, 0x5412 | 1 << 40, b'x')
";
    for who in EVERYONE {
        let output = site.run(who, &[], &["/usr/bin/python3", "-c", script]);
        let text = out(&output);
        for line in text.lines() {
            let wanted = if line.starts_with("clone3") || line.starts_with("x32") { "ENOSYS" } else { "EPERM" };
            assert!(line.ends_with(wanted), "{who:?}: {line}");
        }
        assert_eq!(text.lines().count(), 13, "{who:?}: {text}{}", err(&output));
    }
}

#[test]
fn inherited_descriptors_are_closed() {
    let site = Site::new();
    let inner = site.exec(Who::Root, &[], &["sh", "-c", "cat /proc/self/fd/9/etc/shadow || cat <&9 || echo closed"]);
    let words: Vec<String> = inner.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let output = Command::new("sh")
        .args(["-c", "exec 9</; exec timeout \"$@\"", "sh"])
        .args(words)
        .current_dir(site.at("work"))
        .output()
        .expect("run");
    assert_eq!(out(&output), "closed\n", "{}", err(&output));
}

#[test]
fn signals_go_to_the_command() {
    let site = Site::new();
    for who in EVERYONE {
        let script = "trap 'echo got; exit 5' USR1; touch ready; while :; do sleep 0.05; done";
        let child = site.exec(who, &[], &["sh", "-c", script]).stdout(Stdio::piped()).spawn().expect("run");
        wait_for(|| site.at("work/ready").exists());
        kill("-USR1", agent_below(child.id()));
        let output = child.wait_with_output().expect("wait");
        assert_eq!((out(&output).as_str(), output.status.code()), ("got\n", Some(5)), "{who:?}");
        fs::remove_file(site.at("work/ready")).expect("remove");
    }
}

#[test]
fn when_the_agent_dies_so_does_everything() {
    let site = Site::new();
    for who in EVERYONE {
        let mark = format!("{:?}-{}", who, std::process::id());
        let script = "setsid sleep 987654 & touch ready; exec sleep 987654";
        let mut child = site.exec(who, &[], &["sh", "-c", script, &mark]).spawn().expect("run");
        wait_for(|| site.at("work/ready").exists());
        let agent = agent_below(child.id());
        // Read name by name while processes come and go: complete once it holds init and both sleepers.
        wait_for(|| descendants(agent).len() >= 3);
        let all = descendants(agent);
        kill("-KILL", agent);
        child.wait().expect("wait");
        wait_for(|| all.iter().all(|pid| !alive(*pid)));
        fs::remove_file(site.at("work/ready")).expect("remove");
    }
}

#[test]
fn what_the_command_leaves_ends_with_it() {
    let site = Site::new();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let output = site.sh(Who::Root, "setsid sleep 876543 & echo done");
    assert_eq!(out(&output), "done\n");
    wait_for(|| !ps().contains("sleep 876543"));
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").expect("mounts"), mounts);
}

#[test]
fn kill_0_stays_inside() {
    let site = Site::new();
    // The shell outside shares the process group with the agent, not with the command.
    let inner = site.exec(Who::Root, &[], &["sh", "-c", "kill -TERM 0; sleep 1"]);
    let words: Vec<String> = inner.get_args().skip(3).map(|word| word.to_string_lossy().into_owned()).collect();
    let mut outer = Command::new("setsid");
    outer.args(["-w", "sh", "-c", "\"$@\"; echo \"status $?\"", "sh"]).args(words).current_dir(site.at("work"));
    assert_eq!(out(&outer.output().expect("run")), "status 143\n");
}

#[test]
fn the_terminal_works() {
    let site = Site::new();
    let inner =
        site.exec(Who::Root, &[], &["bash", "-ic", "tty; test -t 0 && echo terminal; sleep 0.1 & wait; echo jobs $?"]);
    let words: Vec<String> = inner.get_args().skip(3).map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let output = Command::new("script")
        .args(["-qec", &words.join(" "), "/dev/null"])
        .current_dir(site.at("work"))
        .stdin(Stdio::null())
        .output()
        .expect("script");
    let text = out(&output);
    assert!(text.contains("/dev/console") && text.contains("terminal") && text.contains("jobs 0"), "{text}");
    assert!(!text.contains("no job control") && !text.contains("cannot set terminal"), "{text}");
}

#[test]
fn environments() {
    let site = Site::new();
    let env = |options: &[&str]| {
        let mut command = site.exec(Who::Root, options, &["env"]);
        out(&command.env("SECRET", "s3").env("EDITOR", "ed").output().expect("run"))
    };
    assert!(env(&[]).contains("SECRET=s3"));
    let clean = env(&["--clean-env"]);
    assert!(!clean.contains("SECRET") && clean.contains("PATH="), "{clean}");
    let kept = env(&["--keep-env", "EDITOR", "--set-env", "NEW=1"]);
    assert!(kept.contains("EDITOR=ed") && kept.contains("NEW=1") && !kept.contains("SECRET"), "{kept}");
}

#[test]
fn the_audit_stream_cannot_be_forged_or_reached() {
    let site = Site::new();
    let log = site.at("log.jsonl");
    let log_text = log.to_str().expect("path");
    let script = "mkdir \"$(printf 'a\\nboesfs: denied\\033[2J')\"; touch \"$(printf 'a\\nboesfs: denied\\033[2J')/.env\"; cat log.jsonl ../log.jsonl";
    let output = site.run(Who::Root, &["--audit", log_text], &["sh", "-c", script]);
    let text = fs::read_to_string(&log).expect("log");
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(
            record["cause"] == "not-granted" || record["cause"] == "default" || record["rule"]["file"] == "p.bfs",
            "{line}"
        );
    }
    assert!(text.contains("a\\\\x0aboesfs: denied\\\\x1b[2J/.env"), "{text}");
    assert!(!err(&output).lines().any(|line| line.starts_with("boesfs: denied\u{1b}")), "{}", err(&output));
    let inside = site.at("work/log.jsonl");
    let output = site.run(Who::Root, &["--audit", inside.to_str().expect("path")], &["true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(err(&output).contains("put the audit stream elsewhere"), "{}", err(&output));
}

/// Init changes the root of the processes that there are, while another is being forked: many starts at a time.
#[test]
fn no_command_starts_in_the_tree_of_the_host() {
    let site = Site::new();
    let outside = tempfile::NamedTempFile::new_in("/root").expect("make a file that the policy denies");
    let script = format!("test -e {} && echo out; echo end", outside.path().display());
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                for _ in 0..60 {
                    let output = site.run(Who::Root, &["-q"], &["sh", "-c", &script]);
                    assert_eq!(out(&output), "end\n", "{}", err(&output));
                }
            });
        }
    });
}

#[test]
fn native_zones() {
    let site = Site::new();
    let told = err(&site.run(Who::Root, &["-v"], &["true"]));
    assert!(told.contains("boesfs: native zone /usr (read-only"), "{told}");
    assert!(!told.contains("native zone /tmp"), "{told}");
    let told = err(&site.run(Who::Root, &["-v", "--no-native"], &["true"]));
    assert!(!told.contains("native zone"), "{told}");
    let output = site.sh(Who::Root, "touch /usr/x 2>&1; mount | grep ' /usr '");
    assert!(out(&output).contains("Read-only file system"), "{}", out(&output));
    assert!(out(&output).contains("nosuid") && out(&output).contains("nodev"), "{}", out(&output));
}

#[test]
fn a_hook_that_cannot_tell_refuses() {
    let site = Site::new();
    let policy = format!("{POLICY}deny map on \"/usr/x\";\n");
    fs::write(site.at("p.bfs"), policy).expect("write");
    let output = site.run(Who::Root, &[], &["true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(err(&output).contains("p.bfs:11: the fuse hook cannot tell `map` from `read`"), "{}", err(&output));
    assert_eq!(site.run(Who::Root, &["--best-effort"], &["true"]).status.code(), Some(0));
}

#[test]
fn a_refusal_where_the_sandbox_makes_its_own_is_not_run() {
    let site = Site::new();
    let policy = format!("{POLICY}deny read on \"/proc/cpuinfo\";\n");
    fs::write(site.at("p.bfs"), policy).expect("write");
    let output = site.run(Who::Root, &[], &["true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(err(&output).contains("p.bfs:11: the fuse hook is not asked below"), "{}", err(&output));
    assert_eq!(site.run(Who::Root, &["--best-effort"], &["true"]).status.code(), Some(0));
}

#[test]
fn doctor_tells_the_truth() {
    let output = Command::new(env!("CARGO_BIN_EXE_boesfs")).args(["doctor", "--format", "json"]).output().expect("run");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let usable = |name: &str| {
        let hooks = report["hooks"].as_array().expect("hooks").iter();
        hooks.filter(|hook| hook["name"] == name).any(|hook| hook["usable"] == true)
    };
    assert!(usable("fuse") && !usable("lsm") && !usable("kmod"), "{report:#}");
    assert_eq!(output.status.code(), Some(0));
}

fn wait_for(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "it never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill").success());
}

/// The agent, in the foreground of `timeout`.
fn agent_below(timeout: u32) -> u32 {
    descendants(timeout).into_iter().find(|pid| name(*pid) == "boesfs").expect("the agent")
}

fn ps() -> String {
    let mut text = String::new();
    let mut child = Command::new("ps").args(["-eo", "args"]).stdout(Stdio::piped()).spawn().expect("ps");
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("read");
    child.wait().expect("wait");
    text
}

fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// Whether `pid` runs: a zombie does not.
fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// The processes below `pid`, itself left out.
fn descendants(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<u32> = children.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    children.iter().flat_map(|child| std::iter::once(*child).chain(descendants(*child))).collect()
}

#[test]
fn a_reload_that_the_hook_cannot_do_leaves_the_command_alone() {
    let site = Site::new();
    let mut command = site.exec(Who::Root, &[], &["sh", "-c", "echo ready; read line; echo still here"]);
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run");
    let mut output = running.stdout.take().expect("piped");
    output.read_exact(&mut [0; 6]).expect("ready");
    let agent = Command::new("pgrep").args(["-P", &running.id().to_string()]).output().expect("pgrep");
    let reload = |pid: &str| Command::new(site.at("boesfs")).args(["reload", pid]).output().expect("reload");
    let kept = reload(out(&agent).trim());
    assert_eq!(kept.status.code(), Some(1), "{kept:?}");
    assert!(err(&kept).contains("the policy in force stays: "), "{kept:?}");
    let stranger = reload(&running.id().to_string());
    assert!(err(&stranger).contains("is no agent of a sandbox"), "{stranger:?}");
    drop(running.stdin.take());
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    assert_eq!((rest.as_str(), running.wait().expect("ends").code()), ("still here\n", Some(0)));
}
