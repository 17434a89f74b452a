//! Section `boesfs.manifest`, which stands first in the file: a header of [`HEADER_BYTES`], then the [`Manifest`] in postcard encoding.
//!
//! ```text
//!   0  magic         8 bytes   MAGIC
//!   8  format        u32       manifest::FORMAT
//!  12  classes       u32       Tables::classes
//!  16  seed          u64       Tables::seed
//!  24  glob_shift    u32       Tables::glob_shift
//!  28  exe_root      u32       Tables::exe_root
//!  32  digest       32 bytes   SHA-256 of the file's front, with this field zero
//!  64  back         32 bytes   SHA-256 of the rest
//!  96  front         u64       how long the front is
//! 104  size          u64       how long the file is
//! 112  manifest                postcard
//! ```
//!
//! The front is what user space needs. What comes after it are programs that only kernels run, and their types: it is read where
//! a kernel is to run them. The digest names both, since the front has that of the rest in it.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::manifest::{FORMAT, Manifest};
use crate::tables::Tables;

use super::read::ReadError;

/// The section's name.
pub const SECTION: &str = "boesfs.manifest";
/// How the section begins.
pub const MAGIC: [u8; 8] = *b"BoesFS\r\n";
/// Bytes before the encoded manifest.
pub const HEADER_BYTES: usize = 112;
/// Where the section is in the file: behind the ELF header.
pub const OFFSET: usize = 64;

/// The format whose manifest was somewhere else.
pub(super) const FORMAT_ELSEWHERE: u32 = 1;

/// Fields, from the start of the section.
const DIGEST: Range<usize> = 32..64;
const BACK: Range<usize> = 64..96;
const FRONT: Range<usize> = 96..104;
const SIZE: Range<usize> = 104..112;

/// The section, with digests and lengths of zero.
pub(super) fn encode(manifest: &Manifest, tables: &Tables) -> Result<Vec<u8>, postcard::Error> {
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(manifest.format.to_le_bytes());
    out.extend(tables.classes.to_le_bytes());
    out.extend(tables.seed.to_le_bytes());
    out.extend(tables.glob_shift.to_le_bytes());
    out.extend(tables.exe_root.to_le_bytes());
    out.resize(HEADER_BYTES, 0);
    out.extend(postcard::to_stdvec(manifest)?);
    Ok(out)
}

/// The manifest's header in a file, if the file has one of this version where it must be.
fn head(file: &[u8]) -> Result<&[u8; HEADER_BYTES], ReadError> {
    let head = file.get(OFFSET..).and_then(|rest| rest.first_chunk()).ok_or(ReadError::Foreign)?;
    if head[..8] != MAGIC {
        return Err(ReadError::Foreign);
    }
    match u32_at(head, 8) {
        FORMAT => Ok(head),
        format => Err(ReadError::Version { format }),
    }
}

fn u32_at(head: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

fn u64_at(head: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from(u32_at(head, at)) | u64::from(u32_at(head, at + 4)) << 32
}

/// How many bytes of a policy object user space needs, by its first bytes: [`OFFSET`] and [`HEADER_BYTES`].
#[must_use]
pub fn front(beginning: &[u8]) -> Option<u64> {
    head(beginning).ok().map(|head| u64_at(head, FRONT.start))
}

/// How many bytes a policy object says that it has.
pub(super) fn size(beginning: &[u8]) -> Option<u64> {
    head(beginning).ok().map(|head| u64_at(head, SIZE.start))
}

/// Puts lengths and digests in place, in a file whose front has `front` bytes.
pub(super) fn seal(file: &mut [u8], front: usize) {
    let size = file.len() as u64;
    let mut put = |field: Range<usize>, bytes: &[u8]| {
        file[OFFSET + field.start..OFFSET + field.end].copy_from_slice(bytes);
    };
    put(FRONT, &(front as u64).to_le_bytes());
    put(SIZE, &size.to_le_bytes());
    reseal(file);
}

/// Puts the digests of an object in place again, after something else was changed. Leaves alone what is none.
///
/// For tests of what readers refuse besides a digest that does not fit.
pub fn reseal(file: &mut [u8]) {
    let Some(front) = front(file).map(|front| front as usize).filter(|front| *front <= file.len()) else { return };
    if front < OFFSET + HEADER_BYTES {
        return;
    }
    let back = sum(&file[front..]);
    file[OFFSET + BACK.start..OFFSET + BACK.end].copy_from_slice(&back);
    let digest = digest(&file[..front]);
    file[OFFSET + DIGEST.start..OFFSET + DIGEST.end].copy_from_slice(&digest);
}

fn sum(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The digest of a file with this front.
fn digest(front: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(&front[..OFFSET + DIGEST.start]);
    hash.update([0; 32]);
    hash.update(&front[OFFSET + DIGEST.end..]);
    hash.finalize().into()
}

/// Checks lengths and digests of a file of `size` bytes, of which `file` are the first: all, or no less than its front. Gives its digest.
pub(super) fn verify(file: &[u8], size: u64) -> Result<[u8; 32], ReadError> {
    let head = head(file)?;
    let front = usize::try_from(u64_at(head, FRONT.start)).map_err(|_| ReadError::Damaged)?;
    let front_bytes =
        file.get(..front).filter(|front| front.len() >= OFFSET + HEADER_BYTES).ok_or(ReadError::Damaged)?;
    let whole = file.len() as u64 == size;
    let found = digest(front_bytes);
    if u64_at(head, SIZE.start) != size || head[DIGEST] != found || whole && head[BACK] != sum(&file[front..]) {
        return Err(ReadError::Damaged);
    }
    Ok(found)
}

/// The scalars of a header that was verified, in otherwise empty tables.
pub(super) fn scalars(file: &[u8]) -> Result<Tables, ReadError> {
    let head = head(file)?;
    let (classes, seed, glob_shift, exe_root) =
        (u32_at(head, 12), u64_at(head, 16), u32_at(head, 24), u32_at(head, 28));
    Ok(Tables { classes, seed, glob_shift, exe_root, ..Tables::default() })
}

/// The manifest in `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<Manifest, ReadError> {
    let (manifest, rest) = postcard::take_from_bytes::<Manifest>(bytes).map_err(|_| ReadError::Manifest)?;
    let roles = manifest.subjects.roles.len() as u32;
    let subjects = &manifest.subjects;
    let mut named = subjects
        .roles
        .iter()
        .flat_map(|role| &role.closure)
        .chain(subjects.classes.iter().flat_map(|class| &class.roles))
        .chain(subjects.users.iter().flat_map(|a| &a.roles))
        .chain(subjects.groups.iter().flat_map(|a| &a.roles))
        .chain(subjects.exes.iter().flat_map(|a| &a.roles))
        .chain(subjects.separations.iter().flatten());
    let places = manifest.rules.iter().all(|rule| (rule.file as usize) < manifest.files.len());
    let sorted = subjects.classes.is_sorted_by(|a, b| a < b);
    if !rest.is_empty() || manifest.format != FORMAT || !named.all(|role| role.0 < roles) || !places || !sorted {
        return Err(ReadError::Manifest);
    }
    Ok(manifest)
}
