//! What is asked for: by a program, or in `zowe.setup.certificate`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::SetupError;
use crate::{DistinguishedName, KeyType, Owner, Password, Secret};

const DIRECTORY: &str = "/var/zowe/keystore";
const NAME: &str = "localhost";
const CA_ALIAS: &str = "local_ca";
const KEY_RINGS: [&str; 5] = ["JCEKS", "JCECCAKS", "JCERACFKS", "JCECCARACFKS", "JCEHYBRIDRACFKS"];

/// What is to be set up.
#[derive(Debug, Clone)]
pub struct SetupRequest {
    /// The key store directory.
    pub directory: PathBuf,
    /// Alias of the certificate, and the first part of its files' names.
    pub name: String,
    /// Password of the stores; a random one is made when there is none.
    pub password: Option<Secret>,
    /// Alias of the authority.
    pub ca_alias: String,
    /// Password of the authority's store; a random one is made, or the file beside the store read.
    pub ca_password: Option<Secret>,
    /// Takes away the permission to write.
    pub lock: bool,
    /// Whom the certificates name.
    pub subject: DistinguishedName,
    /// Kind of the keys that are made.
    pub key_type: KeyType,
    /// Days the authority lasts; five years unless told otherwise.
    pub ca_days: Option<u32>,
    /// Days the certificate lasts; 396 unless told otherwise.
    pub leaf_days: Option<u32>,
    /// Host names and addresses under which the servers are reached; those of the local host are added.
    pub host_names: Vec<String>,
    /// A foreign certificate to take instead of making one.
    pub import: Option<ImportRequest>,
    /// Files of further authorities to trust.
    pub authorities: Vec<PathBuf>,
    /// Replaces a certificate that is there.
    pub overwrite: bool,
    /// Replaces an authority that is there, instead of signing with it.
    pub new_authority: bool,
    /// To whom the files of the certificate are given.
    pub owner: Owner,
}

/// A foreign certificate.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// A PKCS12 store, or a PEM file with the certificate and its chain.
    pub keystore: PathBuf,
    /// A PEM file with the key, when that is elsewhere.
    pub key: Option<PathBuf>,
    /// Password of the store.
    pub password: Option<Secret>,
    /// Alias of the key in the store; needed when there are several.
    pub alias: Option<String>,
}

impl SetupRequest {
    /// Asks for an own authority and a certificate in `directory`, everything else at its default.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            name: NAME.to_owned(),
            password: None,
            ca_alias: CA_ALIAS.to_owned(),
            ca_password: None,
            lock: true,
            subject: DistinguishedName::default(),
            key_type: KeyType::default(),
            ca_days: None,
            leaf_days: None,
            host_names: Vec::new(),
            import: None,
            authorities: Vec::new(),
            overwrite: false,
            new_authority: false,
            owner: Owner::default(),
        }
    }

    /// Asks for what a configuration says; `external_domains` are the host names when it has no `san`.
    ///
    /// `validity` counts for the authority. A certificate lasts as long only when that is not longer than its
    /// own default: existing configurations ask for ten years.
    pub fn of_section(section: &SetupSection, external_domains: &[String]) -> Result<Self, SetupError> {
        let kind = section.kind.as_deref().unwrap_or("PKCS12");
        if KEY_RINGS.iter().any(|ring| ring.eq_ignore_ascii_case(kind))
            || !kind.eq_ignore_ascii_case("PKCS12")
        {
            return Err(SetupError::KeyRing { kind: kind.to_owned() });
        }
        let store = section.pkcs12.clone().unwrap_or_default();
        let resolve = |password: &Option<Password>| password.as_ref().map(Password::resolve).transpose();
        let import = match &store.import {
            Some(ImportSection { keystore: Some(keystore), password, alias }) => Some(ImportRequest {
                keystore: keystore.clone(),
                key: None,
                password: resolve(password)?,
                alias: alias.clone().filter(|alias| !alias.is_empty()),
            }),
            _ => None,
        };
        let directory = store.directory.clone().unwrap_or_else(|| DIRECTORY.into());
        let named = |name: &Option<String>, default: &str| {
            name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        Ok(Self {
            name: named(&store.name, NAME),
            password: resolve(&store.password)?,
            ca_alias: named(&store.ca_alias, CA_ALIAS),
            ca_password: resolve(&store.ca_password)?,
            lock: store.lock.unwrap_or(true),
            subject: section.dname.clone().unwrap_or_default(),
            ca_days: section.validity,
            leaf_days: section.validity.map(|days| days.min(crate::issue::LEAF_DAYS)),
            host_names: section.san.clone().unwrap_or_else(|| external_domains.to_vec()),
            import,
            // Sample configurations have an empty entry where a file would stand.
            authorities: section
                .import_certificate_authorities
                .iter()
                .flatten()
                .filter(|path| !path.as_os_str().is_empty())
                .cloned()
                .collect(),
            ..Self::new(&directory)
        })
    }
}

/// `zowe.setup.certificate`; keys that only key rings have are passed over.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SetupSection {
    /// `PKCS12`, or a key ring type, which is refused.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Where and how to keep the stores.
    pub pkcs12: Option<Pkcs12Section>,
    /// Whom the certificates name.
    #[serde(deserialize_with = "names")]
    pub dname: Option<DistinguishedName>,
    /// Days the certificates last.
    pub validity: Option<u32>,
    /// Host names and addresses.
    pub san: Option<Vec<String>>,
    /// Files of further authorities to trust.
    pub import_certificate_authorities: Option<Vec<PathBuf>>,
}

/// `zowe.setup.certificate.pkcs12`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pkcs12Section {
    /// The key store directory.
    pub directory: Option<PathBuf>,
    /// Alias of the certificate.
    pub name: Option<String>,
    /// Password of the stores.
    pub password: Option<Password>,
    /// Alias of the authority.
    pub ca_alias: Option<String>,
    /// Password of the authority's store.
    pub ca_password: Option<Password>,
    /// Whether to take away the permission to write.
    pub lock: Option<bool>,
    /// A foreign certificate to take.
    pub import: Option<ImportSection>,
}

/// `zowe.setup.certificate.pkcs12.import`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ImportSection {
    /// The foreign store.
    pub keystore: Option<PathBuf>,
    /// Its password.
    pub password: Option<Password>,
    /// Alias of the key in it.
    pub alias: Option<String>,
}

/// A missing part of a name has its default, `null` leaves it out.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DistinguishedName>, D::Error> {
    Option::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> Result<SetupRequest, SetupError> {
        let section: SetupSection = serde_json::from_str(json).unwrap();
        SetupRequest::of_section(&section, &["zos.example.com".to_owned()])
    }

    #[test]
    fn section_of_an_existing_configuration_is_understood() {
        let request = request(
            r#"{"type": "PKCS12", "pkcs12": {"directory": "/ks", "name": "localhost", "password": "password",
                "caAlias": "local_ca", "caPassword": "local_ca_password"},
                "dname": {"caCommonName": "", "commonName": "", "orgUnit": "", "country": ""},
                "validity": 3650, "san": ["dvipa.example.com", ""], "importCertificateAuthorities": [""]}"#,
        )
        .unwrap();
        assert_eq!(request.directory, Path::new("/ks"));
        assert_eq!((request.ca_days, request.leaf_days), (Some(3650), Some(396)));
        assert_eq!(request.host_names, ["dvipa.example.com", ""]);
        assert!(request.authorities.is_empty());
        assert!(request.lock && request.password.unwrap().is_published());
    }

    #[test]
    fn empty_section_has_the_defaults_and_the_external_domains() {
        let request = request("{}").unwrap();
        assert_eq!((request.name.as_str(), request.ca_alias.as_str()), ("localhost", "local_ca"));
        assert_eq!(request.host_names, ["zos.example.com"]);
        assert!(request.password.is_none() && request.import.is_none());
    }

    #[test]
    fn key_rings_are_refused_with_what_there_is_instead() {
        for kind in KEY_RINGS.into_iter().chain(["jceracfks", "PKCS11"]) {
            let error = request(&format!(r#"{{"type": "{kind}"}}"#)).unwrap_err().to_string();
            assert!(error.contains("PKCS12") && error.contains("z/OS") && error.contains("PEM"), "{error}");
        }
    }

    #[test]
    fn import_section_becomes_an_import() {
        let request =
            request(r#"{"pkcs12": {"import": {"keystore": "/x.p12", "password": "p", "alias": "a"}}}"#)
                .unwrap();
        let import = request.import.unwrap();
        assert_eq!((import.keystore, import.alias), ("/x.p12".into(), Some("a".to_owned())));
    }
}
