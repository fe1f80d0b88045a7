//! Variables by which a launcher configures the service: what components get today first, then those of version 1.

/// Variables for one setting; the first that is there and not empty counts.
pub(super) type Names = &'static [&'static str];

pub(super) const PORT: Names = &["ZWE_configs_port", "ZWE_components_discovery_port", "DISCOVERY_PORT"];
pub(super) const HOST: Names = &["ZWE_haInstance_hostname", "ZOWE_EXPLORER_HOST"];
pub(super) const ADDRESS: Names = &["ZOWE_IP_ADDRESS"];
pub(super) const LISTEN: Names = &[
    "ZWE_configs_zowe_network_server_listenAddresses",
    "ZWE_components_discovery_zowe_network_server_listenAddresses",
    "ZWE_zowe_network_server_listenAddresses",
];
pub(super) const PEM_KEY: Names =
    &["ZWE_configs_certificate_pem_key", "ZWE_zowe_certificate_pem_key", "KEYSTORE_KEY"];
pub(super) const PEM_CERTIFICATE: Names = &[
    "ZWE_configs_certificate_pem_certificate",
    "ZWE_zowe_certificate_pem_certificate",
    "KEYSTORE_CERTIFICATE",
];
pub(super) const PEM_AUTHORITIES: Names = &[
    "ZWE_configs_certificate_pem_certificateAuthorities",
    "ZWE_zowe_certificate_pem_certificateAuthorities",
    "KEYSTORE_CERTIFICATE_AUTHORITY",
];
pub(super) const KEYSTORE: Names =
    &["ZWE_configs_certificate_keystore_file", "ZWE_zowe_certificate_keystore_file", "KEYSTORE"];
pub(super) const KEYSTORE_PASSWORD: Names = &[
    "ZWE_configs_certificate_keystore_password",
    "ZWE_zowe_certificate_keystore_password",
    "KEYSTORE_PASSWORD",
];
pub(super) const KEYSTORE_ALIAS: Names =
    &["ZWE_configs_certificate_keystore_alias", "ZWE_zowe_certificate_keystore_alias", "KEY_ALIAS"];
pub(super) const TRUSTSTORE: Names =
    &["ZWE_configs_certificate_truststore_file", "ZWE_zowe_certificate_truststore_file", "TRUSTSTORE"];
pub(super) const TRUSTSTORE_PASSWORD: Names = &[
    "ZWE_configs_certificate_truststore_password",
    "ZWE_zowe_certificate_truststore_password",
    "TRUSTSTORE_PASSWORD",
    "KEYSTORE_PASSWORD",
];
pub(super) const VERIFY: Names = &["ZWE_configs_verifyCertificates", "ZWE_zowe_verifyCertificates"];
/// Of version 1: whether chains are checked, and whether they are without host names.
pub(super) const VERIFY_1: Names = &["VERIFY_CERTIFICATES", "ZOWE_APIM_VERIFY_CERTIFICATES"];
pub(super) const NONSTRICT_1: Names =
    &["NONSTRICT_VERIFY_CERTIFICATES", "ZOWE_APIM_NONSTRICT_VERIFY_CERTIFICATES"];
pub(super) const RULES: Names =
    &["ZWE_configs_registrationRules", "ZWE_components_discovery_registrationRules"];
pub(super) const DEFINITIONS: Names = &[
    "ZWE_configs_staticApiDefinitionsDirectories",
    "ZWE_components_discovery_staticApiDefinitionsDirectories",
    "ZWE_STATIC_DEFINITIONS_DIR",
    "STATIC_DEF_CONFIG_DIR",
];
pub(super) const MORE_DEFINITIONS: Names = &[
    "ZWE_configs_alternativeStaticApiDefinitionsDirectories",
    "ZWE_components_discovery_alternativeStaticApiDefinitionsDirectories",
    "ZWEAD_EXTERNAL_STATIC_DEF_DIRECTORIES",
];

/// What is set, and by which variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// Looks variables up.
pub(super) struct Environment<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    pub(super) fn set(&self, names: Names) -> Option<Set> {
        names.iter().find_map(|name| {
            let text = (self.0)(name).filter(|text| !text.trim().is_empty())?;
            Some(Set { name, text: text.trim().to_owned() })
        })
    }

    pub(super) fn text(&self, names: Names) -> Option<String> {
        self.set(names).map(|set| set.text)
    }
}
