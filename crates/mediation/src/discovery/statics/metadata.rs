//! What the keys of a definition are as metadata, and adding to what other services say.

use std::collections::BTreeMap;

use super::definition::{Definition, Service, slug};
use crate::discovery::Instance;

/// Format of metadata that is written here.
const FORMAT: &str = "2.2.0";

/// How additional metadata meets what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Only what is missing is added.
    #[default]
    Update,
    /// What is there is overwritten.
    ForceUpdate,
}

/// Metadata for a service that announces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Additional {
    /// How it meets what is there.
    pub mode: Mode,
    /// What is added.
    pub metadata: BTreeMap<String, String>,
}

impl Additional {
    /// Adds it to an instance.
    pub fn apply(&self, instance: &mut Instance) {
        for (key, value) in &self.metadata {
            match self.mode {
                Mode::ForceUpdate => {
                    instance.metadata.insert(key.clone(), value.clone());
                }
                Mode::Update => {
                    instance.metadata.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
        }
    }
}

/// Makes metadata of a service's keys; `base_path` stands before the paths of routes.
pub(super) fn of(
    service: &Service,
    definition: &Definition,
    base_path: &str,
    is_static: bool,
) -> BTreeMap<String, String> {
    let mut metadata = BTreeMap::new();
    let mut put = |key: String, value: &str| {
        metadata.insert(key, value.to_owned());
    };
    for route in &service.routes {
        let name = slug(&route.gateway_url);
        put(format!("apiml.routes.{name}.gatewayUrl"), &route.gateway_url);
        put(
            format!("apiml.routes.{name}.serviceUrl"),
            &joined(base_path, Some(&route.service_relative_url)).unwrap_or_default(),
        );
    }
    for (key, text) in [("title", &service.title), ("description", &service.description)] {
        if let Some(text) = text {
            put(format!("apiml.service.{key}"), text);
        }
    }
    if let Some(id) = &service.tile
        && let Some(tile) = definition.tiles.get(&id.text)
    {
        put("apiml.catalog.tile.id".to_owned(), &id.text);
        put("apiml.catalog.tile.version".to_owned(), "1.0.0");
        put("apiml.catalog.tile.title".to_owned(), tile.title.as_deref().unwrap_or_default());
        put("apiml.catalog.tile.description".to_owned(), tile.description.as_deref().unwrap_or_default());
    }
    for (name, texts) in &service.api_info {
        for (key, text) in texts {
            put(format!("apiml.apiInfo.{name}.{key}"), text);
        }
    }
    for (key, text) in &service.authentication {
        put(format!("apiml.authentication.{key}"), text);
    }
    if is_static {
        put("version".to_owned(), FORMAT);
    }
    metadata.extend(service.custom.clone());
    metadata
}

/// Joins a base and a part with exactly one slash; nothing for a part that was not said, the base for an empty one.
pub(super) fn joined(base: &str, part: Option<&str>) -> Option<String> {
    let (base, part) = (base.trim_end_matches('/'), part?);
    Some(match part.trim_start_matches('/') {
        "" if part.is_empty() => base.to_owned(),
        "" => format!("{base}/"),
        rest => format!("{base}/{rest}"),
    })
}
