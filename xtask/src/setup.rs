//! What the project needs beside Rust: the only list of packages.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::shell::{self, command};

/// Packages that build and test the project.
const TEST: &[(&str, &str)] = &[
    ("gcc", "C programs of the tests and examples"),
    ("libc6-dev", "the same"),
    ("make", "the build examples"),
    ("binutils", "readelf, which must accept a policy object"),
    ("llvm", "llvm-objdump, likewise"),
    ("bpftool", "likewise"),
    ("clang", "C programs for BPF, to compare with"),
    ("libbpf-dev", "libbpf, which must open a policy object"),
    ("libelf-dev", "needed by libbpf"),
    ("zlib1g-dev", "needed by libbpf"),
    ("pkg-config", "finds the libraries"),
    ("fuse3", "fusermount3, with which ordinary users mount"),
    ("git", "the agent example"),
    ("python3", "the function example, bypass programs"),
    ("nginx-light", "the web server example"),
    ("curl", "the web server example"),
    ("util-linux", "setpriv and unshare, to test as another user"),
    ("passwd", "useradd, likewise"),
    ("procps", "ps and pgrep in the tests"),
    ("bsdutils", "script, to test on a terminal"),
    ("strace", "tests that watch system calls"),
    ("busybox-static", "a static program, and what the guests of the lab run"),
    ("qemu-system-x86", "the lab's machines: cargo xtask vm"),
    ("kmod", "modinfo, which says what a module needs"),
    ("e2fsprogs", "file systems for the guests"),
    ("dmsetup", "disks that fail in the guests"),
    ("xfsprogs", "the same"),
    ("btrfs-progs", "the same"),
    ("mmdebstrap", "roots in which the kernel module is built: cargo xtask vm --module"),
    ("rsync", "the same: copies the module's source there"),
    ("tcc", "a compiler small enough for a guest, to build something there"),
    ("tar", "a job in the guests"),
    ("diffutils", "the same"),
    ("sqlite3", "the same"),
    ("lmdb-utils", "the same"),
    ("stress-ng", "its file-system class, in the guests and in cargo xtask suites"),
    ("debian-archive-keyring", "the same: checks the kernels it downloads"),
];

/// Packages that Debian 12 has too old: its bpftool does not know the BTF kinds that policy objects use, and its QEMU
/// emulates an atomic instruction wrongly.
const NEWER_THAN_BOOKWORM: &[&str] = &["bpftool", "qemu-system-x86"];

/// Packages that only benches and outside suites need.
const BENCH: &[(&str, &str)] = &[
    ("libfuse3-dev", "libfuse's passthrough_ll, a peer"),
    ("bindfs", "a peer"),
    ("bubblewrap", "a peer"),
    ("crun", "a peer"),
    ("apparmor", "apparmor_parser, a peer, also of cargo xtask icount"),
    ("dpkg-dev", "unpacks the sources of Debian packages, the workloads"),
    ("xz-utils", "the same"),
    ("python3-pip", "a workload"),
    ("python3-venv", "the same"),
    ("python3-setuptools", "the same"),
    ("python3-wheel", "the same"),
];

/// Options of `cargo xtask setup`.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Also what benches and outside suites need.
    #[arg(long)]
    pub(crate) bench: bool,
    /// Only list the packages, one a line, with the reason.
    #[arg(long)]
    pub(crate) list: bool,
}

/// Installs what is missing.
///
/// # Errors
/// Packages are missing and this is not root on Debian; or apt failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let wanted: Vec<_> = TEST.iter().chain(if options.bench { BENCH } else { &[] }).collect();
    if options.list {
        for (package, reason) in &wanted {
            println!("{package:20} {reason}");
        }
        return Ok(());
    }
    let missing: Vec<&str> = wanted.iter().map(|(package, _)| *package).filter(|name| !installed(name)).collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    rust_components()?;
    open_fuse()
}

/// Whether the package is installed. Where there is no dpkg, nothing is.
fn installed(package: &str) -> bool {
    shell::output(command("dpkg-query", &["-W", "-f", "${Status}", package]).stderr(std::process::Stdio::null()))
        .is_ok_and(|status| status == "install ok installed")
        // A newer program of the machine's own is as good as Debian's package.
        || (matches!(package, "git" | "python3" | "python3-pip") && shell::succeeds(&mut command(program(package), &["--version"])))
}

fn program(package: &str) -> &str {
    match package {
        "python3-pip" => "pip3",
        same => same,
    }
}

fn install(missing: &[&str]) -> Result<()> {
    let list = missing.join(" ");
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !release.lines().any(|line| line == "ID=debian") {
        bail!(
            "these packages are missing, and this is not Debian: {list}\ninstall what is like them, and run this again"
        );
    }
    if !shell::is_root() {
        bail!("these packages are missing: {list}\nas root: apt-get install {list}");
    }
    let bookworm = release.lines().any(|line| line == "VERSION_CODENAME=bookworm");
    if bookworm {
        add_backports()?;
    }
    apt(&["update", "-q"])?;
    let (newer, plain): (Vec<&str>, Vec<&str>) =
        missing.iter().partition(|name| bookworm && NEWER_THAN_BOOKWORM.contains(name));
    let install: &[&str] = &["install", "-y", "-q", "--no-install-recommends"];
    if !newer.is_empty() {
        apt(&[install, &["-t", "bookworm-backports"], &newer].concat())?;
    }
    if !plain.is_empty() {
        apt(&[install, &plain].concat())?;
    }
    Ok(())
}

fn apt(args: &[&str]) -> Result<()> {
    shell::run(command("apt-get", args).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn add_backports() -> Result<()> {
    let known = shell::output(&mut command("apt-cache", &["policy"])).unwrap_or_default();
    let list = Path::new("/etc/apt/sources.list.d/bookworm-backports.list");
    if known.contains("bookworm-backports") || list.exists() {
        return Ok(());
    }
    std::fs::write(list, "deb http://deb.debian.org/debian bookworm-backports main\n")
        .with_context(|| format!("cannot write {}", list.display()))
}

/// rustfmt and clippy, which a minimal Rust lacks.
fn rust_components() -> Result<()> {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !shell::succeeds(&mut command(&shell::cargo(), &[subcommand, "--version"])) {
            shell::run(&mut command("rustup", &["component", "add", component]))?;
        }
    }
    Ok(())
}

/// Ordinary users may open `/dev/fuse` wherever udev runs; on a machine without it, root must say so.
fn open_fuse() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let device = Path::new("/dev/fuse");
    let Ok(metadata) = device.metadata() else {
        bail!("there is no /dev/fuse: load the module (modprobe fuse), or pass the device into this container");
    };
    if metadata.permissions().mode() & 0o666 != 0o666 && shell::is_root() {
        eprintln!("/dev/fuse: mode 0666, as udev sets it, so that the tests can mount as an ordinary user");
        std::fs::set_permissions(device, std::fs::Permissions::from_mode(0o666))
            .context("cannot open /dev/fuse to all")?;
    }
    Ok(())
}
