//! The services: one file each, and one line in this table.

use tender_saf::AccessLevel;

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

const fn service(id: u16, name: &'static str, place: Place, level: AccessLevel) -> Service {
    Service { id, name, version: 1, place, level }
}

/// All of them, by number.
pub(crate) const ALL: &[Service] = &[
    service(1, "LOG", Place::Front, AccessLevel::Read),
    service(2, "DUMP", Place::Front, AccessLevel::Read),
    service(3, "CONFIG", Place::Front, AccessLevel::Read),
    service(4, "STATUS", Place::Front, AccessLevel::Read),
    service(5, "IDENTIFY", Place::Front, AccessLevel::Read),
    service(6, "ACTOR", Place::Monitor, AccessLevel::Read),
    service(11, "AUTH", Place::Monitor, AccessLevel::Update),
    service(12, "INSPECT", Place::Monitor, AccessLevel::Update),
    service(13, "NETWORK", Place::Monitor, AccessLevel::Read),
    service(14, "USERS", Place::Monitor, AccessLevel::Read),
    service(15, "PROFILES", Place::Monitor, AccessLevel::Read),
    service(16, "ACCESS", Place::Monitor, AccessLevel::Read),
    service(17, "ADMIN", Place::Monitor, AccessLevel::Update),
    service(18, "GROUPS", Place::Monitor, AccessLevel::Read),
    service(19, "MEMBERS", Place::Monitor, AccessLevel::Read),
    service(20, "GROUPADM", Place::Monitor, AccessLevel::Update),
    service(21, "TICKET", Place::Monitor, AccessLevel::Update),
    service(22, "TOKEN", Place::Monitor, AccessLevel::Update),
    service(23, "RUNAS", Place::Monitor, AccessLevel::Update),
    service(24, "PLACE", Place::Monitor, AccessLevel::Update),
    service(25, "PORT", Place::Monitor, AccessLevel::Update),
    service(26, "EXPLAIN", Place::Monitor, AccessLevel::Read),
    service(64, "ROUTER", Place::Router, AccessLevel::Read),
    service(65, "ROUTER_CP", Place::Router, AccessLevel::Read),
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
