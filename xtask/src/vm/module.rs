//! The kernel module for a guest's kernel: `crates/boesfs-kmod`, built in a Debian root of the release that the kernel is from,
//! with the headers of exactly that kernel.
//!
//! The root is made once by mmdebstrap and kept below `target/vm/roots`; what is in it is Debian's compiler and headers, so
//! that nothing of this machine's own gets into the module.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::kernels::Image;
use crate::shell::{self, command};

/// The name of the module, and of its file.
pub(crate) const NAME: &str = "boesfs";

/// The module's source.
fn source() -> PathBuf {
    shell::root().join("crates/boesfs-kmod")
}

/// Whether this tree has the module's source.
pub(crate) fn exists() -> bool {
    source().join("Kbuild").exists()
}

/// Builds the module for `image`, and gives its file. A warning of the compiler's or of sparse's is an error.
///
/// # Errors
/// This is not root, the kernel has no headers in the archive, or the compiler or sparse refuses the source.
pub(crate) fn build(image: &Image, lab: &Path) -> Result<PathBuf> {
    if !exists() {
        bail!("there is no source of the module at {}", source().display());
    }
    if !shell::is_root() {
        bail!("to build a module takes root: it is done in a root directory of its own");
    }
    let root = root(image, lab)?;
    let place = root.join("build");
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    copy_source(&place.join("boesfs-kmod"))?;
    let kernel = format!("KDIR=/lib/modules/{}/build", image.release);
    let mut make = vec!["make", "-C", "/build/boesfs-kmod", &kernel, "KCFLAGS=-Werror"];
    if has_sparse(&root) {
        // What is compiled is checked. Newer headers of Debian's lack a script for it: make says so, and goes on without.
        make.extend(["C=1", "CF=-D__CHECK_ENDIAN__ -Wsparse-error"]);
    } else {
        eprintln!("there is no sparse to be had: the module is not checked by it");
    }
    make.push("modules");
    shell::run(&mut inside(&root, &make))?;
    let built = place.join("boesfs-kmod").join(format!("{NAME}.ko"));
    let kept = lab.join("modules").join(&image.release);
    fs::create_dir_all(&kept).with_context(|| format!("cannot make {}", kept.display()))?;
    let kept = kept.join(format!("{NAME}.ko"));
    fs::copy(&built, &kept).with_context(|| format!("make left no {}", built.display()))?;
    Ok(kept)
}

/// Copies the source into a root. Times are kept, so that make builds what has changed alone.
///
/// # Errors
/// rsync failed.
pub(super) fn copy_source(to: &Path) -> Result<()> {
    let built = ["*.o", "*.ko", ".*.cmd", "*.mod", "*.mod.c", "probed.h", "Module.symvers", "modules.order"];
    let kept = built.map(|pattern| format!("--exclude={pattern}"));
    shell::run(command("rsync", &["-a", "--delete"]).args(kept).arg(format!("{}/", source().display())).arg(to))
}

/// Whether the root has sparse: roots from before are given it where that works.
fn has_sparse(root: &Path) -> bool {
    let install = "apt-get update -q && apt-get install -y -q --no-install-recommends sparse";
    root.join("usr/bin/sparse").exists() || shell::run(&mut inside(root, &["sh", "-c", install])).is_ok()
}

/// A command in a root directory.
pub(super) fn inside(root: &Path, args: &[&str]) -> Command {
    // objtool looks at its own limits: /proc is there for the time of the build, in a mount namespace of the build's own.
    let enter = "mount --rbind /proc \"$0/proc\" && exec chroot \"$0\" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \"$@\"";
    let mut inside = command("unshare", &["--mount", "--propagation", "private", "sh", "-c", enter]);
    inside.arg(root).args(args);
    inside
}

/// The root directory for this kernel: made where it is not there yet.
///
/// # Errors
/// mmdebstrap failed: there are no such headers, or no archive in reach.
pub(super) fn root(image: &Image, lab: &Path) -> Result<PathBuf> {
    let roots = lab.join("roots");
    fs::create_dir_all(&roots).with_context(|| format!("cannot make {}", roots.display()))?;
    let root = roots.join(&image.release);
    if root.exists() {
        return Ok(root);
    }
    let debian = release(&image.release)?;
    let partial = roots.join(format!(".partial-{}", std::process::id()));
    let headers = format!("linux-headers-{}", image.release);
    let packages = format!("{headers},make,gcc,libc6-dev,pahole,kmod,sparse");
    let mirror = "http://deb.debian.org/debian";
    let made = shell::run(
        command("mmdebstrap", &["--mode=root", "--variant=apt", "--aptopt=APT::Sandbox::User \"root\""])
            .arg(format!("--include={packages}"))
            .arg("--setup-hook=cp /etc/apt/apt.conf.d/* \"$1\"/etc/apt/apt.conf.d/ 2>/dev/null || true")
            .arg(debian)
            .arg(&partial)
            .arg(format!("deb {mirror} {debian} main"))
            .arg(format!("deb {mirror} {debian}-backports main"))
            .arg(format!("deb {mirror}-security {debian}-security main")),
    );
    if let Err(error) = made {
        let _ = fs::remove_dir_all(&partial);
        return Err(error).with_context(|| format!("no root with {headers}"));
    }
    fs::rename(&partial, &root).with_context(|| format!("cannot rename to {}", root.display()))?;
    Ok(root)
}

/// The Debian release that a kernel is built for, by its name: `6.12.95+deb12-cloud-amd64`.
fn release(kernel: &str) -> Result<&'static str> {
    let number = kernel.split("+deb").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    match number {
        Some("12") => Ok("bookworm"),
        Some("13") => Ok("trixie"),
        _ => bail!("{kernel} does not say which Debian it is built for: the module is not built for it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_says_its_release() {
        assert_eq!(release("6.12.95+deb12-cloud-amd64").unwrap(), "bookworm");
        assert_eq!(release("7.3.4+deb13-cloud-amd64").unwrap(), "trixie");
        assert_eq!(release("7.3.4+deb13.1-cloud-amd64").unwrap(), "trixie");
        assert!(release("6.1.0-56-cloud-amd64").is_err());
    }
}
