//! Variables of version 1 and the keys they belong to, for both directions.

use crate::environment::build::joined;
use crate::environment::{EnvText, EnvValue, Environment};
use crate::instance::{Component, InstanceConfiguration, VerifyCertificates};
use crate::key_path::KeyPath;
use crate::node::{Node, Value};

/// Where a variable of an `instance.env` belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A key.
    Key(&'static str),
    /// Several keys, or one that is computed; see the converter.
    Computed,
    /// Nowhere: it is derived, or has no meaning today.
    Dropped,
    /// `zowe.environments`.
    Environment,
}

/// Variables with the key that holds them.
const KEYS: &[(&str, &str)] = &[
    ("ROOT_DIR", "zowe.runtimeDirectory"),
    ("ZWE_EXTENSION_DIR", "zowe.extensionDirectory"),
    ("ZWE_EXTERNAL_PORT", "zowe.externalPort"),
    ("JAVA_HOME", "java.home"),
    ("JAVA_OPTIONS", "java.options"),
    ("NODE_HOME", "node.home"),
    ("NODE_OPTIONS", "node.options"),
    ("ZOSMF_HOST", "zOSMF.host"),
    ("ZOSMF_PORT", "zOSMF.port"),
    ("APIML_SECURITY_ZOSMF_APPLID", "zOSMF.applId"),
    ("CATALOG_PORT", "components.api-catalog.port"),
    ("DISCOVERY_PORT", "components.discovery.port"),
    ("ZWE_DISCOVERY_SERVICES_REPLICAS", "components.discovery.replicas"),
    ("STATIC_DEF_CONFIG_DIR", "components.discovery.staticApiDefinitionsDirectories"),
    (
        "ZWEAD_EXTERNAL_STATIC_DEF_DIRECTORIES",
        "components.discovery.alternativeStaticApiDefinitionsDirectories",
    ),
    ("GATEWAY_PORT", "components.gateway.port"),
    ("APIML_GATEWAY_INTERNAL_HOST", "zowe.gatewayInternalHost"),
    ("APIML_GATEWAY_INTERNAL_PORT", "zowe.gatewayInternalPort"),
    ("APIML_ALLOW_ENCODED_SLASHES", "components.gateway.apiml.service.allowEncodedSlashes"),
    ("APIML_CORS_ENABLED", "components.gateway.apiml.service.corsEnabled"),
    ("APIML_GATEWAY_TIMEOUT_MILLIS", "components.gateway.apiml.gateway.timeoutMillis"),
    ("APIML_SECURITY_X509_ENABLED", "components.gateway.apiml.security.x509.enabled"),
    ("APIML_GATEWAY_EXTERNAL_MAPPER", "components.gateway.apiml.security.x509.externalMapperUrl"),
    (
        "APIML_SECURITY_AUTHORIZATION_ENDPOINT_URL",
        "components.gateway.apiml.security.authorization.endpoint.url",
    ),
    ("APIML_SECURITY_AUTH_PROVIDER", "components.gateway.apiml.security.auth.provider"),
    ("APIML_MAX_CONNECTIONS_PER_ROUTE", "components.gateway.server.maxConnectionsPerRoute"),
    ("APIML_MAX_TOTAL_CONNECTIONS", "components.gateway.server.maxTotalConnections"),
    ("ZWE_CACHING_SERVICE_PORT", "components.caching-service.port"),
    ("ZWE_CACHING_STORAGE_SIZE", "components.caching-service.storage.size"),
    ("ZWE_CACHING_EVICTION_STRATEGY", "components.caching-service.storage.evictionStrategy"),
    ("ZWE_CACHING_SERVICE_PERSISTENT", "components.caching-service.storage.mode"),
    ("ZWE_CACHING_SERVICE_VSAM_DATASET", "components.caching-service.storage.vsam.name"),
    ("CACHING_STORAGE_REDIS_MASTERNODEURI", "components.caching-service.storage.redis.masterNodeUri"),
    ("CACHING_STORAGE_REDIS_TIMEOUT", "components.caching-service.storage.redis.timeout"),
    (
        "CACHING_STORAGE_REDIS_SENTINEL_MASTERINSTANCE",
        "components.caching-service.storage.redis.sentinel.masterInstance",
    ),
    ("CACHING_STORAGE_REDIS_SENTINEL_NODES", "components.caching-service.storage.redis.sentinel.nodes"),
    ("CACHING_STORAGE_REDIS_SSL_ENABLED", "components.caching-service.storage.redis.ssl.enabled"),
    ("CACHING_STORAGE_REDIS_SSL_KEYSTORE", "components.caching-service.storage.redis.ssl.keystore"),
    (
        "CACHING_STORAGE_REDIS_SSL_KEYSTOREPASSWORD",
        "components.caching-service.storage.redis.ssl.keystorePassword",
    ),
    ("CACHING_STORAGE_REDIS_SSL_TRUSTSTORE", "components.caching-service.storage.redis.ssl.truststore"),
    (
        "CACHING_STORAGE_REDIS_SSL_TRUSTSTOREPASSWORD",
        "components.caching-service.storage.redis.ssl.truststorePassword",
    ),
    ("JOBS_API_PORT", "components.jobs-api.port"),
    ("FILES_API_PORT", "components.files-api.port"),
    ("JES_EXPLORER_UI_PORT", "components.explorer-jes.port"),
    ("MVS_EXPLORER_UI_PORT", "components.explorer-mvs.port"),
    ("USS_EXPLORER_UI_PORT", "components.explorer-uss.port"),
    ("ZOWE_ZLUX_SERVER_HTTPS_PORT", "components.app-server.port"),
    ("ZOWE_ZSS_SERVER_PORT", "components.zss.port"),
    ("ZOWE_ZSS_SERVER_TLS", "components.zss.tls"),
    ("ZOWE_ZSS_XMEM_SERVER_NAME", "components.zss.crossMemoryServerName"),
    ("ZWE_LOG_LEVEL_ZWELS", "zowe.launchScript.logLevel"),
    ("ZOWE_LOOPBACK_ADDRESS", "zowe.loopbackIp"),
    ("PKCS11_TOKEN_NAME", "zowe.sso.token.name"),
    ("PKCS11_TOKEN_LABEL", "zowe.sso.token.label"),
    ("KEY_ALIAS", "zowe.certificate.keystore.alias"),
    ("KEYSTORE", "zowe.certificate.keystore.file"),
    ("KEYSTORE_TYPE", "zowe.certificate.keystore.type"),
    ("KEYSTORE_PASSWORD", "zowe.certificate.keystore.password"),
    ("TRUSTSTORE", "zowe.certificate.truststore.file"),
    ("KEYSTORE_KEY", "zowe.certificate.pem.key"),
    ("KEYSTORE_CERTIFICATE", "zowe.certificate.pem.certificate"),
    ("KEYSTORE_CERTIFICATE_AUTHORITY", "zowe.certificate.pem.certificateAuthorities"),
];

/// Variables that stand for more than one key.
const COMPUTED: &[&str] = &[
    "ZOWE_PREFIX",
    "ZOWE_INSTANCE",
    "LAUNCH_COMPONENT_GROUPS",
    "ZWE_LAUNCH_COMPONENTS",
    "EXTERNAL_COMPONENTS",
    "ZOWE_EXPLORER_HOST",
    "ZWE_EXTERNAL_HOSTS",
    "ZWE_REFERRER_HOSTS",
    "ZOWE_EXPLORER_FRAME_ANCESTORS",
    "APIML_DEBUG_MODE_ENABLED",
    "APIML_PREFER_IP_ADDRESS",
    "ZOWE_APIM_VERIFY_CERTIFICATES",
    "ZOWE_APIM_NONSTRICT_VERIFY_CERTIFICATES",
];

/// Variables that are derived of others, or mean nothing any more.
const DROPPED: &[&str] = &[
    "SKIP_NODE",
    "ZWE_HA_INSTANCES_COUNT",
    "ZWE_DISCOVERY_SERVICES_LIST",
    "EUREKA_INSTANCE_HOMEPAGEURL",
    "INSTANCE_DIR",
    "WORKSPACE_DIR",
    "PATH",
];

/// Returns where a variable of an `instance.env` belongs.
pub(crate) fn target_of(variable: &str) -> Target {
    if let Some(path) = path_of(variable) {
        Target::Key(path)
    } else if COMPUTED.contains(&variable) {
        Target::Computed
    } else if DROPPED.contains(&variable) {
        Target::Dropped
    } else {
        Target::Environment
    }
}

/// Returns the key that holds a variable of version 1.
#[must_use]
pub fn path_of(variable: &str) -> Option<&'static str> {
    KEYS.iter().find(|(name, _)| *name == variable).map(|(_, path)| *path)
}

/// Adds the variables of version 1 that are not there yet.
pub(super) fn add(
    configuration: &InstanceConfiguration,
    component: Option<&Component>,
    environment: &mut Environment,
) {
    for (name, path) in KEYS {
        let Some(node) = path.parse::<KeyPath>().ok().and_then(|path| configuration.root().at(&path)) else {
            continue;
        };
        offer_node(environment, name, path, node);
    }
    computed(configuration, component, environment);
    directories(configuration, component, environment);
}

fn offer_node(environment: &mut Environment, name: &str, path: &str, node: &Node) {
    if environment.get(name).is_some() || (node.is_null() && path.starts_with("components.")) {
        return;
    }
    let text = match &node.value {
        Value::Secret(source) => EnvText::Secret(source.clone()),
        Value::Sequence(elements) => {
            let texts: Vec<_> = elements.iter().filter_map(Node::scalar).collect();
            EnvText::Plain(texts.join(","))
        }
        _ => match node.scalar() {
            Some(text) => EnvText::Plain(text),
            None => return,
        },
    };
    let value = EnvValue { text, source: path.to_owned(), origin: Some(node.origin.clone()) };
    environment.values.insert(name.to_owned(), value);
}

fn offer(environment: &mut Environment, name: &str, text: impl Into<String>) {
    if environment.get(name).is_none() {
        environment.set(name, text, "version 1");
    }
}

fn computed(
    configuration: &InstanceConfiguration,
    component: Option<&Component>,
    environment: &mut Environment,
) {
    let root = configuration.root();
    let scalar = |keys: &[&str]| root.below(keys).and_then(Node::scalar).filter(|text| !text.is_empty());
    let domains = configuration.external_domains().join(",");
    let identifier = scalar(&["zowe", "rbacProfileIdentifier"]).unwrap_or_else(|| "1".to_owned());
    let prefix = configuration.job_prefix();
    offer(environment, "ZOWE_PREFIX", prefix.strip_suffix(&identifier).unwrap_or(&prefix));
    offer(environment, "ZOWE_INSTANCE", identifier);
    offer(environment, "ZOWE_EXPLORER_HOST", &*configuration.hostname);
    offer(environment, "ZWE_INTERNAL_HOST", &*configuration.hostname);
    let referrers = root.below(&["zowe", "referrerHosts"]).and_then(Node::sequence);
    let referrers =
        referrers.map(|hosts| hosts.iter().filter_map(Node::scalar).collect::<Vec<_>>().join(","));
    offer(environment, "ZWE_REFERRER_HOSTS", referrers.unwrap_or_else(|| domains.clone()));
    offer(environment, "ZWE_EXTERNAL_HOSTS", domains);
    let count = configuration.instance_ids().len().max(1);
    offer(environment, "ZWE_HA_INSTANCES_COUNT", count.to_string());
    let launched = |is_core: bool| {
        let names = configuration.components.iter().filter(|one| one.is_enabled && one.is_core == is_core);
        names.map(|one| one.name.as_str()).collect::<Vec<_>>().join(",")
    };
    offer(environment, "ZWE_LAUNCH_COMPONENTS", launched(true));
    offer(environment, "EXTERNAL_COMPONENTS", launched(false));
    let all =
        [launched(true), launched(false)].iter().filter(|list| !list.is_empty()).cloned().collect::<Vec<_>>();
    offer(environment, "LAUNCH_COMPONENTS", all.join(","));
    let groups = [("gateway", "GATEWAY"), ("app-server", "DESKTOP"), ("zss", "ZSS")];
    let is_enabled = |name: &str| configuration.component(name).is_some_and(|one| one.is_enabled);
    let groups: Vec<_> =
        groups.iter().filter(|(name, _)| is_enabled(name)).map(|(_, group)| *group).collect();
    offer(environment, "LAUNCH_COMPONENT_GROUPS", groups.join(","));
    if let Some(port) =
        scalar(&["zowe", "externalPort"]).or_else(|| scalar(&["components", "gateway", "port"]))
    {
        let host = configuration
            .external_domains()
            .into_iter()
            .next()
            .unwrap_or_else(|| configuration.hostname.clone());
        offer(environment, "EUREKA_INSTANCE_HOMEPAGEURL", format!("https://{host}:{port}/"));
    }
    if let Some(address) = configuration.instance_address() {
        offer(environment, "ZOWE_IP_ADDRESS", address);
    }
    let settings = component.map(|component| &component.settings);
    let own = |keys: &[&str]| settings.and_then(|settings| settings.below(keys)).and_then(Node::scalar);
    offer(environment, "APIML_DEBUG_MODE_ENABLED", own(&["debug"]).unwrap_or_else(|| "false".to_owned()));
    let prefers =
        own(&["environment", "preferIpAddress"]).or_else(|| own(&["apiml", "service", "preferIpAddress"]));
    offer(environment, "APIML_PREFER_IP_ADDRESS", prefers.unwrap_or_else(|| "false".to_owned()));
    if let Some(ancestors) = own(&["frameAncestors"]) {
        offer(environment, "ZOWE_EXPLORER_FRAME_ANCESTORS", ancestors);
    }
    let (strict, lenient) = match configuration.verify_certificates() {
        VerifyCertificates::Strict => ("true", "true"),
        VerifyCertificates::NonStrict => ("false", "true"),
        VerifyCertificates::Disabled => ("false", "false"),
    };
    for name in ["ZOWE_APIM_VERIFY_CERTIFICATES", "VERIFY_CERTIFICATES"] {
        offer(environment, name, strict);
    }
    for name in ["ZOWE_APIM_NONSTRICT_VERIFY_CERTIFICATES", "NONSTRICT_VERIFY_CERTIFICATES"] {
        offer(environment, name, lenient);
    }
}

fn directories(
    configuration: &InstanceConfiguration,
    component: Option<&Component>,
    environment: &mut Environment,
) {
    offer(environment, "ZWELS_HA_INSTANCE_ID", &*configuration.id);
    offer(environment, "ZWELS_CONFIG_LOAD_METHOD", "zowe.yaml");
    if let Some(runtime) = configuration.runtime_directory() {
        offer(environment, "ZOWE_ROOT_DIR", runtime.display().to_string());
        offer(environment, "ZOWE_MANIFEST", joined(&runtime, "manifest.json"));
    }
    if let Some(workspace) = configuration.workspace_directory() {
        offer(environment, "WORKSPACE_DIR", workspace.display().to_string());
        offer(environment, "ZWELS_INSTANCE_ENV_DIR", joined(&workspace, ".env"));
        offer(environment, "STATIC_DEF_CONFIG_DIR", joined(&workspace, "api-mediation/api-defs"));
        offer(environment, "PLUGINS_DIR", joined(&workspace, "app-server/plugins"));
        if let Some(instance) = workspace.parent() {
            offer(environment, "INSTANCE_DIR", instance.display().to_string());
        }
    }
    if let Some(component) = component {
        offer(environment, "ZWELS_START_COMPONENT_ID", &*component.name);
        offer(environment, "LAUNCH_COMPONENT", joined(&component.root, "bin"));
    }
}

/// Reads every key of the table, and looks for variables that stand in it twice.
#[cfg(test)]
pub(super) fn check_table() {
    let mut seen = std::collections::BTreeSet::new();
    for (name, path) in KEYS {
        assert!(path.parse::<KeyPath>().is_ok(), "{path}");
        assert!(seen.insert(name), "{name}");
    }
    assert!(COMPUTED.iter().chain(DROPPED).all(|name| path_of(name).is_none()));
}
