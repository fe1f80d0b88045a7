//! The services: one file each, and one line in this table.

use tender_saf::AccessLevel;
use tender_xmem::service::ServiceId;

pub(crate) mod config;
pub(crate) mod dump;
pub(crate) mod identify;
pub(crate) mod log;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The front itself: no privilege, no policy.
    Front,
    /// The monitor, or a worker on its order.
    Monitor,
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
    service(ServiceId::Actor, Place::Monitor, AccessLevel::Read),
    service(ServiceId::Auth, Place::Monitor, AccessLevel::Update),
    service(ServiceId::Inspect, Place::Monitor, AccessLevel::Update),
    service(ServiceId::Network, Place::Monitor, AccessLevel::Read),
    service(ServiceId::Users, Place::Monitor, AccessLevel::Read),
    service(ServiceId::Profiles, Place::Monitor, AccessLevel::Read),
    service(ServiceId::Access, Place::Monitor, AccessLevel::Read),
    service(ServiceId::Admin, Place::Monitor, AccessLevel::Update),
    service(ServiceId::Groups, Place::Monitor, AccessLevel::Read),
    service(ServiceId::Members, Place::Monitor, AccessLevel::Read),
    service(ServiceId::GroupAdmin, Place::Monitor, AccessLevel::Update),
    service(ServiceId::Ticket, Place::Monitor, AccessLevel::Update),
    service(ServiceId::Token, Place::Monitor, AccessLevel::Update),
    service(ServiceId::RunAs, Place::Monitor, AccessLevel::Update),
    service(ServiceId::Place, Place::Monitor, AccessLevel::Update),
    service(ServiceId::Port, Place::Monitor, AccessLevel::Update),
    service(ServiceId::Explain, Place::Monitor, AccessLevel::Read),
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
