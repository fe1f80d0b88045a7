//! What is asked for, by options and variables, to how the service is run: decided before anything is opened.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tender_certificate::tls::VerifyMode;
use tender_certificate::{OneOrMany, Password};
use tender_http::{ClientAuth, Identity, TlsFiles, TrustFile};
use tender_mediation::discovery::{Policy, statics};

use super::environment::{self as names, Environment};

const PORT: u16 = 7553;

/// Options of `tender discovery run` that say how it is run.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    /// Where to listen: an address, or address and port; may be given several times
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    pub(super) listen: Vec<String>,
    /// The port for addresses that name none
    #[arg(long, value_name = "PORT")]
    pub(super) port: Option<u16>,
    /// The name by which clients reach this machine
    #[arg(long, value_name = "HOST")]
    pub(super) hostname: Option<String>,
    /// The address by which clients reach this machine
    #[arg(long, value_name = "ADDRESS")]
    pub(super) ip_address: Option<String>,
    /// The server's key, as PEM
    #[arg(long, value_name = "FILE", requires = "certificate", conflicts_with = "keystore")]
    pub(super) key: Option<PathBuf>,
    /// The server's certificate and what leads to its authority, as PEM
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "keystore")]
    pub(super) certificate: Option<PathBuf>,
    /// The server's key and certificate in a PKCS12 store
    #[arg(long, value_name = "FILE")]
    pub(super) keystore: Option<PathBuf>,
    /// A file whose first line is the password of the key store
    #[arg(long, value_name = "FILE")]
    pub(super) keystore_password_file: Option<PathBuf>,
    /// The alias of the key in the key store
    #[arg(long, value_name = "ALIAS")]
    pub(super) keystore_alias: Option<String>,
    /// Authorities that clients are trusted by: PEM or PKCS12; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(super) trust: Vec<PathBuf>,
    /// A file whose first line is the password of PKCS12 trust stores
    #[arg(long, value_name = "FILE")]
    pub(super) trust_password_file: Option<PathBuf>,
    /// Whether clients need a certificate: STRICT and NONSTRICT ask for one, DISABLED does not
    #[arg(long, value_name = "MODE")]
    pub(super) verify: Option<VerifyMode>,
    /// No TLS; without a user only at addresses of this machine alone
    #[arg(long)]
    pub(super) plain: bool,
    /// The user that clients log in as when there is no TLS
    #[arg(long, value_name = "USER", requires = "password_file", requires = "plain")]
    pub(super) user: Option<String>,
    /// A file whose first line is the user's password
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(super) password_file: Option<PathBuf>,
    /// A file that says which certificate may register which service
    #[arg(long, value_name = "FILE")]
    pub(super) rules: Option<PathBuf>,
    /// Directories of static definitions, with `;` between them
    #[arg(long, value_name = "DIRS")]
    pub(super) definitions: Option<String>,
    /// End a lease that was renewed only after twice its time, as the Java server does
    #[arg(long)]
    pub(super) double_lease: bool,
    /// Take silent instances away also while many are silent at once
    #[arg(long)]
    pub(super) no_self_preservation: bool,
    /// Seconds between two looks at leases
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(super) eviction_interval: u64,
    /// Write a line for each request
    #[arg(long)]
    pub(super) access_log: bool,
}

/// How the service is run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) listen: Vec<SocketAddr>,
    pub(super) host: String,
    pub(super) address: String,
    /// Nothing for clear text.
    pub(super) tls: Option<TlsFiles>,
    pub(super) verify: VerifyMode,
    pub(super) login: Option<(String, Password)>,
    pub(super) rules: Option<PathBuf>,
    pub(super) directories: Vec<PathBuf>,
    pub(super) policy: Policy,
    pub(super) eviction_interval: Duration,
    pub(super) has_access_log: bool,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error("`{text}` of {from} is no {wanted}")]
    Value { text: String, from: String, wanted: &'static str },
    #[error("neither a key store nor a key and certificate are configured")]
    NoKey,
    #[error("clients are to show certificates, and no trust store is configured")]
    NoTrust,
    #[error("without TLS and without a user everybody who reaches {address} could register anything")]
    OpenToAll { address: SocketAddr },
}

impl Options {
    /// Makes the plan.
    pub(super) fn plan(&self, environment: &Environment<'_>) -> Result<Plan, PlanError> {
        let listen = self.addresses(environment)?;
        let verify = self.verify(environment)?;
        let login = self.user.clone().zip(self.password_file.clone().map(Password::File));
        let tls = if self.plain { None } else { Some(self.tls(environment, verify)?) };
        if let Some(address) = listen.iter().find(|address| !address.ip().is_loopback())
            && tls.is_none()
            && login.is_none()
        {
            return Err(PlanError::OpenToAll { address: *address });
        }
        let host = self.hostname.clone().or_else(|| environment.text(names::HOST));
        let host = host.unwrap_or_else(|| "localhost".to_owned());
        let address = self.ip_address.clone().or_else(|| environment.text(names::ADDRESS));
        let own = listen.iter().map(SocketAddr::ip).find(|ip| !ip.is_unspecified());
        let address = address.unwrap_or_else(|| own.unwrap_or(Ipv4Addr::LOCALHOST.into()).to_string());
        let usual = Policy::default();
        let preserving_part = if self.no_self_preservation { 0.0 } else { usual.preserving_part };
        Ok(Plan {
            listen,
            host,
            address,
            tls,
            verify,
            login,
            rules: self.rules.clone().or_else(|| environment.text(names::RULES).map(PathBuf::from)),
            directories: self.directories(environment),
            policy: Policy { is_double_lease: self.double_lease, preserving_part, ..usual },
            eviction_interval: Duration::from_secs(self.eviction_interval.max(1)),
            has_access_log: self.access_log,
        })
    }

    fn addresses(&self, environment: &Environment<'_>) -> Result<Vec<SocketAddr>, PlanError> {
        let port = match (self.port, environment.set(names::PORT)) {
            (Some(port), _) => port,
            (None, None) => PORT,
            (None, Some(set)) => set.text.parse().map_err(|_| PlanError::Value {
                text: set.text.clone(),
                from: set.name.to_owned(),
                wanted: "port number",
            })?,
        };
        let (texts, from) = if !self.listen.is_empty() {
            (self.listen.clone(), "--listen".to_owned())
        } else if let Some(set) = environment.set(names::LISTEN) {
            (set.text.split(',').map(|text| text.trim().to_owned()).collect(), set.name.to_owned())
        } else {
            (vec![Ipv4Addr::UNSPECIFIED.to_string()], String::new())
        };
        let address = |text: String| {
            if let Ok(address) = text.parse() {
                return Ok(address);
            }
            let ip: Result<IpAddr, _> = text.trim_start_matches('[').trim_end_matches(']').parse();
            ip.map(|ip| SocketAddr::new(ip, port)).map_err(|_| PlanError::Value {
                text,
                from: from.clone(),
                wanted: "IP address, with or without a port",
            })
        };
        texts.into_iter().map(address).collect()
    }

    fn verify(&self, environment: &Environment<'_>) -> Result<VerifyMode, PlanError> {
        if let Some(mode) = self.verify {
            return Ok(mode);
        }
        if let Some(set) = environment.set(names::VERIFY) {
            let wanted = "way to verify certificates; there are STRICT, NONSTRICT and DISABLED";
            let wrong = |_| PlanError::Value { text: set.text.clone(), from: set.name.to_owned(), wanted };
            return set.text.parse().map_err(wrong);
        }
        let flag = |names| environment.text(names).map(|text| text.eq_ignore_ascii_case("true"));
        Ok(match (flag(names::VERIFY_1), flag(names::NONSTRICT_1)) {
            (None, None) | (Some(true), _) => VerifyMode::Strict,
            (_, Some(true)) => VerifyMode::Nonstrict,
            _ => VerifyMode::Disabled,
        })
    }

    fn tls(&self, environment: &Environment<'_>, verify: VerifyMode) -> Result<TlsFiles, PlanError> {
        let path = |names| environment.text(names).map(PathBuf::from);
        let file = |file: &Option<PathBuf>| file.clone().map(Password::File);
        let said = |names| environment.text(names).map(Password::from);
        let pkcs12 = |store: PathBuf| Identity::Pkcs12 {
            file: store,
            password: file(&self.keystore_password_file).or_else(|| said(names::KEYSTORE_PASSWORD)),
            alias: self.keystore_alias.clone().or_else(|| environment.text(names::KEYSTORE_ALIAS)),
        };
        let pem = |(key, certificate)| Identity::Pem { key, certificate };
        let identity = self.key.clone().zip(self.certificate.clone()).map(pem);
        let identity = identity.or_else(|| self.keystore.clone().map(pkcs12));
        let identity = identity.or_else(|| path(names::PEM_KEY).zip(path(names::PEM_CERTIFICATE)).map(pem));
        let identity = identity.or_else(|| path(names::KEYSTORE).map(pkcs12)).ok_or(PlanError::NoKey)?;
        let password = || file(&self.trust_password_file).or_else(|| said(names::TRUSTSTORE_PASSWORD));
        let mut trust = self.trust.clone();
        if trust.is_empty() {
            let authorities = environment.text(names::PEM_AUTHORITIES).map(OneOrMany::One);
            trust = authorities.map(|list| list.paths()).unwrap_or_default();
        }
        if trust.is_empty() {
            trust.extend(path(names::TRUSTSTORE));
        }
        let client_auth = if verify.checks_chain() { ClientAuth::Optional } else { ClientAuth::None };
        if trust.is_empty() && client_auth != ClientAuth::None {
            return Err(PlanError::NoTrust);
        }
        let trust = trust.into_iter().map(|file| TrustFile { file, password: password() }).collect();
        Ok(TlsFiles { identity, trust, client_auth })
    }

    fn directories(&self, environment: &Environment<'_>) -> Vec<PathBuf> {
        if let Some(list) = &self.definitions {
            return statics::directories(list);
        }
        let lists = [names::DEFINITIONS, names::MORE_DEFINITIONS].map(|names| environment.text(names));
        statics::directories(&lists.into_iter().flatten().collect::<Vec<_>>().join(";"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn plan(line: &str, variables: &[(&str, &str)]) -> Result<Plan, PlanError> {
        let line = Line::try_parse_from(["run"].into_iter().chain(line.split_whitespace())).unwrap();
        let lookup =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, text)| (*text).to_owned());
        line.options.plan(&Environment(&lookup))
    }

    const TODAY: &[(&str, &str)] = &[
        ("ZWE_configs_port", "7000"),
        ("DISCOVERY_PORT", "1"),
        ("ZWE_haInstance_hostname", "host.example.com"),
        ("ZWE_zowe_certificate_pem_key", ""),
        ("ZWE_zowe_certificate_keystore_file", "/k/keystore.p12"),
        ("ZWE_zowe_certificate_keystore_password", "secret"),
        ("ZWE_zowe_certificate_keystore_alias", "localhost"),
        ("ZWE_zowe_certificate_truststore_file", "/k/truststore.p12"),
        ("ZWE_STATIC_DEFINITIONS_DIR", "/w/api-defs"),
        ("ZWE_components_discovery_alternativeStaticApiDefinitionsDirectories", "/more;/w/api-defs"),
    ];

    #[test]
    fn variables_of_a_component_make_the_plan_and_options_win() {
        let made = plan("", TODAY).unwrap();
        assert_eq!(made.listen, ["0.0.0.0:7000".parse().unwrap()]);
        assert_eq!((made.host.as_str(), made.verify), ("host.example.com", VerifyMode::Strict));
        assert_eq!(made.directories, [PathBuf::from("/w/api-defs"), "/more".into()]);
        let tls = made.tls.unwrap();
        assert_eq!(tls.client_auth, ClientAuth::Optional);
        assert!(matches!(&tls.identity, Identity::Pkcs12 { alias: Some(alias), .. } if alias == "localhost"));
        let made =
            plan("--port 9 --listen [::1] --listen 10.0.0.1:8 --definitions /a;/b --verify disabled", TODAY);
        let made = made.unwrap();
        assert_eq!(made.listen, ["[::1]:9".parse().unwrap(), "10.0.0.1:8".parse().unwrap()]);
        assert_eq!(made.directories, [PathBuf::from("/a"), "/b".into()]);
        assert_eq!(made.tls.unwrap().client_auth, ClientAuth::None);
    }

    #[test]
    fn variables_of_version_1_are_known() {
        let old = [
            ("DISCOVERY_PORT", "7553"),
            ("KEYSTORE_KEY", "/k/key"),
            ("KEYSTORE_CERTIFICATE", "/k/cer"),
            ("KEYSTORE_CERTIFICATE_AUTHORITY", "/k/ca,/k/more"),
            ("VERIFY_CERTIFICATES", "false"),
            ("NONSTRICT_VERIFY_CERTIFICATES", "true"),
        ];
        let made = plan("", &old).unwrap();
        assert_eq!(made.verify, VerifyMode::Nonstrict);
        let tls = made.tls.unwrap();
        assert_eq!(tls.trust.len(), 2);
        assert!(matches!(tls.identity, Identity::Pem { .. }));
        let made = plan("", &[old[1], old[2], ("VERIFY_CERTIFICATES", "false")]).unwrap();
        assert_eq!(made.verify, VerifyMode::Disabled);
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_reason() {
        assert!(matches!(plan("", &[]), Err(PlanError::NoKey)));
        assert!(matches!(plan("--key a --certificate b", &[]), Err(PlanError::NoTrust)));
        assert!(matches!(plan("--plain", &[]), Err(PlanError::OpenToAll { .. })));
        assert!(plan("--plain --listen 127.0.0.1", &[]).is_ok());
        assert!(plan("--plain --user eureka --password-file /f", &[]).is_ok());
        let error = plan("", &[("ZWE_configs_port", "abc")]).unwrap_err();
        assert_eq!(error.to_string(), "`abc` of ZWE_configs_port is no port number");
        let error = plan("", &[("ZWE_zowe_verifyCertificates", "maybe")]).unwrap_err();
        assert!(error.to_string().contains("NONSTRICT"), "{error}");
    }
}
