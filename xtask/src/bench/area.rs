//! The work area: a tmpfs of its own, gone when the bench ends.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell::{self, command};

/// Where the bench works. Not below `/dev/shm`: sandboxes have a `/dev` of their own.
pub(super) struct Area {
    dir: PathBuf,
    mounted: bool,
}

impl Area {
    pub(super) fn new() -> Result<Area> {
        let dir = PathBuf::from(format!("/var/tmp/boesfs-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let mounted = shell::is_root();
        if mounted {
            let to = dir.to_string_lossy();
            shell::run(&mut command("mount", &["-t", "tmpfs", "-o", "size=4g,mode=755", "boesfs-bench", &to]))?;
        } else {
            eprintln!("not root, so no tmpfs: figures include what is below {}", dir.display());
        }
        Ok(Area { dir, mounted })
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// An empty directory.
    pub(super) fn fresh(&self, path: &str) -> Result<PathBuf> {
        let dir = self.at(path);
        clear(&dir)?;
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }
}

/// Removes a tree, if it is there.
pub(super) fn clear(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        if self.mounted {
            let _ = shell::run(&mut command("umount", &["--lazy", &self.dir.to_string_lossy()]));
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
