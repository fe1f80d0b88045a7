//! What is known of services: a value made of the registry, replaced as a whole; what everybody reads is written once.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tender_gateway::Instance;
use tender_http::Bytes;

use crate::registered::{self, Service};
use crate::tile::{self, Tile};

/// A state of the registry.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) tiles: BTreeMap<String, Tile>,
    /// The gateway as users know it, without a slash at its end.
    pub(crate) gateway: String,
    all_tiles: OnceLock<Written>,
    all_services: OnceLock<Written>,
}

/// A document as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) plain: Bytes,
    pub(crate) gzip: Bytes,
    /// An entity tag, in its quotation marks.
    pub(crate) tag: String,
}

impl Known {
    /// Makes it of instances; `gateway` is used unless a gateway is registered that says how users reach it.
    pub(crate) fn new(instances: Vec<Instance>, before: &Self, gateway: &str, now_ms: u64) -> Self {
        let services = registered::services(instances);
        let said = services.get("gateway").and_then(|gateway| gateway.says("apiml.service.externalUrl"));
        let said = said.filter(|address| crate::api::is_web(address));
        let gateway = said.unwrap_or(gateway).trim_end_matches('/').to_owned();
        let tiles = tile::tiles(&services, &before.tiles, &gateway, now_ms);
        Self { services, tiles, gateway, all_tiles: OnceLock::new(), all_services: OnceLock::new() }
    }

    /// Returns a service by its id, in any case.
    pub(crate) fn service(&self, id: &str) -> Option<&Service> {
        self.services.get(&id.to_ascii_lowercase())
    }

    /// Returns all tiles as they are sent.
    pub(crate) fn all_tiles(&self) -> &Written {
        self.all_tiles.get_or_init(|| {
            let tiles: Vec<_> = self.tiles.values().collect();
            Written::new(serde_json::to_vec(&tiles).expect("tiles are text and numbers"))
        })
    }

    /// Returns a line for each service as they are sent.
    pub(crate) fn all_services(&self) -> &Written {
        self.all_services.get_or_init(|| {
            let lines: Vec<Value> = self.services.values().map(tile::line).collect();
            Written::new(serde_json::to_vec(&lines).expect("lines are text and numbers"))
        })
    }
}

impl Written {
    /// Makes a document ready to be sent.
    pub(crate) fn new(plain: Vec<u8>) -> Self {
        let mut hasher = DefaultHasher::new();
        plain.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let written = encoder.write_all(&plain).and_then(|()| encoder.finish());
        let gzip = written.expect("memory takes what is written to it");
        Self { plain: plain.into(), gzip: gzip.into(), tag }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateway_is_where_a_registered_one_says_and_else_where_it_was_configured() {
        let of = |metadata: &str| {
            let text = format!(
                r#"{{"applications":{{"application":[{{"instance":{{"app":"GATEWAY","hostName":"h","status":"UP",
                "port":{{"$":1,"@enabled":"true"}},"metadata":{{{metadata}}}}}}}]}}}}"#
            );
            let instances = tender_gateway::read(text.as_bytes()).unwrap();
            Known::new(instances, &Known::default(), "https://configured/", 0).gateway
        };
        assert_eq!(of(r#""apiml.service.externalUrl":"https://said:1/""#), "https://said:1");
        assert_eq!(of(""), "https://configured");
        assert_eq!(of(r#""apiml.service.externalUrl":"javascript:alert(1)""#), "https://configured");
    }

    #[test]
    fn document_of_the_same_content_has_the_same_tag() {
        let (one, same, other) =
            (Written::new(b"a".to_vec()), Written::new(b"a".to_vec()), Written::new(b"b".to_vec()));
        assert!(one.tag == same.tag && one.tag != other.tag && one.tag.starts_with('"'));
    }
}
