//! Variables by which a launcher configures discovery, beside those of every service.

use crate::serving::environment::Names;

pub(super) const DEFINITIONS: Names = &[
    "ZWE_configs_staticApiDefinitionsDirectories",
    "ZWE_components_{}_staticApiDefinitionsDirectories",
    "ZWE_STATIC_DEFINITIONS_DIR",
    "STATIC_DEF_CONFIG_DIR",
];
pub(super) const MORE_DEFINITIONS: Names = &[
    "ZWE_configs_alternativeStaticApiDefinitionsDirectories",
    "ZWE_components_{}_alternativeStaticApiDefinitionsDirectories",
    "ZWEAD_EXTERNAL_STATIC_DEF_DIRECTORIES",
];
pub(super) const RULES: Names = &["ZWE_configs_registrationRules", "ZWE_components_{}_registrationRules"];
/// Peers that somebody chose.
pub(super) const CHOSEN_PEERS: Names = &["ZWE_configs_peers", "ZWE_components_{}_peers"];
/// All discovery services of an installation.
pub(super) const ALL_PEERS: Names =
    &["ZWE_configs_apiml_discovery_allPeersUrls", "ZWE_DISCOVERY_SERVICES_LIST"];
pub(super) const NOTIFY_GATEWAYS: Names = &["ZWE_configs_notifyGateways", "ZWE_components_{}_notifyGateways"];
pub(super) const REGISTRY: Names = &["ZWE_configs_registry", "ZWE_components_{}_registry"];
pub(super) const REGISTRY_PREFIX: Names = &["ZWE_configs_registryPrefix", "ZWE_components_{}_registryPrefix"];
pub(super) const REGISTRY_TRUST: Names = &["ZWE_configs_registryTrust", "ZWE_components_{}_registryTrust"];
pub(super) const REGISTRY_KEY: Names = &["ZWE_configs_registryKey", "ZWE_components_{}_registryKey"];
pub(super) const REGISTRY_CERTIFICATE: Names =
    &["ZWE_configs_registryCertificate", "ZWE_components_{}_registryCertificate"];
pub(super) const REGISTRY_USER: Names = &["ZWE_configs_registryUser", "ZWE_components_{}_registryUser"];
pub(super) const REGISTRY_PASSWORD: Names = &["ZWE_configs_registryPassword"];
