//! What whole jobs in a guest work on.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::initramfs::Archive;
use super::write;
use crate::shell::{self, command};

/// Adds it: a tree of 300 files, the same as a tar archive, and sources to be built with the headers that they need. `scratch` is
/// where it is made. Numbers make all of it, so that it stays the same.
///
/// # Errors
/// It cannot be made, or tcc is missing.
pub(crate) fn add(archive: &mut Archive, scratch: &Path) -> Result<()> {
    let tree = scratch.join("material");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    let mut state = 1_u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    for directory in 0..30 {
        for file in 0..10 {
            let path = tree.join(format!("tree/part{}/unit{directory}/file{file}.txt", directory % 6));
            fs::create_dir_all(path.parent().context("below the tree")?)?;
            let words = 200 + next() % 2000;
            let text: String = (0..words).map(|_| format!("{:x} ", next() % 9973)).collect();
            write(&path, text.as_bytes())?;
        }
    }
    let build = tree.join("build");
    fs::create_dir_all(&build)?;
    let mut objects = String::new();
    for unit in 0..12 {
        let mut text = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n".to_owned();
        for function in 0..20 {
            let _ = writeln!(
                text,
                "int f{unit}_{function}(int n) {{ int s = {function}; for (int i = 0; i < n; i++) s = s * 31 + i % {}; return s; }}",
                unit + 2
            );
        }
        write(&build.join(format!("unit{unit}.c")), text.as_bytes())?;
        let _ = write!(objects, " unit{unit}.o");
    }
    let makefile = format!("all:{objects}\n\ttcc -r -o all.o{objects}\n%.o: %.c\n\ttcc -c -o $@ $<\n");
    write(&build.join("Makefile"), makefile.as_bytes())?;
    let tar = scratch.join("tree.tar");
    let same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar"];
    shell::run(command("tar", &same).arg("-cf").arg(&tar).arg("-C").arg(&tree).arg("tree"))?;
    archive.copy("lab/tree.tar", &tar)?;
    archive.copy_tree("lab/material", &tree)?;
    // The headers that tcc reads for these sources.
    let built = scratch.join("unit.o");
    let read = shell::output(command("tcc", &["-vv", "-c", "-o"]).arg(&built).arg(build.join("unit0.c")))?;
    for header in read.split_whitespace().filter(|word| word.starts_with("/usr/") && word.ends_with(".h")) {
        archive.copy(header.trim_start_matches('/'), Path::new(header))?;
    }
    for place in ["usr/lib/x86_64-linux-gnu/tcc", "usr/lib/tcc"] {
        let from = Path::new("/").join(place);
        if from.exists() {
            archive.copy_tree(place, &from)?;
        }
    }
    Ok(())
}
