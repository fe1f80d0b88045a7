//! Static definitions in the registry: read, compared with what was read before, registered or cancelled.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tender_config::Problem;

use super::Discovery;
use crate::discovery::event::Event;
use crate::discovery::statics::{self, Additional, Mode, Reading, Stamps};
use crate::discovery::{Instance, json as documents};

/// What was read last.
#[derive(Debug, Default)]
pub(super) struct Statics {
    current: Mutex<Current>,
    /// One reads at a time: what it finds is compared with what the one before found.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Current {
    instances: Vec<Instance>,
    additional: BTreeMap<String, Additional>,
    problems: Vec<Problem>,
    /// The files as they were before they were read.
    stamps: Stamps,
}

impl Statics {
    /// Says whether files are others than those that were read.
    pub(super) fn is_other(&self, stamps: &Stamps) -> bool {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).stamps != *stamps
    }

    /// Adds to an instance what is said about its service.
    pub(super) fn add_to(&self, instance: &mut Instance) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.additional.is_empty() {
            return;
        }
        let service = crate::discovery::metadata::service_of(&instance.id).unwrap_or(&instance.app);
        if let Some(additional) = current.additional.get(&service.to_lowercase()) {
            additional.apply(instance);
        }
    }

    fn instances(&self) -> Vec<Instance> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).instances.clone()
    }
}

impl Discovery {
    /// Reads static definitions and takes over what has changed; tells what is wrong with them.
    pub async fn read_statics(&self) {
        let _reading = self.0.statics.reading.lock().await;
        let directories = self.0.settings.directories.clone();
        // What changes while it is read is read again.
        let read = move || (statics::stamps(&directories), statics::read(&directories, 0));
        let read = tokio::task::spawn_blocking(read).await;
        let (stamps, mut reading) = read.expect("reading definitions does not fail");
        resolve(&mut reading).await;
        let before = {
            let mut current = self.0.statics.current.lock().unwrap_or_else(PoisonError::into_inner);
            let problems = reading.report.problems.clone();
            let (instances, additional) = (reading.instances.clone(), reading.additional);
            let next = Current { instances, additional, problems, stamps };
            std::mem::replace(&mut *current, next)
        };
        self.take_over(&before.instances, &reading.instances);
        for problem in reading.report.problems.iter().filter(|problem| !before.problems.contains(problem)) {
            self.tell(&Event::Definition(problem.clone()));
        }
        let (instances, problems) = (reading.instances.len(), reading.report.problems.len());
        self.tell(&Event::Statics { instances, problems });
    }

    fn take_over(&self, before: &[Instance], after: &[Instance]) {
        let now_ms = self.0.state.clock.now_ms();
        let mut registry = self.0.state.registry();
        for gone in before.iter().filter(|one| !after.iter().any(|other| other.id == one.id)) {
            // A client may have cancelled it already.
            registry.cancel(&gone.app, &gone.id, now_ms).ok();
        }
        for new in after.iter().filter(|one| !before.contains(one)) {
            registry.take_own(registered_at(new, now_ms), now_ms);
        }
    }

    /// Renews the leases of static instances and of the server itself; whoever is missing is registered again.
    pub(super) fn renew_own(&self) {
        let now_ms = self.0.state.clock.now_ms();
        let mut own = self.0.statics.instances();
        own.extend(self.0.settings.own.as_ref().map(|own| own.instance(now_ms)));
        let mut registry = self.0.state.registry();
        for instance in own {
            registry.keep(registered_at(&instance, now_ms), now_ms);
        }
    }

    /// Writes the static instances as a list.
    pub(super) fn statics_document(&self) -> Vec<u8> {
        json!(self.static_values()).to_string().into_bytes()
    }

    /// Reads definitions because somebody asks for it, and says what came of it.
    pub(super) async fn read_statics_again(&self) -> Value {
        self.read_statics().await;
        let instances = self.static_values();
        let current = self.0.statics.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut services: Vec<&str> = current.instances.iter().filter_map(|one| one.vip.as_deref()).collect();
        services.dedup();
        let errors: Vec<Value> = current.problems.iter().map(error).collect();
        let additional: BTreeMap<&str, Value> =
            current.additional.iter().map(|(id, one)| (id.as_str(), additional(one))).collect();
        json!({
            "errors": errors,
            "instances": instances,
            "additionalServiceMetadata": additional,
            "registeredServices": services,
        })
    }

    fn static_values(&self) -> Vec<Value> {
        let own = self.0.statics.instances();
        let registry = self.0.state.registry();
        let stored = own.iter().filter_map(|one| registry.get(&one.app, &one.id));
        stored.map(|entry| documents::value(&entry.instance)).collect()
    }
}

fn error(problem: &Problem) -> Value {
    let id = problem.id.unwrap_or("ZWEAD702W");
    let kind = if id.ends_with('W') { "WARNING" } else { "ERROR" };
    let mut told = problem.clone();
    told.id = None;
    json!({ "messageType": kind, "messageNumber": id, "messageContent": told.to_string() })
}

fn additional(additional: &Additional) -> Value {
    let mode = match additional.mode {
        Mode::Update => "UPDATE",
        Mode::ForceUpdate => "FORCE_UPDATE",
    };
    json!({ "mode": mode, "metadata": additional.metadata })
}

/// Definitions know no times; what is registered has that of its registration.
fn registered_at(instance: &Instance, now_ms: u64) -> Instance {
    Instance { dirty_ms: now_ms, updated_ms: now_ms, ..instance.clone() }
}

/// Looks up the addresses of hosts; one that cannot be found keeps its name and is a warning.
async fn resolve(reading: &mut Reading) {
    /// A name service that is away must not hold up the services whose addresses are known.
    const DEADLINE: Duration = Duration::from_secs(2);
    let mut lookups = BTreeMap::new();
    for instance in &reading.instances {
        if instance.address.parse::<IpAddr>().is_err() && !lookups.contains_key(&instance.address) {
            let target = (instance.address.clone(), instance.port.number);
            lookups.insert(
                instance.address.clone(),
                tokio::spawn(tokio::time::timeout(DEADLINE, tokio::net::lookup_host(target))),
            );
        }
    }
    let mut problems = Vec::new();
    for (name, lookup) in lookups {
        let found = match lookup.await {
            Ok(Ok(Ok(mut addresses))) => addresses.next().map(|address| address.ip().to_string()),
            _ => None,
        };
        match found {
            Some(address) => {
                for instance in reading.instances.iter_mut().filter(|one| one.address == name) {
                    instance.address.clone_from(&address);
                }
            }
            None => {
                let message =
                    format!("host `{name}` cannot be looked up; its services are registered by name");
                problems.push(Problem::warning(message).id("ZWEAD702W"));
            }
        }
    }
    reading.report.extend(problems);
}
