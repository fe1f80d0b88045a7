//! From variables of version 1 to a configuration.

use std::path::Path;
use std::sync::Arc;

use crate::convert::assignments::Assignment;
use crate::convert::components;
use crate::environment::{Target, target_of};
use crate::key_path::{KeyPath, Step};
use crate::node::{Mapping, Node, Value};
use crate::origin::Origin;
use crate::problem::Problem;
use crate::yaml;

/// Keys whose values stay texts even when they look like numbers.
const TEXTS: [&str; 3] =
    ["zowe.certificate.keystore.password", "zowe.certificate.keystore.alias", "zOSMF.host"];

/// Builds the configuration that variables describe; later assignments of a name win.
pub(super) fn build(assignments: &[Assignment], file: &Path, problems: &mut Vec<Problem>) -> Node {
    let start = Origin::new(&Arc::from(file), 1, 1);
    let root = Node::new(Value::Mapping(Mapping::default()), start.clone());
    let mut tree = Tree { root, assignments, start };
    tree.directories(file);
    for (at, one) in assignments.iter().enumerate() {
        if assignments[at + 1..].iter().any(|later| later.name == one.name) {
            continue;
        }
        tree.one(one, problems);
    }
    tree.job();
    tree.domains();
    tree.verification();
    tree.started();
    tree.settings_of_all();
    tree.root
}

struct Tree<'a> {
    root: Node,
    assignments: &'a [Assignment],
    start: Origin,
}

impl Tree<'_> {
    fn value(&self, name: &str) -> Option<&Assignment> {
        self.assignments.iter().rev().find(|one| one.name == name && !one.value.is_empty())
    }

    fn text(&self, name: &str) -> &str {
        self.value(name).map_or("", |one| one.value.as_str())
    }

    fn origin(&self, name: &str) -> Origin {
        self.value(name).map_or_else(|| self.start.clone(), |one| one.origin.clone())
    }

    fn set(&mut self, keys: &[&str], value: Value, origin: &Origin) {
        self.root.set(keys, Node::new(value, origin.clone()));
    }

    /// The instance directory held what has keys of its own today.
    fn directories(&mut self, file: &Path) {
        let directory = file.parent().unwrap_or(Path::new("."));
        let start = self.start.clone();
        for (key, name) in [("workspaceDirectory", "workspace"), ("logDirectory", "logs")] {
            self.set(&["zowe", key], Value::text(directory.join(name).to_string_lossy()), &start);
        }
    }

    fn one(&mut self, one: &Assignment, problems: &mut Vec<Problem>) {
        match target_of(&one.name) {
            Target::Computed => {}
            Target::Dropped => {
                let message = format!("{} is derived today, and left out", one.name);
                problems.push(Problem::notice(message).at(&one.origin));
            }
            Target::Environment => {
                self.set(&["zowe", "environments", &one.name], Value::text(&*one.value), &one.origin);
            }
            Target::Key(_) if one.value.is_empty() => {}
            Target::Key(key) => {
                let path: KeyPath = key.parse().expect("a test reads every key of the table");
                let keys: Vec<&str> = path
                    .steps
                    .iter()
                    .filter_map(|step| match step {
                        Step::Key(key) => Some(key.as_str()),
                        Step::Index(_) => None,
                    })
                    .collect();
                let value = if TEXTS.contains(&key) || key.contains("assword") {
                    Value::text(&*one.value)
                } else {
                    yaml::plain(&one.value)
                };
                self.set(&keys, value, &one.origin);
            }
        }
    }

    /// The identifier is appended to the prefix, always.
    fn job(&mut self) {
        let default =
            |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
        let identifier = default(self.text("ZOWE_INSTANCE"), "1");
        let prefix = format!("{}{identifier}", default(self.text("ZOWE_PREFIX"), "ZWE"));
        let origin = self.origin("ZOWE_PREFIX");
        self.set(&["zowe", "job", "name"], Value::text(format!("{prefix}SV")), &origin);
        self.set(&["zowe", "job", "prefix"], Value::text(prefix), &origin);
        let origin = self.origin("ZOWE_INSTANCE");
        self.set(&["zowe", "rbacProfileIdentifier"], Value::text(identifier), &origin);
    }

    fn domains(&mut self) {
        for (variables, key) in [
            (["ZWE_EXTERNAL_HOSTS", "ZOWE_EXPLORER_HOST"].as_slice(), "externalDomains"),
            (&["ZWE_REFERRER_HOSTS"], "referrerHosts"),
        ] {
            let Some(one) = variables.iter().find_map(|name| self.value(name)) else { continue };
            let origin = one.origin.clone();
            let mut hosts: Vec<&str> = Vec::new();
            for host in one.value.split([',', ' ']).filter(|host| !host.is_empty()) {
                if !hosts.contains(&host) {
                    hosts.push(host);
                }
            }
            let hosts = hosts.iter().map(|host| Node::new(Value::text(*host), origin.clone())).collect();
            self.set(&["zowe", key], Value::Sequence(hosts), &origin);
        }
    }

    fn verification(&mut self) {
        let names = ["ZOWE_APIM_VERIFY_CERTIFICATES", "ZOWE_APIM_NONSTRICT_VERIFY_CERTIFICATES"];
        if names.iter().all(|name| self.value(name).is_none()) {
            return;
        }
        let is_on = |name: &str| self.value(name).is_none_or(|one| one.value == "true");
        let word = match (is_on(names[0]), is_on(names[1])) {
            (true, _) => "STRICT",
            (false, true) => "NONSTRICT",
            (false, false) => "DISABLED",
        };
        let origin = self.origin(names[0]);
        self.set(&["zowe", "verifyCertificates"], Value::text(word), &origin);
        if self.root.below(&["zowe", "certificate", "truststore"]).is_some() {
            let kind = self.root.below(&["zowe", "certificate", "keystore", "type"]).cloned();
            if let Some(kind) = kind {
                self.root.set(&["zowe", "certificate", "truststore", "type"], kind);
            }
            let password = self.root.below(&["zowe", "certificate", "keystore", "password"]).cloned();
            if let Some(password) = password {
                self.root.set(&["zowe", "certificate", "truststore", "password"], password);
            }
        }
    }

    fn started(&mut self) {
        let groups = match self.value("LAUNCH_COMPONENT_GROUPS") {
            Some(one) => one.value.clone(),
            None => "GATEWAY,DESKTOP".to_owned(),
        };
        let started = components::started(
            &groups,
            self.text("ZWE_LAUNCH_COMPONENTS"),
            self.text("EXTERNAL_COMPONENTS"),
        );
        let origin = self.origin("LAUNCH_COMPONENT_GROUPS");
        for one in &started {
            self.set(&["components", &one.name, "enabled"], Value::Bool(true), &origin);
        }
        let parent = started.iter().find_map(|one| one.parent.clone());
        if let (Some(parent), None) = (parent, self.root.below(&["zowe", "extensionDirectory"])) {
            let origin = self.origin("EXTERNAL_COMPONENTS");
            self.set(&["zowe", "extensionDirectory"], Value::text(parent), &origin);
        }
    }

    /// Switches that held for all components of a kind.
    fn settings_of_all(&mut self) {
        let mediation = ["gateway", "discovery", "api-catalog", "caching-service"];
        let explorers = ["explorer-jes", "explorer-mvs", "explorer-uss"];
        let settings = [
            ("APIML_DEBUG_MODE_ENABLED", mediation.as_slice(), ["debug"].as_slice()),
            ("APIML_PREFER_IP_ADDRESS", &mediation, &["environment", "preferIpAddress"]),
            ("ZOWE_EXPLORER_FRAME_ANCESTORS", &explorers, &["frameAncestors"]),
        ];
        for (variable, components, below) in settings {
            let Some(one) = self.value(variable) else { continue };
            let (value, origin) = (yaml::plain(&one.value), one.origin.clone());
            for component in components {
                if self.root.below(&["components", component]).is_some() {
                    let keys: Vec<&str> =
                        ["components", component].into_iter().chain(below.iter().copied()).collect();
                    self.set(&keys, value.clone(), &origin);
                }
            }
        }
    }
}
