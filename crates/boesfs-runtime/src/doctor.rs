//! What this machine can do, hook by hook, and why not.
//!
//! Nothing is guessed that can be tried: namespaces are made, a FUSE file system is mounted, a policy is loaded into the
//! kernel, each in a process of its own or gone at once.

use std::fs;
use std::path::Path;

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::object::{self, PolicyObject};
use boesfs_codegen::pack;
use boesfs_lang::check::{Input, check};
use boesfs_lang::subjects::ClassId;
use serde::Serialize;

use crate::kernel::KernelChecker;
use crate::lsm::{Access, Cgroup, Guard, Scope, Terms};
use crate::sandbox::probe::{self, FuseInit};
use crate::sandbox::{Privilege, SetupError};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Version of this shape.
    pub v: u32,
    /// The kernel's release.
    pub kernel: String,
    /// Whether the caller may make namespaces as it is, or by way of a user namespace.
    pub privileged: bool,
    /// The hooks, the best first.
    pub hooks: Vec<HookReport>,
}

/// What was found of one hook, or of something beside the hooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HookReport {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Whether `boesfs` can use it here and now.
    pub usable: bool,
    /// What it needs.
    pub checks: Vec<Check>,
}

/// One thing that a hook needs, or can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The thing.
    pub what: &'static str,
    /// Whether it is there.
    pub ok: bool,
    /// Whether the hook works without it.
    pub optional: bool,
    /// What was found.
    pub found: String,
    /// What to do, where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<&'static str>,
}

impl Report {
    /// Whether some hook can be used.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.hooks.iter().any(|hook| hook.usable && hook.name != EVAL)
    }
}

/// The name under which the kernel engine of `boesfs eval` is reported: no hook.
const EVAL: &str = "eval --engine kernel";

/// Looks at this machine. The calling process must have one thread.
#[must_use]
pub fn examine() -> Report {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    Report {
        v: 1,
        kernel: kernel.clone(),
        privileged: Privilege::of_caller() == Privilege::Admin,
        hooks: vec![kmod(&kernel), lsm(), fuse(), engine()],
    }
}

fn fuse() -> HookReport {
    let mut checks = vec![device()];
    checks.push(step(
        "namespaces",
        probe::namespaces().map(|()| match Privilege::of_caller() {
            Privilege::Admin => "made, with the caller's own privileges".to_owned(),
            Privilege::Ordinary => "made, by way of a user namespace".to_owned(),
        }),
        "ordinary users may not make user namespaces here: see sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns, or run as root",
    ));
    let init = probe::fuse();
    checks.push(step(
        "FUSE mount",
        init.as_ref().map_err(copy).map(|init| format!("protocol {}.{}", init.version.0, init.version.1)),
        "load the module (modprobe fuse), and let users open /dev/fuse (chmod 0666, as distributions do)",
    ));
    checks.push(passthrough(init.ok()));
    report("fuse", "a FUSE file system served by boesfs: everywhere, by anyone", checks)
}

fn device() -> Check {
    let path = Path::new("/dev/fuse");
    let opened = fs::OpenOptions::new().read(true).write(true).open(path);
    Check {
        what: "/dev/fuse",
        ok: opened.is_ok(),
        optional: false,
        found: opened.as_ref().map_or_else(ToString::to_string, |_| "can be opened".to_owned()),
        help: opened.is_err().then_some(if path.exists() {
            "let users open it: chmod 0666 /dev/fuse, as distributions do"
        } else {
            "load the module: modprobe fuse"
        }),
    }
}

fn passthrough(init: Option<FuseInit>) -> Check {
    let offered = init.is_some_and(|init| init.passthrough());
    let admin = Privilege::of_caller() == Privilege::Admin;
    let found = match (offered, admin) {
        (true, true) => "offered: file data does not pass through boesfs",
        (true, false) => "offered, to root: file data passes through boesfs",
        (false, _) => "not offered (Linux 6.9 with CONFIG_FUSE_PASSTHROUGH has it): file data passes through boesfs",
    };
    Check { what: "data passthrough", ok: offered && admin, optional: true, found: found.to_owned(), help: None }
}

fn lsm() -> HookReport {
    let list = fs::read_to_string("/sys/kernel/security/lsm");
    let has_bpf = list.as_ref().is_ok_and(|list| list.trim().split(',').any(|lsm| lsm == "bpf"));
    let found = match &list {
        Ok(list) => list.trim().to_owned(),
        Err(error) => format!("cannot read /sys/kernel/security/lsm: {error}"),
    };
    let help = "add bpf to the lsm= list on the kernel's command line (and mount securityfs to see it)";
    let checks = vec![
        Check {
            what: "BPF in the list of LSMs",
            ok: has_bpf,
            optional: false,
            found,
            help: (!has_bpf).then_some(help),
        },
        programs(has_bpf),
        cgroup(),
        choice(),
    ];
    report("lsm", "BPF LSM programs on a stock kernel: lowest overhead", checks)
}

fn kmod(kernel: &str) -> HookReport {
    let modules = Path::new("/proc/sys/kernel/modules_disabled").exists();
    let disabled = fs::read_to_string("/proc/sys/kernel/modules_disabled").is_ok_and(|value| value.trim() != "0");
    let mut numbers = kernel.split('.').map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let modules_found = match (modules, disabled) {
        (true, false) => "can be loaded",
        (true, true) => "switched off until the next boot",
        (false, _) => "this kernel was built without modules",
    };
    let checks = vec![
        Check {
            what: "Linux 6.12 or newer",
            ok: version >= (6, 12),
            optional: false,
            found: kernel.to_owned(),
            help: (version < (6, 12)).then_some("boot a newer kernel"),
        },
        Check {
            what: "kernel modules",
            ok: modules && !disabled,
            optional: false,
            found: modules_found.to_owned(),
            help: (!modules).then_some("boot a kernel with CONFIG_MODULES, as distributions ship"),
        },
        module(),
    ];
    report("kmod", "boesfs.ko, a stackable file system: highest fidelity", checks)
}

/// Whether the module is loaded, has its types, and is of the same version.
fn module() -> Check {
    let found = crate::kmod::module();
    Check {
        what: "boesfs.ko",
        ok: found.is_ok(),
        optional: false,
        found: found.as_ref().map_or_else(ToString::to_string, |version| format!("loaded, version {version}")),
        help: found.is_err().then_some("build and load it: crates/boesfs-kmod, docs/kmod.md"),
    }
}

/// Whether the kernel takes and attaches the programs of a policy. They judge a cgroup that there is not.
fn programs(active: bool) -> Check {
    let what = "BPF LSM programs";
    if !active {
        let found = "not tried: they would never be asked".to_owned();
        return Check { what, ok: false, optional: false, found, help: None };
    }
    let tried = probe_policy("policy probe; default allow; deny read on \"/boesfs-probe\";").and_then(|object| {
        let (class, scope) = (Some(ClassId(0)), Scope::default());
        let terms = Terms { class, scope, access: Access::Judged, calls: None };
        Guard::load(&object, terms, None).map_err(|error| error.to_string())
    });
    let ok = tried.is_ok();
    let found =
        tried.map_or_else(|error| error, |guard| format!("{} attached, and taken away again", guard.programs().len()));
    let help = (!ok).then_some("run as root, on Linux 6.1 or newer with CONFIG_BPF_LSM and CONFIG_DEBUG_INFO_BTF");
    Check { what, ok, optional: false, found, help }
}

/// Whether a cgroup can be made for a sandbox, whose tasks are then judged. It is removed again.
fn cgroup() -> Check {
    let made = Cgroup::new();
    Check {
        what: "cgroup v2",
        ok: made.is_ok(),
        optional: false,
        found: made.as_ref().map_or_else(ToString::to_string, |_| "a cgroup made, and removed again".to_owned()),
        help: made.is_err().then_some("run as root, on a kernel with the cgroup2 hierarchy"),
    }
}

/// For which policies `auto` takes the hook, where it can be used.
fn choice() -> Check {
    let text = "after kmod, for policies that it enforces exactly: without `hide`, with nothing that may be appended to and not written, and \
                with `stat` refused nowhere, or --judge-access; exec -v says why not";
    Check { what: "taken by --hook auto", ok: true, optional: true, found: text.to_owned(), help: None }
}

/// A policy to try something with.
fn probe_policy(text: &str) -> Result<PolicyObject, String> {
    let checked = check(&Input::new("probe.bfs", text)).map_err(|error| error.to_string())?;
    let packed = pack::compile(&checked.policy, &Limits::default()).map_err(|error| error.to_string())?;
    let bytes = object::build(&checked.policy, &packed).map_err(|error| error.to_string())?;
    object::read(&bytes).map_err(|error| error.to_string())
}

/// `boesfs eval --engine kernel`: loads a policy and asks it.
fn engine() -> HookReport {
    let loaded = probe_policy("policy probe; default deny;")
        .and_then(|object| KernelChecker::load(&object).map_err(|error| error.to_string()));
    let check = Check {
        what: "BPF programs of type syscall",
        ok: loaded.is_ok(),
        optional: false,
        found: loaded.map_or_else(|error| error, |_| "the verifier takes a policy".to_owned()),
        help: None,
    };
    let help = (!check.ok).then_some("run as root (CAP_BPF and CAP_PERFMON) on Linux 5.14 or newer");
    report(
        EVAL,
        "answers by the policy's programs in this kernel: for tests, not a hook",
        vec![Check { help, ..check }],
    )
}

fn step(what: &'static str, result: Result<String, SetupError>, help: &'static str) -> Check {
    match result {
        Ok(found) => Check { what, ok: true, optional: false, found, help: None },
        Err(error) => {
            let found = format!("{error}: {}", error.source);
            Check { what, ok: false, optional: false, found, help: Some(help) }
        }
    }
}

fn copy(error: &SetupError) -> SetupError {
    let source = std::io::Error::from_raw_os_error(error.source.raw_os_error().unwrap_or(0));
    SetupError { step: error.step.clone(), source, help: error.help.clone() }
}

fn report(name: &'static str, about: &'static str, checks: Vec<Check>) -> HookReport {
    let usable = checks.iter().all(|check| check.ok || check.optional);
    HookReport { name, about, usable, checks }
}
