//! Section `boesfs.manifest`: a header of [`HEADER_BYTES`], then the [`Manifest`] in postcard encoding.
//!
//! ```text
//!  0  magic         8 bytes   MAGIC
//!  8  format        u32       manifest::FORMAT
//! 12  classes       u32       Tables::classes
//! 16  seed          u64       Tables::seed
//! 24  glob_shift    u32       Tables::glob_shift
//! 28  exe_root      u32       Tables::exe_root
//! 32  digest       32 bytes   SHA-256 of the whole file with this field zero
//! 64  manifest                postcard
//! ```

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
pub const HEADER_BYTES: usize = 64;
/// Where the digest is in the section.
pub(super) const DIGEST: Range<usize> = 32..64;

/// The section, with a digest of zero.
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

/// The digest of `file`, whose digest field is at `field`.
pub(super) fn digest(file: &[u8], field: Range<usize>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(&file[..field.start]);
    hash.update([0; 32]);
    hash.update(&file[field.end..]);
    hash.finalize().into()
}

/// Checks the header and gives its scalars (in otherwise empty tables) and the encoded manifest.
pub(super) fn header(section: &[u8]) -> Result<(Tables, &[u8]), ReadError> {
    let (head, rest) = section.split_at_checked(HEADER_BYTES).ok_or(ReadError::Foreign)?;
    if head[..8] != MAGIC {
        return Err(ReadError::Foreign);
    }
    let u32_at = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    match u32_at(8) {
        FORMAT => {}
        format => return Err(ReadError::Version { format }),
    }
    let seed = u64::from(u32_at(16)) | u64::from(u32_at(20)) << 32;
    let (classes, glob_shift, exe_root) = (u32_at(12), u32_at(24), u32_at(28));
    Ok((Tables { classes, seed, glob_shift, exe_root, ..Tables::default() }, rest))
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
