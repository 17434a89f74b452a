//! Where sockets and FIFOs of services may be: such places are never mounted as they are without the right to write.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::tree::read_at_once;

/// Where services put their sockets and FIFOs, also later on (the Filesystem Hierarchy Standard, hier(7)).
const KEPT_FOR_SERVICES: [&str; 5] = ["/run", "/var/run", "/tmp", "/var/tmp", "/var/lib"];

/// The sockets with a name that are bound now.
pub(super) struct Sockets {
    /// `None`: they could not be listed, so any place may hold one.
    bound: Option<Vec<PathBuf>>,
}

impl Sockets {
    /// Lists them.
    pub(super) fn of_this_machine() -> Sockets {
        Sockets { bound: read_at_once("/proc/self/net/unix").ok().map(|table| bound(&table)) }
    }

    /// Where sockets may be, as seen from the directory `dir`.
    pub(super) fn seen_from(&self, dir: &Path) -> Seen {
        let Some(bound) = &self.bound else { return Seen::Anywhere };
        let kept = KEPT_FOR_SERVICES.iter().map(Path::new);
        if kept.clone().any(|kept| dir.starts_with(kept)) {
            Seen::Anywhere
        } else if kept.chain(bound.iter().map(PathBuf::as_path)).any(|place| place.starts_with(dir)) {
            Seen::Below
        } else {
            Seen::Nowhere
        }
    }
}

/// Where sockets may be, as seen from a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Neither in it, nor anywhere below.
    Nowhere,
    /// In some directory below, or in it.
    Below,
    /// In it, and in every directory below.
    Anywhere,
}

/// The absolute paths in a table of sockets, as proc_pid_net(5) describes it: the eighth column, where there is one.
fn bound(table: &[u8]) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n').skip(1);
    let paths = lines.filter_map(|line| {
        let at = line.windows(2).position(|pair| pair == b" /")?;
        Some(PathBuf::from(OsStr::from_bytes(&line[at + 1..])))
    });
    paths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 1234 /srv/app/s 1.sock\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 1235 @/abstract\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 1236\n";

    #[test]
    fn bound_sockets_are_found_by_path() {
        assert_eq!(bound(TABLE), [PathBuf::from("/srv/app/s 1.sock")]);
        let sockets = Sockets { bound: Some(bound(TABLE)) };
        let seen = |dir: &str| sockets.seen_from(Path::new(dir));
        assert_eq!([seen("/srv"), seen("/srv/app")], [Seen::Below, Seen::Below]);
        assert_eq!([seen("/srv/application"), seen("/usr")], [Seen::Nowhere, Seen::Nowhere]);
    }

    #[test]
    fn places_of_services_are_never_free_of_them() {
        let sockets = Sockets { bound: Some(Vec::new()) };
        let seen = |dir: &str| sockets.seen_from(Path::new(dir));
        assert_eq!([seen("/"), seen("/var")], [Seen::Below, Seen::Below]);
        assert_eq!([seen("/run"), seen("/run/user"), seen("/tmp/x")], [Seen::Anywhere; 3]);
        assert_eq!(seen("/etc"), Seen::Nowhere);
    }

    #[test]
    fn an_unreadable_table_may_hold_any() {
        assert_eq!(Sockets { bound: None }.seen_from(Path::new("/usr")), Seen::Anywhere);
    }
}
