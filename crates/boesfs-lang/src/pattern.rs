//! Path patterns and paths: bytes in components.
//!
//! A component is 1 to 255 bytes, none of them `/` or NUL. `.` and `..` never stand in a path: rules speak of
//! objects, and the kernel has resolved those before anyone asks.

use serde::{Deserialize, Serialize};

/// The longest component: Linux's `NAME_MAX`.
pub const NAME_MAX: usize = 255;

/// A pattern: which objects a rule concerns.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pattern {
    /// The components, from the root.
    pub components: Vec<Component>,
    /// What the pattern covers at the place its components name.
    pub extent: Extent,
}

/// What a pattern covers at the place its components name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Extent {
    /// `"/a/b"`: that object alone.
    Object,
    /// `"/a/b/"`: that object and all below it.
    Tree,
}

/// One component of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Component {
    /// Exactly these bytes.
    Literal(Vec<u8>),
    /// A name that the glob matches.
    Glob(Glob),
    /// `**`: any number of components; at the end of a pattern, one or more.
    Any,
}

/// A glob over one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Glob(pub Vec<GlobPart>);

/// One part of a glob.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GlobPart {
    /// Exactly this byte.
    Byte(u8),
    /// `?`: one byte.
    One,
    /// `*`: any bytes, also none.
    Star,
    /// `[a-z]`, `[!a-z]`: one byte in (or not in) the inclusive ranges.
    Set {
        /// Whether the set is negated.
        negated: bool,
        /// Inclusive ranges of bytes.
        ranges: Vec<(u8, u8)>,
    },
    /// `{a,b}`: one of these.
    Alt(Vec<Vec<GlobPart>>),
}

impl Glob {
    /// Whether the glob matches `name`, by the definition of each part: simple, and exponential at worst.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        parts_match(&self.0.iter().collect::<Vec<_>>(), name)
    }
}

fn parts_match(parts: &[&GlobPart], name: &[u8]) -> bool {
    let Some((first, rest)) = parts.split_first() else {
        return name.is_empty();
    };
    match first {
        GlobPart::Star => (0..=name.len()).any(|n| parts_match(rest, &name[n..])),
        GlobPart::Alt(branches) => branches.iter().any(|branch| {
            let joined: Vec<&GlobPart> = branch.iter().chain(rest.iter().copied()).collect();
            parts_match(&joined, name)
        }),
        one_byte => {
            name.split_first().is_some_and(|(byte, tail)| one_byte.matches_byte(*byte) && parts_match(rest, tail))
        }
    }
}

impl GlobPart {
    /// Whether a part of exactly one byte (`Byte`, `One`, `Set`) matches `byte`; false for the others.
    #[must_use]
    pub fn matches_byte(&self, byte: u8) -> bool {
        match self {
            GlobPart::Byte(b) => *b == byte,
            GlobPart::One => true,
            GlobPart::Set { negated, ranges } => ranges.iter().any(|(lo, hi)| (*lo..=*hi).contains(&byte)) != *negated,
            GlobPart::Star | GlobPart::Alt(_) => false,
        }
    }
}

impl Component {
    /// Whether this component, which is not `**`, matches `name`.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            Component::Literal(bytes) => bytes == name,
            Component::Glob(glob) => glob.matches(name),
            Component::Any => false,
        }
    }
}

impl Pattern {
    /// The number of literal components the pattern begins with: the rank of an `allow`.
    #[must_use]
    pub fn literal_prefix(&self) -> u32 {
        self.components.iter().take_while(|c| matches!(c, Component::Literal(_))).count() as u32
    }

    /// The longest prefix of `path`, in components, that the pattern's components match, if the pattern covers `path`:
    /// the rank of a `deny`, `hide` or `kill`.
    ///
    /// An object pattern must match the whole path; a tree pattern any prefix of it.
    #[must_use]
    pub fn match_depth(&self, path: &[&[u8]]) -> Option<u32> {
        let shortest = match self.extent {
            Extent::Object => path.len(),
            Extent::Tree => 0,
        };
        (shortest..=path.len()).rev().find(|n| components_match(&self.components, &path[..*n])).map(|n| n as u32)
    }
}

fn components_match(components: &[Component], path: &[&[u8]]) -> bool {
    let Some((first, rest)) = components.split_first() else {
        return path.is_empty();
    };
    match first {
        Component::Any => {
            // At the end, `/a/**` is all below `/a`: not `/a` itself.
            let fewest = usize::from(rest.is_empty());
            (fewest..=path.len()).any(|n| components_match(rest, &path[n..]))
        }
        one => path.split_first().is_some_and(|(name, below)| one.matches(name) && components_match(rest, below)),
    }
}
