//! Which programs are in an object whose programs are all loaded and attached unasked.

use boesfs_lang::subjects::Subjects;

use super::{Attach, LsmProgram, PROGRAMS};

/// Hooks that an object for such loaders does without: those that came after Linux 6.12, and `inode_permission`, which is asked for each
/// directory of every walk on the machine: who wants that says so.
const LEFT_OUT: [&str; 3] = ["inode_file_getattr", "inode_file_setattr", "inode_permission"];

/// The programs for a policy with these subjects that Linux 6.12 and every later one takes: of two forms the one that all of them verify, and
/// none for a hook that one of them lacks.
pub fn autoloaded(subjects: &Subjects) -> impl Iterator<Item = &'static LsmProgram> {
    PROGRAMS.iter().filter(|program| {
        let (Attach::Lsm(hook) | Attach::Exit(hook)) = program.attach;
        let untold = program.tells_executables() && subjects.exes.is_empty();
        !LEFT_OUT.contains(&hook) && !untold && (program.is_path_form() || program.other_form().is_none())
    })
}
