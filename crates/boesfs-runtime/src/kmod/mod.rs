//! The kernel module's hook: mounts of `boesfs.ko` over every file system of the sandbox's tree, judged by the policy's
//! programs in the kernel.
//!
//! In: a policy object. Out: a registered policy, the mounts that a sandbox needs, and events. Holds: the policy is
//! registered by a descriptor of this process; when it goes, every mount that asks it denies everything.

mod mounts;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use boesfs_codegen::emit::layout::kmod::{MEMBERS, VERSION};
use boesfs_codegen::object::PolicyObject;
use boesfs_lang::subjects::ClassId;

use crate::audit::Recorder;
use crate::kernel::KernelError;
use crate::kernel::events::{Below, Reader};
use crate::kernel::struct_ops::{MODULE, Registered};

pub use mounts::KmodTree;

/// Why the hook cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KmodError {
    /// The module is not loaded.
    #[error("the kernel module is not loaded: modprobe boesfs (or insmod boesfs.ko, see crates/boesfs-kmod)")]
    Absent,
    /// The module has no types.
    #[error("the kernel module has no types (BTF): build it where pahole and the kernel's vmlinux are")]
    NoTypes,
    /// The module is of another version.
    #[error(
        "the kernel module has interface {found}, this version of boesfs has {VERSION}: install both of one version"
    )]
    Version {
        /// What it says; empty if it says nothing.
        found: String,
    },
    /// The object has no programs for it.
    #[error(
        "the object has no programs for the kernel module: compile the policy without --autoload, or use --hook lsm"
    )]
    NoPrograms,
    /// A name moves that does not arrive.
    #[error(
        "a rename or link waits for the file system below, and a policy is not replaced in the midst of one: try again, \
         or end what hangs"
    )]
    Moving,
    /// The policy cannot be loaded.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// Something else of the system.
    #[error("cannot {what}: {source}")]
    System {
        /// What follows "cannot".
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Whether the module is there, and fits; its version.
///
/// # Errors
/// It is missing, or does not fit.
pub fn module() -> Result<String, KmodError> {
    let types = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !types.lines().any(|line| line.split_whitespace().last() == Some(MODULE)) {
        return Err(KmodError::Absent);
    }
    if !Path::new("/sys/kernel/btf").join(MODULE).exists() {
        return Err(KmodError::NoTypes);
    }
    let said = |file: &str| {
        fs::read_to_string(Path::new("/sys/module").join(MODULE).join(file)).unwrap_or_default().trim().to_owned()
    };
    let found = said("parameters/abi");
    if found.parse() != Ok(VERSION) {
        return Err(KmodError::Version { found });
    }
    Ok(said("version"))
}

/// Whether `object` has the programs that the module asks.
///
/// # Errors
/// It was compiled without them.
pub fn fits(object: &PolicyObject) -> Result<(), KmodError> {
    let all = MEMBERS.iter().all(|member| object.has(member.program));
    all.then_some(()).ok_or(KmodError::NoPrograms)
}

/// A policy registered for one sandbox.
#[derive(Debug)]
pub struct Policy(Registered);

/// Tells the policies of one process apart.
static NEXT: AtomicU32 = AtomicU32::new(1);

impl Policy {
    /// Loads and registers `object`.
    ///
    /// # Errors
    /// The module or the kernel does not take it.
    pub fn register(object: &PolicyObject) -> Result<Policy, KmodError> {
        fits(object)?;
        module()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // No two processes have the same number at a time, and a policy is gone with its process.
        let name = format!("boesfs-exec-{}-{number}", std::process::id());
        Ok(Policy(Registered::new(object, &name)?))
    }

    /// Has `object` take its place, for every mount at once.
    ///
    /// # Errors
    /// The object or the kernel does not take it: the policy stays as it was.
    pub fn replace(&mut self, object: &PolicyObject) -> Result<(), KmodError> {
        fits(object)?;
        self.0.replace(object).map_err(|error| match error {
            KernelError::System { source, .. } if source.kind() == io::ErrorKind::ResourceBusy => KmodError::Moving,
            error => error.into(),
        })
    }

    /// The tree of this machine's mounts, judged by the policy: everybody as `class`, or by the policy's own assignments.
    ///
    /// # Errors
    /// The list of mounts cannot be read.
    pub fn tree(&self, class: Option<ClassId>) -> Result<KmodTree, KmodError> {
        mounts::tree(self.0.name(), class)
            .map_err(|source| KmodError::System { what: "read the list of mounts", source })
    }

    /// Starts to pass events on. Events of a mount are told by its number in `tree`.
    ///
    /// # Errors
    /// The ring buffer cannot be read, or no thread can be started.
    pub fn watch(&self, tree: &KmodTree, recorder: Recorder) -> Result<Watch, KmodError> {
        let events = self.0.events();
        Reader::start(&events.ring, &events.live, tree.mounts.clone(), Below::Whole, recorder)
            .map(Watch)
            .map_err(|source| KmodError::System { what: "read events", source })
    }
}

/// Passes events on. Dropping it passes on what is left, and ends it.
#[derive(Debug)]
pub struct Watch(#[expect(dead_code, reason = "it is what is dropped")] Reader);
