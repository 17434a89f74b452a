//! Which stock kernels there are, and their files.
//!
//! In: a name such as `6.12` or `newest`. Out: an [`Image`] below `target/vm/kernels`, of the newest package of that
//! series in Debian's archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};

use super::apt::Apt;
use crate::shell::{self, command};

/// A kernel that a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// The newest of a series: 6.12.
    Series(u32, u32),
    /// The newest of all.
    Newest,
}

impl Kernel {
    /// The first kernel of Debian 12: no FUSE passthrough, FUSE is a module, no struct_ops in modules.
    pub(crate) const V6_1: Self = Self::Series(6, 1);
    /// The long-term kernel that the project is built for.
    pub(crate) const V6_12: Self = Self::Series(6, 12);
    /// The long-term kernel after it.
    pub(crate) const V6_18: Self = Self::Series(6, 18);
    /// What `all` means.
    pub(crate) const ALL: [Self; 4] = [Self::V6_1, Self::V6_12, Self::V6_18, Self::Newest];
}

impl FromStr for Kernel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "newest" {
            return Ok(Self::Newest);
        }
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self::Series(major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| format!("`{text}` is not a kernel: try 6.12, newest or all"))
    }
}

impl std::fmt::Display for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Series(major, minor) => write!(f, "{major}.{minor}"),
            Self::Newest => f.write_str("newest"),
        }
    }
}

/// One kernel of the archive, named as `uname -r` does: `6.12.95+deb12-cloud-amd64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Release {
    /// Every number of the version, so that 6.12.9 comes before 6.12.10: first major and minor.
    numbers: Vec<u32>,
    name: String,
}

impl Release {
    /// Reads a package's name; `None` where it is not a kernel of a definite version.
    fn parse(package: &str) -> Option<Self> {
        let name = package.strip_prefix("linux-image-")?;
        let version = name.strip_suffix("-cloud-amd64")?;
        let numbers: Vec<u32> = version
            .split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .map(|digits| digits.parse().ok())
            .collect::<Option<_>>()?;
        // `linux-image-6.12-cloud-amd64` only names the newest 6.12.
        (numbers.len() > 2).then(|| Self { numbers, name: name.to_owned() })
    }

    fn is(&self, kernel: Kernel) -> bool {
        match kernel {
            Kernel::Series(major, minor) => self.numbers.starts_with(&[major, minor]),
            Kernel::Newest => true,
        }
    }

    /// The packages that hold its files. Since 7.0 the image is split in two.
    fn packages(&self, archive: &[String]) -> Vec<String> {
        ["image", "binary", "modules"]
            .iter()
            .map(|part| format!("linux-{part}-{}", self.name))
            .filter(|package| archive.contains(package))
            .collect()
    }
}

/// A kernel on disk.
#[derive(Debug)]
pub(crate) struct Image {
    /// What `uname -r` says.
    pub(crate) release: String,
    /// The compressed kernel.
    pub(crate) vmlinuz: PathBuf,
    modules: PathBuf,
}

impl Image {
    /// The module's file, or `None` where the kernel has it built in.
    ///
    /// # Errors
    /// The package's directory cannot be read.
    fn module(&self, name: &str) -> Result<Option<PathBuf>> {
        find(&self.modules, &format!("{name}.ko"))
    }

    /// The files of the modules `names` and of those that they need, in the order of loading, without what is built in.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn with_needed(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for name in names {
            // Kernels name a module's file with either sign.
            let file = match self.module(name)? {
                None => self.module(&name.replace('_', "-"))?,
                file => file,
            };
            let Some(file) = file else { continue };
            let needed = shell::output(command("modinfo", &["-F", "depends"]).arg(&file))?;
            let needed: Vec<&str> = needed.trim().split(',').filter(|name| !name.is_empty()).collect();
            for file in self.with_needed(&needed)?.into_iter().chain([file]) {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }
}

fn find(directory: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if let Some(found) = find(&entry.path(), name)? {
                return Ok(Some(found));
            }
        } else if entry
            .file_name()
            .to_string_lossy()
            .strip_suffix(".xz")
            .unwrap_or(&entry.file_name().to_string_lossy())
            == name
        {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// The images of `kernels`, downloaded where they are not there yet. Kernels that turn out to be the same are one.
///
/// # Errors
/// The archive cannot be reached, or has no such kernel.
pub(crate) fn fetch(kernels: &[Kernel], lab: &Path) -> Result<Vec<Image>> {
    let apt = Apt::open(&lab.join("apt"))?;
    let archive = apt.names("^linux-(image|binary|modules)-[0-9].*-cloud-amd64$")?;
    let mut chosen: Vec<Release> = Vec::new();
    for kernel in kernels {
        let newest = archive.iter().filter_map(|package| Release::parse(package)).filter(|release| release.is(*kernel));
        let newest = newest.max().with_context(|| format!("Debian's archive has no kernel {kernel}"))?;
        if !chosen.contains(&newest) {
            chosen.push(newest);
        }
    }
    let place = lab.join("kernels");
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    chosen.iter().map(|release| open(release, &apt, &archive, &place)).collect()
}

fn open(release: &Release, apt: &Apt, archive: &[String], place: &Path) -> Result<Image> {
    let root = place.join(&release.name);
    if !root.exists() {
        apt.unpack(&release.packages(archive), &root)?;
        forget_older(release, place)?;
    }
    let in_root = |choices: [String; 2]| {
        let found = choices.iter().map(|below| root.join(below)).find(|path| path.exists());
        found.with_context(|| format!("the package of {} has no {}", release.name, choices[0]))
    };
    let name = &release.name;
    Ok(Image {
        release: name.clone(),
        vmlinuz: in_root([format!("boot/vmlinuz-{name}"), format!("usr/lib/modules/{name}/vmlinuz")])?,
        modules: in_root([format!("usr/lib/modules/{name}/kernel"), format!("lib/modules/{name}/kernel")])?,
    })
}

/// Removes older kernels of the same series: a release replaces them.
fn forget_older(release: &Release, place: &Path) -> Result<()> {
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        let Some(other) = Release::parse(&format!("linux-image-{}", entry.file_name().to_string_lossy())) else {
            continue;
        };
        if other.numbers[..2] == release.numbers[..2] && other < *release {
            fs::remove_dir_all(entry.path()).with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_named() {
        assert_eq!("6.12".parse(), Ok(Kernel::V6_12));
        assert_eq!("newest".parse(), Ok(Kernel::Newest));
        for wrong in ["", "6", "6.", "six.one", "6.12.3"] {
            assert!(wrong.parse::<Kernel>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_newest_release_of_a_series_is_found() {
        let archive = [
            "linux-image-6.12.9+deb12-cloud-amd64",
            "linux-image-6.12.90+deb12-cloud-amd64",
            "linux-image-6.12.90+deb12.1-cloud-amd64",
            "linux-image-6.12.117+deb12-cloud-amd64-dbg",
            "linux-image-6.12.117+deb12-cloud-amd64-unsigned",
            "linux-image-6.12-cloud-amd64",
            "linux-image-cloud-amd64",
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-7.3.4+deb13-cloud-amd64",
            "linux-binary-7.3.4+deb13-cloud-amd64",
        ]
        .map(str::to_owned);
        let newest = |kernel| {
            let releases = archive.iter().filter_map(|package| Release::parse(package));
            releases.filter(|release| release.is(kernel)).max().map(|release| release.name)
        };
        assert_eq!(newest(Kernel::V6_12).as_deref(), Some("6.12.90+deb12.1-cloud-amd64"));
        assert_eq!(newest(Kernel::V6_1).as_deref(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(newest(Kernel::Newest).as_deref(), Some("7.3.4+deb13-cloud-amd64"));
        assert_eq!(newest(Kernel::V6_18), None);
    }

    #[test]
    fn a_split_image_is_fetched_whole() {
        let archive = ["image", "binary", "modules"].map(|part| format!("linux-{part}-7.3.4+deb13-cloud-amd64"));
        let release = Release::parse(&archive[0]).unwrap();
        assert_eq!(release.packages(&archive), archive);
        assert_eq!(release.packages(&archive[..1]), archive[..1]);
    }
}
