//! Other file systems for the tests to work on: disks made by this machine's mkfs, and what the kernel needs to mount them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};

use crate::shell::{self, command};

/// A file system below the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lower {
    /// The guest's own root, in memory.
    Tmpfs,
    Ext4,
    Xfs,
    Btrfs,
    /// Two directories in memory, one above the other.
    Overlayfs,
}

impl Lower {
    /// Each of them.
    pub(crate) const ALL: [Self; 5] = [Self::Tmpfs, Self::Ext4, Self::Xfs, Self::Btrfs, Self::Overlayfs];

    /// Its name on the command line, and of its directory below `/mnt` in the guest.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tmpfs => "tmpfs",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Overlayfs => "overlayfs",
        }
    }

    /// Modules that it takes.
    pub(crate) const fn modules(self) -> &'static [&'static str] {
        match self {
            Self::Tmpfs => &[],
            Self::Ext4 => &["virtio_pci", "virtio_blk", "ext4"],
            Self::Xfs => &["virtio_pci", "virtio_blk", "xfs"],
            Self::Btrfs => &["virtio_pci", "virtio_blk", "btrfs"],
            Self::Overlayfs => &["overlay"],
        }
    }

    /// Makes its disk, if it has one, empty.
    ///
    /// # Errors
    /// mkfs failed, or the file cannot be made.
    pub(crate) fn disk(self, directory: &Path) -> Result<Option<PathBuf>> {
        let mkfs: &[&str] = match self {
            Self::Tmpfs | Self::Overlayfs => return Ok(None),
            Self::Ext4 => &["mkfs.ext4", "-q", "-F", "-i", "4096"],
            Self::Xfs => &["mkfs.xfs", "-q", "-f"],
            Self::Btrfs => &["mkfs.btrfs", "-q", "-f"],
        };
        let path = directory.join(format!("{}.img", self.name()));
        let _ = std::fs::remove_file(&path);
        let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        file.set_len(512 << 20).context("cannot make a disk of 512 MiB")?;
        let program = shell::which(mkfs[0])?;
        shell::run(command(&program.to_string_lossy(), &mkfs[1..]).arg(&path))?;
        Ok(Some(path))
    }
}

impl FromStr for Lower {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|lower| lower.name() == text).ok_or_else(|| format!("`{text}` is none of {known}"))
    }
}
