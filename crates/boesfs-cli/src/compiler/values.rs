//! Values of options: `-D name=value`, `--limits name=number`, `--arg name=value`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::str::FromStr;

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::tables::MAX_CHAIN;
use boesfs_lang::check;
use boesfs_lang::cond::Arg;
use boesfs_lang::resolve::constants;

/// A value for a let.
#[derive(Clone, Debug)]
pub struct Define(pub check::Define);

impl Define {
    /// `NAME=VALUE`, any bytes.
    ///
    /// # Errors
    /// There is no `=`, or the name is not text.
    pub fn parse(text: OsString) -> Result<Define, &'static str> {
        let bytes = text.as_bytes();
        let at = bytes.iter().position(|byte| *byte == b'=').ok_or("a value for a let is written NAME=VALUE")?;
        let name = std::str::from_utf8(&bytes[..at]).map_err(|_| "the name of a let is text")?.to_owned();
        Ok(Define(check::Define { name, value: bytes[at + 1..].to_vec() }))
    }
}

/// What a limit is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of the automaton's limits with the same name")]
pub enum LimitName {
    States,
    Edges,
    GlobStates,
    GlobPlaces,
    Chain,
    Conditions,
    Classes,
    Cells,
}

const LIMITS: [(&str, LimitName); 8] = [
    ("states", LimitName::States),
    ("edges", LimitName::Edges),
    ("glob-states", LimitName::GlobStates),
    ("glob-places", LimitName::GlobPlaces),
    ("chain", LimitName::Chain),
    ("conditions", LimitName::Conditions),
    ("classes", LimitName::Classes),
    ("cells", LimitName::Cells),
];

/// A limit.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Of what.
    pub name: LimitName,
    /// At most this many.
    pub value: u32,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Limit, String> {
        let (name, value) = text.split_once('=').ok_or("a limit is written name=number")?;
        let known = || LIMITS.map(|(name, _)| name).join(", ");
        let (_, name) =
            LIMITS.iter().find(|(known, _)| *known == name).ok_or_else(|| format!("limits are {}", known()))?;
        let value: u32 = value.parse().map_err(|_| format!("`{value}` is no number below 2^32"))?;
        if *name == LimitName::Chain && value > MAX_CHAIN {
            return Err(format!("the chain is at most {MAX_CHAIN}: the kernel has to check every step of it"));
        }
        Ok(Limit { name: *name, value })
    }
}

impl Limit {
    /// Sets it in `limits`.
    pub(super) fn apply(self, limits: &mut Limits) {
        let field = match self.name {
            LimitName::States => &mut limits.states,
            LimitName::Edges => &mut limits.edges,
            LimitName::GlobStates => &mut limits.glob_states,
            LimitName::GlobPlaces => &mut limits.glob_places,
            LimitName::Chain => &mut limits.chain,
            LimitName::Conditions => &mut limits.conditions,
            LimitName::Classes => &mut limits.classes,
            LimitName::Cells => &mut limits.cells,
        };
        *field = self.value;
    }
}

/// An argument of a request.
#[derive(Clone, Copy, Debug)]
pub struct ArgValue {
    /// Which.
    pub arg: Arg,
    /// Its value.
    pub value: u64,
}

impl FromStr for ArgValue {
    type Err = String;

    fn from_str(text: &str) -> Result<ArgValue, String> {
        let (name, value) = text.split_once('=').ok_or("an argument is written name=value")?;
        let known = || Arg::ALL.map(Arg::name).join(", ");
        let arg = Arg::from_name(name).ok_or_else(|| format!("arguments are {}", known()))?;
        let bits = value.split('|').map(number).collect::<Result<Vec<u64>, String>>()?;
        Ok(ArgValue { arg, value: bits.into_iter().fold(0, |all, bits| all | bits) })
    }
}

fn number(text: &str) -> Result<u64, String> {
    if let Some(constant) = constants::by_name(text) {
        return Ok(constant.value);
    }
    let (digits, radix) = match text.get(..2) {
        Some("0x") => (&text[2..], 16),
        Some("0o") => (&text[2..], 8),
        Some("0b") => (&text[2..], 2),
        _ => (text, 10),
    };
    u64::from_str_radix(digits, radix).map_err(|_| format!("`{text}` is neither a number nor a constant like O_CREAT"))
}

/// The components of an absolute path.
pub(super) fn components(path: &std::path::Path) -> Result<Vec<Vec<u8>>, String> {
    let bytes = path.as_os_str().to_owned().into_vec();
    if bytes.first() != Some(&b'/') {
        return Err(format!("`{}` is not absolute", path.display()));
    }
    let names = bytes.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    names
        .map(|name| match name {
            b"." | b".." => {
                Err("`.` and `..` are resolved before a policy is asked: write the path they lead to".into())
            }
            name if name.len() > boesfs_lang::pattern::NAME_MAX => Err("a component is longer than 255 bytes".into()),
            name => Ok(name.to_vec()),
        })
        .collect()
}
