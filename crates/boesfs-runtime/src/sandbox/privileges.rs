//! What a process in the sandbox may still do besides files: as little as can be.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

use super::error::{SetupError, Step};

/// Capabilities that `--cap` may leave to the workload: those that neither reach around the policy nor change
/// the system it stands on.
pub const KEEPABLE: [(&str, CapabilitySet); 15] = [
    ("chown", CapabilitySet::CHOWN),
    ("dac_override", CapabilitySet::DAC_OVERRIDE),
    ("dac_read_search", CapabilitySet::DAC_READ_SEARCH),
    ("fowner", CapabilitySet::FOWNER),
    ("fsetid", CapabilitySet::FSETID),
    ("kill", CapabilitySet::KILL),
    ("setgid", CapabilitySet::SETGID),
    ("setuid", CapabilitySet::SETUID),
    ("setpcap", CapabilitySet::SETPCAP),
    ("net_bind_service", CapabilitySet::NET_BIND_SERVICE),
    ("net_raw", CapabilitySet::NET_RAW),
    ("ipc_lock", CapabilitySet::IPC_LOCK),
    ("mknod", CapabilitySet::MKNOD),
    ("sys_nice", CapabilitySet::SYS_NICE),
    ("sys_resource", CapabilitySet::SYS_RESOURCE),
];

/// The capability called `name` (with or without `cap_`, any case), if it may be kept.
#[must_use]
pub fn keepable(name: &str) -> Option<CapabilitySet> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("cap_").unwrap_or(&name);
    KEEPABLE.iter().find(|(known, _)| *known == name).map(|(_, capability)| *capability)
}

/// What an agent that was started with all capabilities needs to serve a workload: act as its users, look at its
/// processes and kill them, and hand files to the kernel.
const SERVING: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SYS_ADMIN)
    .union(CapabilitySet::SYS_RESOURCE);

/// Leaves the agent what the workload keeps, so that it does no more for a request than the workload could do on the tree
/// itself, and what it needs to serve. The agent's children must have been forked.
pub(super) fn limit_agent(keep: CapabilitySet) -> Result<(), SetupError> {
    let held = capabilities(None).step("read the agent's capabilities")?.permitted;
    let left = held & (keep | SERVING);
    let sets = CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).step("limit the agent's capabilities")
}

/// Sees to it that no capability but `keep` is ever gained by executing a file. The capabilities held are not touched.
pub(super) fn bound_to(keep: CapabilitySet) -> Result<(), SetupError> {
    clear_ambient_capability_set().step("clear the ambient capabilities")?;
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if keep.contains(capability) {
            continue;
        }
        // Whoever may not remove any does well without those that are not there.
        let removed = remove_capability_from_bounding_set(capability)
            .or_else(|error| if capability_is_in_bounding_set(capability)? { Err(error) } else { Ok(()) });
        match removed {
            Ok(()) => {}
            // The kernel knows no capability of this number, nor of a higher one.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(SetupError::new("shrink the capability bounding set", error)),
        }
    }
    set_no_new_privs(true).step("set no_new_privs")
}

/// Gives up every capability but `keep`; after [`bound_to`], for good.
pub(super) fn drop_all_but(keep: CapabilitySet) -> Result<(), SetupError> {
    let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).step("drop capabilities")
}
