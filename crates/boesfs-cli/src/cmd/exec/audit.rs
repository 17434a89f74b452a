//! Where the audit stream goes: never to a place that the command can change.

use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use boesfs_codegen::tables::{StateId, Tables};
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::subjects::ClassId;
use boesfs_runtime::sandbox::session::Classes;

/// Opens the audit stream, before anything of the workload runs.
pub(super) fn stream(file: &Path, tables: &Tables, classes: &Classes) -> Result<Box<dyn io::Write + Send>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdout()));
    }
    let (stream, is_new) = opened(file).with_context(|| format!("cannot open the audit stream {}", file.display()))?;
    let kind = stream.metadata().context("cannot look at the audit stream")?.file_type();
    if keeps_records(kind) {
        // Where the kernel says it is: the name given may lead through links.
        let path = std::fs::read_link(format!("/proc/self/fd/{}", stream.as_raw_fd()))
            .context("cannot tell where the audit stream is")?;
        if is_within_reach(&path, tables, classes) {
            if is_new {
                // It stays where it cannot be removed: empty.
                let _ = std::fs::remove_file(&path);
            }
            bail!("the policy lets the command change {}: put the audit stream elsewhere", path.display());
        }
    }
    Ok(Box::new(stream))
}

/// The file, opened; and whether it was not there before.
fn opened(file: &Path) -> io::Result<(File, bool)> {
    let appending = || OpenOptions::new().append(true).mode(0o600).to_owned();
    match appending().create_new(true).open(file) {
        Ok(new) => Ok((new, true)),
        // Or a link that leads to where nothing is yet.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok((appending().create(true).open(file)?, false)),
        // A directory in which nothing can be made has the file perhaps.
        Err(_) => Ok((appending().open(file)?, false)),
    }
}

/// That another policy leaves the stream `file`, which is open, out of the command's reach.
///
/// # Errors
/// Why the policy cannot be taken.
pub(super) fn stays_out_of_reach(file: &Path, tables: &Tables, classes: &Classes) -> Result<(), String> {
    let kind = |path: &Path| std::fs::metadata(path).map(|meta| meta.file_type());
    let place = std::fs::canonicalize(file).and_then(|path| Ok((keeps_records(kind(&path)?), path)));
    let show = file.display();
    match place {
        _ if file == Path::new("-") => Ok(()),
        Ok((true, path)) if is_within_reach(&path, tables, classes) => {
            Err(format!("it lets the command change the audit stream {show}"))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot tell where the audit stream {show} is: {error}")),
    }
}

/// Whether what was written there is still there: not in a pipe, a terminal or a socket.
fn keeps_records(kind: FileType) -> bool {
    !(kind.is_fifo() || kind.is_char_device() || kind.is_socket())
}

/// Whether a subject of `classes` may perhaps change what stands at `path`, or move it away.
fn is_within_reach(path: &Path, tables: &Tables, classes: &Classes) -> bool {
    let change = Ops::of(&[Op::Write, Op::Append, Op::Truncate, Op::Unlink, Op::Rename]);
    let moving = Ops::of(&[Op::Rename]);
    let names: Vec<&[u8]> = path.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|n| !n.is_empty()).collect();
    let may = |state: StateId, ops: Ops| {
        classes.list.iter().any(|class| ops.iter().any(|op| may_be_allowed(tables, state, *class, op)))
    };
    let mut state = StateId::ROOT;
    for (i, name) in names.iter().enumerate() {
        state = tables.step(state, name);
        let is_last = i + 1 == names.len();
        if may(state, if is_last { change } else { moving }) {
            return true;
        }
    }
    false
}

fn may_be_allowed(tables: &Tables, state: StateId, class: ClassId, op: Op) -> bool {
    use boesfs_codegen::tables::unpack_verdict;
    use boesfs_lang::policy::Effect;
    tables.chain(state, class, op).any(|decision| unpack_verdict(decision.verdict).effect == Effect::Allow)
}
