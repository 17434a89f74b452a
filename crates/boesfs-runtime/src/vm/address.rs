//! Regions of memory, and the checks of each access.

use super::Program;

/// Bits of an address below the region's number: the offset.
pub const REGION_BITS: u32 = 32;

/// The stack: read and written.
pub(super) const STACK: u64 = 1 << REGION_BITS;
/// The address of [`Memory::input`]: read only.
pub const INPUT: u64 = 2 << REGION_BITS;
/// The address of [`Memory::context`]: read and written.
pub const CONTEXT: u64 = 3 << REGION_BITS;
/// Number of the first read-only table; the others follow.
const FIRST_DATA: u32 = 16;
/// Number of the first map's values; those of the others follow.
const FIRST_MAP: u32 = 1 << 16;
/// Number of the first map itself: no memory, only a name for helpers.
const FIRST_HANDLE: u32 = 1 << 17;

/// The most read-only tables, or maps, of one program.
pub(super) const MAX_REGIONS: usize = 1 << 12;

/// The address of byte `offset` of table number `section`.
pub(super) fn data_address(section: u32, offset: u32) -> u64 {
    u64::from(FIRST_DATA + section) << REGION_BITS | u64::from(offset)
}

/// The address of byte `offset` of the values of map number `map`.
pub(super) fn value_address(map: u32, offset: u32) -> u64 {
    u64::from(FIRST_MAP + map) << REGION_BITS | u64::from(offset)
}

/// What stands for map number `map` itself.
pub(super) fn map_handle(map: u32) -> u64 {
    u64::from(FIRST_HANDLE + map) << REGION_BITS
}

/// The number of the map that `handle` stands for.
pub(super) fn map_of_handle(handle: u64) -> Option<u32> {
    let map = ((handle >> REGION_BITS) as u32).checked_sub(FIRST_HANDLE)?;
    (handle == map_handle(map)).then_some(map)
}

/// The memory of one run, besides the program's tables and its stack.
#[derive(Debug, Default)]
pub struct Memory<'a> {
    /// What the function is asked about, at [`INPUT`]: read only.
    pub input: &'a [u8],
    /// An entry program's context, at [`CONTEXT`].
    pub context: &'a mut [u8],
    /// The values of each map, one after the other (see [`super::MapShape::bytes`]).
    pub maps: &'a mut [Vec<u8>],
}

/// All that a run can touch.
pub(super) struct Space<'a, 'm, const STACK_SIZE: usize> {
    pub(super) program: &'a Program,
    pub(super) memory: &'a mut Memory<'m>,
    pub(super) stack: [u8; STACK_SIZE],
}

impl<const STACK_SIZE: usize> Space<'_, '_, STACK_SIZE> {
    /// The `N` bytes at `address`, or `None` where it may not read.
    #[inline(always)]
    pub(super) fn read<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let offset = address as u32 as usize;
        let region = (address >> REGION_BITS) as u32;
        let bytes: &[u8] = match self.program.data.get(region.wrapping_sub(FIRST_DATA) as usize) {
            Some(table) => table,
            None => self.other(region)?,
        };
        bytes.get(offset..)?.first_chunk().copied()
    }

    #[inline]
    fn other(&self, region: u32) -> Option<&[u8]> {
        Some(match u64::from(region) << REGION_BITS {
            INPUT => self.memory.input,
            STACK => &self.stack,
            CONTEXT => self.memory.context,
            _ => self.memory.maps.get(region.wrapping_sub(FIRST_MAP) as usize)?,
        })
    }

    /// Writes `bytes` to `address`, or nothing where it may not write.
    #[inline(always)]
    pub(super) fn write<const N: usize>(&mut self, address: u64, bytes: [u8; N]) -> Option<()> {
        let offset = address as u32 as usize;
        let region = (address >> REGION_BITS) as u32;
        let target: &mut [u8] = match u64::from(region) << REGION_BITS {
            STACK => &mut self.stack,
            CONTEXT => self.memory.context,
            _ => self.memory.maps.get_mut(region.wrapping_sub(FIRST_MAP) as usize)?,
        };
        *target.get_mut(offset..)?.first_chunk_mut()? = bytes;
        Some(())
    }
}
