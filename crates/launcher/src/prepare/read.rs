//! From a configuration to the plain values that preparation works with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tender_certificate::tls::VerifyMode;
use tender_config::environment::{self, EnvValue};
use tender_config::instance::{
    Component, ConfigureFailure, InstanceConfiguration, RuntimeCertificate, Store, VerifyCertificates,
};
use tender_config::manifest::{Extension, FailurePolicy};
use tender_config::node::Node;
use tender_config::secret::SecretSource;
use tender_config::units;
use tender_supervisor::plan;

use super::global::port_uses::PortUse;
use super::global::zosmf::Policy;
use super::model::Model;
use super::problems;
use super::subject::{FailurePolicies, Subject};
use super::variables::Variables;
use crate::instance::{Instance, InstanceError, Loaded};
use crate::message::chain;

/// Programs are looked for here; nothing of the launcher's own environment is passed on.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where components of the reference have ports of their own, below their settings.
const PORT_KEYS: &[&str] = &[
    "port",
    "storage.infinispan.jgroups.port",
    "storage.infinispan.jgroups.keyExchange.port",
    "server.internal.ssl.port",
    "server.internal.port",
    "agent.http.port",
    "agent.https.port",
];

/// What came of reading.
#[derive(Debug)]
pub(crate) enum Reading {
    /// It can be worked with.
    Usable {
        /// The instance.
        model: Box<Model>,
        /// What to look at.
        warnings: Vec<String>,
    },
    /// It must be mended first.
    Wrong {
        /// What is wrong, a line each.
        problems: Vec<String>,
    },
}

/// Takes what is needed out of the configuration.
pub(crate) fn read(instance: &Instance, loaded: &Loaded) -> Result<Reading, InstanceError> {
    let configuration = &loaded.instance;
    let layout = loaded.layout()?;
    let runtime = configuration
        .runtime_directory()
        .ok_or(InstanceError::NotConfigured { key: "zowe.runtimeDirectory" })?;
    let sorted = problems::sort(loaded);
    if !sorted.global.is_empty() {
        return Ok(Reading::Wrong { problems: sorted.global });
    }
    let enabled = configuration.components.iter().filter(|component| component.is_enabled);
    let shared = shared_variables(configuration);
    let installed = enabled.map(|component| {
        subject(configuration, component, &shared, sorted.of_component.get(&component.name))
    });
    let absent = problems::absent(configuration).into_iter().map(|(name, settings)| {
        Subject::absent(
            name,
            runtime.join("components").join(name),
            settings,
            failure_policies(configuration),
            sorted.of_component.get(name),
        )
    });
    let subjects: Vec<Subject> = installed.chain(absent).collect();
    let model = Model {
        directory: instance.directory().to_owned(),
        runtime,
        extensions: configuration.extension_directory(),
        job_name: configuration.job_name(),
        version: loaded.configuration.product_version().map(str::to_owned),
        hosts: hosts(configuration),
        subjects,
        active_anywhere: active_anywhere(loaded),
        ports: ports(loaded),
        java_home: path_at(configuration, "java.home"),
        node_home: path_at(configuration, "node.home"),
        zosmf: zosmf(configuration),
        certificate: configuration.certificate().map(|certificate| certificate_of(&certificate)),
        verify: match configuration.verify_certificates() {
            VerifyCertificates::Strict => VerifyMode::Strict,
            VerifyCertificates::NonStrict => VerifyMode::Nonstrict,
            VerifyCertificates::Disabled => VerifyMode::Disabled,
        },
        effective: configuration.root().to_json(),
        log: log_settings(configuration),
        notable: configuration.sys_messages(),
        layout,
    };
    Ok(Reading::Usable { model: Box::new(model), warnings: sorted.warnings })
}

fn subject(
    configuration: &InstanceConfiguration,
    component: &Component,
    shared: &Result<Arc<BTreeMap<String, String>>, String>,
    problems: Option<&Vec<String>>,
) -> Subject {
    let mut problem = problems.map(|problems| problems.join("; "));
    let mut wrong = |error: String| {
        problem.get_or_insert(error);
    };
    let extension = configuration.extension(component).unwrap_or_else(|error| {
        wrong(chain(&error));
        Extension::default()
    });
    let Given { environment, variables, secrets } = environment_of(configuration, component, shared)
        .unwrap_or_else(|error| {
            wrong(error);
            Given::default()
        });
    if !component.is_usable && problem.is_none() {
        problem = Some("its manifest cannot be used".to_owned());
    }
    let launcher = configuration.launcher(component);
    Subject {
        name: component.name.clone(),
        job_name: configuration.component_job_name(component),
        root: component.root.clone(),
        manifest: (*component.manifest).clone(),
        extension,
        restart: plan::Restart {
            intervals_ms: launcher.restart_intervals_s.iter().map(|seconds| seconds * 1000).collect(),
            min_uptime_ms: launcher.min_uptime_s * 1000,
            ..plan::Restart::default()
        },
        environment,
        variables,
        secrets,
        settings: component.settings.to_json(),
        policies: failure_policies(configuration),
        problem,
    }
}

fn failure_policies(configuration: &InstanceConfiguration) -> FailurePolicies {
    FailurePolicies {
        on_validate: FailurePolicy::Skip,
        on_configure: match configuration.on_configure_failure() {
            ConfigureFailure::Warn => FailurePolicy::Warn,
            ConfigureFailure::Skip => FailurePolicy::Skip,
            ConfigureFailure::Exit => FailurePolicy::Fail,
        },
    }
}

/// Returns how output is kept, `zowe.logging`; the schema has checked the values.
fn log_settings(configuration: &InstanceConfiguration) -> plan::LogSettings {
    let usual = plan::LogSettings::default();
    let at = |key: &str| configuration.root().below(&["zowe", "logging", key]);
    let size = at("rotate").and_then(Node::scalar).and_then(|text| units::size_bytes(&text).ok());
    let keep = at("keep").and_then(Node::integer).and_then(|count| u32::try_from(count).ok());
    plan::LogSettings {
        rotate_bytes: size.unwrap_or(usual.rotate_bytes),
        keep: keep.unwrap_or(usual.keep),
        is_json: at("json").and_then(Node::boolean).unwrap_or(usual.is_json),
        ..usual
    }
}

/// The environment of a component, in its three forms.
#[derive(Debug, Default)]
struct Given {
    /// As a process gets it, secrets fetched.
    environment: Variables,
    /// As the configuration has it.
    variables: environment::Environment,
    /// Names of those that are secret.
    secrets: BTreeSet<String>,
}

/// Returns the variables that all components have alike, secrets fetched; a secret that cannot be had keeps every
/// component from starting.
fn shared_variables(configuration: &InstanceConfiguration) -> Result<Arc<BTreeMap<String, String>>, String> {
    let resolved = environment::instance(configuration).shared().resolve();
    let mut variables = resolved.map_err(|error| chain(&error))?.into_map();
    add_base(&mut variables);
    Ok(Arc::new(variables))
}

/// Returns the environment of a component.
fn environment_of(
    configuration: &InstanceConfiguration,
    component: &Component,
    shared: &Result<Arc<BTreeMap<String, String>>, String>,
) -> Result<Given, String> {
    let variables = environment::component(configuration, &component.name).map_err(|error| chain(&error))?;
    let is_secret = |(name, value): (&str, &EnvValue)| value.is_secret().then(|| name.to_owned());
    let secrets = variables.iter().filter_map(is_secret).collect();
    let own = variables.resolve_own().map_err(|error| chain(&error))?.into_map();
    let mut environment = Variables::new(Arc::clone(shared.as_ref().map_err(Clone::clone)?), own);
    let has_own = |name: &str| environment.own().contains_key(name);
    if (has_own("JAVA_HOME") || has_own("NODE_HOME")) && !has_own("PATH") {
        environment.set("PATH", path_with(|name| environment.get(name)));
    }
    Ok(Given { environment, variables, secrets })
}

/// Returns where programs are looked for: homes that are configured go first.
fn path_with<'v>(get: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut path = String::new();
    for home in ["JAVA_HOME", "NODE_HOME"] {
        if let Some(home) = get(home).filter(|home| !home.is_empty()) {
            path.push_str(home);
            path.push_str("/bin:");
        }
    }
    path.push_str(PATH);
    path
}

/// Adds what every program expects to find, unless the configuration says something else.
pub(crate) fn add_base(variables: &mut BTreeMap<String, String>) {
    let path = path_with(|name| variables.get(name).map(String::as_str));
    let (user, home) = user();
    let base = [
        ("PATH", path),
        ("HOME", home),
        ("USER", user.clone()),
        ("LOGNAME", user),
        ("SHELL", "/bin/sh".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
    ];
    for (name, value) in base {
        variables.entry(name.to_owned()).or_insert(value);
    }
}

/// Returns name and home directory of the user who runs this.
fn user() -> (String, String) {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let fields = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = fields.into_iter().find(|fields| fields.get(2) == Some(&uid.as_str()));
    match found.as_deref() {
        Some([name, _, _, _, _, home, ..]) => ((*name).to_owned(), (*home).to_owned()),
        _ => (uid, "/".to_owned()),
    }
}

fn hosts(configuration: &InstanceConfiguration) -> Vec<String> {
    let mut hosts = configuration.external_domains();
    if !hosts.contains(&configuration.hostname) {
        hosts.push(configuration.hostname.clone());
    }
    hosts
}

/// Returns every HA instance as it is configured; the one at hand when there are none.
fn instances(loaded: &Loaded) -> Vec<InstanceConfiguration> {
    let ids = loaded.configuration.instance_ids();
    let mut found: Vec<InstanceConfiguration> = ids
        .iter()
        .filter(|id| **id != loaded.instance.id)
        .filter_map(|id| loaded.configuration.for_instance(Some(id)).ok())
        .collect();
    found.insert(0, loaded.instance.clone());
    found
}

fn active_anywhere(loaded: &Loaded) -> BTreeSet<String> {
    let all = instances(loaded);
    let enabled = all.iter().flat_map(|instance| instance.components.iter().filter(|one| one.is_enabled));
    enabled.map(|component| component.name.clone()).collect()
}

fn ports(loaded: &Loaded) -> Vec<PortUse> {
    let mut uses = Vec::new();
    for instance in instances(loaded) {
        for component in instance.launched() {
            for key in PORT_KEYS {
                let path: Vec<&str> = key.split('.').collect();
                let port = component.settings.below(&path).and_then(Node::integer);
                let Some(port) = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
                else {
                    continue;
                };
                uses.push(PortUse {
                    port,
                    host: instance.hostname.clone(),
                    ha_id: instance.id.clone(),
                    key: format!("components.{}.{key}", component.name),
                    addresses: addresses(&instance, component),
                    is_checked: validates_ports(&instance, component),
                });
            }
        }
    }
    uses
}

fn addresses(instance: &InstanceConfiguration, component: &Component) -> Vec<IpAddr> {
    let keys = ["zowe", "network", "server", "listenAddresses"];
    let node = component.settings.below(&keys).or_else(|| instance.root().below(&keys));
    let listed = node.and_then(Node::sequence).unwrap_or_default();
    listed.iter().filter_map(|address| address.scalar()?.parse().ok()).collect()
}

fn validates_ports(instance: &InstanceConfiguration, component: &Component) -> bool {
    let own = component.settings.below(&["zowe", "network", "server", "validatePortFree"]);
    own.and_then(Node::boolean).unwrap_or_else(|| instance.validates_ports())
}

fn path_at(configuration: &InstanceConfiguration, key: &str) -> Option<PathBuf> {
    text_at(configuration, key).map(PathBuf::from)
}

fn text_at(configuration: &InstanceConfiguration, key: &str) -> Option<String> {
    let keys: Vec<&str> = key.split('.').collect();
    let node = configuration.root().below(&keys).filter(|node| !node.is_null())?;
    node.scalar().filter(|text| !text.is_empty())
}

/// z/OSMF counts when it is configured and a gateway of this instance authenticates by it.
fn zosmf(configuration: &InstanceConfiguration) -> Option<(String, Policy)> {
    let host = text_at(configuration, "zOSMF.host")?;
    let port = text_at(configuration, "zOSMF.port")?;
    let scheme = text_at(configuration, "zOSMF.scheme").unwrap_or_else(|| "https".to_owned());
    let authenticates =
        ["gateway", "zaas"].iter().filter_map(|name| configuration.component(name)).any(|component| {
            let keys = ["apiml", "security", "auth", "provider"];
            let provider = component.settings.below(&keys).and_then(Node::scalar);
            component.is_launched() && provider.is_none_or(|provider| provider.eq_ignore_ascii_case("zosmf"))
        });
    let policy = text_at(configuration, "zowe.launchScript.startupChecks.zosmf");
    let policy = policy.map_or_else(Policy::default, |word| Policy::parse(&word));
    authenticates.then(|| (format!("{scheme}://{host}:{port}/zosmf/info"), policy))
}

/// Turns the certificate of the configuration into what the checks take.
pub(crate) fn certificate_of(
    certificate: &RuntimeCertificate,
) -> Result<tender_certificate::RuntimeCertificate, String> {
    let pem = [&certificate.pem_key, &certificate.pem_certificate].iter().any(|path| path.is_some())
        || !certificate.pem_certificate_authorities.is_empty();
    Ok(tender_certificate::RuntimeCertificate {
        keystore: store_of("keystore", &certificate.keystore)?,
        truststore: store_of("truststore", &certificate.truststore)?,
        pem: pem.then(|| tender_certificate::PemFiles {
            key: certificate.pem_key.clone(),
            certificate: certificate.pem_certificate.clone(),
            certificate_authorities: (!certificate.pem_certificate_authorities.is_empty()).then(|| {
                tender_certificate::OneOrMany::Many(certificate.pem_certificate_authorities.clone())
            }),
        }),
    })
}

fn store_of(name: &str, store: &Store) -> Result<tender_certificate::StoreFile, String> {
    let file = store.file.as_deref().map(Path::new);
    let file = file.ok_or_else(|| format!("zowe.certificate.{name}.file is not configured"))?;
    // A reference stays one: the checks tell a password in the configuration from one that is kept elsewhere.
    let password = store.password.as_ref().map(|source| match source {
        SecretSource::Literal(secret) => {
            tender_certificate::Password::Literal(tender_certificate::Secret::new(secret.expose()))
        }
        SecretSource::File(path) => tender_certificate::Password::File(path.clone()),
        SecretSource::Environment(name) => tender_certificate::Password::Environment(name.clone()),
        SecretSource::Credential(name) => tender_certificate::Password::Credential(name.clone()),
    });
    Ok(tender_certificate::StoreFile {
        kind: store.kind.clone().unwrap_or_else(|| "PKCS12".to_owned()),
        file: file.to_owned(),
        password,
        alias: store.alias.clone(),
    })
}
