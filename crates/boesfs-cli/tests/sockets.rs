//! Sockets of services outside: connecting to one needs the right to write to it, also where the tree around it could
//! be mounted as it is.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

/// What a client in the sandbox says of the socket in `dir`, of which the policy grants `grant`.
fn connect(dir: &Path, grant: &str) -> Output {
    let policy = dir.with_extension("bfs");
    let shown = dir.display();
    let text = format!(
        "default deny;\nallow view, exec on \"/usr/\", \"/lib*/\", \"/bin/\";\nallow {grant} on \"{shown}/\", \"/etc/ld.so.cache\";\n"
    );
    std::fs::write(&policy, text).expect("set up");
    let client = format!(
        "import socket\ns = socket.socket(socket.AF_UNIX)\ntry:\n    s.connect('{shown}/s')\n    print('connected')\nexcept OSError as e:\n    print(e.strerror)"
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_boesfs"));
    command.args(["exec", "-v"]).arg(&policy).args(["--", "/usr/bin/python3", "-c", &client]);
    command.output().expect("set up")
}

#[test]
fn a_read_only_tree_with_a_socket_is_judged_not_mounted() {
    // Not below /tmp, where no tree is mounted read-only as it is.
    let root = tempfile::Builder::new().prefix("boesfs-sockets-").tempdir_in("/srv").expect("set up");
    let dir = root.path().join("service");
    std::fs::create_dir(&dir).expect("set up");
    let _listener = UnixListener::bind(dir.join("s")).expect("set up");

    let refused = connect(&dir, "view");
    assert_eq!(String::from_utf8_lossy(&refused.stdout), "Permission denied\n", "{refused:?}");
    let zone = format!("native zone {}", dir.display());
    assert!(!String::from_utf8_lossy(&refused.stderr).contains(&zone), "{refused:?}");

    let granted = connect(&dir, "all");
    assert_eq!(String::from_utf8_lossy(&granted.stdout), "connected\n", "{granted:?}");
    assert!(String::from_utf8_lossy(&granted.stderr).contains(&zone), "{granted:?}");
}
