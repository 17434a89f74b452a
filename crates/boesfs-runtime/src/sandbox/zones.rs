//! Native zones: directories that need no judgement, mounted from the host as they are.
//!
//! A zone is a directory that exists at start, in which, and everywhere below, every class that can occur in the session is
//! granted either everything, or reading and executing with the rest refused by the default alone (see [`Graph::zone`]). No rule
//! with a condition, `audit`, `hide` or `kill` has a say there: nothing is lost by not asking.
//!
//! So are a few files that almost every program reads when it starts, where they may be looked at.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use boesfs_codegen::tables::graph::{self, Graph};
use boesfs_codegen::tables::{HAS_LITERALS, StateId, Tables};
use boesfs_lang::subjects::ClassId;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat, openat2};

use super::session::{Classes, Unclassed};
use super::sockets::{Seen, Sockets};
use super::special::is_special_magic;

/// What a native zone grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Full,
    /// Reading and executing; changes fail with `EROFS`.
    ReadOnly,
    /// Reading; changes fail with `EROFS`, executing with `EACCES`.
    View,
}

/// A native zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its directory or file, absolute, without symbolic links.
    pub path: PathBuf,
    /// What it grants.
    pub access: Access,
}

/// Places where the sandbox mounts its own.
const OWN: [&str; 3] = ["/proc", "/dev", "/sys"];

/// What programs read when they start: the dynamic loader, setlocale(3) with messages, getpwuid(3), git. Judged, these take most of
/// what a start in a sandbox costs over one outside, since each open is four requests.
const READ_AT_STARTS: [&str; 5] =
    ["/etc/ld.so.cache", "/etc/locale.alias", "/etc/nsswitch.conf", "/etc/passwd", "/etc/gitconfig"];

/// The most directory entries and names of rules that the search looks at. Start-up is to stay short; what is not found is judged.
const BUDGET: u32 = 8192;
/// The most zones.
const MOST: usize = 256;

/// The native zones of the tree at `/` for a session in which `classes` occur; one zone `/` if nothing needs judgement.
///
/// Directories that cannot be opened are no zones. Symbolic links are not followed.
#[must_use]
pub fn find(tables: &Tables, classes: &Classes) -> Vec<Zone> {
    if classes.without == Unclassed::Possible {
        return Vec::new();
    }
    let classes = &classes.list;
    let mut search = Search {
        graph: Graph::new(tables),
        tables,
        classes,
        edges: Edges::default(),
        known: BTreeMap::new(),
        sockets: None,
        left: BUDGET,
        zones: Vec::new(),
    };
    if let Some(access) = search.access(StateId::ROOT)
        && search.sockets_seen(Path::new("/"), access) == Seen::Nowhere
    {
        return vec![Zone { path: PathBuf::from("/"), access }];
    }
    if let Some(root) = open_directory(rustix::fs::CWD, OsStr::new("/")) {
        search.below(&root, Path::new("/"), StateId::ROOT);
    }
    for path in READ_AT_STARTS {
        search.file(Path::new(path));
    }
    search.zones.sort_by(|a, b| a.path.cmp(&b.path));
    search.zones
}

struct Search<'a> {
    graph: Graph<'a>,
    tables: &'a Tables,
    classes: &'a [ClassId],
    edges: Edges<'a>,
    known: BTreeMap<StateId, Option<Access>>,
    /// Read when the first read-only zone is considered.
    sockets: Option<Sockets>,
    left: u32,
    zones: Vec<Zone>,
}

impl Search<'_> {
    /// Looks for zones below the directory `dir`, which is not one itself.
    fn below(&mut self, dir: &OwnedFd, path: &Path, state: StateId) {
        let entry = self.tables.state(state);
        if entry.out & HAS_LITERALS != 0 {
            for (name, next) in self.edges.of(self.tables, state) {
                self.enter(dir, path, &name, next);
            }
        }
        let has_globs = entry.out & !HAS_LITERALS != 0;
        let default = StateId(entry.default);
        if !has_globs && self.access(default).is_none() {
            return;
        }
        // What globs and the default lead to is known by the names that are there. A default that is no zone itself leads on
        // through the whole tree: not followed.
        for name in self.names(dir) {
            let next = self.tables.step(state, &name);
            if next != default || self.access(default).is_some() {
                self.enter(dir, path, &name, next);
            }
        }
    }

    /// Takes the directory `name` in `dir` as a zone, or looks below it.
    fn enter(&mut self, dir: &OwnedFd, path: &Path, name: &[u8], state: StateId) {
        let name = OsStr::from_bytes(name);
        let path = path.join(name);
        let entry = self.tables.state(state);
        let leads_nowhere =
            entry.out == 0 && self.access(state).is_none() && self.access(StateId(entry.default)).is_none();
        if leads_nowhere || OWN.iter().any(|own| Path::new(own) == path) || self.has(&path) || !self.spend() {
            return;
        }
        let Some(child) = open_directory(dir, name) else { return };
        let access = self.access(state);
        match access.map(|access| (access, self.sockets_seen(&path, access))) {
            Some((access, Seen::Nowhere)) => {
                if self.zones.len() < MOST {
                    self.zones.push(Zone { path, access });
                }
            }
            Some((_, Seen::Anywhere)) => {}
            Some((_, Seen::Below)) | None => self.below(&child, &path, state),
        }
    }

    /// Takes the file `path` as a zone, if it is in none.
    fn file(&mut self, path: &Path) {
        if self.zones.iter().any(|zone| path.starts_with(&zone.path)) || !is_ordinary_file(path) {
            return;
        }
        let names = path.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        let names: Vec<&[u8]> = names.collect();
        let access = match self.graph.file(self.tables.walk(&names), self.classes) {
            Some(graph::Zone::View) => Access::View,
            Some(graph::Zone::ReadOnly) => Access::ReadOnly,
            // It could not be removed or replaced, which the policy allows.
            Some(graph::Zone::Open) | None => return,
        };
        self.zones.push(Zone { path: path.to_owned(), access });
    }

    /// Where, as seen from the directory `path`, sockets would keep a zone from granting just `access`.
    ///
    /// A read-only mount does not stop a process from connecting to a socket or writing to a FIFO, which the policy
    /// refuses without `write`.
    fn sockets_seen(&mut self, path: &Path, access: Access) -> Seen {
        match access {
            Access::Full => Seen::Nowhere,
            Access::ReadOnly | Access::View => {
                self.sockets.get_or_insert_with(Sockets::of_this_machine).seen_from(path)
            }
        }
    }

    fn access(&mut self, state: StateId) -> Option<Access> {
        let zone = || {
            match self.graph.zone(state, self.classes)? {
                graph::Zone::Open => Some(Access::Full),
                graph::Zone::ReadOnly => Some(Access::ReadOnly),
                // A mount that nothing is executed from does not map for execution either, and libraries are.
                graph::Zone::View => None,
            }
        };
        // Nothing was ever compiled to be there.
        if state == StateId::DEAD { None } else { *self.known.entry(state).or_insert_with(zone) }
    }

    fn has(&self, path: &Path) -> bool {
        self.zones.iter().any(|zone| zone.path == path)
    }

    fn spend(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    /// The names of directories in `dir`.
    fn names(&mut self, dir: &OwnedFd) -> Vec<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let Ok(entries) = openat(dir, ".", flags, Mode::empty()).and_then(Dir::new) else { return Vec::new() };
        let mut names = Vec::new();
        for entry in entries.flatten() {
            if !self.spend() {
                break;
            }
            let name = entry.file_name().to_bytes();
            if matches!(entry.file_type(), FileType::Directory | FileType::Unknown) && name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort();
        names
    }
}

/// The literal edges by state: made when first asked for, since the tables hold them by hash.
#[derive(Default)]
struct Edges<'a> {
    by_state: Option<Vec<&'a boesfs_codegen::tables::Edge>>,
}

impl<'a> Edges<'a> {
    /// Names and targets of the literal edges of `state`.
    fn of(&mut self, tables: &'a Tables, state: StateId) -> Vec<(Vec<u8>, StateId)> {
        let edges = self.by_state.get_or_insert_with(|| {
            let mut edges: Vec<_> = tables.edges.iter().filter(|edge| edge.state != 0).collect();
            edges.sort_by_key(|edge| (edge.state, edge.name));
            edges
        });
        let start = edges.partition_point(|edge| edge.state < state.0);
        edges[start..]
            .iter()
            .take_while(|edge| edge.state == state.0)
            .filter_map(|edge| Some((name(tables, edge)?, StateId(edge.next))))
            .collect()
    }
}

/// The name of a literal edge.
fn name(tables: &Tables, edge: &boesfs_codegen::tables::Edge) -> Option<Vec<u8>> {
    let (start, length) = (edge.name as usize, edge.length as usize);
    let words = tables.names.get(start..start + length.div_ceil(8))?;
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.truncate(length);
    Some(bytes)
}

/// Whether `path` is a file of an ordinary file system, with no symbolic link on the way.
fn is_ordinary_file(path: &Path) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let look = || {
        let fd = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
        let kind = FileType::from_raw_mode(fstat(&fd)?.st_mode);
        rustix::io::Result::Ok(kind == FileType::RegularFile && !is_special_magic(fstatfs(&fd)?.f_type as u64))
    };
    look().unwrap_or(false)
}

/// Opens a directory of an ordinary file system.
fn open_directory(dir: impl std::os::fd::AsFd, name: &OsStr) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = openat(dir, name, flags, Mode::empty()).ok()?;
    let magic = fstatfs(&fd).ok()?.f_type as u64;
    (!is_special_magic(magic)).then_some(fd)
}
