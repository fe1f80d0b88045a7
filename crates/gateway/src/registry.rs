//! What discovery says of instances, as far as it matters for the way to them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;
use tender_http::may_be_host;

/// One process of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id, such as `host:service:port`.
    pub id: String,
    /// The service, in lower case.
    pub service: String,
    /// Where it is.
    pub host: String,
    /// At which port.
    pub port: u16,
    /// It is asked over TLS.
    pub is_secure: bool,
    /// It takes requests.
    pub is_up: bool,
    /// What it says of itself.
    pub metadata: BTreeMap<String, String>,
    /// Its pages.
    pub home_page: Option<String>,
    /// Where it tells how it is.
    pub health_check: Option<String>,
    /// Where it tells more.
    pub status_page: Option<String>,
}

/// Says why a document is no registry.
#[derive(Debug, thiserror::Error)]
#[error("understand the registry")]
pub struct ReadError(#[from] serde_json::Error);

/// Reads the document `/eureka/apps`: what cannot be reached, because it has no port or an address that nobody may be sent
/// to, is left out.
pub fn read(document: &[u8]) -> Result<Vec<Instance>, ReadError> {
    let document: Document = serde_json::from_slice(document)?;
    let applications = document.applications.application.0;
    Ok(applications
        .into_iter()
        .flat_map(|one| one.instance.0)
        .filter_map(Registered::into_instance)
        .collect())
}

#[derive(Deserialize)]
struct Document {
    applications: Applications,
}

#[derive(Deserialize)]
struct Applications {
    #[serde(default)]
    application: Many<Application>,
}

#[derive(Deserialize)]
struct Application {
    #[serde(default)]
    instance: Many<Registered>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    instance_id: Option<String>,
    host_name: Option<String>,
    app: Option<String>,
    ip_addr: Option<String>,
    status: Option<String>,
    port: Option<Port>,
    secure_port: Option<Port>,
    #[serde(default)]
    metadata: BTreeMap<String, Value>,
    home_page_url: Option<String>,
    health_check_url: Option<String>,
    status_page_url: Option<String>,
}

/// A port with a flag, each in one of the forms that clients write.
#[derive(Deserialize)]
struct Port {
    #[serde(rename = "$")]
    number: Value,
    #[serde(rename = "@enabled")]
    is_enabled: Value,
}

impl Port {
    fn enabled(&self) -> Option<u16> {
        let is_enabled = self.is_enabled == Value::Bool(true) || self.is_enabled == "true";
        let number = match &self.number {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        };
        number.filter(|number| is_enabled && *number > 0)
    }
}

/// A list that some servers write as its only element; what is no element is left out, and the others stay.
struct Many<T>(Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let elements = match Value::deserialize(deserializer)? {
            Value::Array(elements) => elements,
            one => vec![one],
        };
        Ok(Self(elements.into_iter().filter_map(|element| serde_json::from_value(element).ok()).collect()))
    }
}

impl Registered {
    fn into_instance(self) -> Option<Instance> {
        let service = self.app?.to_ascii_lowercase();
        let host = self.host_name.filter(|host| !host.is_empty()).or(self.ip_addr)?;
        if !may_be_host(&host) {
            return None;
        }
        let secure = self.secure_port.as_ref().and_then(Port::enabled);
        let (port, is_secure) = match secure {
            Some(port) => (port, true),
            None => (self.port.as_ref().and_then(Port::enabled)?, false),
        };
        let id = self.instance_id.unwrap_or_else(|| format!("{host}:{service}:{port}"));
        let text = |(key, value): (String, Value)| match value {
            _ if key == "@class" => None,
            Value::String(text) => Some((key, text)),
            Value::Bool(_) | Value::Number(_) => Some((key, value.to_string())),
            _ => None,
        };
        Some(Instance {
            id,
            service,
            host,
            port,
            is_secure,
            is_up: self.status.as_deref() == Some("UP"),
            metadata: self.metadata.into_iter().filter_map(text).collect(),
            home_page: self.home_page_url,
            health_check: self.health_check_url,
            status_page: self.status_page_url,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(fields: &str) -> Vec<Instance> {
        let text = format!(
            r#"{{"applications":{{"application":[{{"name":"A","instance":[{{"app":"A","status":"UP",{fields}}}]}}]}}}}"#
        );
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn instance_is_read_in_the_forms_that_clients_write() {
        let found = one(r#""hostName":"h","instanceId":"h:a:1","port":{"$":"80","@enabled":true},
            "securePort":{"$":443,"@enabled":"false"},"metadata":{"@class":"x","k":"v","n":1}"#);
        assert_eq!((found[0].service.as_str(), found[0].port, found[0].is_secure), ("a", 80, false));
        assert_eq!(found[0].metadata, BTreeMap::from([("k".into(), "v".into()), ("n".into(), "1".into())]));
        let found = one(
            r#""ipAddr":"10.0.0.1","port":{"$":80,"@enabled":"true"},"securePort":{"$":443,"@enabled":"true"}"#,
        );
        assert_eq!((found[0].port, found[0].is_secure, found[0].id.as_str()), (443, true, "10.0.0.1:a:443"));
    }

    #[test]
    fn list_of_one_may_stand_without_brackets_and_an_empty_registry_has_none() {
        let text = r#"{"applications":{"application":{"instance":{"app":"B","hostName":"h","port":{"$":1,"@enabled":"true"}}}}}"#;
        let found = read(text.as_bytes()).unwrap();
        assert!(!found[0].is_up, "without a status nobody is up");
        for text in [r#"{"applications":{}}"#, r#"{"applications":{"application":[]}}"#] {
            assert_eq!(read(text.as_bytes()).unwrap(), []);
        }
        assert!(read(b"{}").is_err() && read(b"no json").is_err());
    }

    #[test]
    fn instance_that_is_none_does_not_take_the_others_along() {
        let text = r#"{"applications":{"application":[{"instance":[{"app":1},
            {"app":"A","hostName":"h","port":{"$":1,"@enabled":"true"}}]},{"instance":null},7]}}"#;
        assert_eq!(read(text.as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn instance_at_an_address_of_nobodys_service_is_left_out() {
        let port = r#""port":{"$":80,"@enabled":"true"}"#;
        for host in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "[fe80::1]",
            "::ffff:169.254.1.1",
            "a/b",
            "a@b",
            "",
            "h:1",
        ] {
            assert_eq!(one(&format!(r#""hostName":"{host}",{port}"#)), [], "{host}");
        }
        for host in ["127.0.0.1", "10.1.2.3", "service.example.com", "[::1]"] {
            assert_eq!(one(&format!(r#""hostName":"{host}",{port}"#)).len(), 1, "{host}");
        }
    }
}
