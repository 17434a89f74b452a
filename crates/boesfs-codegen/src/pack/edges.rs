//! The perfect hash of literal edges, by hash and displace: edges fall into buckets by the upper bits of their hash; each
//! bucket gets a displacement that sends all its edges to free slots. Large buckets first, while there is room.
//!
//! Two edges of one bucket whose hashes agree in the bits of the slot cannot be separated: then the next seed is tried.

use crate::automaton::{Automaton, Resource, TooBig};
use crate::emit::MAX_ENTRIES;
use crate::tables::{Edge, HASH_DISPLACEMENT_SHIFT, StateId, Tables, hash, name_words};

/// After this many seeds, the table of edges is doubled.
const SEEDS: u64 = 32;

/// Seeds are this far apart.
const SEED_STEP: u64 = 0xd1b5_4a32_d192_ed03;

/// Fills `edges`, `displacements`, `names` and `seed`.
///
/// # Errors
/// When no table that programs can address holds all edges.
pub(super) fn place(automaton: &Automaton, tables: &mut Tables) -> Result<(), TooBig> {
    let offsets = names(automaton, tables);
    let mut edges: Vec<Edge> = Vec::with_capacity(automaton.literals.len());
    let mut spelled: Vec<u32> = Vec::with_capacity(automaton.literals.len());
    for (place, state) in automaton.places.iter().zip(0..) {
        for (name, next) in &automaton.literals[place.literals.0 as usize..place.literals.1 as usize] {
            let length = automaton.names.get(*name).len() as u32;
            edges.push(Edge { state, next: next.0, name: offsets[*name as usize], length });
            spelled.push(*name);
        }
    }
    let mut slots = (edges.len() * 4 / 3).next_power_of_two();
    let buckets = (edges.len().next_power_of_two() / 2).clamp(1, 1 << (64 - HASH_DISPLACEMENT_SHIFT));
    for attempt in 0_u64.. {
        if attempt > 0 && attempt % SEEDS == 0 {
            slots *= 2;
        }
        if slots > MAX_ENTRIES {
            break;
        }
        let seed = attempt.wrapping_mul(SEED_STEP);
        let hashes: Vec<u64> = edges
            .iter()
            .zip(&spelled)
            .map(|(edge, name)| hash(seed, StateId(edge.state), automaton.names.get(*name)))
            .collect();
        if let Some((displacements, placed)) = displace(&hashes, buckets, slots) {
            tables.seed = seed;
            tables.displacements = displacements;
            tables.edges = vec![Edge::default(); slots];
            for (edge, slot) in edges.iter().zip(placed) {
                tables.edges[slot as usize] = *edge;
            }
            return Ok(());
        }
    }
    Err(TooBig::new(Resource::Edges, MAX_ENTRIES as u32, Vec::new()))
}

/// Packs the names of edges that are left; gives, by name, where it starts in words.
fn names(automaton: &Automaton, tables: &mut Tables) -> Vec<u32> {
    let mut used = vec![false; automaton.names.len()];
    for (name, _) in &automaton.literals {
        used[*name as usize] = true;
    }
    let mut offsets = vec![0; used.len()];
    for (name, _) in used.iter().enumerate().filter(|(_, used)| **used) {
        offsets[name] = tables.names.len() as u32;
        tables.names.extend(name_words(automaton.names.get(name as u32)));
    }
    offsets
}

/// The displacement of each bucket and the slot of each hash, or `None` if some bucket finds no room.
fn displace(hashes: &[u64], buckets: usize, slots: usize) -> Option<(Vec<u16>, Vec<u32>)> {
    let bucket = |i: u32| (hashes[i as usize] >> HASH_DISPLACEMENT_SHIFT) as usize & (buckets - 1);
    let mask = slots as u32 - 1;
    let mut starts = vec![0_u32; buckets + 1];
    for i in 0..hashes.len() as u32 {
        starts[bucket(i) + 1] += 1;
    }
    let mut by_size: Vec<u32> = (0..buckets as u32).collect();
    by_size.sort_by_key(|b| std::cmp::Reverse(starts[*b as usize + 1]));
    for b in 0..buckets {
        starts[b + 1] += starts[b];
    }
    let mut members = vec![0_u32; hashes.len()];
    let mut next = starts.clone();
    for i in 0..hashes.len() as u32 {
        let at = &mut next[bucket(i)];
        members[*at as usize] = i;
        *at += 1;
    }
    let mut taken = vec![0_u64; slots.div_ceil(64)];
    let mut displacements = vec![0_u16; buckets];
    let mut placed = vec![0_u32; hashes.len()];
    let mut own: Vec<u32> = Vec::new();
    for b in by_size {
        let members = &members[starts[b as usize] as usize..starts[b as usize + 1] as usize];
        own.clear();
        own.extend(members.iter().map(|i| hashes[*i as usize] as u32 & mask));
        own.sort_unstable();
        if own.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        let tries = (slots as u32).min(1 << 16);
        let free = |d: u32| {
            own.iter().all(|slot| {
                let slot = (slot + d) & mask;
                taken[(slot >> 6) as usize] >> (slot & 63) & 1 == 0
            })
        };
        // Starting elsewhere for each bucket spreads them over the table.
        let displacement = (0..tries).map(|k| (k + b * 7) % tries).find(|d| free(*d))?;
        displacements[b as usize] = displacement as u16;
        for i in members {
            let slot = (hashes[*i as usize] as u32).wrapping_add(displacement) & mask;
            taken[(slot >> 6) as usize] |= 1 << (slot & 63);
            placed[*i as usize] = slot;
        }
    }
    Some((displacements, placed))
}
