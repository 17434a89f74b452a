//! A policy object as a struct_ops of `boesfs.ko`: its programs loaded, registered under a name, and replaced as one.
//!
//! In: a [`PolicyObject`]. Out: a link; the policy is registered as long as somebody holds it. Needs root, and the module
//! loaded with its types (BTF).

mod sys;
mod types;

use std::os::fd::OwnedFd;

use boesfs_codegen::bpf::Place;
use boesfs_codegen::emit::layout::kmod::{EVENT_BYTES, MEMBERS, POLICY_NAME, VERSION};
use boesfs_codegen::emit::layout::{Data, Map, Table};
use boesfs_codegen::object::PolicyObject;

use super::program::create_data;
use super::sys::{Kind, Load, Member, load_program};
use super::{KernelError, table_map};
use types::ModuleTypes;

/// The module.
pub const MODULE: &str = "boesfs";

const _: () = assert!(EVENT_BYTES < Map::Events.entries() as usize, "the ring buffer holds the longest event");

/// A registered policy. It goes when this is dropped.
#[derive(Debug)]
pub struct Registered {
    link: OwnedFd,
    /// The map that is registered.
    policy: OwnedFd,
    /// Where its events go.
    events: Events,
    name: String,
}

/// Where the programs of one policy tell what happens.
#[derive(Debug)]
pub struct Events {
    /// The ring buffer.
    pub ring: OwnedFd,
    /// [`Data::Live`], where events that found no room in it are counted.
    pub live: OwnedFd,
}

impl Events {
    fn new() -> Result<Events, KernelError> {
        let ring = sys::ring_buffer(Map::Events.name(), Map::Events.entries())?;
        Ok(Events { ring, live: create_data(Data::Live)? })
    }
}

impl Registered {
    /// Loads `object` and registers it as `name`.
    ///
    /// # Errors
    /// The module is not there or of another version, the verifier refuses a program, or the name is taken.
    pub fn new(object: &PolicyObject, name: &str) -> Result<Registered, KernelError> {
        let events = Events::new()?;
        let policy = load(object, name, &events)?;
        let link = sys::link(&policy)?;
        Ok(Registered { link, policy, events, name: name.to_owned() })
    }

    /// Has `object` take the place of the policy, for all its mounts at once: a request is judged by the one or the other.
    ///
    /// # Errors
    /// As [`Registered::new`]; the policy stays as it was.
    pub fn replace(&mut self, object: &PolicyObject) -> Result<(), KernelError> {
        // A ring buffer of its own: the numbers of rules in events are those of the policy that was asked.
        let events = Events::new()?;
        let policy = load(object, &self.name, &events)?;
        sys::update_link(&self.link, &policy, &self.policy)?;
        (self.policy, self.events) = (policy, events);
        Ok(())
    }

    /// The name it is registered under: what the mount option `policy=` takes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its events are; elsewhere for each policy.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }
}

/// The programs of `object` as a map that can be registered.
fn load(object: &PolicyObject, name: &str, events: &Events) -> Result<OwnedFd, KernelError> {
    let invalid = |what| KernelError::System { what, source: std::io::ErrorKind::InvalidInput.into() };
    if name.is_empty() || name.len() >= POLICY_NAME || name.bytes().any(|byte| byte == 0 || byte == b',') {
        return Err(invalid("name the policy"));
    }
    let types = ModuleTypes::read(MODULE)
        .map_err(|source| KernelError::System { what: "read the types of boesfs.ko", source })?;
    let module = sys::module_btf(MODULE)?;
    let btf = super::sys::load_btf(&object.kernel.btf)?;
    let tables: Vec<OwnedFd> =
        Table::ALL.into_iter().map(|table| table_map(object, table)).collect::<Result<_, _>>()?;

    let mut value = vec![0; types.value_bytes];
    let mut programs = Vec::new();
    for member in MEMBERS {
        let place = types.member(member.name).ok_or_else(|| invalid("find the members of boesfs_ops"))?;
        let (program, info) = object.linked(&[member.program])?;
        let code: Vec<[u8; 8]> = program
            .encoded(|place| match place {
                Place::Table(table) => super::sys::map_value(&tables[table as usize]),
                Place::Map(Map::Events) => super::sys::map(&events.ring),
                Place::Data(Data::Live) => super::sys::map_value(&events.live),
                // None that these programs use: the verifier refuses the null that this would be.
                Place::Map(_) | Place::Data(_) | Place::Family | Place::Programs => (0, 0),
            })
            .collect();
        let load = Load {
            name: member.program,
            code: &code,
            btf: &btf,
            func_info: &info.func_info,
            line_info: &info.line_info,
            kind: Kind::StructOps(Member { module: &module, structure: types.structure, member: place.index }),
        };
        let fd = load_program(&load)?;
        put(&mut value, types.data + place.offset, &sys::number(&fd).to_le_bytes())
            .ok_or(invalid("fill boesfs_ops"))?;
        programs.push(fd);
    }
    let data: [(&str, &[u8]); 4] = [
        ("abi", &VERSION.to_le_bytes()),
        ("classes", &object.tables.classes.to_le_bytes()),
        ("exe_root", &object.tables.exe_root.to_le_bytes()),
        ("name", name.as_bytes()),
    ];
    for (member, bytes) in data {
        let place = types.member(member).ok_or_else(|| invalid("find the members of boesfs_ops"))?;
        put(&mut value, types.data + place.offset, bytes).ok_or(invalid("fill boesfs_ops"))?;
    }
    let map = sys::struct_ops_map(types.value, value.len(), &module, &btf)?;
    super::sys::update(&map, &value)?;
    // The map holds the programs, and they their tables.
    drop(programs);
    Ok(map)
}

fn put(value: &mut [u8], at: usize, bytes: &[u8]) -> Option<()> {
    value.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
    Some(())
}
