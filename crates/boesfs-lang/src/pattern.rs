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
    /// Whether the glob matches `name`, by the definition of each part.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        let mut begin = vec![false; name.len() + 1];
        begin[0] = true;
        ends(&self.0, name, begin)[name.len()]
    }
}

/// The places in `name` where a match of `parts` can end that began at one of the places `begin`: each part leads from
/// a set of places to a set of places, so the time is bounded by parts times bytes.
fn ends(parts: &[GlobPart], name: &[u8], begin: Vec<bool>) -> Vec<bool> {
    parts.iter().fold(begin, |places, part| match part {
        GlobPart::Star => {
            let first = places.iter().position(|place| *place);
            (0..places.len()).map(|i| first.is_some_and(|first| first <= i)).collect()
        }
        GlobPart::Alt(branches) => {
            let all = branches.iter().map(|branch| ends(branch, name, places.clone()));
            all.fold(vec![false; places.len()], |a, b| a.iter().zip(&b).map(|(a, b)| *a || *b).collect())
        }
        one_byte => (0..places.len()).map(|i| i > 0 && places[i - 1] && one_byte.matches_byte(name[i - 1])).collect(),
    })
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
        let last = self.components.len();
        // The places between components that some reading of the names so far has reached.
        let mut reached = vec![false; last + 1];
        reached[0] = true;
        let mut deepest = None;
        for n in 0..=path.len() {
            // `**` in the middle can be no component at all; at the end, `/a/**` is all below `/a`, not `/a` itself.
            for i in 0..last.saturating_sub(1) {
                reached[i + 1] |= reached[i] && self.components[i] == Component::Any;
            }
            if reached[last] && (self.extent == Extent::Tree || n == path.len()) {
                deepest = Some(n as u32);
            }
            let Some(name) = path.get(n) else { break };
            let mut next = vec![false; last + 1];
            for (i, component) in self.components.iter().enumerate().filter(|(i, _)| reached[*i]) {
                if *component == Component::Any {
                    next[i] = true;
                    next[i + 1] = true;
                } else if component.matches(name) {
                    next[i + 1] = true;
                }
            }
            reached = next;
        }
        deepest
    }
}
