//! Places where a test may kill the principal, one after each journalled step.

/// Every fault point of the principal.
pub const POINTS: &[&str] = &[
    "initialize.begun",
    "initialize.imported",
    "srvlvl_add.inserted",
    "service.received",
    "service.begun",
    "service.composed",
    "service.applied",
    "service.built",
    "service.finished",
    "localmod.begun",
    "localmod.applied",
    "package.begun",
    "package.servlink",
    "package.published",
    "package.recorded",
    "promote.recorded",
    "promote.signed",
    "send.begun",
    "send.uploaded",
    "send.requested",
    "send.ended",
    "put2prod.requested",
    "put2prod.ended",
    "fallback.requested",
    "fallback.ended",
    "release_delete.recorded",
    "renew.revoked",
    "renew.told",
];

/// Kills this process without warning when the environment names the point.
pub fn point(name: &'static str) {
    debug_assert!(POINTS.contains(&name), "fault point {name} is not in the list");
    tender_content::fault::point(name);
}
