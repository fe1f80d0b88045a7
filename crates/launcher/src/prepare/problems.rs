//! What each problem of a configuration stops: everything, one component, or nothing.
//!
//! A mistake in one component must not keep the others from starting. What is wrong with a component that is enabled
//! stays with it, so that its policy decides; with `zowe.configmgr.validation: STRICT` every error stops the start.

use std::collections::BTreeMap;

use tender_config::instance::InstanceConfiguration;
use tender_config::key_path::{KeyPath, Step};
use tender_config::node::{Mapping, Node};
use tender_config::problem::{Problem, Severity};

use crate::instance::Loaded;

/// Problems, by what they stop.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// They stop everything.
    pub(crate) global: Vec<String>,
    /// They stop an enabled component.
    pub(crate) of_component: BTreeMap<String, Vec<String>>,
    /// They stop nothing.
    pub(crate) warnings: Vec<String>,
}

/// Finds out what each problem stops.
pub(crate) fn sort(loaded: &Loaded) -> Sorted {
    let instance = &loaded.instance;
    let is_strict = instance
        .root()
        .below(&["zowe", "configmgr", "validation"])
        .and_then(Node::text)
        .is_some_and(|word| word == "STRICT");
    let mut sorted = Sorted::default();
    for problem in &loaded.report.problems {
        let text = problem.to_string();
        match (problem.severity, component_of(problem, instance)) {
            (Severity::Error, Some(name)) if is_enabled(instance, &name) => {
                if is_strict {
                    sorted.global.push(text);
                } else {
                    sorted.of_component.entry(name).or_default().push(text);
                }
            }
            (Severity::Error, None) => sorted.global.push(text),
            (Severity::Error | Severity::Warning, _) => sorted.warnings.push(text),
            (Severity::Notice, _) => {}
        }
    }
    sorted
}

/// Lists components that are enabled here and have no directory, in the order of the configuration.
pub(crate) fn absent(instance: &InstanceConfiguration) -> Vec<(&str, &Node)> {
    let configured = instance.root().get("components").and_then(Node::mapping);
    let entries = configured.map(Mapping::entries).unwrap_or_default().iter();
    entries
        .filter(|entry| instance.component(&entry.key).is_none() && is_enabled(instance, &entry.key))
        .map(|entry| (entry.key.as_str(), &entry.node))
        .collect()
}

/// Returns the component that a problem is about: its settings, or a file of it.
///
/// A problem of another HA instance is none of a component here: it is one of the configuration. So is an `enabled`
/// that is no truth value: whether the component is wanted cannot be told.
fn component_of(problem: &Problem, instance: &InstanceConfiguration) -> Option<String> {
    let in_file = problem.origin.as_ref().and_then(|origin| {
        instance.components.iter().find(|component| origin.file.starts_with(&component.root))
    });
    if let Some(component) = in_file {
        return Some(component.name.clone());
    }
    let path: KeyPath = problem.path.parse().ok()?;
    let keys: Vec<&str> = path
        .steps
        .iter()
        .map_while(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
        .collect();
    match keys[..] {
        ["components", _, "enabled"] | ["haInstances", _, "components", _, "enabled"] => None,
        ["components", name, ..] => Some(name.to_owned()),
        ["haInstances", id, "components", name, ..] if is_here(id, instance) => Some(name.to_owned()),
        _ => None,
    }
}

/// Says whether a key below `haInstances` is the one of this instance.
fn is_here(key: &str, instance: &InstanceConfiguration) -> bool {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    key.trim().chars().map(plain).eq(instance.id.chars())
}

/// Says whether a component, installed or not, is enabled here.
fn is_enabled(instance: &InstanceConfiguration, name: &str) -> bool {
    let enabled = instance.root().below(&["components", name, "enabled"]);
    enabled.and_then(Node::boolean).unwrap_or(false)
}
