//! Nodes: the objects of the tree below that the kernel knows, each keyed by (device, inode, kind, state).
//!
//! A node costs a descriptor only once it is needed: a directory when something in it is named, a file when it is unlinked or
//! its metadata is changed. Until then it is found by one name in its parent, and the inode it leads to is compared.

use std::ffi::{CStr, CString};
use std::hash::{BuildHasher, BuildHasherDefault};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use boesfs_codegen::tables::StateId;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::descriptors::{self, Held, Use};
use super::handle::Backing;

const SHARDS: usize = 16;

/// The most names that a chain of parents is followed by where every state is found anew.
const DEEPEST: usize = 1 << 20;

/// Which inode below, and what kind of object it is (the `S_IFMT` bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Inode {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) kind: u32,
}

impl Inode {
    pub(super) fn of(stat: &Stat) -> Inode {
        Inode { dev: stat.st_dev, ino: stat.st_ino, kind: stat.st_mode & libc::S_IFMT }
    }
}

/// A name in a directory.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) parent: Arc<Node>,
    pub(super) name: CString,
}

/// One object as one state sees it.
#[derive(Debug)]
pub(super) struct Node {
    /// The number that the kernel knows it by; never used twice.
    pub(super) id: u64,
    pub(super) inode: Inode,
    state: AtomicU32,
    /// References the kernel holds. Changed under the lock of the key's shard alone.
    lookups: AtomicU64,
    fd: OnceLock<Held>,
    place: Mutex<Option<Place>>,
    /// The directory that it was made in without a name.
    unnamed_in: OnceLock<Arc<Node>>,
    /// Until when a name that the kernel holds may lead here though it leads elsewhere by the policy in force: milliseconds
    /// since the first node was made. 0: none does.
    settles: AtomicU64,
    /// Whether it had several names, or may have had, when the policy became another one.
    has_other_names: AtomicBool,
    /// How open files of this node share a passthrough registration.
    pub(super) backing: Mutex<Backing>,
}

impl Node {
    fn new(id: u64, inode: Inode, state: StateId, place: Option<Place>) -> Node {
        Node {
            id,
            inode,
            state: AtomicU32::new(state.0),
            lookups: AtomicU64::new(1),
            fd: OnceLock::new(),
            place: Mutex::new(place),
            unnamed_in: OnceLock::new(),
            settles: AtomicU64::new(0),
            has_other_names: AtomicBool::new(false),
            backing: Mutex::default(),
        }
    }

    /// The automaton state of its name.
    pub(super) fn state(&self) -> StateId {
        StateId(self.state.load(Ordering::Acquire))
    }

    pub(super) fn is_dir(&self) -> bool {
        self.inode.kind == libc::S_IFDIR
    }

    pub(super) fn is_file(&self) -> bool {
        self.inode.kind == libc::S_IFREG
    }

    /// Its descriptor (`O_PATH`), if it has one already.
    pub(super) fn held(&self) -> Option<BorrowedFd<'_>> {
        self.fd.get().map(AsFd::as_fd)
    }

    /// Its descriptor (`O_PATH`), opened now if need be.
    ///
    /// # Errors
    /// `ESTALE` where its name leads to another inode by now; `ENFILE` where too many are held.
    pub(super) fn fd(&self) -> Result<BorrowedFd<'_>, Errno> {
        if let Some(fd) = self.fd.get() {
            return Ok(fd.as_fd());
        }
        let place = self.place().ok_or(Errno::STALE)?;
        descriptors::room(Use::Node)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(place.parent.fd()?, &*place.name, flags, Mode::empty()).map_err(stale)?;
        self.verify(&rustix::fs::fstat(&fd)?)?;
        Ok(self.fd.get_or_init(|| Held::new(fd)).as_fd())
    }

    /// Its attributes below.
    pub(super) fn stat(&self) -> Result<Stat, Errno> {
        if let Some(fd) = self.fd.get() {
            return rustix::fs::fstat(fd);
        }
        let place = self.place().ok_or(Errno::STALE)?;
        let stat = rustix::fs::statat(place.parent.fd()?, &*place.name, AtFlags::SYMLINK_NOFOLLOW).map_err(stale)?;
        self.verify(&stat)?;
        Ok(stat)
    }

    /// That `stat` is of this node's inode.
    pub(super) fn verify(&self, stat: &Stat) -> Result<(), Errno> {
        if Inode::of(stat) == self.inode { Ok(()) } else { Err(Errno::STALE) }
    }

    /// A name it was last found by; none for the root and for files without a name.
    pub(super) fn place(&self) -> Option<Place> {
        lock(&self.place).clone()
    }

    /// Notes that `name` in `parent` leads here.
    pub(super) fn set_place(&self, parent: &Arc<Node>, name: &CStr) {
        let mut place = lock(&self.place);
        let known = place.as_ref().is_some_and(|p| Arc::ptr_eq(&p.parent, parent) && p.name.as_c_str() == name);
        if !known {
            *place = Some(Place { parent: parent.clone(), name: name.to_owned() });
        }
    }

    /// Whether the kernel may still come here by a name from before the policy in force, which leads to another node now.
    pub(super) fn is_settling(&self) -> bool {
        let settles = self.settles.load(Ordering::Relaxed);
        settles != 0 && millis() < settles
    }

    /// Whether requests may come here by a name that another state than this node's belongs to.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.has_other_names.load(Ordering::Relaxed) && self.is_settling()
    }

    /// Its absolute path inside the mount, from the names it was found by.
    pub(super) fn path(&self) -> Vec<u8> {
        let mut names = Vec::new();
        let mut next = self.place();
        if next.is_none() && self.id != super::ROOT {
            names.push(c"(unnamed)".to_owned());
        }
        while let Some(place) = next {
            next = place.parent.place();
            names.push(place.name);
        }
        join(names.iter().rev().map(|name| name.as_bytes()))
    }

    /// The path of `name` in this directory.
    pub(super) fn path_of(&self, name: &CStr) -> Vec<u8> {
        let mut path = self.path();
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(name.to_bytes());
        path
    }
}

impl Drop for Node {
    /// Drops the chain of parents in a loop: a deep tree must not take a deep stack.
    fn drop(&mut self) {
        let mut next = self.place.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        while let Some(place) = next {
            next = match Arc::into_inner(place.parent) {
                Some(mut parent) => parent.place.get_mut().unwrap_or_else(PoisonError::into_inner).take(),
                None => None,
            };
        }
    }
}

/// Milliseconds since this was first asked, and one more.
fn millis() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_millis() as u64 + 1
}

fn join<'a>(names: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut path = Vec::new();
    for name in names {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

/// A name that is gone means that what we know of it is old: the kernel asks again.
pub(super) fn stale(errno: Errno) -> Errno {
    if errno == Errno::NOENT || errno == Errno::NOTDIR || errno == Errno::LOOP { Errno::STALE } else { errno }
}

/// The lock's content, also after a panic elsewhere.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Key = (Inode, StateId);
type ByKey = FxHashMap<Key, Arc<Node>>;
type ById = FxHashMap<u64, Arc<Node>>;

/// All nodes. A shard of keys is chosen by the inode alone, so that a change of state stays within one shard.
#[derive(Debug)]
pub(super) struct Nodes {
    by_key: [Mutex<ByKey>; SHARDS],
    by_id: [RwLock<ById>; SHARDS],
    next: AtomicU64,
}

impl Nodes {
    /// The table with its root, which the kernel never forgets.
    pub(super) fn new(root: OwnedFd, state: StateId) -> Result<Nodes, Errno> {
        let stat = rustix::fs::fstat(&root)?;
        let nodes =
            Nodes { by_key: Default::default(), by_id: Default::default(), next: AtomicU64::new(super::ROOT + 1) };
        let node = Arc::new(Node::new(super::ROOT, Inode::of(&stat), state, None));
        node.lookups.store(u64::MAX / 2, Ordering::Relaxed);
        if node.fd.set(Held::new(root)).is_err() {
            return Err(Errno::IO);
        }
        write(&nodes.by_id[super::ROOT as usize % SHARDS]).insert(super::ROOT, node);
        Ok(nodes)
    }

    /// The node with number `id`.
    pub(super) fn get(&self, id: u64) -> Result<Arc<Node>, Errno> {
        let shard = self.by_id[id as usize % SHARDS].read().unwrap_or_else(PoisonError::into_inner);
        shard.get(&id).cloned().ok_or(Errno::STALE)
    }

    /// The node for what `name` in `parent` is, with one more reference held by the kernel.
    pub(super) fn refer(&self, inode: Inode, state: StateId, parent: &Arc<Node>, name: &CStr) -> Arc<Node> {
        let mut shard = lock(self.keys(inode));
        if let Some(node) = shard.get(&(inode, state)) {
            node.lookups.fetch_add(1, Ordering::Relaxed);
            node.set_place(parent, name);
            return node.clone();
        }
        let place = Place { parent: parent.clone(), name: name.to_owned() };
        self.insert(&mut shard, inode, state, Some(place))
    }

    /// A node for a file that was made in `parent` without a name, of which `fd` (`O_PATH`) is a descriptor.
    pub(super) fn refer_unnamed(&self, inode: Inode, state: StateId, parent: &Arc<Node>, fd: OwnedFd) -> Arc<Node> {
        let mut shard = lock(self.keys(inode));
        let node = match shard.get(&(inode, state)) {
            Some(node) => {
                node.lookups.fetch_add(1, Ordering::Relaxed);
                node.clone()
            }
            None => self.insert(&mut shard, inode, state, None),
        };
        let _ = node.unnamed_in.set(parent.clone());
        // Where another name was found first, its descriptor is as good.
        let _ = node.fd.set(Held::new(fd));
        node
    }

    fn insert(&self, shard: &mut ByKey, inode: Inode, state: StateId, place: Option<Place>) -> Arc<Node> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let node = Arc::new(Node::new(id, inode, state, place));
        shard.insert((inode, state), node.clone());
        write(&self.by_id[id as usize % SHARDS]).insert(id, node.clone());
        node
    }

    /// The node of (`inode`, `state`), if the kernel knows one.
    pub(super) fn find(&self, inode: Inode, state: StateId) -> Option<Arc<Node>> {
        lock(self.keys(inode)).get(&(inode, state)).cloned()
    }

    /// Takes back `count` references of the kernel.
    pub(super) fn forget(&self, id: u64, count: u64) {
        let Ok(node) = self.get(id) else { return };
        if id == super::ROOT {
            return;
        }
        let mut shard = lock(self.keys(node.inode));
        let before = node.lookups.load(Ordering::Relaxed);
        node.lookups.store(before.saturating_sub(count), Ordering::Relaxed);
        if before > count {
            return;
        }
        let key = (node.inode, node.state());
        if shard.get(&key).is_some_and(|known| Arc::ptr_eq(known, &node)) {
            shard.remove(&key);
        }
        drop(shard);
        let gone = write(&self.by_id[id as usize % SHARDS]).remove(&id);
        drop(gone);
    }

    /// Moves a node to the name `name` in `parent`, whose state is `state`.
    pub(super) fn moved(&self, node: &Arc<Node>, state: StateId, parent: &Arc<Node>, name: &CStr) {
        let mut shard = lock(self.keys(node.inode));
        let old = (node.inode, node.state());
        if shard.get(&old).is_some_and(|known| Arc::ptr_eq(known, node)) {
            shard.remove(&old);
        }
        node.state.store(state.0, Ordering::Release);
        // Another name of the same file may be known there already: then that node stays the one to be found.
        shard.entry((node.inode, state)).or_insert_with(|| node.clone());
        node.set_place(parent, name);
    }

    /// Makes a node unfindable by its inode: its last name is gone, and the number may be used again.
    pub(super) fn unkey(&self, node: &Arc<Node>) {
        let mut shard = lock(self.keys(node.inode));
        let key = (node.inode, node.state());
        if shard.get(&key).is_some_and(|known| Arc::ptr_eq(known, node)) {
            shard.remove(&key);
        }
    }

    /// Gives every node the state that its name leads to by another policy: `step` is that policy's.
    ///
    /// Directories stay the nodes that they are: each has one name, and the sandbox's mounts stand on some. So do files of one
    /// name that nobody has open. Other files are looked up anew, as other nodes: they may have names of different states now, and
    /// the kernel wants the data of all open files of a node to flow in one way; of links it keeps the targets. Until `lifetime` is
    /// over, the kernel may come to the old ones by the names that it holds.
    pub(super) fn restate(&mut self, step: impl Fn(StateId, &CStr) -> StateId, lifetime: Duration) {
        let mut all: Vec<Arc<Node>> = Vec::new();
        for shard in &mut self.by_id {
            all.extend(shard.get_mut().unwrap_or_else(PoisonError::into_inner).values().cloned());
        }
        let mut keyed = FxHashSet::default();
        for shard in &mut self.by_key {
            let shard = std::mem::take(shard.get_mut().unwrap_or_else(PoisonError::into_inner));
            keyed.extend(shard.into_values().map(|node| node.id));
        }
        let mut states = FxHashMap::from_iter([(super::ROOT, StateId::ROOT)]);
        let settled = millis() + lifetime.as_millis() as u64;
        for node in all {
            let state = state_by_names(&node, &step, &mut states);
            node.state.store(state.0, Ordering::Release);
            let open = lock(&node.backing).is_used();
            let names = if node.is_dir() { 1 } else { names_of(&node) };
            let is_link = node.inode.kind == libc::S_IFLNK;
            if open || names != 1 || is_link {
                node.has_other_names.store(names > 1, Ordering::Relaxed);
                node.settles.store(settled, Ordering::Relaxed);
            } else if keyed.contains(&node.id) {
                lock(self.keys(node.inode)).entry((node.inode, state)).or_insert(node);
            }
        }
    }

    fn keys(&self, inode: Inode) -> &Mutex<ByKey> {
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one(inode);
        &self.by_key[(hash >> 57) as usize % SHARDS]
    }
}

/// How many names a file has; more than one where that cannot be told.
fn names_of(node: &Node) -> u64 {
    node.stat().map_or(u64::MAX, |stat| stat.st_nlink)
}

/// The state that the names which `node` was found by lead to. `states` holds those that are known, by number.
fn state_by_names(
    node: &Arc<Node>,
    step: impl Fn(StateId, &CStr) -> StateId,
    states: &mut FxHashMap<u64, StateId>,
) -> StateId {
    let mut names: Vec<(u64, CString)> = Vec::new();
    let mut at = node.clone();
    let mut state = loop {
        if let Some(known) = states.get(&at.id) {
            break *known;
        }
        let unnamed = || Some(Place { parent: at.unnamed_in.get()?.clone(), name: super::make::UNNAMED.to_owned() });
        match at.place().or_else(unnamed) {
            Some(place) if names.len() < DEEPEST => {
                names.push((at.id, place.name));
                at = place.parent;
            }
            // Without a name, or its names lead round in a circle: nothing is allowed there.
            _ => break StateId::DEAD,
        }
    };
    for (id, name) in names.into_iter().rev() {
        state = step(state, &name);
        states.insert(id, state);
    }
    state
}

fn write(map: &RwLock<ById>) -> std::sync::RwLockWriteGuard<'_, ById> {
    map.write().unwrap_or_else(PoisonError::into_inner)
}
