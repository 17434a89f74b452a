//! The family: programs that all sandboxes of a machine share, so that a task outside pays for one program of a hook, however many there are.
//!
//! ```text
//! kernel hook ──► program of the family ──► table: the task's cgroup ──► program array of the hook ──► the sandbox's program
//!                                            not there: 0                  nothing there: refused
//! kernel hook ──► gate                  ──► table: the task's cgroup ──► refused
//!                                            not there: 0
//! ```
//!
//! One family is for the cgroups that have so many above them, and one for sandboxes, whose tasks are in no cgroup below. What it is made of lives as long as
//! somebody holds it: every agent and [`Keeper`](super::Keeper) holds what its own sandbox needs. A directory in the root of the hierarchy, a
//! cgroup without tasks that nobody but root opens, has the number of the table; who changes something has locked it. Whoever was killed at that holds
//! no lock any more. What it leaves behind judges nobody, and is taken away by the next one that comes.
//!
//! Programs alone are changed without a lock, by who has the slot: each in its place of the arrays, then the word of the slot, at once.

mod stay;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use boesfs_codegen::bpf::{Place as Target, Program};
use boesfs_codegen::emit::layout::{Data, Map, dir_bits, family, moves};
use boesfs_codegen::emit::lsm::{Attach, PROGRAMS, dispatch, gate, gates, hooks};
use boesfs_codegen::object::PolicyObject;
use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, XattrFlags, fgetxattr, flock, fsetxattr, fstat, mkdirat, openat, statat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::thread::{MembarrierCommand, membarrier};

use super::{LsmError, Scope, cgroup, system};
use crate::kernel::shared::{self, Words};
use crate::kernel::sys::{self, ArrayKind, Kind, Numbered};
use crate::kernel::{KernelError, KernelTypes, program};

pub(super) use stay::Stay;

/// How the name of the directory begins.
const NAME: &str = "boesfs.lsm";
/// The attribute of it that tells the number of the table. Keepers, which have few capabilities, read it too.
const ATTRIBUTE: &str = "user.boesfs";
/// What the table is called in the kernel.
const TABLE: &str = "boesfs_family";
/// Places of other sandboxes that a new one looks at.
const LOOKED_AT: usize = 64;
/// How often the directory is looked for: whoever ends removes it.
const TRIES: u32 = 100;
/// How often, and after how long again, it is looked whether no directory moves.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(2);

/// The number of a hook that the programs of a family judge.
pub(super) fn hook(name: &str) -> Option<u32> {
    hooks().zip(0..).find(|(hook, _)| *hook == name).map(|(_, number)| number)
}

/// The gates, as bits by number: all, where the kernel has what each of them is attached to, else none.
pub(super) fn all_gates(types: &KernelTypes) -> u64 {
    let all = gates().map(|(number, hook)| kind_of(types, Attach::Lsm(hook)).map(|_| 1 << number));
    all.sum::<Option<u64>>().unwrap_or(0)
}

/// Who has the place of a cgroup already, if somebody does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder<'a> {
    /// This sandbox: its policy is replaced.
    Own(&'a Seat),
    /// Nobody who lives.
    Gone,
    /// Maybe somebody.
    Unknown,
}

/// The directory of a family.
#[derive(Debug)]
struct Home {
    hierarchy: OwnedFd,
    level: u32,
}

impl Home {
    fn name(&self) -> String {
        format!("{NAME}-{}-{}", family::FORMAT, self.level)
    }

    /// Opens and locks it; makes it where it is not there.
    fn lock(&self) -> io::Result<OwnedFd> {
        let name = self.name();
        for _ in 0..TRIES {
            match mkdirat(&self.hierarchy, &name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let directory = match openat(&self.hierarchy, &name, flags, Mode::empty()) {
                Err(Errno::NOENT) => continue,
                opened => opened?,
            };
            while let Err(error) = flock(&directory, FlockOperation::LockExclusive) {
                if error != Errno::INTR {
                    return Err(error.into());
                }
            }
            let own = fstat(&directory)?;
            let named = statat(&self.hierarchy, &name, AtFlags::SYMLINK_NOFOLLOW);
            if named.is_ok_and(|named| named.st_ino == own.st_ino) {
                // Who can open it can have everybody wait.
                let safe = own.st_uid == 0 && own.st_mode & 0o077 == 0;
                return if safe { Ok(directory) } else { Err(io::ErrorKind::PermissionDenied.into()) };
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The words of the table.
#[derive(Debug)]
struct Table(Words);

impl Table {
    fn of(map: &OwnedFd) -> io::Result<Table> {
        Words::of(map, family::BYTES).map(Table)
    }

    fn id(&self, slot: usize) -> &AtomicU64 {
        &self.0[(slot / family::WAYS * family::ROW_BYTES + family::IDS) / 8 + slot % family::WAYS]
    }

    fn word(&self, slot: usize) -> &AtomicU64 {
        &self.0[(slot / family::WAYS * family::ROW_BYTES + family::WORDS) / 8 + slot % family::WAYS]
    }

    fn claim(&self, slot: usize) -> &AtomicU64 {
        &self.0[family::CLAIMS / 8 + slot]
    }

    fn moves(&self) -> &AtomicU64 {
        &self.0[family::MOVES / 8]
    }

    fn rename(&self, which: usize) -> &AtomicU64 {
        &self.0[family::RENAMES / 8 + which]
    }

    fn hook(&self, number: u32) -> &AtomicU64 {
        &self.0[family::HOOKS / 8 + number as usize]
    }

    /// The slot of a cgroup.
    fn slot_of(&self, id: u64) -> Option<usize> {
        ways(id).find(|slot| self.id(*slot).load(Ordering::Relaxed) == id)
    }

    /// Frees a slot that no task can be judged by any more, and forgets about hooks that nobody else relies on. The directory is locked.
    fn vacate<'a>(&self, slot: usize, arrays: impl Iterator<Item = &'a OwnedFd>) {
        self.word(slot).store(0, Ordering::Release);
        for array in arrays {
            for index in indexes(slot) {
                shared::take(array, index);
            }
        }
        let claimed = self.claim(slot).swap(0, Ordering::Relaxed);
        self.id(slot).store(0, Ordering::Release);
        // The kernel empties an array some time after the last one has let it go: nobody must find it then.
        let claims = (0..family::SLOTS).fold(0, |all, slot| all | self.claim(slot).load(Ordering::Relaxed));
        for number in bits(claimed & !claims) {
            self.hook(number).store(0, Ordering::Relaxed);
        }
    }
}

/// Why programs cannot be shared.
fn unshared(why: impl Into<io::Error>) -> LsmError {
    system("share programs")(why.into())
}

/// What the kernel says of the parts of a family.
fn refused(source: KernelError) -> LsmError {
    LsmError::Kernel { program: "family", source }
}

/// The slots that a cgroup can have.
fn ways(id: u64) -> std::ops::Range<usize> {
    let first = family::row(id) * family::WAYS;
    first..first + family::WAYS
}

/// The indexes of a slot in program arrays.
fn indexes(slot: usize) -> [u32; 2] {
    [2 * slot as u32, 2 * slot as u32 + 1]
}

fn bits(of: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |bit| of >> bit & 1 == 1)
}

/// The place of a cgroup in the table of its family, and what keeps it working. Dropping it frees the place, unless it is another's to do.
#[derive(Debug)]
pub(super) struct Seat {
    home: Home,
    /// The map that the table is.
    map: OwnedFd,
    table: Table,
    /// The program arrays of hooks, with their numbers as far as they are known.
    arrays: Vec<(u32, OwnedFd)>,
    /// What keeps the programs of the family attached.
    links: Vec<OwnedFd>,
    /// The gates that refuse, as bits.
    gates: u64,
    id: u64,
    slot: usize,
    is_lent: bool,
}

/// Programs that are to judge.
#[derive(Debug)]
pub(super) struct Change {
    /// What the word of the slot is then.
    word: u64,
    /// The index of those before.
    other: u32,
}

/// What a keeper is told of a [`Seat`], besides the descriptors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) id: u64,
    pub(super) slot: u32,
    pub(super) level: u32,
    /// How many of the descriptors are program arrays.
    pub(super) arrays: u32,
}

impl Seat {
    /// Takes a place for the cgroup of `scope`, the hooks `wanted` and the gates `refusing`, both by number; makes what is not there yet. Gives the map
    /// that [`Data::Moves`] is, too.
    pub(super) fn take(
        scope: Scope,
        holder: Holder<'_>,
        wanted: u64,
        refusing: u64,
        object: &PolicyObject,
        types: &KernelTypes,
    ) -> Result<(Seat, OwnedFd), LsmError> {
        let hierarchy = cgroup::hierarchy().map_err(system("mount the cgroup2 hierarchy"))?;
        let home = Home { hierarchy, level: scope.level };
        // Until the end, or to where something fails.
        let lock = home.lock().map_err(system("open what sandboxes share"))?;
        let btf = sys::load_btf(&object.kernel.btf).map_err(refused)?;
        let there = match holder {
            Holder::Own(seat) => seat.map.try_clone().ok().and_then(parts),
            Holder::Gone | Holder::Unknown => found(&lock),
        };
        let (map, moves, mut links) = match there {
            Some(there) => there,
            None if matches!(holder, Holder::Own(_)) => {
                return Err(unshared(io::ErrorKind::NotFound));
            }
            None => new(&lock, object, types, &btf)?,
        };
        let table = Table::of(&map).map_err(system("read what sandboxes share"))?;
        stay::remove_gone(&lock, &table);
        remove_left_behind(&home, &table, scope.id);

        let before = table.slot_of(scope.id);
        let slot = match (before, holder) {
            (Some(slot), Holder::Own(_) | Holder::Gone) => slot,
            (Some(_), Holder::Unknown) => {
                return Err(unshared(io::Error::other("the cgroup is judged by another one already")));
            }
            (None, Holder::Own(_)) => return Err(unshared(io::ErrorKind::NotFound)),
            (None, _) => ways(scope.id)
                .find(|slot| table.id(*slot).load(Ordering::Relaxed) == 0)
                .ok_or_else(|| unshared(io::Error::other("too many sandboxes")))?,
        };
        let claims = wanted | refusing | table.claim(slot).load(Ordering::Relaxed);
        let mut arrays = Vec::new();
        for number in bits(claims) {
            if let Some((_, hook)) = gates().find(|(gate, _)| *gate == number) {
                links.push(of_gate(&table, &map, (number, hook), types, &btf)?);
                continue;
            }
            let (array, link) = of_hook(&table, &map, number, scope.level, types, &btf)?;
            arrays.push((number, array));
            links.push(link);
        }
        table.claim(slot).store(claims, Ordering::Relaxed);
        table.id(slot).store(scope.id, Ordering::Release);
        let is_lent = matches!(holder, Holder::Own(_));
        Ok((Seat { home, map, table, arrays, links, gates: refusing, id: scope.id, slot, is_lent }, moves))
    }

    /// Puts these programs, each for the hook with this number, to where they are found once [`Seat::judge`] is told of it.
    pub(super) fn put<'a>(&self, programs: impl Iterator<Item = (u32, &'a OwnedFd)>) -> Result<Change, LsmError> {
        let [even, odd] = indexes(self.slot);
        let old = self.table.word(self.slot).load(Ordering::Relaxed);
        let (index, other) =
            if old != 0 && old >> family::INDEX == u64::from(even) { (odd, even) } else { (even, odd) };
        let mut word = u64::from(index) << family::INDEX | self.gates;
        for (number, program) in programs {
            let array = self.arrays.iter().find(|(of, _)| *of == number);
            let (_, array) = array.ok_or_else(|| unshared(io::ErrorKind::NotFound))?;
            shared::put(array, index, program).map_err(refused)?;
            word |= 1 << number;
        }
        Ok(Change { word, other })
    }

    /// Has the programs of `change` judge the cgroup, in the place of those that did before: all of them at once.
    pub(super) fn judge(&self, change: Change) {
        self.table.word(self.slot).store(change.word, Ordering::Release);
        // Whoever has read the word before goes on with a program of the old policy. Where that cannot be waited for, it may be refused.
        let _ = membarrier(MembarrierCommand::Global);
        for (_, array) in &self.arrays {
            shared::take(array, change.other);
        }
    }

    /// The descriptors that a keeper holds, and what it is told of them.
    pub(super) fn descriptors(&self) -> (Told, Vec<BorrowedFd<'_>>) {
        let told =
            Told { id: self.id, slot: self.slot as u32, level: self.home.level, arrays: self.arrays.len() as u32 };
        let first = [&self.home.hierarchy, &self.map];
        let arrays = self.arrays.iter().map(|(_, array)| array);
        (told, first.into_iter().chain(arrays).chain(&self.links).map(AsFd::as_fd).collect())
    }

    /// What [`Seat::descriptors`] described, received.
    pub(super) fn received(told: Told, descriptors: Vec<OwnedFd>) -> io::Result<Seat> {
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().ok_or(io::ErrorKind::UnexpectedEof);
        let home = Home { hierarchy: next()?, level: told.level };
        let map = next()?;
        let table = Table::of(&map)?;
        let mut arrays = Vec::new();
        for _ in 0..told.arrays {
            arrays.push((u32::MAX, next()?));
        }
        let slot = told.slot as usize;
        if slot >= family::SLOTS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let links = descriptors.collect();
        Ok(Seat { home, map, table, arrays, links, gates: 0, id: told.id, slot, is_lent: false })
    }

    /// Says that somebody else frees the place.
    pub(super) fn lend(&mut self) {
        self.is_lent = true;
    }

    /// How many programs of the family lead to its own.
    pub(super) fn hooks(&self) -> usize {
        self.arrays.len()
    }

    /// How many gates refuse.
    pub(super) fn gates(&self) -> u32 {
        self.gates.count_ones()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.is_lent {
            return;
        }
        let Ok(lock) = self.home.lock() else { return };
        if self.table.id(self.slot).load(Ordering::Relaxed) == self.id {
            self.table.vacate(self.slot, self.arrays.iter().map(|(_, array)| array));
        }
        stay::remove_gone(&lock, &self.table);
        let is_this = |number| shared::number(&self.map).is_ok_and(|own| own == number);
        let is_empty = || (0..family::SLOTS).all(|slot| self.table.id(slot).load(Ordering::Relaxed) == 0);
        // Where it tells of none, it was made for the lock alone.
        if number_at(&lock).is_none_or(|number| is_this(number) && is_empty()) {
            let _ = unlinkat(&self.home.hierarchy, self.home.name(), AtFlags::REMOVEDIR);
        }
    }
}

/// The number of the table, by its directory.
fn number_at(lock: &OwnedFd) -> Option<u32> {
    attribute(lock)?.try_into().ok()
}

/// What the attribute of a directory tells.
fn attribute(directory: &OwnedFd) -> Option<u64> {
    let mut text = [0; 20];
    let length = fgetxattr(directory, ATTRIBUTE, &mut text).ok()?;
    std::str::from_utf8(text.get(..length)?).ok()?.parse().ok()
}

/// The parts of the family that is there, unless it is better to make another one.
fn found(lock: &OwnedFd) -> Option<Parts> {
    let map = sys::open(Numbered::Map, number_at(lock)?).ok()?;
    if !shared::is_memory(&map, TABLE, family::BYTES) {
        return None;
    }
    parts(map).filter(|(_, moves, _)| is_fresh(moves))
}

/// Whether states can be kept for a long time to come: generations are not near their end, and no directory counts as moving for good.
fn is_fresh(moves: &OwnedFd) -> bool {
    for _ in 0..LOOKS {
        let Ok(content) = sys::read_data(moves, Data::Moves) else { return false };
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| content[at + i]));
        if word(moves::GENERATION) > dir_bits::GENERATIONS / 2 {
            return false;
        }
        if word(moves::MOVING) == 0 {
            return true;
        }
        std::thread::sleep(PAUSE);
    }
    false
}

/// The table of a family, the map of [`Data::Moves`], and the links of the programs about renames.
type Parts = (OwnedFd, OwnedFd, Vec<OwnedFd>);

/// What belongs to a table.
fn parts(map: OwnedFd) -> Option<Parts> {
    let table = Table::of(&map).ok()?;
    let moves = sys::open(Numbered::Map, table.moves().load(Ordering::Relaxed) as u32).ok()?;
    let link = |which| sys::open(Numbered::Link, table.rename(which).load(Ordering::Relaxed) as u32).ok();
    let links = vec![link(0)?, link(1)?];
    Some((map, moves, links))
}

/// Makes a family, which is found from then on.
fn new(lock: &OwnedFd, object: &PolicyObject, types: &KernelTypes, btf: &OwnedFd) -> Result<Parts, LsmError> {
    let map = sys::create_array(TABLE, family::BYTES, ArrayKind::Memory).map_err(refused)?;
    let table = Table::of(&map).map_err(system("read what sandboxes share"))?;
    let moves = program::create_moves().map_err(refused)?;
    let renaming = sys::create_map(Map::Renaming, btf).map_err(refused)?;
    let resolve = |place| match place {
        Target::Data(Data::Moves) => sys::map_value(&moves),
        Target::Map(Map::Renaming) => sys::map(&renaming),
        // None that these use: the verifier refuses the null that this would be.
        _ => (0, 0),
    };
    let mut links = Vec::new();
    // What ends first: an end without a beginning does nothing, but a beginning without an end stays for good.
    for (known, which) in PROGRAMS.iter().rev().filter(|known| is_about_renames(known.attach)).zip(0..) {
        let kernel = |source| LsmError::Kernel { program: known.name, source };
        let kind =
            kind_of(types, known.attach).ok_or(KernelError::Types(Some(known.name.to_owned()))).map_err(kernel)?;
        let loaded = program::load(object, types, btf, known.name, kind, resolve).map_err(kernel)?;
        let link = sys::attach(&loaded).map_err(kernel)?;
        table.rename(which).store(shared::number(&link).map_err(refused)?.into(), Ordering::Relaxed);
        links.push(link);
    }
    table.moves().store(shared::number(&moves).map_err(refused)?.into(), Ordering::Relaxed);
    let number = shared::number(&map).map_err(refused)?.to_string();
    fsetxattr(lock, ATTRIBUTE, number.as_bytes(), XattrFlags::empty())
        .map_err(io::Error::from)
        .map_err(system("say what sandboxes share"))?;
    Ok((map, moves, links))
}

/// Whether it is a program that counts renames, for everybody.
pub(super) fn is_about_renames(attach: Attach) -> bool {
    matches!(attach, Attach::Exit(_) | Attach::Lsm("inode_rename"))
}

/// What a program is loaded as on this kernel, if it has what it is attached to.
pub(super) fn kind_of(types: &KernelTypes, attach: Attach) -> Option<Kind<'static>> {
    match attach {
        Attach::Lsm(hook) => types.function(&format!("bpf_lsm_{hook}")).map(|(number, _)| Kind::Lsm(number)),
        Attach::Exit(name) => types.function(name).map(|(number, _)| Kind::Exit(number)),
    }
}

/// The program array of a hook, and what keeps the family's program attached there; made where nobody has them.
fn of_hook(
    table: &Table,
    map: &OwnedFd,
    number: u32,
    level: u32,
    types: &KernelTypes,
    btf: &OwnedFd,
) -> Result<(OwnedFd, OwnedFd), LsmError> {
    let name = hooks().nth(number as usize).unwrap_or_default();
    let kernel = |source| LsmError::Kernel { program: name, source };
    let known = table.hook(number).load(Ordering::Relaxed);
    let array = sys::open(Numbered::Map, known as u32);
    let link = sys::open(Numbered::Link, (known >> 32) as u32);
    let array = match (array, link) {
        (Ok(array), Ok(link)) => return Ok((array, link)),
        (Ok(array), Err(_)) => array,
        (Err(_), _) => shared::create_programs(name, family::PROGRAMS).map_err(kernel)?,
    };
    let emitted = dispatch(number, level).map_err(|error| unshared(io::Error::other(error)))?;
    let link = attached(&emitted, name, types, map, Some(&array), btf).map_err(kernel)?;
    let numbers =
        u64::from(shared::number(&array).map_err(kernel)?) | u64::from(shared::number(&link).map_err(kernel)?) << 32;
    table.hook(number).store(numbers, Ordering::Relaxed);
    Ok((array, link))
}

/// What keeps a gate attached; made where nobody has it.
fn of_gate(
    table: &Table,
    map: &OwnedFd,
    (number, hook): (u32, &'static str),
    types: &KernelTypes,
    btf: &OwnedFd,
) -> Result<OwnedFd, LsmError> {
    let kernel = |source| LsmError::Kernel { program: hook, source };
    let known = table.hook(number).load(Ordering::Relaxed);
    if let Ok(link) = sys::open(Numbered::Link, (known >> 32) as u32) {
        return Ok(link);
    }
    let emitted = gate(number).map_err(|error| unshared(io::Error::other(error)))?;
    let link = attached(&emitted, hook, types, map, None, btf).map_err(kernel)?;
    let link_number = shared::number(&link).map_err(kernel)?;
    table.hook(number).store(u64::from(link_number) << 32, Ordering::Relaxed);
    Ok(link)
}

/// A program of the family, loaded for a hook and attached there.
fn attached(
    emitted: &Program,
    name: &'static str,
    types: &KernelTypes,
    map: &OwnedFd,
    programs: Option<&OwnedFd>,
    btf: &OwnedFd,
) -> Result<OwnedFd, KernelError> {
    let code: Vec<[u8; 8]> = emitted
        .encoded(|place| match (place, programs) {
            (Target::Family, _) => sys::map_value(map),
            (Target::Programs, Some(programs)) => sys::map(programs),
            _ => (0, 0),
        })
        .collect();
    let kind = kind_of(types, Attach::Lsm(name)).ok_or(KernelError::Types(Some(name.to_owned())))?;
    let load = sys::Load { name, code: &code, btf, func_info: &[], line_info: &[], kind };
    sys::attach(&sys::load_program(&load)?)
}

/// Frees places of cgroups that are there no more: whoever had them was killed. Of all that are taken it looks at [`LOOKED_AT`], those of the own row first:
/// where the next sandbox begins is as good as random, so the others come to their turn. The directory is locked.
fn remove_left_behind(home: &Home, table: &Table, own: u64) {
    // That of a mount is for opening others alone, and of no use to find a cgroup by.
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(hierarchy) = openat(&home.hierarchy, ".", flags, Mode::empty()) else { return };
    let mut arrays = None;
    let slots = (ways(own).start..family::SLOTS).chain(0..ways(own).start);
    let taken = slots.map(|slot| (slot, table.id(slot).load(Ordering::Relaxed)));
    for (slot, id) in taken.filter(|(_, id)| *id != 0 && *id != own).take(LOOKED_AT) {
        if shared::cgroup_exists(&hierarchy, id) {
            continue;
        }
        let arrays: &Vec<OwnedFd> = arrays.get_or_insert_with(|| {
            let numbers = (0..hooks().count() as u32).map(|number| table.hook(number).load(Ordering::Relaxed));
            numbers.filter_map(|numbers| sys::open(Numbered::Map, numbers as u32).ok()).collect()
        });
        table.vacate(slot, arrays.iter());
    }
}
