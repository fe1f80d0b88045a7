//! Static API definitions: rendered without a shell, checked, and put where the discovery service reads them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::layout::{Layout, LayoutError, remove_file, write_generated};

/// Says what is wrong with a definition.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// It cannot be read.
    #[error("read API definition `{}`", path.display())]
    Read {
        /// The template.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A variable or form of the template is wrong.
    #[error("expand API definition `{}`: {reason}", path.display())]
    Expand {
        /// The template.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It is no YAML, or has a property that is not known.
    #[error("API definition `{}`: {reason}", path.display())]
    Content {
        /// The template.
        path: PathBuf,
        /// What is wrong, with the line of the rendered text.
        reason: String,
    },
    /// It cannot be put in place.
    #[error("put API definition in place")]
    Write(#[from] LayoutError),
}

/// Returns the name of a rendered definition: `<component>.<file, other characters as _>.<HA id>.yml`.
#[must_use]
pub fn file_name(component: &str, file: &str, ha_id: &str) -> String {
    let safe: String = file.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{component}.{safe}.{ha_id}.yml")
}

/// Checks the rendered text of a definition.
pub fn check(text: &str) -> Result<(), String> {
    let definition: Definition = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    for service in &definition.services {
        let id = &service.service_id;
        if id.is_empty() || id.chars().any(|c| c.is_uppercase() || c.is_whitespace()) {
            return Err(format!("serviceId `{id}` must be in lower case, without blanks"));
        }
        if service.instance_base_urls.is_empty() {
            return Err(format!("service `{id}` has no instanceBaseUrls"));
        }
        for url in &service.instance_base_urls {
            check_url(url)
                .map_err(|reason| format!("service `{id}`: instanceBaseUrls has `{url}`, {reason}"))?;
        }
        if let Some(tile) = &service.catalog_ui_tile_id
            && !definition.catalog_ui_tiles.contains_key(tile)
        {
            return Err(format!("service `{id}` names tile `{tile}`, which catalogUiTiles does not have"));
        }
    }
    Ok(())
}

/// A base URL needs scheme, host and port.
fn check_url(url: &str) -> Result<(), &'static str> {
    let (scheme, rest) = url.split_once("://").ok_or("which has no scheme")?;
    if !matches!(scheme, "http" | "https") {
        return Err("whose scheme is neither http nor https");
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = authority.rsplit_once(':').ok_or("which has no port")?;
    if host.is_empty() {
        return Err("which has no host");
    }
    port.parse::<u16>().map(drop).map_err(|_| "whose port is not a number")
}

/// Puts the rendered text of one definition in place.
pub fn place(layout: &Layout, component: &str, file: &str, text: &str) -> Result<PathBuf, LayoutError> {
    let path = layout.api_defs().join(file_name(component, file, &layout.ha_id));
    write_generated(&path, text.as_bytes(), 0o660)?;
    Ok(path)
}

/// Removes the definitions of this HA instance that are not in `keep`; returns what was removed.
///
/// Definitions of other HA instances are theirs.
pub fn remove_stale(layout: &Layout, keep: &[PathBuf]) -> Result<Vec<PathBuf>, LayoutError> {
    let ending = format!(".{}.yml", layout.ha_id);
    let directory = layout.api_defs();
    let mut removed = Vec::new();
    for path in entries(&directory)? {
        let is_ours = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&ending));
        if is_ours && !keep.contains(&path) {
            remove_file(&path)?;
            removed.push(path);
        }
    }
    Ok(removed)
}

/// Lists a directory in order; one that is not there is empty.
pub(crate) fn entries(directory: &Path) -> Result<Vec<PathBuf>, LayoutError> {
    let failed = |source| LayoutError::File { step: "list", path: directory.to_owned(), source };
    let mut paths = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()
            .map_err(failed)?,
    };
    paths.sort();
    Ok(paths)
}

/// The fields a definition may have; what is not here is an error of the whole file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Definition {
    #[serde(default)]
    services: Vec<Service>,
    #[serde(default)]
    catalog_ui_tiles: BTreeMap<String, Tile>,
    #[serde(default, rename = "additionalServiceMetadata")]
    _additional_service_metadata: Vec<BTreeMap<String, serde_json::Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Service {
    service_id: String,
    #[serde(default, rename = "title")]
    _title: Option<String>,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default)]
    catalog_ui_tile_id: Option<String>,
    #[serde(default)]
    instance_base_urls: Vec<String>,
    #[serde(default, rename = "homePageRelativeUrl")]
    _home_page_relative_url: Option<String>,
    #[serde(default, rename = "statusPageRelativeUrl")]
    _status_page_relative_url: Option<String>,
    #[serde(default, rename = "healthCheckRelativeUrl")]
    _health_check_relative_url: Option<String>,
    #[serde(default, rename = "routes")]
    _routes: Option<Vec<Route>>,
    #[serde(default, rename = "routedServices")]
    _routed_services: Option<Vec<Route>>,
    #[serde(default, rename = "authentication")]
    _authentication: Option<Authentication>,
    #[serde(default, rename = "apiInfo")]
    _api_info: Option<Vec<ApiInfo>>,
    #[serde(default, rename = "customMetadata")]
    _custom_metadata: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tile {
    #[serde(default, rename = "title")]
    _title: Option<String>,
    #[serde(default, rename = "description")]
    _description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Route {
    #[serde(rename = "gatewayUrl")]
    _gateway_url: String,
    #[serde(default, rename = "serviceRelativeUrl")]
    _service_relative_url: Option<String>,
}

#[derive(Debug, Deserialize)]
enum Scheme {
    #[serde(rename = "bypass")]
    Bypass,
    #[serde(rename = "zoweJwt")]
    ZoweJwt,
    #[serde(rename = "httpBasicPassTicket")]
    HttpBasicPassTicket,
    #[serde(rename = "zosmf")]
    Zosmf,
    #[serde(rename = "safIdt")]
    SafIdt,
    #[serde(rename = "x509")]
    X509,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Authentication {
    #[serde(rename = "scheme")]
    _scheme: Scheme,
    #[serde(default, rename = "applid")]
    _applid: Option<String>,
    #[serde(default, rename = "headers")]
    _headers: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ApiInfo {
    #[serde(default, rename = "apiId")]
    _api_id: Option<String>,
    #[serde(default, rename = "gatewayUrl")]
    _gateway_url: Option<String>,
    #[serde(default, rename = "version")]
    _version: Option<String>,
    #[serde(default, rename = "swaggerUrl")]
    _swagger_url: Option<String>,
    #[serde(default, rename = "documentationUrl")]
    _documentation_url: Option<String>,
    #[serde(default, rename = "defaultApi")]
    _default_api: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
services:
  - serviceId: sample
    title: Sample
    catalogUiTileId: samples
    instanceBaseUrls:
      - https://host.example.com:7555/sample
    homePageRelativeUrl:
    routes:
      - gatewayUrl: api/v1
        serviceRelativeUrl: /api
    authentication:
      scheme: zoweJwt
    apiInfo:
      - apiId: org.example.sample
        gatewayUrl: api/v1
        version: 1.0.0
    customMetadata:
      a: { b: 1 }
catalogUiTiles:
  samples: { title: Samples, description: All }
additionalServiceMetadata:
  - serviceId: other
    mode: UPDATE
    title: x
";

    #[test]
    fn name_has_component_file_and_instance() {
        let name = file_name("sample-ext", "apiml/static-reg.yml", "lpar1");
        assert_eq!(name, "sample-ext.apiml_static_reg_yml.lpar1.yml");
    }

    #[test]
    fn definition_with_all_fields_is_right() {
        check(GOOD).unwrap();
    }

    #[test]
    fn unknown_property_is_named_with_its_line() {
        let error = check(&GOOD.replace("title: Sample\n", "titel: Sample\n")).unwrap_err();
        assert!(error.contains("titel") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn wrong_tile_url_and_scheme_are_errors() {
        for (from, to, expected) in [
            ("catalogUiTileId: samples", "catalogUiTileId: none", "none"),
            (":7555/sample", "/sample", "no port"),
            ("zoweJwt", "magic", "magic"),
            ("serviceId: sample\n", "serviceId: Sample\n", "lower case"),
        ] {
            let error = check(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn stale_definitions_of_this_instance_go_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let layout =
            Layout { workspace: dir.path().join("w"), logs: dir.path().join("l"), ha_id: "one".to_owned() };
        layout.create().unwrap();
        let kept = place(&layout, "a", "x.yml", GOOD).unwrap();
        let stale = place(&layout, "b", "x.yml", GOOD).unwrap();
        let other = layout.api_defs().join("b.x_yml.two.yml");
        fs::write(&other, GOOD).unwrap();
        assert_eq!(remove_stale(&layout, std::slice::from_ref(&kept)).unwrap(), [stale]);
        assert!(kept.exists() && other.exists());
    }
}
