//! All checks of a merged configuration that need no running system.

use std::collections::BTreeSet;

use crate::ha;
use crate::key_path::KeyPath;
use crate::load::discover::{Installed, place};
use crate::manifest::Extension;
use crate::merge::{self, KeyOrder};
use crate::node::{Mapping, Node, Value};
use crate::origin::Layer;
use crate::problem::{Problem, Severity};
use crate::schema::{Context, Schema, nearest};

/// Keys of an HA instance that override nothing.
pub(crate) const INSTANCE_KEYS: [&str; 4] = ["hostname", "sysname", "id", "ip"];

/// Checks a configuration; places in `failed` have been reported before.
pub(super) fn validate(root: &Node, installed: &[Installed], failed: Vec<KeyPath>) -> Vec<Problem> {
    let context = Context { suppressed: failed, ..Context::default() };
    let mut problems = Schema::base().check(root, &context);
    problems.extend(instances(root, installed, &context));
    let enabled = enabled_somewhere(root);
    problems.extend(components(root, installed, &enabled, &context));
    problems.extend(extensions(root, installed, &enabled));
    problems
}

/// Checks the sections of HA instances as overrides of the whole.
fn instances(root: &Node, installed: &[Installed], context: &Context) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen: Vec<(String, &crate::origin::Origin)> = Vec::new();
    let sections = root.get("haInstances").and_then(Node::mapping).map(Mapping::entries).unwrap_or_default();
    for section in sections {
        let id = ha::sanitise(&section.key);
        let prefix = KeyPath::of(&["haInstances", &section.key]);
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == id) {
            let message = format!("two HA instances have the id `{id}`");
            problems.push(Problem::error(message).at(&section.key_origin).on(&prefix).and_at(first));
        }
        if id != section.key {
            let message = format!("the id of this HA instance is `{id}`");
            problems.push(Problem::notice(message).at(&section.key_origin).on(&prefix));
        }
        seen.push((id, &section.key_origin));
        let Some(mapping) = section.node.mapping() else { continue };
        let mut overrides = Mapping::default();
        for entry in mapping.entries().iter().filter(|entry| !INSTANCE_KEYS.contains(&entry.key.as_str())) {
            overrides.insert(&entry.key, entry.key_origin.clone(), entry.node.clone());
        }
        let overrides = merge::settle(Node::new(Value::Mapping(overrides), section.node.origin.clone()));
        let suppressed = context.suppressed.clone();
        let partial = Context { prefix: prefix.clone(), is_partial: true, suppressed };
        problems.extend(Schema::base().check(&overrides, &partial));
        for component in installed {
            let Some(schema) = &component.schema else { continue };
            let Some(settings) = overrides.below(&["components", &component.name]) else { continue };
            let prefix = prefix.key("components").key(&component.name);
            let partial = Context { prefix, ..partial.clone() };
            problems.extend(schema.check_component(&component.name, settings, &partial));
        }
    }
    problems
}

/// Returns the components that are enabled, in the whole or in any HA instance.
fn enabled_somewhere(root: &Node) -> BTreeSet<String> {
    let of = |node: &Node| -> Vec<String> {
        let components =
            node.get("components").and_then(Node::mapping).map(Mapping::entries).unwrap_or_default();
        let is_enabled = |node: &Node| node.get("enabled").and_then(Node::boolean).unwrap_or(false);
        components.iter().filter(|entry| is_enabled(&entry.node)).map(|entry| entry.key.clone()).collect()
    };
    let sections = root.get("haInstances").and_then(Node::mapping).map(Mapping::entries).unwrap_or_default();
    of(root).into_iter().chain(sections.iter().flat_map(|section| of(&section.node))).collect()
}

/// Checks components one by one: installed, with a usable manifest, with settings that fit their schema.
fn components(
    root: &Node,
    installed: &[Installed],
    enabled: &BTreeSet<String>,
    context: &Context,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for component in installed {
        let is_enabled = enabled.contains(&component.name);
        problems.extend(component.problems.iter().cloned().map(|mut problem| {
            if !is_enabled && problem.severity == Severity::Error {
                problem.severity = Severity::Warning;
                problem.message += "; the component is not enabled";
            }
            problem
        }));
        let prefix = place(&component.name);
        if let (Some(schema), Some(settings)) = (&component.schema, root.at(&prefix)) {
            let context = Context { prefix, is_partial: !is_enabled, suppressed: context.suppressed.clone() };
            let found = schema.check_component(&component.name, settings, &context);
            problems.extend(found.into_iter().map(excuse_manifest));
        }
    }
    problems.extend(missing_schemas(root, installed, enabled));
    problems.extend(not_installed(root, installed, enabled));
    problems
}

/// Makes a warning of an error in the defaults that a component's own manifest brings.
///
/// Manifests of the reference have defaults without a value (`active:`) that their own schema does not allow. Only the
/// component's vendor can mend that, and the component works with it.
fn excuse_manifest(mut problem: Problem) -> Problem {
    let is_default = problem.origin.as_ref().is_some_and(|origin| origin.layer == Layer::Manifest);
    if is_default && problem.severity == Severity::Error {
        problem.severity = Severity::Warning;
        problem.message += "; so says the component's own manifest";
    }
    problem
}

/// Reports enabled components without a schema: an error each when validation is strict, one notice otherwise.
fn missing_schemas(root: &Node, installed: &[Installed], enabled: &BTreeSet<String>) -> Vec<Problem> {
    let without: Vec<_> = installed
        .iter()
        .filter(|one| enabled.contains(&one.name) && one.manifest.config_schemas.is_empty() && one.is_usable)
        .collect();
    let validation = root.below(&["zowe", "configmgr", "validation"]);
    if validation.and_then(Node::text) == Some("STRICT") {
        let strict = |one: &&Installed| {
            let entry = root.get("components").and_then(Node::mapping).and_then(|all| all.entry(&one.name));
            let problem =
                Problem::error("the component brings no schema, and zowe.configmgr.validation is STRICT");
            let problem = problem.on(place(&one.name));
            entry.map_or(problem.clone(), |entry| problem.at(&entry.key_origin))
        };
        return without.iter().map(strict).collect();
    }
    if without.is_empty() {
        return Vec::new();
    }
    let names: Vec<_> = without.iter().map(|one| one.name.as_str()).collect();
    let message =
        format!("settings of these components are not checked, they bring no schema: {}", names.join(", "));
    vec![Problem::notice(message).on("components")]
}

/// Says once that components cannot be looked for, as in a sample that nobody has filled in.
fn no_runtime(root: &Node, runtime: Option<&Node>) -> Problem {
    let place = runtime.map_or(&root.origin, |node| &node.origin);
    let message = "no runtime directory is given: components are neither found nor checked";
    Problem::warning(message).at(place).on(KeyPath::of(&["zowe", "runtimeDirectory"]))
}

fn not_installed(root: &Node, installed: &[Installed], enabled: &BTreeSet<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let sections = root.get("haInstances").and_then(Node::mapping).map(Mapping::entries).unwrap_or_default();
    let prefixed = sections.iter().map(|section| {
        (KeyPath::of(&["haInstances", &section.key, "components"]), section.node.get("components"))
    });
    let all = std::iter::once((KeyPath::of(&["components"]), root.get("components"))).chain(prefixed);
    let mut told = BTreeSet::new();
    for (prefix, components) in all {
        for entry in components.and_then(Node::mapping).map(Mapping::entries).unwrap_or_default() {
            if installed.iter().any(|one| one.name == entry.key) || !told.insert(entry.key.clone()) {
                continue;
            }
            let is_enabled = enabled.contains(&entry.key);
            let severity = if is_enabled { Severity::Error } else { Severity::Notice };
            let message = "the component is not installed: it has no directory with a manifest in the runtime or \
                           extension directory";
            let names = installed.iter().map(|one| one.name.as_str());
            problems.push(
                Problem::new(severity, message)
                    .at(&entry.key_origin)
                    .on(prefix.key(&entry.key))
                    .nearest(nearest(&entry.key, names))
                    .id("ZWEL0132E"),
            );
        }
    }
    let runtime = root.below(&["zowe", "runtimeDirectory"]);
    if !problems.is_empty() && runtime.and_then(Node::scalar).is_none_or(|text| text.is_empty()) {
        return vec![no_runtime(root, runtime)];
    }
    problems
}

/// Checks the key `tender`: overrides as a whole, and names of other components.
fn extensions(root: &Node, installed: &[Installed], enabled: &BTreeSet<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for component in installed.iter().filter(|one| enabled.contains(&one.name)) {
        let own = root.below(&["components", &component.name, "tender"]);
        let Some(node) = merged_extension(component.manifest.tender.as_ref(), own) else { continue };
        let path = place(&component.name).key("tender");
        let extension = match Extension::of(&node) {
            Ok(extension) => extension,
            Err(fault) => {
                // The schema has reported what stands in one place; this is about both together.
                if own.is_some() {
                    problems.push(Problem::error(fault.to_string()).at(&node.origin).on(path));
                }
                continue;
            }
        };
        for (key, names) in [("requires", &extension.requires), ("after", &extension.after)] {
            for name in names.iter().filter(|name| !installed.iter().any(|one| one.name == **name)) {
                let severity = if key == "requires" { Severity::Error } else { Severity::Notice };
                problems.push(
                    Problem::new(severity, "it names a component that is not installed")
                        .at(node.get(key).map_or(&node.origin, |list| &list.origin))
                        .on(path.key(key))
                        .found(name.clone())
                        .nearest(nearest(name, installed.iter().map(|one| one.name.as_str()))),
                );
            }
        }
    }
    problems
}

/// Lays the configured `tender` over that of the manifest; a probe replaces another one, its times stay.
pub(crate) fn merged_extension(manifest: Option<&Node>, own: Option<&Node>) -> Option<Node> {
    const PROBES: [&str; 5] = ["exec", "tcp", "http", "log", "notify"];
    let (Some(manifest), Some(own)) = (manifest, own) else { return manifest.or(own).cloned() };
    let mut lower = manifest.clone();
    for key in ["readiness", "health"] {
        let has_probe = own.get(key).is_some_and(|own| PROBES.iter().any(|probe| own.get(probe).is_some()));
        let below = lower.mapping_mut().and_then(|tender| tender.get_mut(key)).and_then(Node::mapping_mut);
        if let Some(below) = below.filter(|_| has_probe) {
            for probe in PROBES {
                below.remove(probe);
            }
        }
    }
    Some(merge::overlay(lower, own.clone(), KeyOrder::Lower))
}
