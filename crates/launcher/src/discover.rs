//! Which components there are, and which of them a launcher starts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::instance::Loaded;

/// A component that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its version, when its manifest says so.
    pub version: Option<String>,
    /// Its title, when its manifest says so.
    pub title: Option<String>,
    /// Its directory.
    pub root: PathBuf,
    /// It is part of the product, not an extension.
    pub is_core: bool,
    /// It is a link to somewhere else.
    pub is_link: bool,
    /// Its manifest can be used.
    pub is_usable: bool,
    /// It is enabled in this HA instance.
    pub is_enabled: bool,
    /// It is enabled and has something to start.
    pub is_launched: bool,
    /// HA instances of the configuration, and whether it is enabled there.
    pub enabled_in: BTreeMap<String, bool>,
}

/// Lists every installed component: configured ones in the order of the configuration, then the others.
#[must_use]
pub fn components(loaded: &Loaded) -> Vec<Listed> {
    let others: Vec<_> = loaded
        .configuration
        .instance_ids()
        .into_iter()
        .filter_map(|id| loaded.configuration.for_instance(Some(&id)).ok())
        .collect();
    let list = loaded.instance.components.iter().map(|component| Listed {
        name: component.name.clone(),
        version: component.manifest.version.clone(),
        title: component.manifest.title.clone(),
        root: component.root.clone(),
        is_core: component.is_core,
        is_link: component.root.is_symlink(),
        is_usable: component.is_usable,
        is_enabled: component.is_enabled,
        is_launched: component.is_launched(),
        enabled_in: others
            .iter()
            .filter_map(|other| Some((other.id.clone(), other.component(&component.name)?.is_enabled)))
            .collect(),
    });
    list.collect()
}

/// Lists the components that a launcher starts, in the order of the configuration (`get-launch-components`).
#[must_use]
pub fn launched(loaded: &Loaded) -> Vec<String> {
    loaded.instance.launched().map(|component| component.name.clone()).collect()
}
