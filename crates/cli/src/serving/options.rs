//! Where to listen and how to speak TLS: options and variables to a plan, decided before anything is opened.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use tender_certificate::tls::VerifyMode;
use tender_certificate::{OneOrMany, Password};
use tender_http::{ClientAuth, Identity, TlsFiles, TrustFile};

use super::Named;
use super::environment::{self as names, Environment};
use super::store::shown;

/// Options of every service.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Where to listen: an address, or address and port; may be given several times
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    pub(crate) listen: Vec<String>,
    /// The port for addresses that name none
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// The name by which clients reach this machine
    #[arg(long, value_name = "HOST")]
    pub(crate) hostname: Option<String>,
    /// The service's key, as PEM
    #[arg(long, value_name = "FILE", requires = "certificate", conflicts_with = "keystore")]
    pub(crate) key: Option<PathBuf>,
    /// The service's certificate and what leads to its authority, as PEM
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "keystore")]
    pub(crate) certificate: Option<PathBuf>,
    /// The service's key and certificate in a PKCS12 store
    #[arg(long, value_name = "FILE")]
    pub(crate) keystore: Option<PathBuf>,
    /// A file whose first line is the password of the key store
    #[arg(long, value_name = "FILE")]
    pub(crate) keystore_password_file: Option<PathBuf>,
    /// The alias of the key in the key store
    #[arg(long, value_name = "ALIAS")]
    pub(crate) keystore_alias: Option<String>,
    /// Authorities that others are trusted by: PEM or PKCS12; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Vec<PathBuf>,
    /// A file whose first line is the password of PKCS12 trust stores
    #[arg(long, value_name = "FILE")]
    pub(crate) trust_password_file: Option<PathBuf>,
    /// How certificates of others are checked: STRICT, NONSTRICT (not for which host) or DISABLED
    #[arg(long, value_name = "MODE")]
    pub(crate) verify: Option<VerifyMode>,
    /// No TLS; for addresses of this machine alone, unless users must log in
    #[arg(long)]
    pub(crate) plain: bool,
    /// Write a line for each request
    #[arg(long)]
    pub(crate) access_log: bool,
}

/// How a service is reached.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) host: String,
    /// Nothing for clear text.
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) verify: VerifyMode,
    pub(crate) has_access_log: bool,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("`{text}` of {from} is no {wanted}")]
    Value { text: String, from: String, wanted: &'static str },
    #[error("neither a key store nor a key and certificate are configured")]
    NoKey,
    #[error("others are to show certificates, and no trust store is configured")]
    NoTrust,
    #[error("without TLS everybody who reaches {address} could read and change what passes")]
    OpenToAll { address: SocketAddr },
    #[error("{given} needs {missing}, too")]
    Half { given: String, missing: String },
    #[error(
        "{given} is for TLS, and an address is given that is reached without: https: and rediss: are with"
    )]
    Unencrypted { given: String },
}

/// Reads a setting from the variables of a launcher; a password in an address does not show when it is none.
pub(crate) fn read<T: std::str::FromStr>(
    environment: &Environment<'_>,
    variables: names::Names,
    wanted: &'static str,
) -> Result<Option<T>, PlanError> {
    let Some(set) = environment.set(variables) else { return Ok(None) };
    let value = set.text.parse();
    value.map(Some).map_err(|_| PlanError::Value { text: shown(&set.text), from: set.name, wanted })
}

impl Options {
    /// Makes the plan; without TLS the service is for this machine alone, unless it is guarded otherwise.
    pub(crate) fn plan(
        &self,
        named: Named,
        environment: &Environment<'_>,
        is_guarded: bool,
    ) -> Result<Serving, PlanError> {
        let listen = self.addresses(named, environment)?;
        let verify = self.verify(environment)?;
        let tls = if self.plain { None } else { Some(self.tls(environment, verify)?) };
        if tls.is_none()
            && !is_guarded
            && let Some(address) = listen.iter().find(|address| !address.ip().is_loopback())
        {
            return Err(PlanError::OpenToAll { address: *address });
        }
        let host = self.hostname.clone().or_else(|| environment.text(names::HOST));
        let host = host.unwrap_or_else(|| "localhost".to_owned());
        Ok(Serving { listen, host, tls, verify, has_access_log: self.access_log })
    }

    fn addresses(&self, named: Named, environment: &Environment<'_>) -> Result<Vec<SocketAddr>, PlanError> {
        let set = environment.set(names::PORT).or_else(|| environment.set(named.port_names));
        let port = match (self.port, set) {
            (Some(port), _) => port,
            (None, None) => named.port,
            (None, Some(set)) => set.text.parse().map_err(|_| PlanError::Value {
                text: set.text.clone(),
                from: set.name.clone(),
                wanted: "port number",
            })?,
        };
        let (texts, from) = if !self.listen.is_empty() {
            (self.listen.clone(), "--listen".to_owned())
        } else if let Some(set) = environment.set(names::LISTEN) {
            (set.text.split(',').map(|text| text.trim().to_owned()).collect(), set.name)
        } else if self.plain {
            (vec![Ipv4Addr::LOCALHOST.to_string()], String::new())
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
            let wrong = |_| PlanError::Value { text: set.text.clone(), from: set.name.clone(), wanted };
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const NAMED: Named = Named {
        component: "caching-service",
        title: "caching service",
        port: 7555,
        port_names: &["ZWE_CACHING_SERVICE_PORT"],
    };

    fn planned(options: &Options, variables: &[(&str, &str)]) -> Result<Serving, PlanError> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let look_up = |name: &str| variables.get(name).map(|text| (*text).to_owned());
        options.plan(NAMED, &Environment::new(NAMED.component, &look_up), false)
    }

    #[test]
    fn variables_of_a_launcher_are_a_whole_plan() {
        let plan = planned(
            &Options::default(),
            &[
                ("ZWE_components_caching_service_port", "17555"),
                ("ZWE_zowe_network_server_listenAddresses", "127.0.0.1, [::1]"),
                ("ZWE_zowe_certificate_keystore_file", "/k.p12"),
                ("ZWE_zowe_certificate_truststore_file", "/t.p12"),
                ("ZWE_zowe_verifyCertificates", "nonstrict"),
                ("ZWE_haInstance_hostname", "here"),
            ],
        )
        .unwrap();
        assert_eq!(plan.listen, ["127.0.0.1:17555".parse().unwrap(), "[::1]:17555".parse().unwrap()]);
        assert_eq!((plan.host.as_str(), plan.verify), ("here", VerifyMode::Nonstrict));
        assert!(plan.tls.is_some());
    }

    #[test]
    fn variables_of_version_1_are_known_and_options_win() {
        let old = [
            ("ZWE_CACHING_SERVICE_PORT", "1"),
            ("KEYSTORE_KEY", "/k/key"),
            ("KEYSTORE_CERTIFICATE", "/k/cer"),
            ("KEYSTORE_CERTIFICATE_AUTHORITY", "/k/ca,/k/more"),
            ("VERIFY_CERTIFICATES", "false"),
            ("NONSTRICT_VERIFY_CERTIFICATES", "true"),
        ];
        let made = planned(&Options::default(), &old).unwrap();
        assert_eq!((made.listen[0].port(), made.verify), (1, VerifyMode::Nonstrict));
        let tls = made.tls.unwrap();
        assert!(tls.trust.len() == 2 && matches!(tls.identity, Identity::Pem { .. }));
        let chosen = Options {
            port: Some(9),
            listen: vec!["[::1]".to_owned(), "10.0.0.1:8".to_owned()],
            verify: Some(VerifyMode::Disabled),
            ..Options::default()
        };
        let made = planned(&chosen, &old).unwrap();
        assert_eq!(made.listen, ["[::1]:9".parse().unwrap(), "10.0.0.1:8".parse().unwrap()]);
        assert_eq!(made.tls.unwrap().client_auth, ClientAuth::None);
    }

    #[test]
    fn clear_text_is_for_this_machine_alone() {
        let plain = Options { plain: true, ..Options::default() };
        assert_eq!(planned(&plain, &[]).unwrap().listen, ["127.0.0.1:7555".parse().unwrap()]);
        let open = Options { listen: vec!["0.0.0.0".to_owned()], ..plain };
        assert!(matches!(planned(&open, &[]), Err(PlanError::OpenToAll { .. })));
    }

    #[test]
    fn value_that_is_none_is_named_with_where_it_comes_from() {
        let error = planned(&Options::default(), &[("ZWE_configs_port", "many")]).unwrap_err();
        assert_eq!(error.to_string(), "`many` of ZWE_configs_port is no port number");
        assert!(matches!(planned(&Options::default(), &[]), Err(PlanError::NoKey)));
        let error = planned(&Options::default(), &[("KEYSTORE", "/k")]).unwrap_err();
        assert!(matches!(error, PlanError::NoTrust));
    }
}
