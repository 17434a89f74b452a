//! What goes into a counting guest: the programs, the policies, what the jobs work on, and the script of one contestant.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::contestant::{Contestant, Jobs};
use crate::release;
use crate::shell::{self, cargo, command};
use crate::vm::initramfs::Archive;
use crate::vm::{material, suite};

/// The jobs, in order.
const JOBS: &str = "untar tar find grep build git-status";

/// Rules of the policies.
const RULES: [u32; 3] = [10, 1_000, 100_000];

fn here(file: &str) -> PathBuf {
    shell::root().join("xtask/src/vm/icount").join(file)
}

/// The archive that all contestants share.
///
/// # Errors
/// Something of it cannot be built or read.
pub(crate) fn archive() -> Result<Vec<u8>> {
    release::build()?;
    shell::run(&mut command(&cargo(), &["build", "--release", "--locked", "--package", "xtask", "--bins"]))?;
    let scratch = shell::target().join("vm/icount");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    let flags = ["-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-static", "-o"];

    let mut archive = Archive::with_merged_directories()?;
    suite::system(&mut archive)?;
    archive.program("usr/bin/boesfs", &release::binary("boesfs"))?;
    archive.program("lab/bin/landlock-run", &release::binary("landlock-run"))?;
    for name in ["bench", "empty"] {
        let built = scratch.join(name);
        shell::run(command("gcc", &flags).arg(&built).arg(here(&format!("{name}.c"))))?;
        archive.program(&format!("lab/bin/{name}"), &built)?;
    }
    for program in ["apparmor_parser", "make", "tcc", "git"] {
        let path = shell::which(program)?;
        archive.program(&format!("usr/bin/{program}"), &path)?;
    }
    archive.copy("lab/contestants.sh", &here("contestants.sh"))?;
    archive.copy("lab/jobs.sh", &here("jobs.sh"))?;
    let mut policies: Vec<(String, String)> = RULES.iter().map(|rules| (rules.to_string(), policy(*rules))).collect();
    policies.push(("all".to_owned(), "policy all;\ndefault allow;\nallow all on \"/b/\";\n".to_owned()));
    policies.push(("reads".to_owned(), "policy reads;\ndefault allow;\ndeny read on \"/more/\";\n".to_owned()));
    policies.push(("agent".to_owned(), agent()?));
    for (name, text) in policies {
        let (source, object) = (scratch.join(format!("{name}.bfs")), scratch.join(format!("{name}.o")));
        write(&source, text.as_bytes())?;
        shell::run(
            command(&release::binary("boesfsc").to_string_lossy(), &["compile", "-o"]).arg(&object).arg(&source),
        )?;
        archive.copy(&format!("lab/policies/{name}.o"), &object)?;
    }
    material::add(&mut archive, &scratch)?;
    archive.finish()
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Leave to work in the places of the bench, two patterns that go for every directory there, and rules for other places.
fn policy(rules: u32) -> String {
    let mut text = "policy bench;\ndefault deny;\n\
        allow view, exec on \"/usr/\", \"/lab/\", \"/lib*/\", \"/bin/\", \"/etc/\", \"/root/\";\n\
        allow view on \"/\" except \"/**\";\nallow stat on \"/*\";\n\
        allow all on \"/b/\";\n\
        deny edit on \"/b/**/.git/hooks/\";\ndeny read, edit on \"/b/**/*.pem\";\n"
        .to_owned();
    for rule in 0..rules - 6 {
        let _ = writeln!(text, "allow read on \"/more/d{}/e{}/\";", rule / 100, rule % 100);
    }
    text
}

/// The agent example, at the place of the bench, with leave to run its programs.
fn agent() -> Result<String> {
    let file = shell::root().join("examples/agent/agent.bfs");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut at = String::new();
    for line in text.lines() {
        let name = line.strip_prefix("let ").and_then(|rest| rest.split('=').next());
        match name.map(str::trim) {
            Some("repo") => at.push_str("let repo = \"/b\";"),
            Some("home") => at.push_str("let home = \"/root\";"),
            _ => at.push_str(line),
        }
        at.push('\n');
    }
    Ok(at + "allow view, exec on \"/lab/\";\n")
}

/// The archive with the script of one contestant.
///
/// # Errors
/// It cannot be written.
pub(crate) fn script(contestant: &Contestant) -> Result<Vec<u8>> {
    let Contestant { under, place, refused_by, jobs, .. } = contestant;
    let jobs = if *jobs == Jobs::Done { JOBS } else { "" };
    let text = format!(
        "set -eu\nexport HOME=/root PATH=/usr/bin\n\
        . /lab/contestants.sh\n\
        /lab/bin/bench make /b\n\
        cp -r /lab/material/tree /lab/material/build /b/\n\
        cd /b/tree && git init -q && git add . && git status --short >/dev/null\n\
        cd /b/build && make -s all && rm -f *.o\n\
        cd /\n\
        echo 'by native'\n\
        /lab/bin/bench ops /b permissions\n\
        [ -z '{jobs}' ] || JOBS_DIR=/b /lab/bin/bench jobs /lab/jobs.sh {jobs}\n\
        echo 'by contestant'\n\
        {under} /lab/bin/bench ops {place} {refused_by}\n\
        [ -z '{jobs}' ] || JOBS_DIR={place} {under} /lab/bin/bench jobs /lab/jobs.sh {jobs}\n"
    );
    let mut archive = Archive::default();
    archive.file("lab/command", 0o755, text.as_bytes())?;
    archive.finish()
}
