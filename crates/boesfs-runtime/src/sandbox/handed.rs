//! Files that the caller hands in as standard input, output or error may be used as they were opened, not opened anew
//! with more rights through `/proc/self/fd`.
//!
//! Such a file lies outside of the sandbox's tree, so the policy is not asked about it. Landlock is: below the tree's root it
//! leaves everything to the policy, and of a file from outside it grants what the descriptor's mode does. Landlock costs something
//! at each open, so it is used only where such a file was handed in. A kernel without Landlock leaves them open to be
//! opened anew, which the documentation says.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use landlock::{
    ABI, Access, AccessFs, AddRuleError, AddRulesError, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};

use super::error::SetupError;

/// With rights to change, and to move between directories: without the last, Landlock refuses every such move.
const KNOWN: ABI = ABI::V3;

/// Confines the calling thread, for good, if a file was handed in. `/` must be the sandbox's root, and `no_new_privs` set.
pub(super) fn confine() -> Result<(), SetupError> {
    let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
    let handed: Vec<Handed<'_>> =
        [input.as_fd(), output.as_fd(), error.as_fd()].into_iter().filter_map(Handed::new).collect();
    if !handed.iter().any(|handed| handed.holds_data) {
        return Ok(());
    }
    restrict(&handed)
        .map_err(|error| SetupError::new("confine the files that were handed in", io::Error::other(error.to_string())))
}

/// A descriptor that was handed in, of an object with a name outside of the sandbox.
struct Handed<'a> {
    fd: BorrowedFd<'a>,
    /// What may be done with the object.
    access: BitFlags<AccessFs>,
    /// Whether more rights than the descriptor has would mean something.
    holds_data: bool,
}

impl<'a> Handed<'a> {
    fn new(fd: BorrowedFd<'a>) -> Option<Handed<'a>> {
        let kind = FileType::from_raw_mode(fstat(fd).ok()?.st_mode);
        let (read, write) = (BitFlags::from(AccessFs::ReadFile), AccessFs::WriteFile | AccessFs::Truncate);
        let mode = match fcntl_getfl(fd).ok()? & OFlags::ACCMODE {
            OFlags::RDONLY => read,
            OFlags::WRONLY => write,
            _ => read | write,
        };
        match kind {
            FileType::RegularFile | FileType::BlockDevice => Some(Handed { fd, access: mode, holds_data: true }),
            // A terminal, /dev/null: what they give does not depend on how they are opened.
            FileType::CharacterDevice | FileType::Fifo => Some(Handed { fd, access: read | write, holds_data: false }),
            _ => None,
        }
    }
}

fn restrict(handed: &[Handed<'_>]) -> Result<(), Box<dyn std::error::Error>> {
    let all = AccessFs::from_all(KNOWN);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .create()?
        .add_rule(PathBeneath::new(PathFd::new("/")?, all))?;
    for handed in handed {
        match rules.try_clone()?.add_rule(PathBeneath::new(handed.fd, handed.access)) {
            Ok(more) => rules = more,
            // A pipe, or a file in memory: of no tree that Landlock looks at.
            Err(RulesetError::AddRules(AddRulesError::Fs(AddRuleError::AddRuleCall { source, .. })))
                if source.raw_os_error() == Some(libc::EBADFD) => {}
            Err(error) => return Err(error.into()),
        }
    }
    rules.restrict_self()?;
    Ok(())
}
