//! What the gateway tells of services: the document that clients configure themselves by. Source: the reference's 3.12.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::registry::Instance;
use crate::table::{Service, Table};

/// Returns all services, or those that have an API of this id; `own` is the gateway's own address.
pub(crate) fn all(table: &Table, own: &str, api_id: Option<&str>) -> Value {
    let services = table.services().iter().filter(|(_, service)| {
        api_id.is_none_or(|wanted| apis(service).values().any(|api| api.get("apiId") == Some(&wanted)))
    });
    Value::Array(services.map(|(id, service)| document(id, service, own)).collect())
}

/// Returns one service.
pub(crate) fn one(table: &Table, id: &str, own: &str) -> Option<Value> {
    let (id, service) = table.services().get_key_value(&id.to_ascii_lowercase())?;
    Some(document(id, service, own))
}

fn document(id: &str, service: &Service, own: &str) -> Value {
    let is_up = service.instances.iter().any(|instance| instance.is_up);
    json!({
        "serviceId": id,
        "status": if is_up { "UP" } else { "DOWN" },
        "apiml": {
            "apiInfo": api_info(id, service, own),
            "service": {
                "title": service.says("apiml.service.title").unwrap_or(id),
                "description": service.says("apiml.service.description").unwrap_or_default(),
                "homePageUrl": home_page(id, service, own),
            },
            "authentication": authentication(service),
        },
        "instances": service.instances.iter().map(|one| (one.id.clone(), instance(one))).collect::<Map<_, _>>(),
    })
}

/// Returns what instances say of their APIs, by the name of each: one of an id and major version, that of the lowest version.
fn apis(service: &Service) -> BTreeMap<String, BTreeMap<&str, &str>> {
    let mut merged = BTreeMap::<String, BTreeMap<&str, &str>>::new();
    for instance in &service.instances {
        let mut of_instance = BTreeMap::<&str, BTreeMap<&str, &str>>::new();
        for (key, value) in &instance.metadata {
            let named = key.strip_prefix("apiml.apiInfo.").and_then(|rest| rest.split_once('.'));
            if let Some((name, field)) = named.filter(|(_, field)| !field.contains('.')) {
                of_instance.entry(name).or_default().insert(field, value);
            }
        }
        for (name, api) in of_instance {
            let version = api.get("version").copied().unwrap_or_default();
            let major = version.split('.').next().unwrap_or_default();
            let key = api.get("apiId").map_or_else(|| name.to_owned(), |id| format!("{id} {major}"));
            let is_lower = |other: &BTreeMap<&str, &str>| {
                numbers(version) < numbers(other.get("version").copied().unwrap_or_default())
            };
            if merged.get(&key).is_none_or(is_lower) {
                merged.insert(key, api);
            }
        }
    }
    merged
}

fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
}

fn api_info(id: &str, service: &Service, own: &str) -> Vec<Value> {
    let described = apis(service).into_values().filter_map(|api| {
        let gateway = api.get("gatewayUrl")?.trim_matches('/');
        let base = format!("/{id}/{gateway}");
        let mut document = json!({
            "apiId": api.get("apiId").copied().unwrap_or("default"),
            "basePath": base,
            "baseUrl": format!("{own}{base}"),
            "gatewayUrl": gateway,
            "version": api.get("version"),
            "defaultApi": api.get("defaultApi").is_some_and(|text| text.eq_ignore_ascii_case("true")),
        });
        for field in ["documentationUrl", "graphqlUrl"] {
            if let Some(value) = api.get(field) {
                document[field] = json!(value);
            }
        }
        if let Some(page) = api.get("swaggerUrl") {
            document["swaggerUrl"] =
                json!(through_gateway(page, id, service, own).unwrap_or_else(|| (*page).to_owned()));
        }
        Some(document)
    });
    described.collect()
}

fn home_page(id: &str, service: &Service, own: &str) -> Option<String> {
    let page = service.instances.iter().find_map(|instance| instance.home_page.as_deref())?;
    through_gateway(page, id, service, own).or_else(|| Some(page.to_owned()))
}

/// Makes an address on the gateway of one on an instance, if a route leads there.
fn through_gateway(address: &str, id: &str, service: &Service, own: &str) -> Option<String> {
    let (_, rest) = address.split_once("://")?;
    let (_, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let fitting = service.routes.iter().filter_map(|route| {
        let end = route.ends.iter().filter(|end| {
            let rest = path.strip_prefix(&*end.path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let longest = end.map(|end| end.path.len()).max()?;
        Some((longest, route))
    });
    let (length, route) = fitting.max_by_key(|(length, _)| *length)?;
    Some(format!("{own}/{id}/{}{}", route.gateway, &path[length..]))
}

/// Returns the ways in which instances are logged in to, each once.
fn authentication(service: &Service) -> Vec<Value> {
    let mut ways = Vec::new();
    for instance in &service.instances {
        let says = |key: &str| instance.metadata.get(&format!("apiml.authentication.{key}"));
        let Some(scheme) = says("scheme") else { continue };
        let is_known =
            matches!(scheme.as_str(), "zoweJwt" | "zosmf" | "httpBasicPassTicket" | "x509" | "safIdt");
        let says_so = says("sso").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let mut way = json!({ "scheme": scheme, "supportsSso": is_known || says_so });
        for field in ["applid", "headers"] {
            if let Some(value) = says(field) {
                way[field] = json!(value);
            }
        }
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways
}

fn instance(one: &Instance) -> Value {
    let custom: Map<_, _> = one
        .metadata
        .iter()
        .filter(|(key, _)| !key.starts_with("apiml."))
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    json!({
        "status": if one.is_up { "UP" } else { "DOWN" },
        "hostname": one.host,
        "protocol": if one.is_secure { "https" } else { "http" },
        "port": one.port,
        "homePageUrl": one.home_page,
        "healthCheckUrl": one.health_check,
        "statusPageUrl": one.status_page,
        "customMetadata": custom,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(port: u16, version: &str) -> Instance {
        let metadata = [
            ("apiml.routes.api_v1.gatewayUrl", "api/v1"),
            ("apiml.routes.api_v1.serviceUrl", "/zosmf"),
            ("apiml.apiInfo.0.apiId", "ibm.zosmf"),
            ("apiml.apiInfo.0.gatewayUrl", "api/v1"),
            ("apiml.apiInfo.0.version", version),
            ("apiml.apiInfo.0.swaggerUrl", "https://h:443/zosmf/api/docs"),
            ("apiml.authentication.scheme", "zosmf"),
            ("own.key", "value"),
        ];
        Instance {
            id: format!("h:ibmzosmf:{port}"),
            service: "ibmzosmf".to_owned(),
            host: "h".to_owned(),
            port,
            is_secure: true,
            is_up: port == 1,
            metadata: metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            home_page: Some("https://h:443/zosmf/".to_owned()),
            health_check: None,
            status_page: None,
        }
    }

    #[test]
    fn apis_of_instances_are_merged_and_lead_over_the_gateway() {
        let table = Table::new([instance(1, "1.10.0"), instance(2, "1.9.0")]);
        let document = one(&table, "IBMZOSMF", "https://gw:7554").unwrap();
        let apis = document["apiml"]["apiInfo"].as_array().unwrap();
        assert_eq!(apis.len(), 1);
        assert_eq!(
            (&apis[0]["version"], &apis[0]["basePath"]),
            (&json!("1.9.0"), &json!("/ibmzosmf/api/v1"))
        );
        assert_eq!(apis[0]["swaggerUrl"], "https://gw:7554/ibmzosmf/api/v1/api/docs");
        assert_eq!(document["apiml"]["service"]["homePageUrl"], "https://gw:7554/ibmzosmf/api/v1/");
        assert_eq!(document["apiml"]["authentication"], json!([{ "scheme": "zosmf", "supportsSso": true }]));
        assert_eq!(document["instances"]["h:ibmzosmf:1"]["customMetadata"], json!({ "own.key": "value" }));
        assert_eq!(document["status"], "UP");
        assert_eq!(all(&table, "", Some("ibm.zosmf")).as_array().unwrap().len(), 1);
        assert_eq!(all(&table, "", Some("other")), json!([]));
    }

    #[test]
    fn service_that_says_nothing_has_the_same_fields_all_the_same() {
        let mut silent = instance(2, "1");
        silent.metadata.clear();
        let document = one(&Table::new([silent]), "ibmzosmf", "").unwrap();
        assert_eq!(document["apiml"]["apiInfo"], json!([]));
        assert_eq!((&document["status"], &document["apiml"]["authentication"]), (&json!("DOWN"), &json!([])));
    }
}
