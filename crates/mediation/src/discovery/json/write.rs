//! Writing, field by field in the order of the Java server.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::discovery::instance::{Instance, Port};
use crate::discovery::registry::View;
use crate::discovery::xml::EMPTY_MAP;

#[derive(Serialize)]
struct Applications<'a> {
    #[serde(rename = "versions__delta", serialize_with = "text")]
    version: u64,
    #[serde(rename = "apps__hashcode")]
    hash: &'a str,
    application: Vec<Application<'a>>,
}

#[derive(Serialize)]
struct Application<'a> {
    name: &'a str,
    instance: Vec<Document<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    instance_id: &'a str,
    app: &'a str,
    host_name: &'a str,
    ip_addr: &'a str,
    status: &'static str,
    overridden_status: &'static str,
    port: PortDocument,
    secure_port: PortDocument,
    country_id: u64,
    data_center_info: DataCenter<'a>,
    lease_info: Lease,
    metadata: Metadata<'a>,
    #[serde(flatten, skip_serializing_if = "Texts::is_empty")]
    texts: Texts<'a>,
    #[serde(serialize_with = "text")]
    is_coordinating_discovery_server: bool,
    #[serde(serialize_with = "text")]
    last_updated_timestamp: u64,
    #[serde(serialize_with = "text")]
    last_dirty_timestamp: u64,
    action_type: &'static str,
}

#[derive(Serialize)]
struct PortDocument {
    #[serde(rename = "$")]
    number: u16,
    #[serde(rename = "@enabled", serialize_with = "text")]
    is_enabled: bool,
}

#[derive(Serialize)]
struct DataCenter<'a> {
    #[serde(rename = "@class")]
    class: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lease {
    renewal_interval_in_secs: u64,
    duration_in_secs: u64,
    registration_timestamp: u64,
    last_renewal_timestamp: u64,
    eviction_timestamp: u64,
    service_up_timestamp: u64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Metadata<'a> {
    Some(&'a BTreeMap<String, String>),
    None {
        #[serde(rename = "@class")]
        class: &'static str,
    },
}

/// The fields that are written only when they were said.
struct Texts<'a>(&'a Instance);

impl Texts<'_> {
    fn is_empty(&self) -> bool {
        self.0.texts().next().is_none()
    }
}

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.texts())
    }
}

/// Writes a number or flag as a text.
fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl<'a> Document<'a> {
    fn of(instance: &'a Instance) -> Self {
        let port = |Port { number, is_enabled }| PortDocument { number, is_enabled };
        let lease = &instance.lease;
        let metadata = &instance.metadata;
        Self {
            instance_id: &instance.id,
            app: &instance.app,
            host_name: &instance.host,
            ip_addr: &instance.address,
            status: instance.status.name(),
            overridden_status: instance.overridden.name(),
            port: port(instance.port),
            secure_port: port(instance.secure_port),
            country_id: instance.country,
            data_center_info: DataCenter {
                class: &instance.data_center.class,
                name: &instance.data_center.name,
            },
            lease_info: Lease {
                renewal_interval_in_secs: lease.renewal_interval_s,
                duration_in_secs: lease.duration_s,
                registration_timestamp: lease.registered_ms,
                last_renewal_timestamp: lease.renewed_ms,
                eviction_timestamp: lease.evicted_ms,
                service_up_timestamp: lease.up_ms,
            },
            metadata: if metadata.is_empty() {
                Metadata::None { class: EMPTY_MAP }
            } else {
                Metadata::Some(metadata)
            },
            texts: Texts(instance),
            is_coordinating_discovery_server: instance.is_coordinating,
            last_updated_timestamp: instance.updated_ms,
            last_dirty_timestamp: instance.dirty_ms,
            action_type: instance.action.name(),
        }
    }
}

impl<'a> Application<'a> {
    fn of(name: &'a str, instances: &'a [Arc<Instance>]) -> Self {
        Self { name, instance: instances.iter().map(|one| Document::of(one)).collect() }
    }
}

/// Writes a whole registry or its changes.
#[must_use]
pub fn applications(view: &View) -> Vec<u8> {
    let application = view.applications.iter().map(|(name, of)| Application::of(name, of)).collect();
    let document = Applications { version: view.version, hash: &view.hash, application };
    below("applications", &document)
}

/// Writes the instances of one service.
#[must_use]
pub fn application(name: &str, instances: &[Arc<Instance>]) -> Vec<u8> {
    below("application", &Application::of(name, instances))
}

/// Writes one instance.
#[must_use]
pub fn instance(instance: &Instance) -> Vec<u8> {
    below("instance", &Document::of(instance))
}

/// Makes the object that stands for an instance.
pub(crate) fn value(instance: &Instance) -> serde_json::Value {
    serde_json::to_value(Document::of(instance)).expect("texts and numbers are values")
}

fn below(name: &str, document: &impl Serialize) -> Vec<u8> {
    let mut out = format!("{{\"{name}\":").into_bytes();
    serde_json::to_writer(&mut out, document).expect("texts and numbers can be written into memory");
    out.push(b'}');
    out
}
