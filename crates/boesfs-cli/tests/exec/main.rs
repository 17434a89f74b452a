//! `boesfs exec` as its users meet it: statuses, signals, the terminal, ways out, the audit stream. As root and as an
//! ordinary user. Needs root, /dev/fuse, setpriv, script and python3.

mod descriptors;
mod reload;
mod rig;
mod terminal;

use std::fs;
use std::process::{Command, Stdio};

use rig::{EVERYONE, POLICY, Site, Who, agent_below, alive, descendants, err, kill, out, ps, wait_for};

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
fn an_object_with_the_programs_of_one_hook() {
    let site = Site::new();
    let dir = format!("dir={}", site.dir.path().display());
    let mut compile = Command::new(env!("CARGO_BIN_EXE_boesfsc"));
    let compile = compile.args(["compile", "--autoload", "lsm", "-D", &dir]).arg(site.at("p.bfs")).arg("-o");
    assert!(compile.arg(site.at("p.o")).status().expect("boesfsc").success());
    for who in EVERYONE {
        let output = site.exec_object(who, &[], "p.o", &["sh", "-c", "echo hi > new && cat new; cat .env; rm new"]);
        assert_eq!(out(&output), "hi\n", "{who:?}: {}", err(&output));
        assert!(err(&output).contains("boesfs: denied read "), "{who:?}: {}", err(&output));
    }
    let output = site.exec_object(Who::Root, &["--hook", "kmod"], "p.o", &["true"]);
    assert_eq!(output.status.code(), Some(125));
    let said = "the object has no programs for the kernel module: compile the policy without --autoload";
    assert!(err(&output).contains(said), "{}", err(&output));
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
fn children_from_before_are_not_waited_for() {
    let site = Site::new();
    let inner = site.exec(Who::Root, &[], &["sh", "-c", "exit 3"]);
    // Without `timeout`: what is executed becomes the parent of the shell's children.
    let words = inner.get_args().skip(3);
    let mut outer = Command::new("sh");
    outer.args(["-c", "true & sleep 765432 & echo $! >slept; exec \"$@\"", "sh"]).args(words);
    let status = outer.current_dir(site.at("work")).stdin(Stdio::null()).status().expect("run");
    let slept = fs::read_to_string(site.at("work/slept")).expect("a number").trim().parse().expect("a number");
    assert!(alive(slept), "it ended");
    kill("-KILL", slept);
    assert_eq!(status.code(), Some(3));
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
    assert!(!inside.exists(), "nothing is left of what was refused");
    fs::write(&inside, "mine\n").expect("write");
    let output = site.run(Who::Root, &["--audit", inside.to_str().expect("path")], &["true"]);
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(fs::read_to_string(&inside).expect("read"), "mine\n");
}

/// 2 may be the command's own.
#[test]
fn a_wrong_use_is_a_failed_set_up() {
    let site = Site::new();
    let output = site.run(Who::Root, &["--no-such-option"], &["true"]);
    assert_eq!(output.status.code(), Some(125), "{}", err(&output));
    assert!(err(&output).contains("--no-such-option"), "{}", err(&output));
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
fn the_cache_of_the_dynamic_loader_is_a_zone_until_it_is_replaced() {
    let site = Site::new();
    let policy = POLICY.replace("\"/etc/\"", "\"/etc/none/\"")
        + "allow view on \"/etc/ld.so.*\", \"/etc/\" except \"/etc/**\";\n";
    fs::write(site.at("p.bfs"), policy).expect("write");
    // In a copy of /etc, in a mount namespace of the test's own. The kernel keeps names for a second.
    let inside = "look() { stat -c %i /etc/ld.so.cache; grep -c ' /etc/ld.so.cache ' /proc/mounts; /etc/ld.so.cache; rm -f /etc/ld.so.cache; }
        look; touch there; while ! test -e replaced; do sleep 0.1; done; sleep 1.2; look";
    let outside = r#"cp -a /etc copy && mount --bind copy /etc && cp -a copy/ld.so.cache next && stat -c %i /etc/ld.so.cache next || exit 1
        { while ! test -e work/there; do sleep 0.1; done; mv next copy/ld.so.cache; touch work/replaced; } &
        cd work; exec timeout 60 "$@""#;
    for who in EVERYONE {
        let command = site.exec(who, &[], &["sh", "-c", inside]);
        let mut unshared = Command::new("unshare");
        unshared.args(["--mount", "sh", "-c", outside, "sh"]).args(command.get_args().skip(3));
        let output = unshared.current_dir(site.dir.path()).output().expect("run");
        let (text, said) = (out(&output), err(&output));
        let [old, new, in_zone, mounted, judged, gone] = text.lines().collect::<Vec<_>>()[..] else {
            panic!("{who:?}: {text}{said}")
        };
        assert_eq!((in_zone, mounted, judged, gone), (old, "1", new, "0"), "{who:?}: {said}");
        assert_eq!(said.matches("/etc/ld.so.cache: Permission denied").count(), 2, "{who:?}: {said}");
        if who == Who::Root {
            assert!(said.contains("'/etc/ld.so.cache': Device or resource busy"), "{who:?}: {said}");
            assert!(said.contains("denied unlink /etc/ld.so.cache by default"), "{who:?}: {said}");
        }
        fs::remove_dir_all(site.at("copy")).expect("remove");
        for mark in ["work/there", "work/replaced"] {
            fs::remove_file(site.at(mark)).expect("remove");
        }
    }
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

#[test]
fn changed_permissions_leave_the_mounts_alone() {
    let site = Site::new();
    let script = "mkdir d; for i in 1 2 3; do chmod 700 d; chmod 711 d; done; cat </dev/null && ls /proc/self/status && sh -c 'echo fine'";
    let output = site.run(Who::Root, &["--cap", "setuid,setgid,chown,fowner"], &["sh", "-c", script]);
    assert_eq!(out(&output), "/proc/self/status\nfine\n", "{}", err(&output));
}
