//! The patterns of all rules as one nondeterministic automaton over components: a trie with loops.
//!
//! In: the rules. Out: [`Trie`]. A node has literal and glob children, entered by one matching name. `**` in the middle
//! of a pattern is a *loop* child: entered together with its parent, and left to itself by every name. `**` at the end
//! is a *tail* child: entered by every name. A tail with an `allow` or an exception is a tree from there on; one
//! with a refusal is entered anew by every name below, because the refusal's rank grows with the path.

use boesfs_lang::pattern::{Component, Extent, Glob, GlobPart, NAME_MAX, Pattern};
use boesfs_lang::policy::{Effect, Policy};
use rustc_hash::FxHashMap;

use super::names::Interner;

/// What a node's place means for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndKind {
    /// The rule covers the object here.
    Object,
    /// The rule covers the object here and all below.
    Tree,
    /// The rule does not cover the object here.
    ExceptObject,
    /// The rule covers nothing from here on.
    ExceptTree,
}

/// The end of a pattern.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) rule: u32,
    /// Which of the rule's patterns; for exceptions, which of those.
    pub(crate) pattern: u32,
    pub(crate) kind: EndKind,
    /// The rank of an `allow`; 0 for the others.
    pub(crate) rank: u32,
}

/// One node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Node {
    literals: (u32, u32),
    globs: (u32, u32),
    ends: (u32, u32),
    /// Child for `**` in the middle.
    pub(crate) looped: Option<u32>,
    /// Child for `**` at the end.
    pub(crate) tail: Option<u32>,
    /// Whether every name leads back here.
    pub(crate) stays: bool,
    /// Whether every component on the way here is a literal.
    pub(crate) spine: bool,
    /// Number in preorder, and the last one in the subtree.
    first: u32,
    last: u32,
    /// Largest rank of an `allow` that ends below.
    pub(crate) allow_below: u32,
}

/// The patterns of a policy.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    pub(crate) names: Interner<u8>,
    pub(crate) globs: Vec<Glob>,
    pub(crate) nodes: Vec<Node>,
    children: Vec<(u32, u32)>,
    ends: Vec<End>,
    /// Preorder numbers where a rule matches and where it is excepted, for rules with exceptions.
    matches: FxHashMap<u32, Vec<u32>>,
    excepts: FxHashMap<u32, Vec<u32>>,
    pub(crate) has_excepts: bool,
}

/// Labels of edges while building: a name, or a glob, or one of the two `**`.
const GLOB: u32 = 1 << 30;
const LOOP: u32 = 1 << 31;
const TAIL: u32 = 1 << 31 | 1;

/// A glob is taken apart into names when it has at most this many, and a pattern into at most this many patterns.
const MAX_NAMES: usize = 64;

#[derive(Default)]
struct Builder {
    names: Interner<u8>,
    globs: Vec<Glob>,
    glob_ids: FxHashMap<Glob, u32>,
    index: FxHashMap<(u32, u32), u32>,
    edges: Vec<(u32, u32, u32)>,
    ends: Vec<(u32, End)>,
    spine: Vec<bool>,
}

impl Builder {
    fn child(&mut self, node: u32, label: u32) -> u32 {
        let next = self.spine.len() as u32;
        let child = *self.index.entry((node, label)).or_insert(next);
        if child == next {
            self.spine.push(label < GLOB && self.spine[node as usize]);
            self.edges.push((node, label, child));
        }
        child
    }

    fn name(&mut self, name: &[u8]) -> u32 {
        self.names.intern(name).0
    }

    /// The nodes where `pattern` ends, and whether it ends in `**`.
    fn insert(&mut self, pattern: &Pattern) -> (Vec<u32>, bool) {
        let mut nodes = vec![0];
        let mut parts = pattern.components.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Component::Any => {
                    while parts.next_if(|next| **next == Component::Any).is_some() {}
                    let last = parts.peek().is_none();
                    let label = if last { TAIL } else { LOOP };
                    for node in &mut nodes {
                        *node = self.child(*node, label);
                    }
                    if last {
                        return (nodes, true);
                    }
                }
                Component::Literal(name) => {
                    let name = self.name(name);
                    for node in &mut nodes {
                        *node = self.child(*node, name);
                    }
                }
                Component::Glob(glob) => match names_of(glob) {
                    Some(names) if names.len() * nodes.len() <= MAX_NAMES => {
                        let mut entered = Vec::new();
                        for node in &nodes {
                            for name in &names {
                                let name = self.name(name);
                                entered.push(self.child(*node, name));
                            }
                        }
                        nodes = entered;
                    }
                    _ => {
                        let next = self.globs.len() as u32;
                        let id = *self.glob_ids.entry(glob.clone()).or_insert(next);
                        if id == next {
                            self.globs.push(glob.clone());
                        }
                        for node in &mut nodes {
                            *node = self.child(*node, GLOB | id);
                        }
                    }
                },
            }
        }
        (nodes, false)
    }
}

/// The names that `glob` matches, if they are few.
fn names_of(glob: &Glob) -> Option<Vec<Vec<u8>>> {
    let mut names = spellings(&glob.0)?;
    names.retain(|name| !name.is_empty() && name.len() <= NAME_MAX && !name.iter().any(|b| matches!(b, 0 | b'/')));
    names.sort_unstable();
    names.dedup();
    Some(names)
}

fn spellings(parts: &[GlobPart]) -> Option<Vec<Vec<u8>>> {
    parts.iter().try_fold(vec![Vec::new()], |heads, part| {
        let tails: Vec<Vec<u8>> = match part {
            GlobPart::Star | GlobPart::One => return None,
            GlobPart::Byte(byte) => vec![vec![*byte]],
            GlobPart::Set { .. } => {
                (1..=u8::MAX).filter(|b| *b != b'/' && part.matches_byte(*b)).map(|b| vec![b]).collect()
            }
            GlobPart::Alt(branches) => {
                branches.iter().map(|b| spellings(b)).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect()
            }
        };
        let few = heads.len() * tails.len() <= MAX_NAMES;
        few.then(|| heads.iter().flat_map(|head| tails.iter().map(move |tail| [&head[..], tail].concat())).collect())
    })
}

impl Trie {
    /// The patterns of `policy`.
    pub(crate) fn new(policy: &Policy) -> Trie {
        let mut b = Builder { spine: vec![true], ..Builder::default() };
        let mut stays = Vec::new();
        for (rule, number) in policy.rules.iter().zip(0..) {
            for (pattern, i) in rule.patterns.iter().zip(0..) {
                let (nodes, tail) = b.insert(pattern);
                let kind = match (pattern.extent, tail, rule.effect) {
                    (_, true, Effect::Allow) => EndKind::Tree,
                    (_, true, _) => {
                        stays.extend(nodes.iter().copied());
                        EndKind::Object
                    }
                    (Extent::Tree, ..) => EndKind::Tree,
                    (Extent::Object, ..) => EndKind::Object,
                };
                let rank = if rule.effect == Effect::Allow { pattern.literal_prefix() } else { 0 };
                let end = End { rule: number, pattern: i, kind, rank };
                b.ends.extend(nodes.into_iter().map(|node| (node, end)));
            }
            for (pattern, i) in rule.except.iter().zip(0..) {
                let (nodes, tail) = b.insert(pattern);
                let tree = tail || pattern.extent == Extent::Tree;
                let kind = if tree { EndKind::ExceptTree } else { EndKind::ExceptObject };
                let end = End { rule: number, pattern: i, kind, rank: 0 };
                b.ends.extend(nodes.into_iter().map(|node| (node, end)));
            }
        }
        Trie::finish(b, &stays, policy)
    }

    fn finish(mut b: Builder, stays: &[u32], policy: &Policy) -> Trie {
        drop(std::mem::take(&mut b.index));
        let mut nodes = vec![Node::default(); b.spine.len()];
        for (node, spine) in nodes.iter_mut().zip(&b.spine) {
            node.spine = *spine;
        }
        for node in stays {
            nodes[*node as usize].stays = true;
        }
        for (_, label, child) in &b.edges {
            if *label == LOOP {
                nodes[*child as usize].stays = true;
            }
        }
        b.ends.sort_by_key(|(node, _)| *node);
        for (i, (node, _)) in b.ends.iter().enumerate() {
            grow(&mut nodes[*node as usize].ends, i);
        }
        let parents = parents(&b.edges, nodes.len());
        b.edges.sort_unstable();
        let mut children = Vec::with_capacity(b.edges.len());
        for (node, label, child) in &b.edges {
            let entry = &mut nodes[*node as usize];
            match *label {
                LOOP => entry.looped = Some(*child),
                TAIL => entry.tail = Some(*child),
                label if label & GLOB != 0 => {
                    grow(&mut entry.globs, children.len());
                    children.push((label & !GLOB, *child));
                }
                label => {
                    grow(&mut entry.literals, children.len());
                    children.push((label, *child));
                }
            }
        }
        let mut trie = Trie {
            names: b.names,
            globs: b.globs,
            nodes,
            children,
            ends: b.ends.iter().map(|(_, end)| *end).collect(),
            has_excepts: policy.rules.iter().any(|rule| !rule.except.is_empty()),
            ..Trie::default()
        };
        trie.number(&b.edges, &parents);
        trie.note_excepts(policy, &b.ends);
        trie
    }

    /// Numbers the nodes in preorder, and gathers what lies below each.
    fn number(&mut self, edges: &[(u32, u32, u32)], parents: &[u32]) {
        // A child is made after its parent: going backwards, everything below a node is known before the node.
        let mut sizes = vec![1_u32; self.nodes.len()];
        for child in (1..self.nodes.len()).rev() {
            let parent = parents[child] as usize;
            sizes[parent] += sizes[child];
            let own = self.ends_at(child as u32).iter().map(|end| end.rank).max();
            let rank = own.unwrap_or(0).max(self.nodes[child].allow_below);
            if self.nodes[child].stays {
                // What ends here ends again at each name below.
                self.nodes[child].allow_below = rank;
            }
            self.nodes[parent].allow_below = self.nodes[parent].allow_below.max(rank);
        }
        let mut next: Vec<u32> = vec![0; self.nodes.len()];
        for (node, size) in self.nodes.iter_mut().zip(&sizes) {
            node.last = size - 1;
        }
        next[0] = 1;
        // Edges are sorted by parent, and parents have smaller numbers than their children.
        for (parent, _, child) in edges {
            let (parent, child) = (*parent as usize, *child as usize);
            let first = next[parent];
            next[parent] += sizes[child];
            next[child] = first + 1;
            self.nodes[child].first = first;
            self.nodes[child].last = first + sizes[child] - 1;
        }
    }

    fn note_excepts(&mut self, policy: &Policy, ends: &[(u32, End)]) {
        if !self.has_excepts {
            return;
        }
        for (node, end) in ends {
            if policy.rules[end.rule as usize].except.is_empty() {
                continue;
            }
            let list = match end.kind {
                EndKind::Object | EndKind::Tree => &mut self.matches,
                EndKind::ExceptObject | EndKind::ExceptTree => &mut self.excepts,
            };
            list.entry(end.rule).or_default().push(self.nodes[*node as usize].first);
        }
        for list in self.matches.values_mut().chain(self.excepts.values_mut()) {
            list.sort_unstable();
        }
    }

    /// The literal children of `node`: (name, node), sorted.
    pub(crate) fn literals_of(&self, node: u32) -> &[(u32, u32)] {
        slice(&self.children, self.nodes[node as usize].literals)
    }

    /// The glob children of `node`: (glob, node), sorted.
    pub(crate) fn globs_of(&self, node: u32) -> &[(u32, u32)] {
        slice(&self.children, self.nodes[node as usize].globs)
    }

    /// The patterns that end at `node`.
    pub(crate) fn ends_at(&self, node: u32) -> &[End] {
        slice(&self.ends, self.nodes[node as usize].ends)
    }

    /// Whether some name leads from `node` to a node.
    pub(crate) fn goes_on(&self, node: u32) -> bool {
        let node = &self.nodes[node as usize];
        node.stays || node.tail.is_some() || node.literals.0 < node.literals.1 || node.globs.0 < node.globs.1
    }

    /// Whether `rule` can be excepted below one of `nodes`.
    pub(crate) fn can_except(&self, rule: u32, nodes: &[u32]) -> bool {
        self.excepts.get(&rule).is_some_and(|list| self.below(list, nodes))
    }

    /// Whether `rule`, which has exceptions, can match below one of `nodes`.
    pub(crate) fn can_match(&self, rule: u32, nodes: &[u32]) -> bool {
        self.matches.get(&rule).is_some_and(|list| self.below(list, nodes))
    }

    fn below(&self, list: &[u32], nodes: &[u32]) -> bool {
        nodes.iter().any(|node| {
            let node = &self.nodes[*node as usize];
            let first = node.first + u32::from(!node.stays);
            list.get(list.partition_point(|n| *n < first)).is_some_and(|n| *n <= node.last)
        })
    }

    /// A pattern that goes through `node`: (rule, pattern, whether it is an exception).
    pub(crate) fn pattern_through(&self, node: u32) -> Option<(u32, u32, bool)> {
        let mut nodes = vec![node];
        while let Some(node) = nodes.pop() {
            if let Some(end) = self.ends_at(node).first() {
                let except = matches!(end.kind, EndKind::ExceptObject | EndKind::ExceptTree);
                return Some((end.rule, end.pattern, except));
            }
            let entry = &self.nodes[node as usize];
            nodes.extend(entry.looped.into_iter().chain(entry.tail));
            nodes.extend(self.literals_of(node).first().map(|(_, child)| *child));
            nodes.extend(self.globs_of(node).first().map(|(_, child)| *child));
        }
        None
    }
}

fn parents(edges: &[(u32, u32, u32)], nodes: usize) -> Vec<u32> {
    let mut parents = vec![0; nodes];
    for (parent, _, child) in edges {
        parents[*child as usize] = *parent;
    }
    parents
}

fn grow(range: &mut (u32, u32), index: usize) {
    let index = index as u32;
    if range.0 == range.1 {
        range.0 = index;
    }
    range.1 = index + 1;
}

fn slice<T>(items: &[T], (start, end): (u32, u32)) -> &[T] {
    &items[start as usize..end as usize]
}
