//! Variables by which a launcher configures a service: what components get today first, then those of version 1.

/// Variables for one setting; the first that is there and not empty counts. `{}` stands for the name of the component.
pub(crate) type Names = &'static [&'static str];

pub(crate) const PORT: Names = &["ZWE_configs_port", "ZWE_components_{}_port"];
pub(crate) const HOST: Names = &["ZWE_haInstance_hostname", "ZOWE_EXPLORER_HOST"];
pub(crate) const LISTEN: Names = &[
    "ZWE_configs_zowe_network_server_listenAddresses",
    "ZWE_components_{}_zowe_network_server_listenAddresses",
    "ZWE_zowe_network_server_listenAddresses",
];
pub(crate) const PEM_KEY: Names =
    &["ZWE_configs_certificate_pem_key", "ZWE_zowe_certificate_pem_key", "KEYSTORE_KEY"];
pub(crate) const PEM_CERTIFICATE: Names = &[
    "ZWE_configs_certificate_pem_certificate",
    "ZWE_zowe_certificate_pem_certificate",
    "KEYSTORE_CERTIFICATE",
];
pub(crate) const PEM_AUTHORITIES: Names = &[
    "ZWE_configs_certificate_pem_certificateAuthorities",
    "ZWE_zowe_certificate_pem_certificateAuthorities",
    "KEYSTORE_CERTIFICATE_AUTHORITY",
];
pub(crate) const KEYSTORE: Names =
    &["ZWE_configs_certificate_keystore_file", "ZWE_zowe_certificate_keystore_file", "KEYSTORE"];
pub(crate) const KEYSTORE_PASSWORD: Names = &[
    "ZWE_configs_certificate_keystore_password",
    "ZWE_zowe_certificate_keystore_password",
    "KEYSTORE_PASSWORD",
];
pub(crate) const KEYSTORE_ALIAS: Names =
    &["ZWE_configs_certificate_keystore_alias", "ZWE_zowe_certificate_keystore_alias", "KEY_ALIAS"];
pub(crate) const TRUSTSTORE: Names =
    &["ZWE_configs_certificate_truststore_file", "ZWE_zowe_certificate_truststore_file", "TRUSTSTORE"];
pub(crate) const TRUSTSTORE_PASSWORD: Names = &[
    "ZWE_configs_certificate_truststore_password",
    "ZWE_zowe_certificate_truststore_password",
    "TRUSTSTORE_PASSWORD",
    "KEYSTORE_PASSWORD",
];
pub(crate) const VERIFY: Names = &["ZWE_configs_verifyCertificates", "ZWE_zowe_verifyCertificates"];
/// Of version 1: whether chains are checked, and whether they are without host names.
pub(crate) const VERIFY_1: Names = &["VERIFY_CERTIFICATES", "ZOWE_APIM_VERIFY_CERTIFICATES"];
pub(crate) const NONSTRICT_1: Names =
    &["NONSTRICT_VERIFY_CERTIFICATES", "ZOWE_APIM_NONSTRICT_VERIFY_CERTIFICATES"];

/// What is set, and by which variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Looks variables up for a component.
pub(crate) struct Environment<'a> {
    /// The component, as variables name it.
    component: String,
    look_up: &'a dyn Fn(&str) -> Option<String>,
}

impl Environment<'static> {
    /// Looks variables of this process up.
    pub(crate) fn of_process(component: &str) -> Self {
        Self::new(component, &|name| std::env::var(name).ok())
    }
}

impl<'a> Environment<'a> {
    pub(crate) fn new(component: &str, look_up: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { component: component.replace('-', "_"), look_up }
    }

    pub(crate) fn set(&self, names: Names) -> Option<Set> {
        names.iter().find_map(|name| {
            let name = name.replace("{}", &self.component);
            let text = (self.look_up)(&name).filter(|text| !text.trim().is_empty())?;
            Some(Set { text: text.trim().to_owned(), name })
        })
    }

    pub(crate) fn text(&self, names: Names) -> Option<String> {
        self.set(names).map(|set| set.text)
    }
}
