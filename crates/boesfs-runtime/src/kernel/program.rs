//! The programs of a policy object in this kernel: maps made once, then any of the entry programs.

use std::os::fd::OwnedFd;

use boesfs_codegen::bpf::Place;
use boesfs_codegen::emit::layout::{Data, Map, Table, moves, session};
use boesfs_codegen::object::PolicyObject;

use super::sys::{self, ArrayKind, Kind};
use super::{KernelError, KernelTypes, table_map};

/// The maps, sections and types of an object, in the kernel.
#[derive(Debug)]
pub(crate) struct Loaded {
    btf: OwnedFd,
    tables: Vec<OwnedFd>,
    maps: Vec<OwnedFd>,
    data: Vec<OwnedFd>,
}

impl Loaded {
    /// Makes them. `session` is the content of [`Data::Session`], but for what is found out here. `moves` is the map
    /// that [`Data::Moves`] is: others may have it too. Of those whose place these take, what tasks execute is taken over.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn new(
        object: &PolicyObject,
        session: &[u8],
        moves: &OwnedFd,
        replaced: Option<&Loaded>,
    ) -> Result<Loaded, KernelError> {
        let clone =
            |map: &OwnedFd| map.try_clone().map_err(|source| KernelError::System { what: "map create", source });
        let btf = sys::load_btf(&object.kernel.btf)?;
        let mut session = session.to_vec();
        session[session::UNSET..][..4].copy_from_slice(&u32::from(sys::takes_unset_stack(&btf)).to_le_bytes());
        let tables = Table::ALL.into_iter().map(|table| table_map(object, table)).collect::<Result<_, _>>()?;
        let map = |map| match (map, replaced) {
            (Map::Executable, Some(replaced)) => clone(replaced.map(map)),
            _ => sys::create_map(map, &btf),
        };
        let maps = Map::ALL.into_iter().map(map).collect::<Result<_, _>>()?;
        let mut data = Vec::new();
        for section in Data::ALL {
            if section == Data::Moves {
                data.push(clone(moves)?);
                continue;
            }
            let map = create_data(section)?;
            if section == Data::Session {
                sys::update(&map, &session)?;
                sys::freeze(&map)?;
            }
            data.push(map);
        }
        Ok(Loaded { btf, tables, maps, data })
    }

    /// A map.
    pub(crate) fn map(&self, map: Map) -> &OwnedFd {
        &self.maps[map as usize]
    }

    /// The map that a section of data is.
    pub(crate) fn data(&self, data: Data) -> &OwnedFd {
        &self.data[data as usize]
    }

    /// Loads the entry program `name` with the functions that it needs. `types` are the kernel's.
    ///
    /// # Errors
    /// The kernel lacks a field that it reads, or refuses it.
    pub(crate) fn load(
        &self,
        object: &PolicyObject,
        types: &KernelTypes,
        name: &str,
        kind: Kind,
    ) -> Result<OwnedFd, KernelError> {
        load(object, types, &self.btf, name, kind, |place| match place {
            Place::Table(table) => sys::map_value(&self.tables[table as usize]),
            Place::Data(data) => sys::map_value(self.data(data)),
            Place::Map(map) => sys::map(self.map(map)),
            Place::Family | Place::Programs => (0, 0),
        })
    }
}

pub(super) fn create_data(section: Data) -> Result<OwnedFd, KernelError> {
    let kind = if section.is_writable() { ArrayKind::Writable } else { ArrayKind::ReadOnly };
    sys::create_array(&section.section()[1..], section.bytes(), kind)
}

/// The map of [`Data::Moves`], where nothing moves and it is the first generation. Not written from here any more: programs count there.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn create_moves() -> Result<OwnedFd, KernelError> {
    let map = create_data(Data::Moves)?;
    let mut first = [0; moves::BYTES];
    first[moves::GENERATION..][..4].copy_from_slice(&1u32.to_le_bytes());
    sys::update(&map, &first)?;
    Ok(map)
}

/// Loads the entry program `name` with the functions that it needs; `resolve` tells the maps, `btf` are the types of the object.
///
/// # Errors
/// The kernel lacks a field that it reads, or refuses it.
pub(crate) fn load(
    object: &PolicyObject,
    types: &KernelTypes,
    btf: &OwnedFd,
    name: &str,
    kind: Kind,
    resolve: impl Fn(Place) -> (u8, u64),
) -> Result<OwnedFd, KernelError> {
    let (program, info) = object.linked(&[name])?;
    let program = program
        .with_offsets(|field| types.offset(field))
        .map_err(|field| KernelError::Types(Some(field.to_string())))?;
    let code: Vec<[u8; 8]> = program.encoded(resolve).collect();
    sys::load_program(&sys::Load {
        name,
        code: &code,
        btf,
        func_info: &info.func_info,
        line_info: &info.line_info,
        kind,
    })
}
