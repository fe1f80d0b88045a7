//! What was done, counted, for who collects measurements.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted, with its name and meaning.
const KINDS: &[(Kind, &str, &str)] = &[
    (Kind::Registrations, "registrations", "Announcements taken"),
    (Kind::Heartbeats, "heartbeats", "Leases renewed"),
    (Kind::Unknown, "heartbeats_unknown", "Heartbeats of instances that must register again"),
    (Kind::Cancellations, "cancellations", "Instances that said good-bye"),
    (Kind::Evictions, "evictions", "Instances taken away because they were silent"),
    (Kind::Fetches, "fetches", "Registry or changes handed out"),
    (Kind::Unchanged, "fetches_unchanged", "Registry or changes that the client had already"),
    (Kind::Written, "documents_written", "Documents written for all readers"),
    (Kind::Refused, "refused", "Requests refused, for instance without a certificate"),
];

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Registrations,
    Heartbeats,
    Unknown,
    Cancellations,
    Evictions,
    Fetches,
    Unchanged,
    Written,
    Refused,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Counters([AtomicU64; KINDS.len()]);

impl Counters {
    pub(super) fn add(&self, kind: Kind, more: u64) {
        self.0[kind as usize].fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn count(&self, kind: Kind) {
        self.add(kind, 1);
    }

    /// Writes them in the text form of Prometheus, with what else is known.
    pub(super) fn text(&self, gauges: &[(&str, &str, u64)]) -> String {
        let mut out = String::new();
        let mut write = |name: &str, help: &str, kind: &str, value: u64| {
            write!(
                out,
                "# HELP tender_discovery_{name} {help}\n# TYPE tender_discovery_{name} {kind}\ntender_discovery_{name} {value}\n"
            )
            .expect("writing to a string cannot fail");
        };
        for (kind, name, help) in KINDS {
            write(&format!("{name}_total"), help, "counter", self.0[*kind as usize].load(Ordering::Relaxed));
        }
        for (name, help, value) in gauges {
            write(name, help, "gauge", *value);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_place_and_name() {
        let counters = Counters::default();
        for (at, (kind, _, _)) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, at);
            counters.add(*kind, at as u64 + 1);
        }
        let text = counters.text(&[("instances", "Instances registered", 7)]);
        for (at, (_, name, _)) in KINDS.iter().enumerate() {
            assert!(text.contains(&format!("tender_discovery_{name}_total {}\n", at + 1)), "{text}");
        }
        assert!(
            text.ends_with("# TYPE tender_discovery_instances gauge\ntender_discovery_instances 7\n"),
            "{text}"
        );
    }
}
