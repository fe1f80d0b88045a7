//! What the principal reads of a component's `manifest.yaml`: its name, restart word and build recipes.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tender_content::{Node, Tree};
use tender_package::ComponentName;

use crate::build::Recipe;
use crate::error::ServiceError;
use crate::principal::Principal;

/// The part that holds it.
pub const MANIFEST: &str = "manifest.yaml";

const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// The keys of a component manifest that service uses; other keys belong to others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct ComponentManifest {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// What service needs.
    #[serde(default)]
    pub tender: ServiceKeys,
}

/// The key `tender` of a component manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "Keys")]
pub struct ServiceKeys {
    /// Components with the same word restart together; the component's name by default.
    #[serde(default)]
    pub restart: Option<String>,
    /// Place in the order of service, low first; 100 by default.
    #[serde(default)]
    pub order: Option<u32>,
    /// How objects are built from parts.
    #[serde(default)]
    pub build: Vec<Recipe>,
}

/// All keys below `tender`: those of the running side are known here, so that a misspelt one of ours is found.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Keys {
    #[serde(default)]
    restart: Option<String>,
    #[serde(default)]
    order: Option<u32>,
    #[serde(default)]
    build: Vec<Recipe>,
    #[serde(default, rename = "requires")]
    _requires: IgnoredAny,
    #[serde(default, rename = "after")]
    _after: IgnoredAny,
    #[serde(default, rename = "onFailure")]
    _on_failure: IgnoredAny,
    #[serde(default, rename = "readiness")]
    _readiness: IgnoredAny,
    #[serde(default, rename = "health")]
    _health: IgnoredAny,
    #[serde(default, rename = "stop")]
    _stop: IgnoredAny,
    #[serde(default, rename = "limits")]
    _limits: IgnoredAny,
    #[serde(default, rename = "restartPolicy")]
    _restart_policy: IgnoredAny,
}

impl From<Keys> for ServiceKeys {
    fn from(keys: Keys) -> Self {
        Self { restart: keys.restart, order: keys.order, build: keys.build }
    }
}

/// Says why a component manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not YAML of the right shape.
    #[error("manifest.yaml of component {component} cannot be read")]
    Shape {
        /// The component.
        component: ComponentName,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is too large to be one.
    #[error("manifest.yaml of component {component} has {size} bytes; at most {MANIFEST_BYTES_MAX} are read")]
    TooLarge {
        /// The component.
        component: ComponentName,
        /// Its size.
        size: u64,
    },
    /// It names another component.
    #[error("manifest.yaml of component {component} names component {found}")]
    OtherName {
        /// The component.
        component: ComponentName,
        /// The name in it.
        found: String,
    },
}

impl ComponentManifest {
    /// Reads a manifest.
    pub fn parse(component: &ComponentName, text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = serde_saphyr::from_str(text).map_err(|source| ManifestError::Shape {
            component: component.clone(),
            source: Box::new(source),
        })?;
        match &manifest.name {
            Some(name) if name != component.as_str() => {
                Err(ManifestError::OtherName { component: component.clone(), found: name.clone() })
            }
            _ => Ok(manifest),
        }
    }

    /// Returns the restart word.
    #[must_use]
    pub fn restart(&self, component: &ComponentName) -> String {
        self.tender.restart.clone().unwrap_or_else(|| component.to_string())
    }
}

/// Reads the manifest of a component whose objects are in the store; without one, defaults hold.
pub(crate) fn manifest_of(
    principal: &Principal,
    component: &ComponentName,
    tree: &Tree,
) -> Result<ComponentManifest, ServiceError> {
    let Some(Node::File { digest, size, .. }) = tree.get(MANIFEST) else {
        return Ok(ComponentManifest::default());
    };
    let doing = format!("reading manifest.yaml of component {component}");
    if *size > MANIFEST_BYTES_MAX {
        let error = ManifestError::TooLarge { component: component.clone(), size: *size };
        return Err(ServiceError::content(doing)(error));
    }
    let bytes = principal.store().read(digest).map_err(ServiceError::content(doing.clone()))?;
    ComponentManifest::parse(component, &String::from_utf8_lossy(&bytes))
        .map_err(ServiceError::content(doing))
}

/// What install media hold.
#[derive(Debug, Default)]
pub(crate) struct MediaContents {
    /// The components with their directories, in order of their names.
    pub(crate) components: Vec<(ComponentName, std::path::PathBuf)>,
    /// What stands beside them and is no directory.
    pub(crate) left_out: Vec<String>,
}

/// Lists the components below a directory: one directory each.
pub(crate) fn media_contents(directory: &Path) -> Result<MediaContents, ServiceError> {
    let wrap = || ServiceError::file("reading", directory);
    let mut media = MediaContents::default();
    for entry in std::fs::read_dir(directory).map_err(wrap())? {
        let entry = entry.map_err(wrap())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type().map_err(wrap())?.is_dir() {
            media.left_out.push(name);
            continue;
        }
        let name = ComponentName::new(&name)
            .map_err(ServiceError::content(format!("reading {}", directory.display())))?;
        media.components.push((name, entry.path()));
    }
    media.components.sort();
    media.left_out.sort();
    Ok(media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_with_recipe_is_read() {
        let name = ComponentName::new("portal").unwrap();
        let text = "name: portal\nversion: 1.0.0\ncommands:\n  start: bin/start.sh\ntender:\n  restart: web\n  build:\n    - object: page\n      inputs: [\"src/*.html\"]\n      command: [sh, src/build.sh]\n      outputs: [www/index.html]\n";
        let manifest = ComponentManifest::parse(&name, text).unwrap();
        assert_eq!(manifest.restart(&name), "web");
        assert_eq!(manifest.tender.build[0].outputs, ["www/index.html"]);
    }

    #[test]
    fn manifest_with_keys_of_the_running_side_is_read() {
        let name = ComponentName::new("portal").unwrap();
        let text =
            "configs:\n  port: 7202\ntender:\n  requires: [ledger]\n  readiness:\n    tcp: 127.0.0.1:7202\n";
        assert!(ComponentManifest::parse(&name, text).is_ok());
    }

    #[test]
    fn manifest_of_another_component_is_refused() {
        let name = ComponentName::new("portal").unwrap();
        assert!(matches!(
            ComponentManifest::parse(&name, "name: ledger\n"),
            Err(ManifestError::OtherName { .. })
        ));
    }

    #[test]
    fn manifest_with_unknown_service_key_is_refused() {
        let name = ComponentName::new("portal").unwrap();
        assert!(ComponentManifest::parse(&name, "tender:\n  restrat: web\n").is_err());
    }
}
