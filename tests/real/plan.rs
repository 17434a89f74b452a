//! From requests of a case to attempts: who asks, with which arguments, on what. What cannot be made real is said why.

use std::collections::BTreeMap;

use boesfs_lang::cond::Arg;
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::policy::Policy;

use crate::case::{Case, Expected, Subject};
use crate::ways::{Asks, At, Place, WAYS, Way, With, opened_with};

/// Sizes beyond this are more than file systems take.
const LARGEST: u64 = 1 << 43;
/// The most that the actor moves at once.
const LONGEST: u64 = 1 << 20;
/// Below this depth, each operation is tried in its first way alone: making such trees takes long.
const DEEP: usize = 64;
/// So many requests of an operation are tried in every way; the others of the same case in one each, by turns: what a way asks
/// does not depend on the names.
const FIRST: usize = 12;
/// The size of a file where no condition looks at it.
const PAGE: u64 = 4096;

/// Under which session an attempt runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Session {
    /// `--role` for each.
    Roles(Vec<String>),
    /// As whoever runs it.
    Caller,
    /// By processes of several users.
    Users,
}

/// One request in one way.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// Index into the case's requests.
    pub(crate) request: usize,
    pub(crate) way: Way,
    /// What stands at the path: as the way says, but for the root.
    pub(crate) at: At,
    pub(crate) asks: Vec<Asks>,
    pub(crate) session: Session,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) exe: Option<Vec<Vec<u8>>>,
    pub(crate) owner: u32,
    pub(crate) flags: u32,
    pub(crate) mode: u32,
    /// The file's size before.
    pub(crate) before: u64,
    /// The size that is set.
    pub(crate) size: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// A request, in one way or in any, that cannot be made.
pub(crate) struct Unreal {
    pub(crate) line: usize,
    pub(crate) way: &'static str,
    pub(crate) why: &'static str,
}

/// The attempts of a case under `policy`, which is the case's own or less.
pub(crate) fn plan(case: &Case, policy: &Policy) -> (Vec<Attempt>, Vec<Unreal>) {
    let (mut attempts, mut unreal) = (Vec::new(), Vec::new());
    let mut seen = BTreeMap::new();
    for (index, request) in case.requests.iter().enumerate() {
        let mut ways: Vec<&Way> = WAYS.iter().filter(|way| way.op == request.op).collect();
        let before: &mut usize = seen.entry(request.op).or_default();
        if request.path.len() > DEEP {
            ways.truncate(1);
        } else if *before >= FIRST {
            // By turns.
            let len = ways.len();
            ways.rotate_left(*before % len);
            ways.truncate(1);
        }
        *before += 1;
        for way in ways {
            match attempt(policy, index, request, way) {
                Ok(attempt) => attempts.push(attempt),
                Err(why) => unreal.push(Unreal { line: request.line, way: way.name, why }),
            }
        }
    }
    (attempts, unreal)
}

fn attempt(policy: &Policy, index: usize, request: &Expected, way: &Way) -> Result<Attempt, &'static str> {
    let get = |arg| request.args.get(arg);
    let id = |value: u64| u32::try_from(value).ok().filter(|id| *id < u32::MAX).ok_or("no user has such a number");
    let (user, groups, exe, roles) = match &request.subject {
        Subject::Roles(roles) => (None, Vec::new(), None, Some(roles.clone())),
        Subject::Process { user, groups, exe } => (*user, groups.clone(), exe.clone(), None),
    };
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let uid = match user {
        Some(user) => user,
        None if own.0 != 0 && get(Arg::Uid) == 0 => own.0,
        None => id(get(Arg::Uid))?,
    };
    let gid = match groups.first() {
        Some(group) => *group,
        None if own.0 != 0 && get(Arg::Gid) == 0 => own.1,
        None => id(get(Arg::Gid))?,
    };
    let switches = (uid, gid) != own || !groups.is_empty();
    // Without an owner of its own, the object is the caller's: permissions are not what is tested here.
    let owner = if get(Arg::Owner) == 0 { uid } else { id(get(Arg::Owner))? };
    if own.0 != 0 && (switches || owner != own.0) {
        return Err("another user takes root");
    }
    let flags = u32::try_from(get(Arg::Flags)).map_err(|_| "no call has a flag with so high a bit")?;
    let asks = if flags != 0 && request.op == Op::Read {
        if way.name != "read.open" {
            return Err("the way has open flags of its own");
        }
        let asks = opened_with(flags);
        if !asks.iter().any(|Asks(op, ..)| *op == Op::Read) {
            return Err("nothing is read with these open flags");
        }
        asks
    } else {
        way.asks.to_vec()
    };
    if get(Arg::Size) > LARGEST || get(Arg::Offset) > LARGEST || get(Arg::Length) > LONGEST {
        return Err("no file is that large");
    }
    let at = if request.path.is_empty() { root(way)? } else { way.at };
    if way.name == "mknod.bind" && request.path.last().is_some_and(|name| name.len() > 107) {
        return Err("the name is too long for a socket's address");
    }
    let measured = measured(policy, &asks);
    if measured && !way.is_exact() {
        return Err("a condition looks at sizes, and the kernel chooses those of this way");
    }
    let length = if get(Arg::Length) == 0 { if measured { 1 } else { 4 } } else { get(Arg::Length) };
    let before = match request.op {
        _ if !measured => PAGE,
        Op::Append => get(Arg::Size).saturating_sub(length),
        _ => get(Arg::Size),
    };
    let mode = if request.op == Op::Chmod && get(Arg::Mode) == 0 { 0o600 } else { (get(Arg::Mode) & 0o7777) as u32 };
    let session = match roles {
        Some(roles) => Session::Roles(roles),
        None if switches => Session::Users,
        None => Session::Caller,
    };
    let (size, offset) = (get(Arg::Size), get(Arg::Offset));
    Ok(Attempt {
        request: index,
        way: *way,
        at,
        asks,
        session,
        uid,
        gid,
        groups,
        exe,
        owner,
        flags,
        mode,
        before,
        size,
        offset,
        length,
    })
}

/// What stands at the root of a site, which is a directory and has no name.
fn root(way: &Way) -> Result<At, &'static str> {
    let looks = [Op::List, Op::Stat, Op::Chmod, Op::Chown, Op::Utimes, Op::Statfs, Op::Getxattr, Op::Listxattr];
    let simple = matches!(way.asks, [Asks(_, Place::Path, _)]) && matches!(way.at, At::File | At::Dir);
    if simple && looks.contains(&way.op) { Ok(At::Dir) } else { Err("the root is a directory, and has no name") }
}

/// Whether a condition on one of these operations looks at sizes, offsets or lengths.
fn measured(policy: &Policy, asks: &[Asks]) -> bool {
    let ops: Vec<Op> = asks.iter().map(|Asks(op, ..)| *op).collect();
    let ops = Ops::of(&ops);
    let looks = |rule: &boesfs_lang::policy::Rule| {
        let args = rule.when.as_ref().map(boesfs_lang::cond::Cond::args).unwrap_or_default();
        [Arg::Size, Arg::Offset, Arg::Length].iter().any(|arg| args.contains(*arg))
    };
    policy.rules.iter().any(|rule| rule.ops.0 & ops.0 != 0 && looks(rule))
}

impl Attempt {
    /// The sets of arguments with which a hook may ask: they differ in what the kernel has already acted on.
    pub(crate) fn args(&self, ask: &Asks) -> Vec<boesfs_lang::cond::Args> {
        let Asks(op, _, with) = ask;
        let after = |grown: u64| self.before.max(grown);
        let offset = if self.way.seeks() { self.offset } else { 0 };
        let written =
            if self.way.name == "write.creat" { self.length } else { after(offset.saturating_add(self.length)) };
        let base = boesfs_lang::cond::Args::default()
            .with(Arg::Uid, self.uid.into())
            .with(Arg::Gid, self.gid.into())
            .with(Arg::Owner, self.owner.into());
        let set = |pairs: &[(Arg, u64)]| pairs.iter().fold(base, |args, (arg, value)| args.with(*arg, *value));
        let flags = |flags: u32, pairs: &[(Arg, u64)]| {
            let flags = if self.flags != 0 { self.flags } else { flags };
            crate::ways::seen(flags).map(|flags| set(pairs).with(Arg::Flags, flags.into())).to_vec()
        };
        let made = [self.owner, self.uid, rustix::process::geteuid().as_raw()];
        let sets = match *with {
            With::Nothing => vec![base],
            With::Open(f) => flags(f, &[(Arg::Size, if *op == Op::Exec { 0 } else { self.before })]),
            With::Make(f) => flags(f, &[(Arg::Mode, 0o666)]),
            With::Data(f) => {
                let size = if *op == Op::Write { written } else { self.before };
                flags(f, &[(Arg::Size, size), (Arg::Offset, offset), (Arg::Length, self.length)])
            }
            With::Append(f) => {
                let size = self.before.saturating_add(self.length);
                flags(f, &[(Arg::Size, size), (Arg::Offset, self.before), (Arg::Length, self.length)])
            }
            With::Size => vec![set(&[(Arg::Size, self.size)])],
            With::Mode => {
                [0, 0o100_000, 0o040_000].map(|kind| set(&[(Arg::Mode, u64::from(self.mode | kind))])).to_vec()
            }
            With::ModeOf(mode) => [mode, mode & 0o7777].map(|mode| set(&[(Arg::Mode, mode.into())])).to_vec(),
            With::Flags(f) if *op == Op::Truncate => flags(f, &[]),
            With::Flags(f) => vec![set(&[(Arg::Flags, f.into())])],
            With::Value(size) => vec![set(&[(Arg::Size, size.into())])],
        };
        let makes = matches!(op, Op::Create | Op::Mkdir | Op::Mknod | Op::Symlink) || matches!(with, With::Make(_));
        let owners: &[u32] = if makes { &made } else { &made[..1] };
        let owned =
            |args: boesfs_lang::cond::Args| owners.iter().map(move |owner| args.with(Arg::Owner, (*owner).into()));
        sets.into_iter().flat_map(owned).collect()
    }

    /// The attempt's line for the actor, at this site.
    pub(crate) fn line(&self, id: usize, site: &[Vec<u8>], path: &[Vec<u8>]) -> String {
        let at = |components: &[&[Vec<u8>]]| {
            let mut text = String::new();
            for byte in
                components.iter().flat_map(|part| part.iter()).flat_map(|name| [b"/".as_slice(), name]).flatten()
            {
                match byte {
                    b'\\' => text.push_str("\\x5c"),
                    b'!'..=b'~' => text.push(char::from(*byte)),
                    byte => text.push_str(&format!("\\x{byte:02x}")),
                }
            }
            text
        };
        let parent = path.split_last().map_or(&[][..], |(_, parent)| parent);
        let other = at(&[site, parent, &[crate::site::OTHER.to_vec()]]);
        let groups = self.groups.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let groups = if groups.is_empty() { "-".to_owned() } else { groups };
        let exe = self.exe.as_ref().map_or_else(|| "-".to_owned(), |exe| at(&[site, exe]));
        let Attempt { way, uid, gid, flags, mode, offset, length, size, .. } = self;
        let (name, path) = (way.name, at(&[site, path]));
        format!(
            "{id}\t{name}\t{path}\t{other}\t{uid}\t{gid}\t{groups}\t{exe}\t{flags}\t{mode}\t{offset}\t{length}\t{size}\n"
        )
    }
}
