//! `disasm`: the programs of an object, each group of instructions below the line of policy it comes from.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use boesfs_codegen::bpf::disasm::listing;
use boesfs_codegen::object::{self, Programs};

use super::{Failure, output};
use crate::load;

/// Options of `disasm`.
#[derive(clap::Args, Debug)]
pub struct Disasm {
    /// The object.
    object: PathBuf,
}

/// Prints the programs of an object.
///
/// # Errors
/// It cannot be read, or is none.
pub fn disasm(options: &Disasm) -> Result<(), Failure> {
    let bytes = load::read(&options.object)?;
    let object = object::read(&bytes).with_context(|| options.object.display().to_string())?;
    let manifest = &object.manifest;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "; policy {}, {} rules, format {}", manifest.name, manifest.rules.len(), manifest.format);
    if object.programs() == Programs::AutoloadLsm {
        let _ = writeln!(out, "; programs of the LSM hook alone, loaded unasked");
    }
    let _ = writeln!(out, "; sources: {}\n", manifest.files.join(", "));
    out.push_str(&listing(&object.program));
    output::print(&out)?;
    Ok(())
}
