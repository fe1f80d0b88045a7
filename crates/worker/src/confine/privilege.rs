//! Identity and capabilities.

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Signal};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use super::{ConfineError, Level, Mechanism, Report};
use crate::sys;

/// A user, a group and supplementary groups to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Real, effective and saved uid.
    pub uid: u32,
    /// Real, effective and saved gid.
    pub gid: u32,
    /// Supplementary groups: these and no others.
    pub groups: Vec<u32>,
}

impl Identity {
    /// uid and gid 0 without further groups.
    #[must_use]
    pub const fn root() -> Self {
        Self { uid: 0, gid: 0, groups: Vec::new() }
    }

    fn is_current(&self) -> Result<bool, Errno> {
        let (uids, gids) = sys::identity();
        let mut groups: Vec<u32> = rustix::process::getgroups()?.iter().map(|gid| gid.as_raw()).collect();
        let mut wanted = self.groups.clone();
        for list in [&mut groups, &mut wanted] {
            list.sort_unstable();
            list.dedup();
        }
        Ok(uids == [self.uid; 4] && gids == [self.gid; 4] && groups == wanted)
    }
}

/// Becomes the user: groups, then gid, then uid, each of the three ids, and looks whether it did.
///
/// The system calls change one thread, so the process must have only one. A process that is neither who it was nor who
/// it should be does not go on: a mismatch aborts it.
pub(crate) fn switch(identity: &Identity) -> Result<(), Errno> {
    sys::check_single_threaded()?;
    if identity.uid == u32::MAX || identity.gid == u32::MAX || identity.groups.contains(&u32::MAX) {
        return Err(Errno::INVAL);
    }
    let groups: Vec<Gid> = identity.groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    if !identity.is_current()? {
        std::process::abort();
    }
    Ok(())
}

/// Keeps exactly these capabilities of those the process has, in the permitted and effective sets; looks whether it did.
pub(crate) fn keep(capabilities: CapabilitySet) -> Result<(), Errno> {
    // An old kernel without ambient capabilities has none to clear.
    match rustix::thread::clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error),
    }
    let sets = CapabilitySets {
        effective: capabilities,
        permitted: capabilities,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets)?;
    if rustix::thread::capabilities(None)? != sets {
        std::process::abort();
    }
    Ok(())
}

/// Everything about privilege, in the one order in which it works.
pub(super) fn apply(
    identity: Option<&Identity>,
    wanted: CapabilitySet,
    report: &mut Report,
) -> Result<(), ConfineError> {
    let failed = |what| move |error: Errno| ConfineError::System { what, source: error.into() };
    let has = rustix::thread::capabilities(None).map_err(failed("read capabilities"))?.permitted;
    report.try_note(Mechanism::BoundingSet, limit_bounding_set(wanted));
    // With these bits a change of uid neither takes nor gives capabilities, so that they can be kept across it.
    report.try_note(Mechanism::SecureBits, lock_secure_bits());
    if let Some(identity) = identity {
        if !identity.is_current().map_err(failed("read identity"))? {
            // Without locked bits a change to another user would lose what is to be kept; harmless if they are set.
            let _kept = rustix::thread::set_keep_capabilities(true);
            switch(identity).map_err(|error| ConfineError::Identity {
                uid: identity.uid,
                gid: identity.gid,
                source: error.into(),
            })?;
        }
        report.note(Mechanism::Identity, Level::Full);
    }
    keep(wanted & has).map_err(failed("set capabilities"))?;
    report.note(
        Mechanism::Capabilities,
        if has.contains(wanted) {
            Level::Full
        } else {
            Level::Missing(format!("the process was not given {}", names(wanted - has)))
        },
    );
    rustix::thread::set_no_new_privs(true).map_err(failed("set no_new_privs"))?;
    report.note(Mechanism::NoNewPrivileges, Level::Full);
    // After the change of identity: the kernel resets both with it.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("set dumpable"))?;
    report.note(Mechanism::NotDumpable, Level::Full);
    Ok(())
}

/// Asks to be killed when the parent ends, and looks whether it has ended already.
pub(super) fn die_with_parent(parent: Option<rustix::process::Pid>) -> Result<(), ConfineError> {
    let failed =
        |error: Errno| ConfineError::System { what: "set parent death signal", source: error.into() };
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    if rustix::process::getppid() == parent { Ok(()) } else { Err(ConfineError::Orphan) }
}

fn limit_bounding_set(keep: CapabilitySet) -> Result<(), Errno> {
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if keep.contains(capability) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // One more than the kernel knows: that were all.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn lock_secure_bits() -> Result<(), Errno> {
    use CapabilitiesSecureBits as Bits;
    let bits = Bits::NO_ROOT
        | Bits::NO_ROOT_LOCKED
        | Bits::NO_SETUID_FIXUP
        | Bits::NO_SETUID_FIXUP_LOCKED
        | Bits::NO_CAP_AMBIENT_RAISE
        | Bits::NO_CAP_AMBIENT_RAISE_LOCKED;
    rustix::thread::set_capabilities_secure_bits(bits)
}

pub(crate) fn names(capabilities: CapabilitySet) -> String {
    let names: Vec<String> = capabilities.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    names.join(" ")
}
