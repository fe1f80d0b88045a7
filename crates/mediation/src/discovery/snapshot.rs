//! A registry as it is answered: made once for each change, then handed out as often as it is asked for.

use super::registry::Registry;
use super::{json, xml};

/// The whole registry and its recent changes, in both forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which state of the registry it is of.
    pub version: u64,
    /// The whole in JSON.
    pub json: Vec<u8>,
    /// The whole in XML.
    pub xml: Vec<u8>,
    /// The changes in JSON.
    pub delta_json: Vec<u8>,
    /// The changes in XML.
    pub delta_xml: Vec<u8>,
}

impl Snapshot {
    /// Writes a registry down as it is at `now_ms`.
    #[must_use]
    pub fn of(registry: &Registry, now_ms: u64) -> Self {
        let (whole, delta) = (registry.view(), registry.delta(now_ms));
        Self {
            version: registry.version(),
            json: json::applications(&whole),
            xml: xml::applications(&whole),
            delta_json: json::applications(&delta),
            delta_xml: xml::applications(&delta),
        }
    }
}
