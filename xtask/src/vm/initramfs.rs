//! The guest's root directory as a cpio archive, which the kernel unpacks into memory.
//!
//! Archives may be concatenated: what all kernels share is built once, and the modules of each follow.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use cpio::newc;

use crate::shell::{self, command};

/// Debian's merged directories: in the guest too, they are links into `/usr`.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// An archive being built. Paths are relative to the guest's root.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    present: BTreeSet<String>,
}

impl Archive {
    /// An archive with Debian's merged directories.
    pub(crate) fn with_merged_directories() -> Result<Self> {
        let mut archive = Self::default();
        for name in MERGED {
            archive.directory(&format!("usr/{name}"))?;
            archive.symlink(name, &format!("usr/{name}"))?;
        }
        Ok(archive)
    }

    /// Adds a directory and those above it.
    ///
    /// # Errors
    /// The entry cannot be written.
    pub(crate) fn directory(&mut self, path: &str) -> Result<()> {
        if path.is_empty() || !self.present.insert(path.to_owned()) {
            return Ok(());
        }
        self.parent(path)?;
        self.entry(newc::Builder::new(path).mode(0o40_755).nlink(2), &[])
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// The entry cannot be written.
    pub(crate) fn symlink(&mut self, path: &str, to: &str) -> Result<()> {
        if !self.present.insert(path.to_owned()) {
            return Ok(());
        }
        self.parent(path)?;
        self.entry(newc::Builder::new(path).mode(0o120_777), to.as_bytes())
    }

    /// Adds a character device.
    ///
    /// # Errors
    /// The entry cannot be written.
    pub(crate) fn device(&mut self, path: &str, (major, minor): (u32, u32)) -> Result<()> {
        self.parent(path)?;
        self.entry(newc::Builder::new(path).mode(0o20_600).rdev_major(major).rdev_minor(minor), &[])
    }

    /// Adds a file with these permission bits.
    ///
    /// # Errors
    /// The entry cannot be written.
    pub(crate) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) -> Result<()> {
        if !self.present.insert(path.to_owned()) {
            return Ok(());
        }
        self.parent(path)?;
        self.entry(newc::Builder::new(path).mode(0o100_000 | permissions), content)
    }

    /// Adds a copy of a file of this machine.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn copy(&mut self, path: &str, from: &Path) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        let permissions = from.metadata()?.permissions().mode() & 0o777;
        self.file(path, permissions, &content)
    }

    /// Adds a copy of a directory of this machine, with everything below it.
    ///
    /// # Errors
    /// Something in it cannot be read.
    pub(crate) fn copy_tree(&mut self, path: &str, from: &Path) -> Result<()> {
        self.copy_tree_without(path, from, &[])
    }

    /// Likewise, but for what has one of the names `left`.
    ///
    /// # Errors
    /// Something in it cannot be read.
    pub(crate) fn copy_tree_without(&mut self, path: &str, from: &Path, left: &[&str]) -> Result<()> {
        self.directory(path)?;
        let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
        let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            if left.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let below = format!("{path}/{}", entry.file_name().to_string_lossy());
            match entry.file_type()? {
                kind if kind.is_dir() => self.copy_tree_without(&below, &entry.path(), left)?,
                kind if kind.is_symlink() => {
                    self.symlink(&below, &fs::read_link(entry.path())?.to_string_lossy())?;
                }
                _ => self.copy(&below, &entry.path())?,
            }
        }
        Ok(())
    }

    /// Adds a program of this machine, without what only a debugger reads, and the libraries it needs, which go where
    /// they are here.
    ///
    /// # Errors
    /// The program or one of its libraries is missing.
    pub(crate) fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        let stripped = shell::target().join("vm/stripped");
        shell::run(command("strip", &["-o"]).arg(&stripped).arg(from))?;
        self.copy(path, &stripped)?;
        let listing = command("ldd", &[]).arg(from).env("LC_ALL", "C").output().context("cannot run `ldd`")?;
        // ldd fails on a static program, and says so.
        let text = String::from_utf8_lossy(&listing.stdout).into_owned() + &String::from_utf8_lossy(&listing.stderr);
        for library in libraries(&text).with_context(|| format!("libraries of {}", from.display()))? {
            self.copy(&merged(library), Path::new(library))?;
        }
        Ok(())
    }

    /// The finished archive. Its length is a multiple of four, so that another may follow.
    ///
    /// # Errors
    /// The trailer cannot be written.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        let mut bytes = newc::trailer(self.bytes)?;
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        Ok(bytes)
    }

    fn parent(&mut self, path: &str) -> Result<()> {
        match path.rsplit_once('/') {
            Some((parent, _)) => self.directory(parent),
            None => Ok(()),
        }
    }

    fn entry(&mut self, head: newc::Builder, content: &[u8]) -> Result<()> {
        let length = u32::try_from(content.len()).context("a file of the guest is larger than 4 GiB")?;
        let mut writer = head.write(std::mem::take(&mut self.bytes), length);
        std::io::Write::write_all(&mut writer, content)?;
        self.bytes = writer.finish()?;
        Ok(())
    }
}

/// Where a file of this machine stands in the guest, relative to its root.
fn merged(path: &str) -> String {
    let path = path.trim_start_matches('/');
    match path.split('/').next() {
        Some(first) if MERGED.contains(&first) => format!("usr/{path}"),
        _ => path.to_owned(),
    }
}

/// The files that `ldd` names, the loader among them.
fn libraries(listing: &str) -> Result<Vec<&str>> {
    let mut found = Vec::new();
    for line in listing.lines().map(str::trim) {
        if line.ends_with("not found") {
            bail!("{line}");
        }
        let file = line.split_once(" => ").map_or(line, |(_, file)| file);
        match file.split_once(" (0x") {
            Some((path, _)) if path.starts_with('/') => found.push(path),
            _ => {}
        }
    }
    Ok(found)
}

/// The static busybox of this machine.
///
/// # Errors
/// It is missing, or needs libraries.
pub(crate) fn busybox() -> Result<(std::path::PathBuf, Vec<String>)> {
    let path = Path::new("/usr/bin/busybox");
    let path = if path.exists() { path } else { Path::new("/bin/busybox") };
    if !path.exists() {
        bail!("busybox is missing\nrun `cargo xtask setup`");
    }
    let applets = shell::output(&mut command(&path.to_string_lossy(), &["--list"]))?;
    Ok((path.to_owned(), applets.lines().map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\tlinux-vdso.so.1 (0x00007ffd41fd6000)\n\
        \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0c3ce00000)\n\
        \t/lib64/ld-linux-x86-64.so.2 (0x00007f0c3d02c000)\n";

    #[test]
    fn ldd_is_read() {
        assert_eq!(libraries(LISTING).unwrap(), ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert!(libraries("\tnot a dynamic executable\n").unwrap().is_empty());
        assert!(libraries("\tstatically linked\n").unwrap().is_empty());
        assert!(libraries("\tlibgone.so.1 => not found\n").is_err());
    }

    #[test]
    fn files_go_into_merged_directories() {
        assert_eq!(merged("/lib64/ld-linux-x86-64.so.2"), "usr/lib64/ld-linux-x86-64.so.2");
        assert_eq!(merged("/usr/lib/libx.so"), "usr/lib/libx.so");
        assert_eq!(merged("/library/x"), "library/x");
    }

    #[test]
    fn parents_come_before_their_files() {
        let mut archive = Archive::default();
        archive.file("a/b/c", 0o644, b"text").unwrap();
        archive.file("a/b/d", 0o755, b"").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let mut reader = bytes.as_slice();
        let mut seen = Vec::new();
        loop {
            let entry = newc::Reader::new(reader).unwrap();
            if entry.entry().is_trailer() {
                break;
            }
            seen.push((entry.entry().name().to_owned(), entry.entry().mode()));
            reader = entry.finish().unwrap();
        }
        let expected = [("a", 0o40_755), ("a/b", 0o40_755), ("a/b/c", 0o100_644), ("a/b/d", 0o100_755)];
        assert_eq!(seen, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }
}
