//! What a managed system says of itself when asked (`CSMINFO`).

use jiff::Timestamp;
use tender_package::manifest::FORMAT;
use tender_package::report::{BaseInfo, SystemInfo};
use tender_package::request::PROTOCOL;

use tender_transport::revocation::Revocations;

use crate::audit::{self, AuditError};
use crate::base;
use crate::changes;
use crate::home::{Home, HomeError};
use crate::managed::ManagedState;
use crate::queue;
use crate::slots::{self, Occupant, SlotError};

/// Says why a system cannot describe itself.
#[derive(Debug, thiserror::Error)]
pub enum InfoError {
    /// The slots cannot be read.
    #[error("read the slots")]
    Slot(#[source] SlotError),
    /// A file cannot be read.
    #[error("read the state of the managed system")]
    Home(#[source] HomeError),
    /// The end of the audit log cannot be read.
    #[error("read the end of the audit log")]
    Audit(#[source] AuditError),
}

/// Describes the system as it is now.
pub fn system(home: &Home) -> Result<SystemInfo, InfoError> {
    let slots = slots::read(home).map_err(InfoError::Slot)?;
    let state = ManagedState::read(home).map_err(InfoError::Home)?;
    let bases = base::all_held(home).map_err(InfoError::Home)?;
    let open = queue::open_requests(home).map_err(InfoError::Home)?;
    let changes = changes::head(&state);
    Ok(SystemInfo {
        protocol: PROTOCOL,
        format: FORMAT,
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        system: home.config().name.clone(),
        clock: Timestamp::now(),
        variant: home.config().variant.clone(),
        is_managed: state.managed.is_some(),
        bases: bases.into_iter().map(|held| BaseInfo { vrm: held.vrm, base: held.base }).collect(),
        test: slots.test.as_ref().map(Occupant::info),
        current: slots.current.as_ref().map(Occupant::info),
        previous: slots.previous.as_ref().map(Occupant::info),
        overrides: state.overrides,
        changes,
        // A damaged list keeps everyone out, which is said at the login.
        revocations: Revocations::of_identity(&home.identity()).map_or(0, |list| list.number),
        open_requests: open.into_iter().map(|request| request.id).collect(),
        free_bytes: home.free_bytes().map_err(InfoError::Home)?,
        audit: audit::head(&home.audit_log()).map_err(InfoError::Audit)?,
    })
}
