//! Output files: whole, or not there.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Writes `bytes` to the file `path`, at once; `-` is standard output.
///
/// # Errors
/// The file cannot be written: then it is as it was.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if path.as_os_str() == "-" {
        let mut out = io::stdout();
        if out.is_terminal() {
            bail!("an object is not for the terminal: write it to a file by -o FILE");
        }
        out.write_all(bytes)?;
        return Ok(out.flush()?);
    }
    let what = || format!("cannot write {}", path.display());
    // A device or pipe keeps its place: only a file is replaced.
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
        return fs::write(path, bytes).with_context(what);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = fs::Permissions::from_mode(0o666);
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".boesfsc-").permissions(permissions).tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().with_context(what)
}

/// Prints `text` on standard output.
///
/// # Errors
/// Those of standard output.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
