//! What is handed in, and what is held: descriptors.

use std::fs::{self, File};
use std::process::Command;

use crate::rig::{EVERYONE, Site, Who, err, out};

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
fn a_file_is_handed_in_though_the_root_may_not_be_looked_at() {
    let site = Site::new();
    fs::write(
        site.at("p.bfs"),
        "policy few; default deny; let dir = \"/\"; allow view, exec on \"/usr/\", \"/lib*/\", \"/bin/\";",
    )
    .expect("write");
    for who in EVERYONE {
        let file = site.at("out");
        let script = "stat / && echo seen; cat /proc/self/fd/1 && echo read; echo written";
        let mut command = site.exec(who, &["-q"], &["sh", "-c", script]);
        let output = command.stdout(File::create(&file).expect("create")).output().expect("run");
        assert_eq!(fs::read_to_string(&file).expect("read"), "written\n", "{who:?}: {}", err(&output));
    }
}

#[test]
fn open_files_do_not_take_everything_else_along() {
    let site = Site::new();
    // Many files open at once, in two processes, of an agent that may have 300 descriptors; then everything else.
    let script = r#"
import errno, os, sys
os.makedirs('deep/a/b/c/d/e', exist_ok=True)
for i in range(200): open(f'f{i}', 'w').close()
pipe = os.pipe()
back = os.pipe()
def hold(most):
    held, refused = [], set()
    for i in range(most):
        try: held.append(os.open(f'f{i}', os.O_RDONLY))
        except OSError as error: refused.add(errno.errorcode[error.errno])
    return held, refused
if os.fork() == 0:
    held, refused = hold(150)
    os.write(back[1], b'x'); os.read(pipe[0], 1)
    os._exit(0)
os.read(back[0], 1)
held, refused = hold(200)
print(sorted(refused))
os.stat('deep/a/b/c/d/e'); os.mkdir('deep/a/b/c/d/e/f'); os.rename('f1', 'deep/a/g'); os.unlink('f2')
try: open('.env')
except PermissionError: print('judged')
for fd in held: os.close(fd)
print(len(os.listdir('deep/a')), open('f3').read() == '')
"#;
    for who in EVERYONE {
        // One that hears of single reads is served without passthrough, by a descriptor of the agent for each file.
        let policy = fs::read_to_string(site.at("p.bfs")).expect("read");
        let condition = "deny read on \"{dir}/work/**\" when offset > 1 MiB;";
        fs::write(site.at("p.bfs"), format!("{policy}{condition}\n")).expect("write");
        let inner = site.exec(who, &[], &["/usr/bin/python3", "-c", script]);
        let output = Command::new("prlimit")
            .args(["--nofile=300:300", "timeout"])
            .args(inner.get_args())
            .current_dir(site.at("work"))
            .output()
            .expect("run");
        assert_eq!(out(&output), "['ENFILE']\njudged\n2 True\n", "{who:?}: {}", err(&output));
        for entry in fs::read_dir(site.at("work")).expect("list").flatten() {
            let path = entry.path();
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
        fs::write(site.at("p.bfs"), policy).expect("write");
        fs::write(site.at("work/.env"), "secret\n").expect("write");
    }
}
