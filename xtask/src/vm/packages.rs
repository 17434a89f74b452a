//! The module's Debian package, built and installed in the root of a guest's kernel, where DKMS then builds the module for that
//! kernel: what an administrator's machine would do.

use std::fs;

use anyhow::{Context, Result, bail};

use super::kernels::Image;
use super::module::{NAME, copy_source, inside, root};
use crate::shell;

/// What packaging takes, beside what building a module does.
const TOOLS: [&str; 5] = ["build-essential", "dpkg-dev", "debhelper", "dh-dkms", "dkms"];

/// Builds the package, installs it, has DKMS build the module from it, and takes it out again. Gives what was seen.
///
/// # Errors
/// This is not root, or one of these steps failed.
pub(crate) fn check(image: &Image, lab: &std::path::Path) -> Result<String> {
    if !shell::is_root() {
        bail!("packages are built in a root directory: that takes root");
    }
    let root = root(image, lab)?;
    let run = |args: &[&str]| shell::run(inside(&root, args).env("DEBIAN_FRONTEND", "noninteractive"));
    if TOOLS.iter().any(|tool| !root.join("var/lib/dpkg/info").join(format!("{tool}.list")).exists()) {
        fs::copy("/etc/resolv.conf", root.join("etc/resolv.conf")).context("cannot copy /etc/resolv.conf")?;
        run(&["apt-get", "update", "-q"])?;
        let install = ["apt-get", "install", "-y", "-q", "--no-install-recommends"];
        run(&[install.as_slice(), TOOLS.as_slice()].concat())?;
    }
    let place = root.join("build/package");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    copy_source(&place.join("boesfs-dkms"))?;
    run(&["sh", "-ec", "cd /build/package/boesfs-dkms && dpkg-buildpackage -us -uc -b"])?;
    let packages = fs::read_dir(&place)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let packages: Vec<String> = packages.filter(|name| name.ends_with(".deb")).collect();
    let [package] = packages.as_slice() else { bail!("dpkg-buildpackage made {packages:?}, not one package") };
    let version = package.split('_').nth(1).context("a package has a version in its name")?;

    run(&["dpkg", "-i", &format!("/build/package/{package}")])?;
    let which = format!("{NAME}/{version}");
    let release = image.release.as_str();
    // What kernels check of policies are the module's types: they must have outlived stripping and compression.
    let found = "file=$(find \"/lib/modules/$0/updates\" -name 'boesfs.ko*') && case $file in *.xz) xz -dc \"$file\" ;; *) cat \"$file\" ;; esac \
                 >/build/package/built.ko && readelf -SW /build/package/built.ko | grep -q '\\.BTF '";
    let built = (|| {
        run(&["dkms", "build", "--force", &which, "-k", release])?;
        run(&["dkms", "install", "--force", &which, "-k", release])?;
        run(&["sh", "-ec", found, release])?;
        shell::output(&mut inside(&root, &["modinfo", "-F", "vermagic", "/build/package/built.ko"]))
    })();
    run(&["dpkg", "--purge", "boesfs-dkms"])?;
    let magic = built?;
    if !magic.starts_with(release) {
        bail!("DKMS built the module for `{}`, not for {release}", magic.trim());
    }
    if root.join("usr/src").join(format!("{NAME}-{version}")).exists() {
        bail!("the package left its source behind");
    }
    Ok(format!("{package}: installed, built by DKMS for {release}, removed"))
}
