//! Interned byte strings and lists of numbers: each distinct one is kept once and named by a number.

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};

/// Distinct slices of `T`, numbered from 0 in the order they came.
#[derive(Clone, Debug)]
pub struct Interner<T> {
    items: Vec<T>,
    ends: Vec<u32>,
    index: HashTable<u32>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Interner { items: Vec::new(), ends: Vec::new(), index: HashTable::new() }
    }
}

fn hash_of<T: Hash>(slice: &[T]) -> u64 {
    let mut hasher = FxHasher::default();
    slice.hash(&mut hasher);
    hasher.finish()
}

impl<T: Clone + Eq + Hash> Interner<T> {
    /// The number of `slice`, and whether it is new.
    pub fn intern(&mut self, slice: &[T]) -> (u32, bool) {
        let hash = hash_of(slice);
        if let Some(found) = self.index.find(hash, |id| get(&self.items, &self.ends, *id) == slice) {
            return (*found, false);
        }
        let id = self.ends.len() as u32;
        self.items.extend_from_slice(slice);
        self.ends.push(self.items.len() as u32);
        let Interner { items, ends, index } = self;
        index.insert_unique(hash, id, |id| hash_of(get(items, ends, *id)));
        (id, true)
    }

    /// Slice number `id`.
    #[must_use]
    pub fn get(&self, id: u32) -> &[T] {
        get(&self.items, &self.ends, id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// How long all of them are together.
    #[must_use]
    pub fn total(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets all, keeping the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.ends.clear();
        self.index.clear();
    }
}

fn get<'a, T>(items: &'a [T], ends: &[u32], id: u32) -> &'a [T] {
    let end = ends[id as usize] as usize;
    let start = id.checked_sub(1).map_or(0, |before| ends[before as usize] as usize);
    &items[start..end]
}
