//! Tiles and services as clients of the reference read them. Source: the reference's section 6.2.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{self, Api};
use crate::registered::Service;

/// A group of services.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tile {
    pub(crate) version: String,
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) status: TileStatus,
    pub(crate) description: String,
    pub(crate) services: Vec<ServiceDocument>,
    pub(crate) total_services: usize,
    pub(crate) active_services: usize,
    /// Milliseconds since 1970.
    pub(crate) last_updated_timestamp: u64,
    /// Milliseconds since 1970.
    pub(crate) created_timestamp: u64,
    /// All services have single sign-on.
    pub(crate) sso: bool,
    pub(crate) hide_service_info: bool,
    pub(crate) custom_style_config: Option<Value>,
}

/// How many of its services are up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum TileStatus {
    /// All.
    Up,
    /// None.
    Down,
    /// Some.
    Warning,
}

/// A service in a tile.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceDocument {
    pub(crate) service_id: String,
    title: String,
    description: String,
    status: &'static str,
    secured: bool,
    base_url: String,
    home_page_url: String,
    base_path: String,
    /// Its document as text, where it was asked for.
    pub(crate) api_doc: Option<String>,
    /// Why there is no document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_doc_error_message: Option<String>,
    default_api_version: String,
    api_versions: Vec<String>,
    sso: bool,
    sso_all_instances: bool,
    /// Of version 1: versions to ids.
    api_id: BTreeMap<String, String>,
    apis: BTreeMap<String, Value>,
    instances: Vec<String>,
}

/// Makes the tiles of services; `gateway` is its address as users know it, without a slash at its end.
///
/// What a tile was before says since when it is there, and since when it is as it is.
pub(crate) fn tiles(
    services: &BTreeMap<String, Service>,
    before: &BTreeMap<String, Tile>,
    gateway: &str,
    now_ms: u64,
) -> BTreeMap<String, Tile> {
    let mut grouped = BTreeMap::<&str, Vec<&Service>>::new();
    for service in services.values() {
        if let Some(tile) = service.tile() {
            grouped.entry(tile).or_default().push(service);
        }
    }
    let made = grouped.into_iter().map(|(id, services)| {
        let mut tile = tile(id, &services, gateway, now_ms);
        if let Some(before) = before.get(id) {
            tile.created_timestamp = before.created_timestamp;
            tile.last_updated_timestamp = before.last_updated_timestamp;
            if tile != *before {
                tile.last_updated_timestamp = now_ms;
            }
        }
        (id.to_owned(), tile)
    });
    made.collect()
}

fn tile(id: &str, services: &[&Service], gateway: &str, now_ms: u64) -> Tile {
    let says =
        |key: &str| services.iter().find_map(|service| service.says(&format!("apiml.catalog.tile.{key}")));
    let active = services.iter().filter(|service| service.is_up()).count();
    Tile {
        version: says("version").unwrap_or("1.0.0").to_owned(),
        id: id.to_owned(),
        title: says("title").unwrap_or(id).to_owned(),
        status: match active {
            0 => TileStatus::Down,
            all if all == services.len() => TileStatus::Up,
            _ => TileStatus::Warning,
        },
        description: says("description").unwrap_or_default().to_owned(),
        services: services.iter().map(|service| document(service, gateway)).collect(),
        total_services: services.len(),
        active_services: active,
        last_updated_timestamp: now_ms,
        created_timestamp: now_ms,
        sso: services.iter().all(|service| service.single_sign_on().1),
        hide_service_info: false,
        custom_style_config: None,
    }
}

/// Describes a service, without its API document.
pub(crate) fn document(service: &Service, gateway: &str) -> ServiceDocument {
    let first = service.instances.first();
    let base_url = first.map(|one| {
        let scheme = if one.is_secure { "https" } else { "http" };
        format!("{scheme}://{}:{}", one.host, one.port)
    });
    let (sso, sso_all_instances) = service.single_sign_on();
    ServiceDocument {
        service_id: service.id.clone(),
        title: service.title().to_owned(),
        description: service.description().to_owned(),
        status: status(service.is_up()),
        secured: first.is_some_and(|one| one.is_secure),
        base_url: base_url.unwrap_or_default(),
        home_page_url: service.home_page(gateway).unwrap_or_default(),
        base_path: service.base_path(),
        api_doc: None,
        api_doc_error_message: None,
        default_api_version: api::default_of(&service.apis).map_or_else(|| "v1".to_owned(), Api::key),
        api_versions: service.apis.iter().map(Api::key).collect(),
        sso,
        sso_all_instances,
        api_id: service.apis.iter().map(|api| (api.major(), api.id.clone())).collect(),
        apis: service.apis.iter().map(|api| (api.key(), described(api))).collect(),
        instances: service.instances.iter().map(|one| one.id.clone()).collect(),
    }
}

fn described(api: &Api) -> Value {
    json!({
        "apiId": api.id,
        "gatewayUrl": api.gateway_url,
        "version": api.version,
        "swaggerUrl": api.documents.first(),
        "graphqlUrl": api.graphql,
        "documentationUrl": api.documentation,
        "defaultApi": api.is_default,
        "codeSnippet": api.snippets,
    })
}

/// Describes a service with what the reference's document has no room for: each instance, tile and routes.
pub(crate) fn details(service: &Service, gateway: &str) -> Value {
    let mut details =
        serde_json::to_value(document(service, gateway)).expect("a description is text and numbers");
    let web = |address: &Option<String>| address.clone().filter(|address| api::is_web(address));
    let instances = service.instances.iter().map(|one| {
        json!({
            "instanceId": one.id,
            "status": status(one.is_up),
            "hostname": one.host,
            "port": one.port,
            "protocol": if one.is_secure { "https" } else { "http" },
            "homePageUrl": web(&one.home_page),
            "healthCheckUrl": web(&one.health_check),
            "statusPageUrl": web(&one.status_page),
        })
    });
    details["instances"] = instances.collect();
    details["tile"] = json!(service.tile());
    let routes = service.routes.iter();
    details["routes"] =
        routes.map(|route| json!({ "gatewayUrl": route.gateway, "serviceUrl": route.service })).collect();
    details
}

/// Describes a service in a line of a list.
pub(crate) fn line(service: &Service) -> Value {
    json!({
        "serviceId": service.id,
        "title": service.title(),
        "status": status(service.is_up()),
        "tile": service.tile(),
        "activeInstances": service.instances.iter().filter(|one| one.is_up).count(),
        "totalInstances": service.instances.len(),
    })
}

fn status(is_up: bool) -> &'static str {
    if is_up { "UP" } else { "DOWN" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registered::tests::{instance, read};

    const METADATA: [(&str, &str); 11] = [
        ("apiml.routes.api_v1.gatewayUrl", "api/v1"),
        ("apiml.routes.api_v1.serviceUrl", "/sample"),
        ("apiml.catalog.tile.id", "samples"),
        ("apiml.catalog.tile.title", "Samples"),
        ("apiml.catalog.tile.version", "1.2.0"),
        ("apiml.service.title", "Sample"),
        ("apiml.service.description", "For trials"),
        ("apiml.authentication.scheme", "zoweJwt"),
        ("apiml.apiInfo.0.apiId", "org.sample"),
        ("apiml.apiInfo.0.gatewayUrl", "api/v1"),
        ("apiml.apiInfo.0.version", "1.0.0"),
    ];

    fn made(instances: &[Value], before: &BTreeMap<String, Tile>, now_ms: u64) -> BTreeMap<String, Tile> {
        tiles(&read(instances), before, "https://gw:7554", now_ms)
    }

    #[test]
    fn tile_and_service_have_the_fields_of_the_reference() {
        let made = made(&[instance("sample", 10, true, &METADATA)], &BTreeMap::new(), 7);
        assert_eq!(
            serde_json::to_value(&made["samples"]).unwrap(),
            json!({
                "version": "1.2.0", "id": "samples", "title": "Samples", "status": "UP", "description": "",
                "services": [{
                    "serviceId": "sample", "title": "Sample", "description": "For trials", "status": "UP",
                    "secured": true, "baseUrl": "https://h:10",
                    "homePageUrl": "https://gw:7554/sample/api/v1/ui/index.html", "basePath": "/sample/api/v1",
                    "apiDoc": null, "defaultApiVersion": "org.sample v1.0.0", "apiVersions": ["org.sample v1.0.0"],
                    "sso": true, "ssoAllInstances": true, "apiId": { "v1": "org.sample" },
                    "apis": { "org.sample v1.0.0": {
                        "apiId": "org.sample", "gatewayUrl": "api/v1", "version": "1.0.0", "swaggerUrl": null,
                        "graphqlUrl": null, "documentationUrl": null, "defaultApi": false, "codeSnippet": [],
                    } },
                    "instances": ["h:sample:10"],
                }],
                "totalServices": 1, "activeServices": 1, "lastUpdatedTimestamp": 7, "createdTimestamp": 7, "sso": true,
                "hideServiceInfo": false, "customStyleConfig": null,
            })
        );
    }

    #[test]
    fn status_of_a_tile_says_whether_all_some_or_none_of_its_services_are_up() {
        let of = |ups: &[bool]| {
            let instances: Vec<_> = ups
                .iter()
                .enumerate()
                .map(|(at, up)| instance(&format!("s{at}"), 1, *up, &METADATA))
                .collect();
            made(&instances, &BTreeMap::new(), 0)["samples"].status
        };
        assert_eq!(of(&[true, true]), TileStatus::Up);
        assert_eq!(of(&[true, false]), TileStatus::Warning);
        assert_eq!(of(&[false, false]), TileStatus::Down);
    }

    #[test]
    fn service_without_a_tile_is_in_none_and_one_that_says_nothing_has_every_field() {
        let instances = [instance("plain", 1, true, &[]), instance("tiled", 2, true, &[METADATA[2]])];
        let made = made(&instances, &BTreeMap::new(), 0);
        assert_eq!((made.len(), made["samples"].services.len()), (1, 1));
        let document = serde_json::to_value(document(&read(&instances)["plain"], "gw")).unwrap();
        assert_eq!(document["defaultApiVersion"], "v1");
        assert_eq!((&document["basePath"], &document["apis"]), (&json!("/plain"), &json!({})));
    }

    #[test]
    fn times_of_a_tile_say_when_it_came_and_when_it_changed() {
        let first = made(&[instance("sample", 10, true, &METADATA)], &BTreeMap::new(), 1);
        let same = made(&[instance("sample", 10, true, &METADATA)], &first, 2);
        assert_eq!(same, first);
        let changed = made(&[instance("sample", 10, false, &METADATA)], &same, 3);
        let tile = &changed["samples"];
        assert_eq!((tile.created_timestamp, tile.last_updated_timestamp), (1, 3));
    }
}
