//! Instances and registries in JSON.
//!
//! Written as the Java server writes them, because clients rely on it: numbers that are texts, ports with `$` and
//! `@enabled`, and `@class` where metadata is empty. Read leniently: what Node and Python clients write differs.

mod write;

use serde_json::{Map, Value};

use super::instance::{Draft, Instance, ReadError};

pub(crate) use write::value;
pub use write::{application, applications, instance};

/// Reads `{"instance": {…}}`; `now_ms` is the time for what has none.
///
/// Unknown fields are ignored. Errors: [`ReadError`] for what is no JSON, has no instance, or lacks what must be there.
pub fn read_instance(body: &[u8], now_ms: u64) -> Result<Instance, ReadError> {
    let wrong = |error: serde_json::Error| ReadError::Form { form: "JSON", reason: error.to_string() };
    let document: Value = serde_json::from_slice(body).map_err(wrong)?;
    read_value(document.get("instance").unwrap_or(&Value::Null), now_ms)
}

/// Reads `{"applications": {…}}`, as a server answers it; what is no instance is left out.
///
/// Errors: only for what is no JSON.
pub(crate) fn read_applications(body: &[u8], now_ms: u64) -> Result<Vec<Instance>, serde_json::Error> {
    let document: Value = serde_json::from_slice(body)?;
    let each = |value: &Value| match value {
        Value::Array(all) => all.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let applications = each(&document["applications"]["application"]);
    let instances = applications.iter().flat_map(|application| each(&application["instance"]));
    Ok(instances.filter_map(|instance| read_value(&instance, now_ms).ok()).collect())
}

/// Reads the object that stands for an instance.
pub(crate) fn read_value(instance: &Value, now_ms: u64) -> Result<Instance, ReadError> {
    let fields = instance.as_object().ok_or(ReadError::NoInstance)?;
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
