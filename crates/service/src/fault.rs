//! Fault points: places where a test may kill the process, one after each journalled step.
//!
//! The variable `TENDER_FAULT` names a point, or `point:N` for its N-th passing. Without it nothing happens.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

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
];

struct Armed {
    name: String,
    /// Which passing kills, from 1.
    passing: u32,
    passed: AtomicU32,
}

fn armed() -> Option<&'static Armed> {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    ARMED
        .get_or_init(|| {
            let text = std::env::var("TENDER_FAULT").ok()?;
            let (name, passing) = match text.rsplit_once(':') {
                Some((name, passing)) => (name.to_owned(), passing.parse().ok()?),
                None => (text, 1),
            };
            Some(Armed { name, passing, passed: AtomicU32::new(0) })
        })
        .as_ref()
}

/// Kills this process without warning when the environment names the point.
pub fn point(name: &'static str) {
    debug_assert!(POINTS.contains(&name), "fault point {name} is not in the list");
    let Some(armed) = armed() else { return };
    if armed.name == name && armed.passed.fetch_add(1, Ordering::SeqCst) + 1 == armed.passing {
        // A kill cannot fail for one's own process; if it did, the test would see the process end normally.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
