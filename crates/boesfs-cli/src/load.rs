//! From a file to a policy that can be run: source text, compiled on the fly, or an object made before.

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use boesfs_codegen::automaton::{Limits, TooBig};
use boesfs_codegen::object::{self, BuildError, PolicyObject, ReadError};
use boesfs_codegen::pack;
use boesfs_codegen::tables::Packed;
use boesfs_lang::check::{self, Checked, Define, Input, Loader, Names, Rejected, check};
use boesfs_lang::diag::Diagnostic;
use boesfs_lang::diag::render::{Color, render};
use boesfs_lang::policy::Policy;
use boesfs_lang::source::SourceMap;
use boesfs_runtime::sandbox::provide;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::causes::with_causes;

/// The largest source file that is read, in bytes.
const LARGEST: u64 = 256 << 20;
/// The first bytes of every object.
const ELF: &[u8] = b"\x7fELF";

/// Why a policy could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The policy has errors: these, with the texts they point into.
    #[error("the policy has errors")]
    Rejected(Box<Rejected>),
    /// The object cannot be used.
    #[error("{}: {source}", path.display())]
    Object {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// Source was asked for.
    #[error("{}: this is an object, not source: `boesfsc disasm`, `stats` and `explain` take objects", path.display())]
    NotSource {
        /// The file.
        path: PathBuf,
    },
    /// An object has no lets any more.
    #[error("{}: values for lets are given when a policy is compiled, and this is an object", path.display())]
    Compiled {
        /// The file.
        path: PathBuf,
    },
    /// The object cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl LoadError {
    /// Shows the error on standard error, as `command`'s.
    pub fn show(&self, command: &str) {
        match self {
            LoadError::Rejected(rejected) => show(&rejected.sources, &rejected.diagnostics),
            other => {
                eprintln!("{command}: {}", with_causes(other));
            }
        }
    }
}

/// Shows `diagnostics` on standard error.
pub fn show(sources: &SourceMap, diagnostics: &[Diagnostic]) {
    let color = if io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) {
        Color::Ansi
    } else {
        Color::Never
    };
    eprint!("{}", render(sources, diagnostics, color));
}

/// What a source is checked with, besides its text.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Where numbers of users and groups come from.
    pub names: &'a dyn Names,
    /// Values for lets.
    pub defines: &'a [Define],
    /// Bounds.
    pub limits: check::Limits,
}

/// Reads and checks the policy source `path`.
///
/// # Errors
/// It cannot be read, or has errors.
pub fn source(path: &Path, setting: &Setting<'_>) -> Result<Checked, LoadError> {
    check_text(path, &read(path)?, setting)
}

fn check_text(path: &Path, text: &[u8], setting: &Setting<'_>) -> Result<Checked, LoadError> {
    if text.starts_with(ELF) {
        return Err(LoadError::NotSource { path: path.to_owned() });
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let loader = Folder::open(folder).map_err(|source| LoadError::Read { path: folder.to_owned(), source })?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let Setting { names, defines, limits } = *setting;
    let input = Input { name: &name, text, loader: &loader, names, defines, limits };
    check(&input).map_err(|rejected| LoadError::Rejected(Box::new(rejected)))
}

/// Makes the automaton of a checked policy, packed.
///
/// # Errors
/// It exceeds `limits`.
pub fn tables(policy: &Policy, limits: &Limits) -> Result<Packed, LoadError> {
    pack::compile(policy, limits).map_err(|error| too_big(policy, &error))
}

/// An automaton beyond its limits, as a diagnostic that points at the patterns at fault.
#[must_use]
pub fn too_big(policy: &Policy, error: &TooBig) -> LoadError {
    LoadError::Rejected(Box::new(Rejected { diagnostics: vec![error.diagnostic()], sources: policy.sources.clone() }))
}

/// Compiles a checked policy to the bytes of its object.
///
/// # Errors
/// It exceeds `limits`.
pub fn compile(policy: &Policy, limits: &Limits) -> Result<Vec<u8>, LoadError> {
    Ok(object::build(policy, &tables(policy, limits)?)?)
}

/// Loads the policy `path`: an object, or source that is compiled here. Warnings are shown on standard error.
///
/// # Errors
/// It cannot be read, has errors, is no object of this version, or is one and there are values for its lets.
pub fn object(path: &Path, setting: &Setting<'_>) -> Result<PolicyObject, LoadError> {
    let (bytes, _) = compiled(path, Extent::All, setting)?;
    object::read(&bytes).map_err(|source| LoadError::Object { path: path.to_owned(), source })
}

/// Like [`object()`], without the programs that only kernels run: of an object, they are not even read.
///
/// # Errors
/// As for [`object()`].
pub fn functions(path: &Path, setting: &Setting<'_>) -> Result<PolicyObject, LoadError> {
    let (bytes, size) = compiled(path, Extent::Front, setting)?;
    object::read_functions(&bytes, size).map_err(|source| LoadError::Object { path: path.to_owned(), source })
}

/// Whether the file `path` is an object, or is to be one by its name, not source.
///
/// # Errors
/// It cannot be read.
pub(crate) fn is_object(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    fs::File::open(path)?.take(ELF.len() as u64).read_to_end(&mut start)?;
    Ok(start == ELF || is_named_object(path))
}

/// Whether a file with this name is to be an object, whatever is in it.
fn is_named_object(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "o")
}

/// The bytes of an object, or of what the source is compiled to, as far as `extent` says; and how many there are.
fn compiled(path: &Path, extent: Extent, setting: &Setting<'_>) -> Result<(Vec<u8>, u64), LoadError> {
    let (bytes, size) = read_as_far(path, extent)?;
    if bytes.starts_with(ELF) {
        if !setting.defines.is_empty() {
            return Err(LoadError::Compiled { path: path.to_owned() });
        }
        return Ok((bytes, size));
    }
    if is_named_object(path) {
        return Err(LoadError::Object { path: path.to_owned(), source: ReadError::NotElf });
    }
    let checked = check_text(path, &bytes, setting)?;
    show(&checked.policy.sources, &checked.warnings);
    let bytes = compile(&checked.policy, &Limits::default())?;
    let size = bytes.len() as u64;
    Ok((bytes, size))
}

/// The bytes of the file `path`.
///
/// # Errors
/// It cannot be read, or is larger than any policy.
pub fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    read_as_far(path, Extent::All).map(|(bytes, _)| bytes)
}

/// How much of a file is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    All,
    /// Of an object, no more than its front.
    Front,
}

/// The bytes of the file `path` as far as `extent` says, and how many it has.
fn read_as_far(path: &Path, extent: Extent) -> Result<(Vec<u8>, u64), LoadError> {
    let read = || {
        let mut file = fs::File::open(path)?;
        let size = file.metadata()?.len();
        let mut beginning = [0; object::MANIFEST_OFFSET + object::HEADER_BYTES];
        let front = match extent {
            Extent::Front if file.read_exact_at(&mut beginning, 0).is_ok() => object::front(&beginning),
            _ => None,
        };
        if let Some(front) = front.filter(|front| *front <= size.min(LARGEST)) {
            let mut bytes = Vec::with_capacity(front as usize);
            provide(bytes.spare_capacity_mut());
            file.by_ref().take(front).read_to_end(&mut bytes)?;
            return Ok((bytes, size));
        }
        // One byte more than there should be: then the end is found without another look.
        let mut bytes = Vec::with_capacity(size.min(LARGEST) as usize + 1);
        provide(bytes.spare_capacity_mut());
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        let size = bytes.len() as u64;
        if size > LARGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok((bytes, size)) }
    };
    read().map_err(|source| LoadError::Read { path: path.to_owned(), source })
}

/// Included files: those of one folder and below, never outside, not through symbolic links either.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// The folder `path`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> io::Result<Folder> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Folder(rustix::fs::open(path, flags, Mode::empty())?))
    }
}

impl Loader for Folder {
    fn load(&self, path: &str) -> Result<Vec<u8>, String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(&self.0, path, flags, Mode::empty(), resolve).map_err(|error| match error {
            rustix::io::Errno::XDEV => "it leads out of the policy's folder".to_owned(),
            error => io::Error::from(error).to_string(),
        })?;
        let mut bytes = Vec::new();
        let file = fs::File::from(file);
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > LARGEST { Err("it is too large".to_owned()) } else { Ok(bytes) }
    }
}

/// The users and groups of the running system's /etc/passwd and /etc/group.
#[derive(Clone, Copy, Debug)]
pub struct SystemNames;

impl Names for SystemNames {
    fn user(&self, name: &str) -> Option<u32> {
        lookup("/etc/passwd", name)
    }

    fn group(&self, name: &str) -> Option<u32> {
        lookup("/etc/group", name)
    }

    fn help(&self, word: &str, name: &str) -> String {
        format!(
            "this machine's /etc/passwd and /etc/group are looked in: write the number, or compile the policy first, with `boesfsc compile --users FILE` (a line `{word} {name} 1000`)"
        )
    }
}

/// The third field of the line of `file` whose first field is `name` (passwd(5), group(5)).
fn lookup(file: &str, name: &str) -> Option<u32> {
    let bytes = fs::read(file).ok()?;
    bytes.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let found = fields.next()? == name.as_bytes();
        let id = fields.nth(1)?;
        if found { std::str::from_utf8(id).ok()?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_user_0() {
        assert_eq!(SystemNames.user("root"), Some(0));
        assert_eq!(SystemNames.group("root"), Some(0));
        assert_eq!(SystemNames.user("no such user"), None);
    }
}
