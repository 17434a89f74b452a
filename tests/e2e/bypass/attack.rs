//! One attack: its run without a policy, its run under one, and what must come of both.

use std::path::Path;
use std::process::Command;

use boesfs_runtime::hook::Hook;
use boesfs_runtime::kernel::version;

use super::arena::{Arena, Guard, as_refused, dig};
use super::together;
use crate::rig::{Run, Sandbox, hook, native, program, repository};

/// What must become of an attack under the policy.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    /// The program reports this call and error.
    Stopped(&'static str),
    /// As `Stopped`, word for word: for the hook that it is said for.
    StoppedBy(&'static str),
    /// As `Stopped`; or in the second way by a kernel before this version, which lacks the call or keeps it to the privileged.
    StoppedSince((u32, u32), &'static str, &'static str),
    /// As `Stopped`; natively there is nothing to get through to, for this reason.
    StoppedWithoutControl(&'static str, #[expect(dead_code, reason = "for the reader of the table")] &'static str),
    /// It gets through, for this reason: a documented limit, or no attack.
    Through(#[expect(dead_code, reason = "for the reader of the table")] &'static str),
    /// As `Through`, for the second reason; or `Stopped` in the first way, where the kernel has no such call.
    ThroughUnless(&'static str, &'static str),
    /// It is killed.
    Killed,
    /// `boesfs` refuses to start it, for this reason.
    NeverStarted(#[expect(dead_code, reason = "for the reader of the table")] &'static str),
}

/// [`attack`], where `others` has what must come of it under hooks of these names; in one sandbox with others, where starts are slow.
pub(super) fn attack_by_hook(
    name: &'static str,
    cell: &'static str,
    guard: Guard,
    outcome: Outcome,
    others: &[(&str, Outcome)],
) {
    let other = others.iter().find(|(other, _)| *other == hook().name());
    let outcome = other.map_or(outcome, |(_, other)| *other);
    match together::done(name, cell) {
        Some(done) => judge(outcome, &done.run, &done.before, &done.after),
        None => drop(attack(name, cell, guard, outcome)),
    }
}

/// Runs an attack both ways and returns its run under the policy.
pub(super) fn attack(name: &str, cell: &str, guard: Guard, outcome: Outcome) -> Run {
    let cell = word(cell);
    let is_native = match outcome {
        Outcome::StoppedWithoutControl(..) => false,
        Outcome::StoppedSince(since, ..) => version() >= since,
        _ => true,
    };
    if is_native && controlled() {
        let run = free(&Arena::new(guard), name, &cell);
        assert_eq!(run.status, 0, "without a policy, this attack must get through: {run:#?}");
    }
    let arena = Arena::new(guard);
    let before = arena.protected();
    let run = guarded(&arena, name, &cell);
    judge(outcome, &run, &before, &arena.protected());
    run
}

/// A cell as its program knows it.
pub(super) fn word(cell: &str) -> String {
    cell.trim_start_matches("r#").replace('_', "-")
}

/// Whether that is what must come of it; `before` and `after` are the protected places.
fn judge(outcome: Outcome, run: &Run, before: &str, after: &str) {
    match outcome {
        Outcome::ThroughUnless(absent, _) if run.status == 10 => judge(Outcome::Stopped(absent), run, before, after),
        Outcome::ThroughUnless(_, reason) => judge(Outcome::Through(reason), run, before, after),
        Outcome::StoppedSince(since, how, _) if version() >= since => judge(Outcome::Stopped(how), run, before, after),
        Outcome::StoppedSince(_, _, how) => judge(Outcome::StoppedBy(how), run, before, after),
        Outcome::Stopped(how) | Outcome::StoppedBy(how) | Outcome::StoppedWithoutControl(how, _) => {
            let how = if matches!(outcome, Outcome::StoppedBy(_)) { how.to_owned() } else { as_refused(how) };
            assert_eq!((run.status, run.last_line()), (10, format!("stopped: {how}").as_str()), "{run:#?}");
            assert_eq!(after, before, "refused, and yet something changed");
        }
        Outcome::Through(_) => assert_eq!(run.status, 0, "{run:#?}"),
        Outcome::NeverStarted(_) => assert_eq!((run.status, run.out.as_str()), (125, ""), "{run:#?}"),
        Outcome::Killed => assert_eq!(run.status, 137, "{run:#?}"),
    }
}

/// Whether attacks run without a policy, too. In a guest, which is slow, the runs with the FUSE hook have done that for the others:
/// what a program can do without a sandbox does not depend on the hook.
pub(super) fn controlled() -> bool {
    hook() == Hook::Fuse || std::env::var_os("BOESFS_BYPASS").is_none()
}

/// Without a policy. What needs root gets it in namespaces of its own, where it harms nobody.
fn free(arena: &Arena, name: &str, cell: &str) -> Run {
    let mut words = words(arena, name, cell);
    if name.starts_with("c13") && !cell.ends_with("namespace") {
        let unshare: &[&str] =
            if is_root() { &["unshare", "--mount"] } else { &["unshare", "--user", "--map-root-user", "--mount"] };
        words.splice(0..0, unshare.iter().map(ToString::to_string));
    }
    let outside = Outside::new(arena);
    words.extend(outside.words(name, cell));
    let redirected = format!("exec \"$@\" {}", redirections(arena, name, cell));
    native(Command::new("sh").args(["-c", &redirected, "sh"]).args(&words))
}

fn guarded(arena: &Arena, name: &str, cell: &str) -> Run {
    let outside = Outside::new(arena);
    let mut words = words(arena, name, cell);
    words.extend(outside.words(name, cell));
    let mut sandbox = Sandbox::policy(arena.policy.clone(), arena.site.at("audit.jsonl"))
        .env("TMPDIR", &arena.site.at("scratch").display().to_string());
    for option in arena.options {
        sandbox = sandbox.option(option);
    }
    let redirections = redirections(arena, name, cell);
    if !redirections.is_empty() {
        sandbox = sandbox.inheriting(&redirections);
    }
    sandbox.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The attack's command line, with what only this attack needs in its place.
pub(super) fn words(arena: &Arena, name: &str, cell: &str) -> Vec<String> {
    if name == "c10_depth" {
        dig(&arena.dir);
    }
    let script = repository(&format!("tests/bypass/{name}.py"));
    let place = |file: &Path, to: &str| arena.site.copy(file, &format!("bin/{to}")).display().to_string();
    let mut words = if script.exists() {
        place(&repository("tests/bypass/attack.py"), "attack.py");
        vec!["/usr/bin/python3".to_owned(), place(&script, "attack-program.py")]
    } else {
        vec![place(&program(name), name)]
    };
    words.extend([cell.to_owned(), arena.dir.display().to_string()]);
    words
}

/// Descriptors that the caller leaves open, as shell redirections.
pub(super) fn redirections(arena: &Arena, name: &str, cell: &str) -> String {
    let (dir, log) = (arena.dir.display(), arena.site.at("log"));
    match (name, cell) {
        ("c14_descriptors", "stdin") => format!("< {dir}/.env"),
        ("c14_descriptors", "stdin-directory") => format!("< {dir}"),
        ("c14_descriptors", "stdin-reopened") => format!("< {dir}/.github/workflows/ci.yml"),
        ("c14_descriptors", "inherited" | "inherited-directory") => format!("7< {dir}/.env 8< {dir}"),
        ("c25_forge", "descriptors") => format!("7>> {}", log.display()),
        _ => String::new(),
    }
}

/// A process and sockets of the outside, for attacks on those.
pub(super) struct Outside {
    process: std::process::Child,
    socket: String,
    place: std::path::PathBuf,
    _listeners: [std::os::unix::net::UnixListener; 2],
    _receiver: std::os::unix::net::UnixDatagram,
}

impl Outside {
    pub(super) fn new(arena: &Arena) -> Outside {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
        let process = Command::new("sleep").arg("300").spawn().expect("sleep");
        let socket = format!("boesfs-test-{}", process.id());
        let address = SocketAddr::from_abstract_name(&socket).expect("address");
        let listener = UnixListener::bind_addr(&address).expect("bind");
        // Beside the tree, where the policy allows nothing.
        let place = arena.site.at("outside");
        let named = UnixListener::bind(place.join("stream")).expect("bind");
        let receiver = UnixDatagram::bind(place.join("datagram")).expect("bind");
        Outside { process, socket, place, _listeners: [listener, named], _receiver: receiver }
    }

    /// The last word of attacks that need one.
    pub(super) fn words(&self, name: &str, cell: &str) -> Option<String> {
        match name {
            "c20_deputies" if cell == "abstract-socket" => Some(self.socket.clone()),
            "c20_deputies" if cell == "path-socket" => Some(self.place.join("stream").display().to_string()),
            "c20_deputies" if cell == "path-datagram" => Some(self.place.join("datagram").display().to_string()),
            "c20_deputies" => Some(self.process.id().to_string()),
            "c23_survive_kill" => Some("/etc/shadow".to_owned()),
            _ => None,
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id");
    output.stdout == b"0\n"
}
