//! What is worked on: sources of Debian packages, fetched once into `target/bench`.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::shell::{self, command};

/// Where what benches need is kept.
pub(super) fn store() -> Result<PathBuf> {
    let dir = shell::target().join("bench");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

/// The upstream source of a Debian package, as an uncompressed tar file: decompression would hide the rest.
pub(super) fn tar(package: &str) -> Result<PathBuf> {
    let tar = store()?.join(format!("{package}.tar"));
    if tar.exists() {
        return Ok(tar);
    }
    let dir = store()?.join(format!("{package}.download"));
    let (lists, sources) = (dir.join("lists/partial"), dir.join("sources.list"));
    std::fs::create_dir_all(&lists)?;
    let codename = shell::output(&mut command("sh", &["-c", ". /etc/os-release && echo $VERSION_CODENAME"]))?;
    std::fs::write(&sources, format!("deb-src http://deb.debian.org/debian {} main\n", codename.trim()))?;
    // Lists of its own: the machine's may not name sources, and need not be changed.
    let options = [
        format!("Dir::Etc::SourceList={}", sources.display()),
        "Dir::Etc::SourceParts=-".to_owned(),
        format!("Dir::State::Lists={}", dir.join("lists").display()),
        "APT::Sandbox::User=root".to_owned(),
    ];
    let options: Vec<&str> = options.iter().flat_map(|option| ["-o", option.as_str()]).collect();
    shell::run(command("apt-get", &[options.as_slice(), &["update", "-q"]].concat()).current_dir(&dir))?;
    let words = [options.as_slice(), &["source", "-q", "--download-only", package]].concat();
    shell::run(command("apt-get", &words).current_dir(&dir))?;
    let script = "if ls *.orig.tar.xz >/dev/null 2>&1; then xz -dc *.orig.tar.xz; else gzip -dc *.orig.tar.gz; fi";
    let made = std::fs::File::create(dir.join("tar")).context("cannot make a tar file")?;
    shell::run(command("sh", &["-c", script]).current_dir(&dir).stdout(made))?;
    std::fs::rename(dir.join("tar"), &tar)?;
    std::fs::remove_dir_all(&dir)?;
    Ok(tar)
}

/// The upstream source of a Debian package, unpacked.
pub(super) fn unpacked(package: &str) -> Result<PathBuf> {
    let tar = tar(package)?;
    let dir = store()?.join(format!("{package}.source"));
    if !dir.exists() {
        let partial = dir.with_extension("partial");
        std::fs::create_dir_all(&partial)?;
        let (tar, to) = (tar.to_string_lossy(), partial.to_string_lossy());
        shell::run(&mut command("tar", &["xf", &tar, "-C", &to, "--strip-components=1"]))?;
        std::fs::rename(&partial, &dir)?;
    }
    Ok(dir)
}

/// Python wheels of a small web application, and all they need.
pub(super) fn wheels() -> Result<PathBuf> {
    let dir = store()?.join("wheels");
    if !dir.exists() {
        let partial = dir.with_extension("partial");
        let to = partial.to_string_lossy();
        let words = ["-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", &to, "flask", "requests"];
        shell::run(&mut command("/usr/bin/python3", &words))?;
        std::fs::rename(&partial, &dir)?;
    }
    Ok(dir)
}
