//! Variables by which a launcher configures discovery, beside those of every service.

use crate::serving::environment::Names;

pub(super) const ADDRESS: Names = &["ZOWE_IP_ADDRESS"];
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
pub(super) const PEERS: Names = &[
    "ZWE_configs_peers",
    "ZWE_components_{}_peers",
    "ZWE_configs_apiml_discovery_allPeersUrls",
    "ZWE_DISCOVERY_SERVICES_LIST",
];
