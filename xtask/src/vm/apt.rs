//! A private view of Debian's archive below `target/vm/apt`: own sources, own lists, own cache.
//!
//! The machine's sources and package lists are neither read nor changed; of its apt configuration only what says how
//! to reach the network (`Acquire`) is taken over. Packages are downloaded and unpacked, never installed. apt checks
//! signatures and hashes with the keys of `debian-archive-keyring`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell::{self, command};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where kernels come from. Nothing is installed from here, so that mixing releases is harmless.
const SOURCES: &[&str] = &[
    "http://deb.debian.org/debian bookworm main",
    "http://deb.debian.org/debian-security bookworm-security main",
    "http://deb.debian.org/debian bookworm-backports main",
    "http://deb.debian.org/debian trixie-backports main",
];

/// Lists younger than this are taken as they are.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// The private archive.
pub(crate) struct Apt {
    directory: PathBuf,
}

impl Apt {
    /// Sets up the directory and brings the package lists up to date.
    ///
    /// # Errors
    /// The archive's keys are missing, or it cannot be reached and no older lists are there.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let apt = Self { directory: directory.to_owned() };
        apt.configure()?;
        let stamp = directory.join("updated");
        let age = stamp.metadata().and_then(|metadata| metadata.modified()).ok().map(|then| then.elapsed());
        if matches!(age, Some(Ok(age)) if age < FRESH) {
            return Ok(apt);
        }
        let done = shell::run(&mut apt.command("apt-get", &["update", "-q", "-o", "APT::Update::Error-Mode=any"]));
        match done {
            Ok(()) => fs::write(&stamp, "").with_context(|| format!("cannot write {}", stamp.display()))?,
            Err(error) if age.is_some() => eprintln!("vm: {error}; going on with the older package lists"),
            Err(error) => return Err(error),
        }
        Ok(apt)
    }

    fn configure(&self) -> Result<()> {
        if !Path::new(KEYRING).exists() {
            bail!("{KEYRING} is missing\nrun `cargo xtask setup`");
        }
        let place = self.directory.display();
        for below in ["lists/partial", "cache/archives/partial", "etc/preferences.d"] {
            let path = self.directory.join(below);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        let sources: String =
            SOURCES.iter().map(|source| format!("deb [arch=amd64 signed-by={KEYRING}] {source}\n")).collect();
        let mut config = format!(
            "Dir::State \"{place}\";\nDir::State::Lists \"{place}/lists\";\nDir::State::status \"{place}/status\";\n\
             Dir::Cache \"{place}/cache\";\nDir::Etc \"{place}/etc\";\nDir::Etc::SourceList \"{place}/sources.list\";\n\
             Dir::Etc::SourceParts \"/dev/null\";\nDir::Etc::Parts \"/dev/null\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\nAPT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\nAcquire::Retries \"3\";\n"
        );
        let machine = shell::output(&mut command("apt-config", &["dump"]))?;
        let network = ["Acquire::http", "Acquire::https", "Acquire::Check-Valid-Until", "Acquire::Check-Date"];
        for line in machine.lines().filter(|line| network.iter().any(|name| line.starts_with(name))) {
            let _ = writeln!(config, "{line}");
        }
        for (name, text) in [("sources.list", sources.as_str()), ("apt.conf", &config), ("status", "")] {
            let path = self.directory.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = command(program, args);
        command.env("APT_CONFIG", self.directory.join("apt.conf")).env("LC_ALL", "C");
        command
    }

    /// The names of the packages that `pattern` matches, in no order.
    ///
    /// # Errors
    /// apt failed.
    pub(crate) fn names(&self, pattern: &str) -> Result<Vec<String>> {
        let found = shell::output(&mut self.command("apt-cache", &["search", "--names-only", pattern]))?;
        Ok(found.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// Downloads `packages` and unpacks them into `place`, which appears only when it is whole.
    ///
    /// # Errors
    /// A package cannot be had, or `place` cannot be written.
    pub(crate) fn unpack(&self, packages: &[String], place: &Path) -> Result<()> {
        let parent = place.parent().context("a directory below target")?;
        let partial = parent.join(format!(".partial-{}", std::process::id()));
        let (debs, root) = (partial.join("debs"), partial.join("root"));
        for path in [&debs, &root] {
            fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        let names: Vec<&str> = packages.iter().map(String::as_str).collect();
        let done = self
            .download(&names, &debs)
            .and_then(|()| extract(&debs, &root))
            .and_then(|()| fs::rename(&root, place).with_context(|| format!("cannot rename to {}", place.display())));
        fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
        done
    }

    fn download(&self, packages: &[&str], debs: &Path) -> Result<()> {
        shell::run(self.command("apt-get", &[&["download", "-q"], packages].concat()).current_dir(debs))
    }
}

fn extract(debs: &Path, root: &Path) -> Result<()> {
    for deb in fs::read_dir(debs)? {
        shell::run(command("dpkg-deb", &["-x"]).arg(deb?.path()).arg(root))?;
    }
    Ok(())
}
