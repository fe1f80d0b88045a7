//! The services: one file each, and one line in this table.

use tender_saf::AccessLevel;
use tender_xmem::service::ServiceId;

use crate::monitor::calls::Handler;

mod actor;
mod auth;
pub(crate) mod config;
pub(crate) mod dump;
mod explain;
pub(crate) mod identify;
mod inspect;
pub(crate) mod log;
mod network;
mod place;
mod port;
mod run_as;
mod secmgmt;
mod ticket;
mod token;

/// Who answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// The front itself: no privilege, no policy.
    Front,
    /// The monitor, or a worker on its order.
    Monitor(Handler),
    /// A plug-in; which one the call says.
    Router,
}

/// One service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Service {
    /// Its number; never given to another one.
    pub(crate) id: u16,
    /// Its name; its profile is `ZWES.IS.SRV.<name>`.
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) place: Place,
    /// How much access its profile must give.
    pub(crate) level: AccessLevel,
}

const fn service(id: ServiceId, place: Place, level: AccessLevel) -> Service {
    Service { id: id.number(), name: id.name(), version: id.version(), place, level }
}

/// All of them, by number.
pub(crate) const ALL: &[Service] = &[
    service(ServiceId::Log, Place::Front, AccessLevel::Read),
    service(ServiceId::Dump, Place::Front, AccessLevel::Read),
    service(ServiceId::Config, Place::Front, AccessLevel::Read),
    service(ServiceId::Status, Place::Front, AccessLevel::Read),
    service(ServiceId::Identify, Place::Front, AccessLevel::Read),
    service(ServiceId::Actor, Place::Monitor(actor::call), AccessLevel::Read),
    service(ServiceId::Auth, Place::Monitor(auth::call), AccessLevel::Update),
    service(ServiceId::Inspect, Place::Monitor(inspect::call), AccessLevel::Update),
    service(ServiceId::Network, Place::Monitor(network::call), AccessLevel::Read),
    service(ServiceId::Users, Place::Monitor(secmgmt::users), AccessLevel::Read),
    service(ServiceId::Profiles, Place::Monitor(secmgmt::profiles), AccessLevel::Read),
    service(ServiceId::Access, Place::Monitor(secmgmt::access), AccessLevel::Read),
    service(ServiceId::Admin, Place::Monitor(secmgmt::admin), AccessLevel::Update),
    service(ServiceId::Groups, Place::Monitor(secmgmt::groups), AccessLevel::Read),
    service(ServiceId::Members, Place::Monitor(secmgmt::members), AccessLevel::Read),
    service(ServiceId::GroupAdmin, Place::Monitor(secmgmt::group_admin), AccessLevel::Update),
    service(ServiceId::Ticket, Place::Monitor(ticket::call), AccessLevel::Update),
    service(ServiceId::Token, Place::Monitor(token::call), AccessLevel::Update),
    service(ServiceId::RunAs, Place::Monitor(run_as::call), AccessLevel::Update),
    service(ServiceId::Place, Place::Monitor(place::call), AccessLevel::Update),
    service(ServiceId::Port, Place::Monitor(port::call), AccessLevel::Update),
    service(ServiceId::Explain, Place::Monitor(explain::call), AccessLevel::Read),
    service(ServiceId::RouterSwitch, Place::Router, AccessLevel::Read),
    service(ServiceId::Router, Place::Router, AccessLevel::Read),
];

/// Returns a service by its number.
pub(crate) fn by_id(id: u16) -> Option<&'static Service> {
    ALL.iter().find(|service| service.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_in_order() {
        assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert!(ALL.iter().all(|service| (1..=127).contains(&service.id)));
    }
}
