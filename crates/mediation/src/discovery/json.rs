//! Instances and registries in JSON.
//!
//! Written as the Java server writes them, because clients rely on it: numbers that are texts, ports with `$` and
//! `@enabled`, and `@class` where metadata is empty. Read leniently: what Node and Python clients write differs.

use serde_json::{Map, Value, json};

use super::instance::{Draft, Instance, Port, ReadError};
use super::registry::View;

/// Reads `{"instance": {…}}`; `now_ms` is the time for what has none.
///
/// Unknown fields are ignored. Errors: [`ReadError`] for what is no JSON, has no instance, or lacks what must be there.
pub fn read_instance(body: &[u8], now_ms: u64) -> Result<Instance, ReadError> {
    let wrong = |error: serde_json::Error| ReadError::Form { form: "JSON", reason: error.to_string() };
    let document: Value = serde_json::from_slice(body).map_err(wrong)?;
    let fields = document.get("instance").and_then(Value::as_object).ok_or(ReadError::NoInstance)?;
    let mut draft = Draft::default();
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("port" | "securePort", Value::Object(port)) => {
                let part = |name: &str| port.get(name).and_then(text);
                draft.ports.insert(name.clone(), (part("$"), part("@enabled")));
            }
            ("port" | "securePort", value) => {
                draft.ports.insert(name.clone(), (text(value), None));
            }
            ("leaseInfo", Value::Object(lease)) => draft.lease = texts(lease),
            ("dataCenterInfo", Value::Object(center)) => {
                let part = |name: &str| center.get(name).and_then(text);
                draft.data_center = Some((part("@class"), part("name")));
            }
            ("metadata", Value::Object(metadata)) => {
                draft.metadata = texts(metadata);
                draft.metadata.remove("@class");
            }
            (_, value) => {
                if let Some(text) = text(value) {
                    draft.texts.insert(name.clone(), text);
                }
            }
        }
    }
    draft.into_instance(now_ms)
}

/// Returns a plain value as text; nothing for what is nested or null.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn texts(map: &Map<String, Value>) -> std::collections::BTreeMap<String, String> {
    map.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

/// Writes a whole registry or its changes.
#[must_use]
pub fn applications(view: &View<'_>) -> Vec<u8> {
    let applications: Vec<Value> =
        view.applications.iter().map(|(name, of)| application_value(name, of)).collect();
    let document = json!({
        "applications": {
            "versions__delta": view.version.to_string(),
            "apps__hashcode": view.hash,
            "application": applications,
        }
    });
    document.to_string().into_bytes()
}

/// Writes the instances of one service.
#[must_use]
pub fn application(name: &str, instances: &[&Instance]) -> Vec<u8> {
    json!({ "application": application_value(name, instances) }).to_string().into_bytes()
}

/// Writes one instance.
#[must_use]
pub fn instance(instance: &Instance) -> Vec<u8> {
    json!({ "instance": value(instance) }).to_string().into_bytes()
}

fn application_value(name: &str, instances: &[&Instance]) -> Value {
    json!({ "name": name, "instance": instances.iter().map(|one| value(one)).collect::<Vec<_>>() })
}

fn value(instance: &Instance) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("instanceId", json!(instance.id));
    put("app", json!(instance.app));
    put("hostName", json!(instance.host));
    put("ipAddr", json!(instance.address));
    put("status", json!(instance.status.name()));
    put("overriddenStatus", json!(instance.overridden.name()));
    put("port", port(instance.port));
    put("securePort", port(instance.secure_port));
    put("countryId", json!(instance.country));
    put("dataCenterInfo", json!({ "@class": instance.data_center.class, "name": instance.data_center.name }));
    let lease = &instance.lease;
    put(
        "leaseInfo",
        json!({
            "renewalIntervalInSecs": lease.renewal_interval_s,
            "durationInSecs": lease.duration_s,
            "registrationTimestamp": lease.registered_ms,
            "lastRenewalTimestamp": lease.renewed_ms,
            "evictionTimestamp": lease.evicted_ms,
            "serviceUpTimestamp": lease.up_ms,
        }),
    );
    let metadata = if instance.metadata.is_empty() {
        json!({ "@class": super::xml::EMPTY_MAP })
    } else {
        json!(instance.metadata)
    };
    put("metadata", metadata);
    for (name, text) in instance.texts() {
        put(name, json!(text));
    }
    put("isCoordinatingDiscoveryServer", json!(instance.is_coordinating.to_string()));
    put("lastUpdatedTimestamp", json!(instance.updated_ms.to_string()));
    put("lastDirtyTimestamp", json!(instance.dirty_ms.to_string()));
    put("actionType", json!(instance.action.name()));
    Value::Object(fields)
}

fn port(port: Port) -> Value {
    json!({ "$": port.number, "@enabled": port.is_enabled.to_string() })
}
