//! What the VM is given: instructions, the tables they refer to, and where.

/// A program as an object holds it.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Instructions: opcode in the lowest byte, as on disk. One of 16 bytes takes two words.
    pub code: Vec<u64>,
    /// The functions of `code`: each extends to the start of the next.
    pub functions: Vec<Function>,
    /// Read-only tables.
    pub data: Vec<Vec<u8>>,
    /// Array maps.
    pub maps: Vec<MapShape>,
    /// What instructions refer to.
    pub relocations: Vec<Relocation>,
}

/// A function of an [`Image`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its first word in [`Image::code`].
    pub start: u32,
}

/// An array map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapShape {
    /// Bytes of one value.
    pub value_size: u32,
    /// Number of values.
    pub entries: u32,
}

impl MapShape {
    /// Bytes of all values together: each starts at a multiple of eight.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.stride() * u64::from(self.entries)
    }

    /// Bytes from one value to the next.
    pub(super) fn stride(&self) -> u64 {
        u64::from(self.value_size).next_multiple_of(8)
    }
}

/// A reference from an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// The word in [`Image::code`] that starts the instruction.
    pub word: u32,
    /// What it refers to. A number that the instruction itself holds is added to an offset, and ignored otherwise.
    pub target: Target,
}

/// What an instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A 16-byte load: the address of a byte of [`Image::data`].
    Data {
        /// Index into [`Image::data`].
        section: u32,
        /// Bytes from its start.
        offset: u32,
    },
    /// A 16-byte load: a map, to be given to a helper.
    Map(u32),
    /// A 16-byte load: the address of a byte of a map's first value.
    MapValue {
        /// Index into [`Image::maps`].
        map: u32,
        /// Bytes from the start of the value.
        offset: u32,
    },
    /// A call: the function that starts at this word.
    Function(u32),
}
