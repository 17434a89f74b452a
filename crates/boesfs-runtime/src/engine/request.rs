//! One request as a line of JSON.
//!
//! ```json
//! {"op":"write","path":"/a/b","roles":["writer"],"args":{"size":4096}}
//! {"id":7,"op":"read","path_bytes":"2f61ff","user":"alice","group":[33,"staff"],"exe":"/usr/bin/x"}
//! ```
//!
//! `roles` is the set of active roles itself; `user`, `group` (one or several) and `exe` are a subject, whose roles
//! follow from the policy; with none of them, no role is active. Users and groups are numbers, or names that the policy
//! knows. `path_bytes` and `exe_bytes` are paths in hexadecimal, for bytes that are not UTF-8. `args` are by name, as
//! in conditions: those left out are 0. `id` can be anything, and comes back with the answer. Unknown fields are errors.

use std::borrow::Cow;
use std::fmt;

use boesfs_lang::cond::{Arg, Args};
use boesfs_lang::ops::Op;
use boesfs_lang::pattern::NAME_MAX;
use boesfs_lang::subjects::{Assignment, ClassId, IdRange, RoleId, Subjects};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RequestError(pub String);

/// A request, with its path still in one piece (see [`components`]).
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// What comes back with the answer.
    pub id: Option<&'a RawValue>,
    /// The operation.
    pub op: Op,
    /// The path.
    pub path: Cow<'a, [u8]>,
    /// The class of the subject. `None`: no set of roles that may be active belongs to it, so that it is refused everything.
    pub class: Option<ClassId>,
    /// The arguments.
    pub args: Args,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow)]
    path: Option<Cow<'a, str>>,
    path_bytes: Option<Hex>,
    roles: Option<Vec<Cow<'a, str>>>,
    user: Option<Name>,
    group: Option<Names>,
    exe: Option<Cow<'a, str>>,
    exe_bytes: Option<Hex>,
    #[serde(default, deserialize_with = "args")]
    args: Args,
}

/// A number, or a name.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Name {
    Id(u32),
    Known(String),
}

/// One or several.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Names {
    One(Name),
    Several(Vec<Name>),
}

/// The id of a request, from whatever else it says.
#[derive(serde::Deserialize)]
struct IdOnly<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// Reads a request.
///
/// # Errors
/// What is wrong with it, and its id where it has one.
pub fn parse<'a>(line: &'a [u8], subjects: &Subjects) -> Result<Asked<'a>, (Option<&'a RawValue>, RequestError)> {
    let id = || serde_json::from_slice::<IdOnly<'_>>(line).ok().and_then(|line| line.id);
    let asked = serde_json::from_slice::<Line<'_>>(line)
        .map_err(|error| RequestError(error.to_string()))
        .and_then(|line| understand(line, subjects));
    asked.map_err(|error| (id(), error))
}

fn understand<'a>(line: Line<'a>, subjects: &Subjects) -> Result<Asked<'a>, RequestError> {
    let op = Op::from_name(&line.op).ok_or_else(|| RequestError(format!("there is no operation `{}`", line.op)))?;
    if let Some(arg) = Arg::ALL.into_iter().find(|arg| line.args.get(*arg) != 0 && !op.carries(*arg)) {
        return Err(RequestError(format!("`{op}` carries no `{}`", arg.name())));
    }
    let path = path(line.path, line.path_bytes)?.ok_or_else(|| RequestError("the request names no path".into()))?;
    let exe = path_of_exe(line.exe, line.exe_bytes)?;
    let subject = line.user.is_some() || line.group.is_some() || exe.is_some();
    let class = match line.roles {
        Some(_) if subject => {
            return Err(RequestError("give either roles, or user, group and exe".into()));
        }
        Some(roles) => Some(class_of_roles(&roles, subjects)?),
        None => class_of_subject(line.user, line.group, exe.as_deref(), subjects)?,
    };
    Ok(Asked { id: line.id, op, path, class, args: line.args })
}

fn class_of_roles(names: &[Cow<'_, str>], subjects: &Subjects) -> Result<ClassId, RequestError> {
    let role = |name: &Cow<'_, str>| {
        subjects.role_by_name(name).ok_or_else(|| RequestError(format!("the policy has no role `{name}`")))
    };
    let roles = names.iter().map(role).collect::<Result<Vec<RoleId>, _>>()?;
    subjects
        .class_of(&roles)
        .ok_or_else(|| RequestError(format!("nobody can have the roles {} at once", names.join(", "))))
}

fn class_of_subject(
    user: Option<Name>,
    group: Option<Names>,
    exe: Option<&[u8]>,
    subjects: &Subjects,
) -> Result<Option<ClassId>, RequestError> {
    let uid = user.map(|user| number(user, "user", &subjects.users)).transpose()?;
    let groups = match group {
        None => Vec::new(),
        Some(Names::One(name)) => vec![name],
        Some(Names::Several(names)) => names,
    };
    let gids =
        groups.into_iter().map(|group| number(group, "group", &subjects.groups)).collect::<Result<Vec<u32>, _>>()?;
    let mut path = Vec::new();
    if let Some(exe) = exe {
        components(exe, &mut path)?;
    }
    Ok(subjects.class_of(&subjects.roles_of(uid, &gids, exe.is_some().then_some(&path))))
}

fn number(name: Name, kind: &str, assignments: &[Assignment<IdRange>]) -> Result<u32, RequestError> {
    match name {
        Name::Id(id) => Ok(id),
        Name::Known(name) => assignments
            .iter()
            .find(|a| a.name.as_ref() == Some(&name))
            .map(|a| a.subject.first)
            .ok_or_else(|| RequestError(format!("the policy names no {kind} `{name}`: give its number"))),
    }
}

fn path_of_exe<'a>(text: Option<Cow<'a, str>>, bytes: Option<Hex>) -> Result<Option<Cow<'a, [u8]>>, RequestError> {
    path(text, bytes).map_err(|RequestError(error)| RequestError(format!("exe: {error}")))
}

fn path<'a>(text: Option<Cow<'a, str>>, bytes: Option<Hex>) -> Result<Option<Cow<'a, [u8]>>, RequestError> {
    match (text, bytes) {
        (Some(_), Some(_)) => Err(RequestError("a path as text and as bytes".into())),
        (Some(Cow::Borrowed(text)), None) => Ok(Some(Cow::Borrowed(text.as_bytes()))),
        (Some(Cow::Owned(text)), None) => Ok(Some(Cow::Owned(text.into_bytes()))),
        (None, bytes) => Ok(bytes.map(|Hex(bytes)| Cow::Owned(bytes))),
    }
}

/// Splits an absolute path. Empty components and `.` say nothing, as in the kernel.
///
/// # Errors
/// Not absolute; `..`, whose meaning depends on the file system; NUL; a name that is too long for any file.
pub fn components<'a>(path: &'a [u8], into: &mut Vec<&'a [u8]>) -> Result<(), RequestError> {
    into.clear();
    if path.first() != Some(&b'/') {
        return Err(RequestError("the path is not absolute".into()));
    }
    if path.contains(&0) {
        return Err(RequestError("the path contains NUL".into()));
    }
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err(RequestError("the path contains `..`: resolve it first".into())),
            name if name.len() > NAME_MAX => {
                return Err(RequestError(format!("a name of {} bytes: no file has one", name.len())));
            }
            name => into.push(name),
        }
    }
    Ok(())
}

/// Bytes in hexadecimal.
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hex, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes =
            pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect::<Option<Vec<u8>>>();
        match bytes {
            Some(bytes) if rest.is_empty() => Ok(Hex(bytes)),
            _ => Err(serde::de::Error::custom("not pairs of hexadecimal digits")),
        }
    }
}

fn args<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Args, D::Error> {
    struct ByName;
    impl<'de> Visitor<'de> for ByName {
        type Value = Args;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("arguments by name")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Args, A::Error> {
            let mut args = Args::default();
            while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                let arg = Arg::from_name(&name)
                    .ok_or_else(|| serde::de::Error::custom(format_args!("there is no argument `{name}`")))?;
                args = args.with(arg, map.next_value()?);
            }
            Ok(args)
        }
    }
    deserializer.deserialize_map(ByName)
}
