//! The configuration of one HA instance, and of the components in it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use crate::environment::{self, Environment, EnvironmentError};
use crate::key_path::{KeyPath, KeyPathError};
use crate::load::{self, Common, Explanation};
use crate::manifest::{Extension, ExtensionError, Manifest, Phase, Script};
use crate::merge::{self, KeyOrder};
use crate::node::{Mapping, Node, Value};
use crate::secret::SecretSource;
use crate::{ha, template};

/// A configuration with the overrides of one HA instance.
#[derive(Debug, Clone)]
pub struct InstanceConfiguration {
    /// The id, sanitised.
    pub id: String,
    /// The host name for internal use: that of the HA instance, else the first external domain, else this system's.
    pub hostname: String,
    /// All components: the configured ones in the order of the configuration, then others that are installed.
    pub components: Vec<Component>,
    root: Arc<Node>,
    /// What the environments of all components have in common; made when it is first asked for.
    environment: Arc<OnceLock<Environment>>,
    pub(crate) common: Arc<Common>,
}

/// A component of an HA instance.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its name: that of its directory, and its key below `components`.
    pub name: String,
    /// Its directory.
    pub root: PathBuf,
    /// Whether it belongs to the product, and not to an extension.
    pub is_core: bool,
    /// Whether it runs in this HA instance.
    pub is_enabled: bool,
    /// Whether its manifest can be used; what is wrong with it is in the report.
    pub is_usable: bool,
    /// What it says of itself.
    pub manifest: Arc<Manifest>,
    /// Its settings: those of the manifest, under those of the configuration, under those of the HA instance.
    pub settings: Node,
    /// The key `tender`, merged the same way.
    tender: Option<Node>,
}

/// When ended components are started again, as `launcher` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LauncherSettings {
    /// Waiting times in seconds.
    pub restart_intervals_s: Vec<u64>,
    /// A longer run resets the counter, in seconds.
    pub min_uptime_s: u64,
}

/// How certificates of others are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum VerifyCertificates {
    /// Chain and host name.
    #[default]
    Strict,
    /// Chain only.
    NonStrict,
    /// Nothing.
    Disabled,
}

/// A key or trust store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Store {
    /// `PKCS12`, or a type of key ring.
    pub kind: Option<String>,
    /// Path, or URL of a key ring.
    pub file: Option<String>,
    /// Where its password is.
    pub password: Option<SecretSource>,
    /// Alias, or label, of the certificate.
    pub alias: Option<String>,
}

/// The certificate that servers run with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuntimeCertificate {
    /// Where the key is.
    pub keystore: Store,
    /// Where the trusted certificates are.
    pub truststore: Store,
    /// The key in PEM.
    pub pem_key: Option<PathBuf>,
    /// The certificate in PEM.
    pub pem_certificate: Option<PathBuf>,
    /// The certificate authorities in PEM.
    pub pem_certificate_authorities: Vec<PathBuf>,
}

/// What a failed configure step means for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConfigureFailure {
    /// The component is started all the same.
    #[default]
    Warn,
    /// The component is left out.
    Skip,
    /// Nothing is started.
    Exit,
}

/// Says why what a component wants of Tender is not known.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// There is no such component.
    #[error("component `{name}` is not installed")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// The key `tender` cannot be used.
    #[error("use `tender` of component {component}")]
    Extension {
        /// The component.
        component: String,
        /// Why.
        #[source]
        source: ExtensionError,
    },
    /// A probe names something that is not there.
    #[error("expand `{text}` of component {component}: `{name}` is neither a setting nor a variable of it")]
    Placeholder {
        /// The component.
        component: String,
        /// The text.
        text: String,
        /// What is not there.
        name: String,
    },
    /// A probe would show a secret.
    #[error("expand `{text}` of component {component}: `{name}` is a secret, and probes are shown")]
    SecretPlaceholder {
        /// The component.
        component: String,
        /// The text.
        text: String,
        /// The secret.
        name: String,
    },
    /// The environment cannot be made.
    #[error("make the environment of component {component}")]
    Environment {
        /// The component.
        component: String,
        /// Why.
        #[source]
        source: EnvironmentError,
    },
}

impl InstanceConfiguration {
    pub(crate) fn new(common: &Arc<Common>, id: String) -> Self {
        let section = load::instance_section(&common.root, &id);
        let root = with_overrides(&common.root, section);
        let hostname = section
            .and_then(|section| section.get("hostname"))
            .or_else(|| root.below(&["zowe", "externalDomains"])?.sequence()?.first())
            .and_then(Node::scalar)
            .unwrap_or_else(ha::system_name);
        let components = components(common, &root);
        let environment = Arc::default();
        Self { id, hostname, components, root: Arc::new(root), environment, common: Arc::clone(common) }
    }

    /// Returns the whole tree with the overrides of the HA instance.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Returns the value of a key.
    ///
    /// Errors: a text that names no key.
    pub fn get(&self, key: &str) -> Result<Option<&Node>, KeyPathError> {
        Ok(self.root.at(&key.parse()?))
    }

    /// Says where the value of a key comes from.
    ///
    /// Errors: a text that names no key.
    pub fn explain(&self, key: &str) -> Result<Explanation, KeyPathError> {
        let path: KeyPath = key.parse()?;
        Ok(load::explain(&self.common, &self.root, &path, Some(&self.id)))
    }

    /// Lists the ids of all configured HA instances.
    #[must_use]
    pub fn instance_ids(&self) -> Vec<String> {
        load::instance_ids(&self.common.root)
    }

    /// Returns the component of a name.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|component| component.name == name)
    }

    /// Lists the components that run in this HA instance: enabled, with a start script that exists.
    pub fn launched(&self) -> impl Iterator<Item = &Component> {
        self.components.iter().filter(|component| component.is_launched())
    }

    /// Returns the product tree.
    #[must_use]
    pub fn runtime_directory(&self) -> Option<PathBuf> {
        self.directory("runtimeDirectory")
    }

    /// Returns where everything generated goes.
    #[must_use]
    pub fn workspace_directory(&self) -> Option<PathBuf> {
        self.directory("workspaceDirectory")
    }

    /// Returns where logs go.
    #[must_use]
    pub fn log_directory(&self) -> Option<PathBuf> {
        self.directory("logDirectory")
    }

    /// Returns where extensions are installed.
    #[must_use]
    pub fn extension_directory(&self) -> Option<PathBuf> {
        self.directory("extensionDirectory")
    }

    /// Returns the name of the whole, such as `ZWE1SV`.
    #[must_use]
    pub fn job_name(&self) -> String {
        self.text(&["zowe", "job", "name"]).unwrap_or_else(|| "ZWE1SV".to_owned())
    }

    /// Returns the prefix of the job names of components.
    #[must_use]
    pub fn job_prefix(&self) -> String {
        self.text(&["zowe", "job", "prefix"]).unwrap_or_else(|| "ZWE1".to_owned())
    }

    /// Returns the job name of a component: the prefix and its suffix, or the component's name in capitals.
    #[must_use]
    pub fn component_job_name(&self, component: &Component) -> String {
        let configured = component.settings.below(&["zowe", "job", "suffix"]).and_then(Node::scalar);
        let suffix = configured.unwrap_or_else(|| match job_suffix(&component.name) {
            Some(suffix) => suffix.to_owned(),
            None => component.name.to_ascii_uppercase(),
        });
        format!("{}{suffix}", self.job_prefix())
    }

    /// Returns when a component is started again: its own settings, then those of all.
    #[must_use]
    pub fn launcher(&self, component: &Component) -> LauncherSettings {
        let common = self.root.below(&["zowe", "launcher"]);
        let own = component.settings.get("launcher");
        let find = |key: &str| {
            own.and_then(|own| own.get(key)).or_else(|| common.and_then(|common| common.get(key)))
        };
        let seconds = |node: &Node| node.integer().and_then(|number| u64::try_from(number).ok());
        LauncherSettings {
            restart_intervals_s: find("restartIntervals")
                .and_then(Node::sequence)
                .map(|all| all.iter().filter_map(seconds).collect())
                .unwrap_or_default(),
            min_uptime_s: find("minUptime").and_then(seconds).unwrap_or(90),
        }
    }

    /// Returns the certificate of all components.
    #[must_use]
    pub fn certificate(&self) -> Option<RuntimeCertificate> {
        self.root.below(&["zowe", "certificate"]).map(RuntimeCertificate::of)
    }

    /// Returns the certificate of a component: its own where it says something, else that of all.
    #[must_use]
    pub fn component_certificate(&self, component: &Component) -> Option<RuntimeCertificate> {
        let common = self.root.below(&["zowe", "certificate"]);
        let own = component.settings.get("certificate");
        match (common, own) {
            (Some(common), Some(own)) => {
                Some(RuntimeCertificate::of(&merge::overlay(common.clone(), own.clone(), KeyOrder::Lower)))
            }
            (common, own) => own.or(common).map(RuntimeCertificate::of),
        }
    }

    /// Returns how certificates of others are checked.
    #[must_use]
    pub fn verify_certificates(&self) -> VerifyCertificates {
        match self.text(&["zowe", "verifyCertificates"]).as_deref() {
            Some("NONSTRICT") => VerifyCertificates::NonStrict,
            Some("DISABLED") => VerifyCertificates::Disabled,
            _ => VerifyCertificates::Strict,
        }
    }

    /// Returns parts of messages that are worth a word to the operator.
    #[must_use]
    pub fn sys_messages(&self) -> Vec<String> {
        self.texts(&["zowe", "sysMessages"])
    }

    /// Returns the names under which users reach the installation.
    #[must_use]
    pub fn external_domains(&self) -> Vec<String> {
        self.texts(&["zowe", "externalDomains"])
    }

    /// Returns the address of this HA instance (`ip`, version 1).
    #[must_use]
    pub fn instance_address(&self) -> Option<String> {
        load::instance_section(&self.common.root, &self.id)?.get("ip").and_then(Node::scalar)
    }

    /// Says whether ports are tried before the start.
    #[must_use]
    pub fn validates_ports(&self) -> bool {
        self.root
            .below(&["zowe", "network", "server", "validatePortFree"])
            .or_else(|| self.root.below(&["zowe", "network", "validatePortFree"]))
            .and_then(Node::boolean)
            .unwrap_or(true)
    }

    /// Returns what a failed configure step means, unless the component says something else.
    #[must_use]
    pub fn on_configure_failure(&self) -> ConfigureFailure {
        match self.text(&["zowe", "launchScript", "onComponentConfigureFail"]).as_deref() {
            Some("exit" | "fail") => ConfigureFailure::Exit,
            Some("skip") => ConfigureFailure::Skip,
            _ => ConfigureFailure::Warn,
        }
    }

    /// Returns how much start-up tells: `info`, `debug` or `trace`.
    #[must_use]
    pub fn log_level(&self) -> String {
        let level = self.text(&["zowe", "launchScript", "logLevel"]).unwrap_or_default();
        if level.is_empty() { "info".to_owned() } else { level }
    }

    /// Returns what Tender does with a component; placeholders `${name}` in its probes are expanded.
    ///
    /// A placeholder is a setting of the component (`${port}`, `${configs.port}`), a key of the whole
    /// (`${zowe.job.name}`), or a variable of its environment.
    ///
    /// Errors: [`ComponentError`].
    pub fn extension(&self, component: &Component) -> Result<Extension, ComponentError> {
        let wrap = |source| ComponentError::Extension { component: component.name.clone(), source };
        let mut extension = match &component.tender {
            Some(node) => Extension::of(node).map_err(wrap)?,
            None => Extension::default(),
        };
        let expand = |text: &str| self.placeholders(component, text);
        if let Some(readiness) = &mut extension.readiness {
            readiness.probe = readiness.probe.try_map(expand)?;
        }
        if let Some(health) = &mut extension.health {
            health.probe = health.probe.try_map(expand)?;
        }
        if let Some(words) = &mut extension.stop.pre_stop {
            *words = words.iter().map(|word| expand(word)).collect::<Result<_, _>>()?;
        }
        Ok(extension)
    }

    /// Expands `${name}` in a text of a component, without a shell.
    fn placeholders(&self, component: &Component, text: &str) -> Result<String, ComponentError> {
        template::placeholders(text, |name| {
            let missing = || ComponentError::Placeholder {
                component: component.name.clone(),
                text: text.to_owned(),
                name: name.to_owned(),
            };
            let secret = || ComponentError::SecretPlaceholder {
                component: component.name.clone(),
                text: text.to_owned(),
                name: name.to_owned(),
            };
            let bare = name.strip_prefix("configs.").unwrap_or(name);
            let node = bare.parse().ok().and_then(|path| component.settings.at(&path));
            let node = node.or_else(|| name.parse().ok().and_then(|path| self.root.at(&path)));
            if let Some(node) = node {
                if matches!(node.value, Value::Secret(_)) {
                    return Err(secret());
                }
                return node.scalar().ok_or_else(missing);
            }
            if name == "haInstance.hostname" {
                return Ok(self.hostname.clone());
            }
            if name == "haInstance.id" {
                return Ok(self.id.clone());
            }
            let environment = environment::component(self, &component.name).map_err(|source| {
                ComponentError::Environment { component: component.name.clone(), source }
            })?;
            let value = environment.get(name).ok_or_else(missing)?;
            value.plain().map(str::to_owned).ok_or_else(secret)
        })
    }

    pub(crate) fn common_environment(&self) -> &Environment {
        self.environment.get_or_init(|| environment::common(self))
    }

    fn directory(&self, key: &str) -> Option<PathBuf> {
        self.text(&["zowe", key]).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    fn text(&self, keys: &[&str]) -> Option<String> {
        self.root.below(keys).filter(|node| !node.is_null()).and_then(Node::scalar)
    }

    fn texts(&self, keys: &[&str]) -> Vec<String> {
        let elements = self.root.below(keys).and_then(Node::sequence).unwrap_or_default();
        elements.iter().filter_map(Node::scalar).collect()
    }
}

impl Component {
    /// Returns the script of a phase.
    #[must_use]
    pub fn script(&self, phase: Phase) -> Option<Script> {
        self.manifest.script(&self.root, phase)
    }

    /// Says whether it is enabled and has something to start.
    #[must_use]
    pub fn is_launched(&self) -> bool {
        self.is_enabled && self.script(Phase::Start).is_some_and(|script| script.exists)
    }
}

impl RuntimeCertificate {
    fn of(node: &Node) -> Self {
        let text = |node: Option<&Node>| {
            node.filter(|node| !node.is_null()).and_then(Node::scalar).filter(|text| !text.is_empty())
        };
        let store = |key: &str| {
            let store = node.get(key);
            let get = |key: &str| store.and_then(|store| store.get(key));
            let password = match get("password").map(|node| &node.value) {
                Some(Value::Secret(source)) => Some(source.clone()),
                _ => None,
            };
            Store { kind: text(get("type")), file: text(get("file")), password, alias: text(get("alias")) }
        };
        let pem = |key: &str| text(node.below(&["pem", key])).map(PathBuf::from);
        let authorities = match node.below(&["pem", "certificateAuthorities"]) {
            Some(node) => match node.sequence() {
                Some(elements) => elements.iter().filter_map(Node::scalar).map(PathBuf::from).collect(),
                None => text(Some(node))
                    .iter()
                    .flat_map(|text| text.split(','))
                    .map(|path| PathBuf::from(path.trim()))
                    .filter(|path| path != Path::new(""))
                    .collect(),
            },
            None => Vec::new(),
        };
        Self {
            keystore: store("keystore"),
            truststore: store("truststore"),
            pem_key: pem("key"),
            pem_certificate: pem("certificate"),
            pem_certificate_authorities: authorities,
        }
    }
}

/// Lays the overrides of an HA instance over the whole.
fn with_overrides(root: &Node, section: Option<&Node>) -> Node {
    let Some(section) = section.and_then(Node::mapping) else { return root.clone() };
    let mut overrides = Mapping::default();
    for entry in section.entries().iter().filter(|entry| !load::INSTANCE_KEYS.contains(&entry.key.as_str())) {
        overrides.insert(&entry.key, entry.key_origin.clone(), entry.node.clone());
    }
    let origin = root.origin.clone();
    merge::overlay(root.clone(), Node::new(Value::Mapping(overrides), origin), KeyOrder::Lower)
}

fn components(common: &Common, root: &Node) -> Vec<Component> {
    let settings = root.get("components").and_then(Node::mapping).map(Mapping::entries).unwrap_or_default();
    let make = |installed: &load::Installed, settings: Option<&Node>| {
        let is_enabled =
            settings.and_then(|node| node.get("enabled")).and_then(Node::boolean).unwrap_or(false);
        let own = settings.and_then(|node| node.get("tender"));
        Component {
            name: installed.name.clone(),
            root: installed.root.clone(),
            is_core: installed.is_core,
            is_enabled,
            is_usable: installed.is_usable,
            manifest: Arc::clone(&installed.manifest),
            settings: settings
                .cloned()
                .unwrap_or_else(|| Node::new(Value::Mapping(Mapping::default()), root.origin.clone())),
            tender: load::merged_extension(installed.manifest.tender.as_ref(), own),
        }
    };
    let mut components: Vec<Component> = Vec::new();
    for entry in settings {
        let installed = common.installed.iter().find(|one| one.name == entry.key);
        components.extend(installed.map(|installed| make(installed, Some(&entry.node))));
    }
    for installed in &common.installed {
        if !components.iter().any(|component| component.name == installed.name) {
            components.push(make(installed, None));
        }
    }
    components
}

/// Returns the suffix that a well-known component has in job names.
fn job_suffix(component: &str) -> Option<&'static str> {
    Some(match component {
        "api-catalog" => "AC",
        "discovery" => "AD",
        "gateway" => "AG",
        "zaas" => "AZ",
        "caching-service" => "CS",
        "app-server" => "DS",
        "files-api" => "EF",
        "jobs-api" => "EJ",
        "zss" => "SZ",
        "explorer-mvs" => "UD",
        "explorer-jes" => "UJ",
        "explorer-uss" => "UU",
        _ => return None,
    })
}
