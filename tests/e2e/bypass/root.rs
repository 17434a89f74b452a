//! User 0 with few capabilities, as in containers: files of the kernel are still its own.

use std::process::{Command, Stdio};

use boesfs_runtime::hook::Hook;

use super::arena::{Arena, Guard};
use crate::rig::{Sandbox, hook};

#[test]
fn user_0_in_a_user_namespace_does_not_tune_the_kernel() {
    let arena = Arena::new(Guard::Agent);
    // Opened for writing, never written to.
    let words = ["/bin/sh", "-c", "echo started; : >> /proc/sys/vm/swappiness && echo through"];
    let inner = Sandbox::policy(arena.policy.clone(), arena.site.at("audit.jsonl")).command(&words);
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        command.args(["--bounding-set", "-sys_admin", "--inh-caps", "-all"]);
    }
    let output =
        command.arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null()).output().expect("setpriv");
    // These two are for the machine's own root: without its capabilities nothing starts.
    let expected =
        if matches!(hook(), Hook::Kmod | Hook::Lsm) { (Some(125), "") } else { (output.status.code(), "started\n") };
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()), expected, "{output:?}");
}
