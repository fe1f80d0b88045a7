//! From a configuration to variables.
//!
//! Later steps win: the flattened configuration, what is derived of it, `zowe.environments`, the variables of the
//! caller. Within the configuration two places that give one variable different values are reported, and the first
//! keeps it.

use std::path::Path;

use crate::environment::{EnvText, EnvValue, Environment, discovery, names, version_1};
use crate::instance::{Component, InstanceConfiguration};
use crate::load::LegacyNames;
use crate::node::{Mapping, Node, Value};
use crate::origin::Origin;
use crate::problem::Problem;

/// Components of the product that need Java; names are part of the interface.
const NEED_JAVA: &str = "gateway,zaas,discovery,api-catalog,caching-service";

/// Variables that `zowe.environments` does not override.
const PROTECTED: [&str; 3] =
    ["ZWE_CLI_PARAMETER_CONFIG", "ZWE_CLI_PARAMETER_HA_INSTANCE", "ZWE_zowe_runtimeDirectory"];

/// Makes the environment of a component, or that of all.
pub(super) fn build(configuration: &InstanceConfiguration, component: Option<&Component>) -> Environment {
    let mut builder = Builder { component, environment: configuration.common_environment().clone() };
    if let Some(component) = component {
        // Again, for its secrets.
        builder.flatten(&format!("components.{}", component.name), &component.settings);
        builder.flatten("configs", &component.settings);
        builder.environment.set("ZWE_CLI_PARAMETER_COMPONENT", &*component.name, "the component");
    }
    let is_wanted = match configuration.common.load.legacy_names {
        LegacyNames::Always => true,
        LegacyNames::Never => false,
        LegacyNames::Auto => configuration.common.is_version_1,
    };
    if is_wanted {
        version_1::add(configuration, component, &mut builder.environment);
    }
    builder.literal(configuration);
    for (name, text) in &configuration.common.load.extra_environment {
        builder.environment.set(name, text.clone(), "given by the caller");
    }
    builder.environment
}

/// Makes the variables that all components have alike: the keys of the configuration without the secrets of components,
/// and what is derived of it.
pub(crate) fn common(configuration: &InstanceConfiguration) -> Environment {
    let mut builder = Builder { component: None, environment: Environment::default() };
    builder.configuration(configuration);
    builder.derived(configuration);
    builder.environment.settled()
}

struct Builder<'a> {
    component: Option<&'a Component>,
    environment: Environment,
}

impl Builder<'_> {
    fn configuration(&mut self, configuration: &InstanceConfiguration) {
        let sections = configuration.root().mapping().map(Mapping::entries).unwrap_or_default();
        for section in sections {
            if section.key == "haInstances" {
                // Other instances are shown as they are configured, not as this one overrides them.
                continue;
            }
            self.flatten(&section.key, &section.node);
        }
        if let Some(instances) = configuration.common.root.get("haInstances") {
            self.flatten("haInstances", instances);
        }
    }

    fn flatten(&mut self, key: &str, node: &Node) {
        if key == "zowe.environments" || is_extension(key) {
            return;
        }
        match &node.value {
            Value::Mapping(mapping) => {
                for entry in mapping.entries() {
                    self.flatten(&format!("{key}.{}", entry.key), &entry.node);
                }
            }
            Value::Sequence(elements) => {
                let scalars: Option<Vec<String>> = elements
                    .iter()
                    .map(
                        |element| {
                            if matches!(element.value, Value::Secret(_)) { None } else { element.scalar() }
                        },
                    )
                    .collect();
                if let Some(scalars) = scalars {
                    self.put(key, EnvText::Plain(scalars.join(",")), &node.origin);
                }
                for (index, element) in elements.iter().enumerate() {
                    self.flatten(&format!("{key}.{index}"), element);
                }
            }
            Value::Secret(source) if self.may_have(key) => {
                self.put(key, EnvText::Secret(source.clone()), &node.origin);
            }
            Value::Secret(_) => {}
            _ => self.put(key, EnvText::Plain(node.scalar().unwrap_or_default()), &node.origin),
        }
    }

    /// Says whether a secret is for this component: its own, and what is there for all; never the set-up's.
    fn may_have(&self, key: &str) -> bool {
        if key.starts_with("zowe.setup.") || key.starts_with("haInstances.") {
            return false;
        }
        match (key.strip_prefix("components."), self.component) {
            (None, _) => true,
            (Some(rest), Some(component)) => {
                rest.strip_prefix(component.name.as_str()).is_some_and(|rest| rest.starts_with('.'))
            }
            (Some(_), None) => false,
        }
    }

    fn put(&mut self, key: &str, text: EnvText, origin: &Origin) {
        for name in names::names_of(key) {
            match self.environment.get(name.as_str()) {
                Some(first) if first.text == text => {}
                Some(first) => {
                    let message = format!(
                        "the keys `{}` and `{key}` give variable {name} different values",
                        first.source
                    );
                    let mut problem = Problem::warning(message).at(origin).on(key);
                    problem.related.extend(first.origin.clone());
                    if !self.environment.problems.contains(&problem) {
                        self.environment.problems.push(problem);
                    }
                }
                None => {
                    let value =
                        EnvValue { text: text.clone(), source: key.to_owned(), origin: Some(origin.clone()) };
                    self.environment.put(&name, value);
                }
            }
        }
    }

    fn derived(&mut self, configuration: &InstanceConfiguration) {
        let path = configuration.common.load.path.to_string();
        let environment = &mut self.environment;
        environment.set("ZWE_haInstance_id", &*configuration.id, "the HA instance");
        environment.set("ZWE_haInstance_hostname", &*configuration.hostname, "the HA instance");
        let list = discovery::list(&configuration.common.root);
        environment.set("ZWE_DISCOVERY_SERVICES_LIST", list, "discovery of all HA instances");
        environment.set("ZWE_CLI_PARAMETER_CONFIG", &*path, "the configuration path");
        environment.set("ZWE_PRIVATE_CONFIG_ORIG", path, "the configuration path");
        environment.set("ZWE_CLI_PARAMETER_HA_INSTANCE", &*configuration.id, "the HA instance");
        let level = configuration.log_level().to_ascii_uppercase();
        environment.set("ZWE_PRIVATE_LOG_LEVEL_ZWELS", level, "zowe.launchScript.logLevel");
        environment.set("ZWE_RUN_IN_CONTAINER", "false", "the system");
        environment.set("ZWE_RUN_ON_ZOS", "false", "the system");
        environment.set("ZWE_PRIVATE_CORE_COMPONENTS_REQUIRE_JAVA", NEED_JAVA, "the product");
        if let Some(version) = &configuration.common.product_version {
            environment.set("ZWE_VERSION", &**version, "manifest.json of the runtime directory");
        }
        self.directories(configuration);
        self.components(configuration);
    }

    fn directories(&mut self, configuration: &InstanceConfiguration) {
        let named = [
            ("ZWE_zowe_runtimeDirectory", configuration.runtime_directory()),
            ("ZWE_zowe_workspaceDirectory", configuration.workspace_directory()),
            ("ZWE_zowe_extensionDirectory", configuration.extension_directory()),
            ("ZWE_zowe_logDirectory", configuration.log_directory()),
        ];
        for (name, directory) in named {
            if self.environment.get(name).is_none() {
                let text = directory.map(|directory| directory.display().to_string()).unwrap_or_default();
                self.environment.set(name, text, "the configuration");
            }
        }
        let Some(workspace) = configuration.workspace_directory() else { return };
        let below = |path: &str| workspace.join(path).display().to_string();
        let source = "zowe.workspaceDirectory";
        let environment = &mut self.environment;
        environment.set("ZWE_PRIVATE_WORKSPACE_ENV_DIR", below(".env"), source);
        environment.set("ZWE_STATIC_DEFINITIONS_DIR", below("api-mediation/api-defs"), source);
        environment.set("ZWE_GATEWAY_SHARED_LIBS", below("gateway/sharedLibs/"), source);
        environment.set("ZWE_DISCOVERY_SHARED_LIBS", below("discovery/sharedLibs/"), source);
        environment.set("ZWE_ZAAS_SHARED_LIBS", below("zaas/sharedLibs/"), source);
    }

    fn components(&mut self, configuration: &InstanceConfiguration) {
        let list = |is_in: &dyn Fn(&Component) -> bool| {
            let names = configuration.components.iter().filter(|component| is_in(component));
            names.map(|component| component.name.as_str()).collect::<Vec<_>>().join(",")
        };
        let installed: Vec<_> = configuration.common.installed.iter().map(|one| one.name.as_str()).collect();
        let source = "components";
        self.environment.set("ZWE_INSTALLED_COMPONENTS", installed.join(","), source);
        self.environment.set("ZWE_ENABLED_COMPONENTS", list(&|component| component.is_enabled), source);
        self.environment.set("ZWE_LAUNCH_COMPONENTS", list(&Component::is_launched), source);
    }

    /// Adds `zowe.environments` as it is written.
    fn literal(&mut self, configuration: &InstanceConfiguration) {
        let Some(entries) = configuration.root().below(&["zowe", "environments"]).and_then(Node::mapping)
        else {
            return;
        };
        for entry in entries.entries() {
            let key = format!("zowe.environments.{}", entry.key);
            if PROTECTED.contains(&entry.key.as_str()) {
                let message = "this variable is set by the launcher, and stays";
                self.environment.problems.push(Problem::warning(message).at(&entry.key_origin).on(key));
                continue;
            }
            let text = match &entry.node.value {
                Value::Secret(source) => EnvText::Secret(source.clone()),
                _ => EnvText::Plain(entry.node.scalar().unwrap_or_default()),
            };
            let value = EnvValue { text, source: key, origin: Some(entry.node.origin.clone()) };
            self.environment.put(&entry.key, value);
        }
    }
}

/// Says whether a key is what Tender itself reads of a component.
fn is_extension(key: &str) -> bool {
    key == "configs.tender"
        || (key.starts_with("components.") || key.starts_with("haInstances.")) && key.ends_with(".tender")
}

/// Joins a directory and a name into text.
pub(super) fn joined(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}
