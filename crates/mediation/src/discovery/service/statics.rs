//! Static definitions in the registry: read, compared with what was read before, registered or cancelled.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tender_config::Problem;

use super::Discovery;
use super::peers::News;
use crate::discovery::event::Event;
use crate::discovery::statics::{self, Additional, Known, Mode, Reading, Stamps};
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
    /// What they said.
    known: Known,
    /// When that was, if not all could be read.
    incomplete: Option<Instant>,
}

/// What was read before.
struct Before {
    /// The instances are others now.
    is_other: bool,
    problems: Vec<Problem>,
}

impl Statics {
    /// Says whether files are others than those that were read, or may be read that could not.
    pub(super) fn is_other(&self, stamps: &Stamps) -> bool {
        const RETRY: Duration = Duration::from_secs(30);
        let current = self.current();
        current.stamps != *stamps || current.incomplete.is_some_and(|since| since.elapsed() >= RETRY)
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to an instance what is said about its service.
    pub(super) fn add_to(&self, instance: &mut Instance) {
        let current = self.current();
        if current.additional.is_empty() {
            return;
        }
        let service = crate::discovery::metadata::service_of(&instance.id).unwrap_or(&instance.app);
        if let Some(additional) = current.additional.get(&service.to_ascii_lowercase()) {
            additional.apply(instance);
        }
    }

    fn instances(&self) -> Vec<Instance> {
        self.current().instances.clone()
    }
}

impl Discovery {
    /// Reads static definitions and takes over what has changed; tells what is wrong with them.
    pub async fn read_statics(&self) {
        self.take_statics(true).await;
    }

    /// Reads static definitions and takes over what has changed; tells what is new, and when it was `asked` also that nothing
    /// is.
    pub(super) async fn take_statics(&self, asked: bool) {
        let _reading = self.0.statics.reading.lock().await;
        let (directories, known) =
            (self.0.settings.directories.clone(), self.0.statics.current().known.clone());
        // What changes while it is read is read again.
        let read = move || (statics::stamps(&directories), statics::read_again(&directories, 0, &known));
        let read = tokio::task::spawn_blocking(read).await;
        let (stamps, mut reading) = read.expect("reading definitions does not fail");
        resolve(&mut reading).await;
        let Reading { instances, additional, report, known, is_incomplete } = reading;
        let (count, problems) = (instances.len(), report.problems);
        let incomplete = is_incomplete.then(Instant::now);
        let before = {
            // Locked together with the registry: who renews meanwhile must not renew what has gone.
            let mut current = self.0.statics.current();
            let problems = problems.clone();
            let next = Current { instances, additional, problems, stamps, known, incomplete };
            let before = std::mem::replace(&mut *current, next);
            self.take_over(&before.instances, &current.instances);
            Before { is_other: before.instances != current.instances, problems: before.problems }
        };
        for problem in problems.iter().filter(|problem| !before.problems.contains(problem)) {
            self.tell(&Event::Definition(problem.clone()));
        }
        if asked || before.is_other || before.problems != problems {
            self.tell(&Event::Statics { instances: count, problems: problems.len() });
        }
    }

    fn take_over(&self, before: &[Instance], after: &[Instance]) {
        let now_ms = self.0.state.clock.now_ms();
        let mut registry = self.0.state.registry();
        for gone in before.iter().filter(|one| !after.iter().any(|other| other.id == one.id)) {
            registry.release(&gone.app, &gone.id, now_ms);
            self.spread(&gone.app, &gone.id, News::CHANGED);
        }
        for new in after.iter().filter(|one| !before.contains(one)) {
            registry.take_own(registered_at(new, now_ms), now_ms);
            self.spread(&new.app, &new.id, News::CHANGED);
        }
    }

    /// Renews the leases of static instances and of the server itself; whoever is missing is registered again.
    pub(super) fn renew_own(&self) {
        let now_ms = self.0.state.clock.now_ms();
        let own = self.0.settings.own.as_ref().map(|own| own.instance(now_ms));
        // Always locked in this order.
        let current = self.0.statics.current();
        let mut registry = self.0.state.registry();
        for instance in current.instances.iter().chain(&own) {
            registry.keep(registered_at(instance, now_ms), now_ms);
            self.spread(&instance.app, &instance.id, News::RENEWED);
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
        let current = self.0.statics.current();
        let mut services: Vec<&str> = current.instances.iter().filter_map(|one| one.vip.as_deref()).collect();
        services.sort_unstable();
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::discovery::service::Settings;

    fn definition(id: &str, port: u16) -> String {
        format!("services:\n  - serviceId: {id}\n    instanceBaseUrls: ['http://127.0.0.1:{port}']\n")
    }

    #[tokio::test]
    async fn service_of_several_files_is_listed_once_and_a_file_that_cannot_be_read_takes_nothing_away() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, id, port) in [("a.yml", "one", 1), ("b.yml", "two", 2), ("c.yml", "one", 3)] {
            fs::write(at(name), definition(id, port)).unwrap();
        }
        let discovery =
            Discovery::new(Settings { directories: vec![dir.path().to_owned()], ..Settings::default() });
        let read = discovery.read_statics_again().await;
        assert_eq!(read["registeredServices"], json!(["one", "two"]));
        fs::remove_file(at("b.yml")).unwrap();
        std::os::unix::fs::symlink(at("b.yml"), at("b.yml")).unwrap();
        let read = discovery.read_statics_again().await;
        assert_eq!(read["registeredServices"], json!(["one", "two"]));
        assert!(read["errors"].to_string().contains("stays in use"), "{read}");
        assert_eq!(discovery.0.state.registry().of("two").count(), 1);
        assert!(discovery.0.statics.current().incomplete.is_some(), "it is tried again");
        fs::remove_file(at("b.yml")).unwrap();
        discovery.take_statics(false).await;
        discovery.renew_own();
        assert_eq!(discovery.0.state.registry().of("two").count(), 0);
    }
}
