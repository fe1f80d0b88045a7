//! Where registrations are shared with other discovery services, from options and variables to a way to reach it.

use std::path::PathBuf;
use std::str::FromStr;

use tender_certificate::{Bundle, Password};
use tender_etcd::{Client, Settings, Tls};
use tender_http::{ClientAuth, Identity, TlsFiles, TrustFile};
use tender_mediation::discovery::Cluster;

use super::environment as names;
use super::{NAMED, fault};
use crate::error::CommandError;
use crate::serving::environment::Environment;
use crate::serving::options::{PlanError, Serving, read};
use crate::serving::store::members;

const PREFIX: &str = "/tender/registry";
const WANTED: &str = "registry: memory or etcd:https://HOST:2379[,https://…]";

/// Options that say where registrations are shared.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub(super) struct Options {
    /// Where registrations are shared with other discovery services: memory (not at all), or etcd:URL,URL… [default: memory]
    #[arg(long, value_name = "REGISTRY")]
    registry: Option<Place>,
    /// What the keys in etcd begin with; services that name the same share a registry [default: /tender/registry]
    #[arg(long, value_name = "PREFIX")]
    registry_prefix: Option<String>,
    /// Authorities that the certificate of etcd is trusted by, as PEM [default: those of --trust]
    #[arg(long, value_name = "FILE")]
    registry_trust: Option<PathBuf>,
    /// The key to show to etcd, as PEM [default: the service's own]
    #[arg(long, value_name = "FILE", requires = "registry_certificate")]
    registry_key: Option<PathBuf>,
    /// The certificate to show to etcd, as PEM [default: the service's own]
    #[arg(long, value_name = "FILE", requires = "registry_key")]
    registry_certificate: Option<PathBuf>,
    /// The user to log in to etcd as
    #[arg(long, value_name = "USER", requires = "registry_password_file")]
    registry_user: Option<String>,
    /// A file whose first line is the password of that user
    #[arg(long, value_name = "FILE", requires = "registry_user")]
    registry_password_file: Option<PathBuf>,
}

/// Where registrations are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Memory,
    /// Addresses of members.
    Etcd(Vec<String>),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("etcd", list)) if list.contains('@') => {
                Err("an address names no user: give --registry-user and --registry-password-file".to_owned())
            }
            Some(("etcd", list)) => members(list).map(Self::Etcd),
            _ => Err("give memory or etcd:https://HOST:2379".to_owned()),
        }
    }
}

/// The etcd through which registrations are shared.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    members: Vec<String>,
    prefix: String,
    login: Option<(String, Password)>,
    /// What is trusted and shown; what is missing is the service's own.
    trust: Option<PathBuf>,
    identity: Option<Identity>,
}

impl Options {
    /// Says where registrations are shared; nothing when they are not.
    pub(super) fn plan(&self, environment: &Environment<'_>) -> Result<Option<Shared>, PlanError> {
        let said = read(environment, names::REGISTRY, WANTED)?;
        let Some(Place::Etcd(members)) = self.registry.clone().or(said) else { return Ok(None) };
        let path =
            |own: &Option<PathBuf>, names| own.clone().or_else(|| environment.text(names).map(PathBuf::from));
        let file = self.registry_password_file.clone().map(Password::File);
        let password = file.or_else(|| environment.text(names::REGISTRY_PASSWORD).map(Password::from));
        let user = self.registry_user.clone().or_else(|| environment.text(names::REGISTRY_USER));
        let key = path(&self.registry_key, names::REGISTRY_KEY);
        let certificate = path(&self.registry_certificate, names::REGISTRY_CERTIFICATE);
        let prefix = self.registry_prefix.clone().or_else(|| environment.text(names::REGISTRY_PREFIX));
        Ok(Some(Shared {
            members,
            prefix: prefix.unwrap_or_else(|| PREFIX.to_owned()),
            login: both((user, "a user for etcd"), (password, "its password"))?,
            trust: path(&self.registry_trust, names::REGISTRY_TRUST),
            identity: both((key, "a key to show to etcd"), (certificate, "its certificate"))?
                .map(|(key, certificate)| Identity::Pem { key, certificate }),
        }))
    }
}

/// Returns both of what is of no use alone; nothing when there is neither.
fn both<A, B>(
    (one, name): (Option<A>, &'static str),
    (other, other_name): (Option<B>, &'static str),
) -> Result<Option<(A, B)>, PlanError> {
    match (one, other) {
        (Some(one), Some(other)) => Ok(Some((one, other))),
        (Some(_), None) => Err(PlanError::Half { given: name, missing: other_name }),
        (None, Some(_)) => Err(PlanError::Half { given: other_name, missing: name }),
        (None, None) => Ok(None),
    }
}

impl Shared {
    /// Says where it is.
    pub(super) fn description(&self) -> String {
        format!("etcd at {}, below {}", self.members.join(", "), self.prefix)
    }

    /// Makes ready to reach it, having read keys, authorities and the password.
    pub(super) fn open(&self, serving: &Serving) -> Result<Cluster, CommandError> {
        let is_encrypted = |member: &String| member.to_ascii_lowercase().starts_with("https:");
        let tls = self.members.iter().any(is_encrypted).then(|| self.tls(serving)).transpose()?;
        let user = match &self.login {
            Some((user, password)) => {
                let password = password.resolve().map_err(fault::registry_password)?;
                Some((user.clone(), password.expose().to_owned()))
            }
            None => None,
        };
        let settings = Settings { tls, user, ..Settings::new(self.members.clone()) };
        let client = Client::new(&settings).map_err(fault::registry)?;
        Ok(Cluster { client, prefix: self.prefix.clone() })
    }

    fn tls(&self, serving: &Serving) -> Result<Tls, CommandError> {
        let own = serving.tls.as_ref();
        let trust = match (&self.trust, own) {
            (Some(file), _) => vec![TrustFile { file: file.clone(), password: None }],
            (None, Some(own)) if !own.trust.is_empty() => own.trust.clone(),
            (None, _) => return Err(fault::registry_without_trust()),
        };
        let identity = self.identity.clone().or_else(|| own.map(|own| own.identity.clone()));
        // Only authorities are read when there is no key to show.
        let nobody = Identity::Pem { key: PathBuf::new(), certificate: PathBuf::new() };
        let files =
            TlsFiles { identity: identity.clone().unwrap_or(nobody), trust, client_auth: ClientAuth::None };
        let roots = files.roots().map_err(|fault| NAMED.tls(fault))?;
        let mut authorities = Bundle::default();
        roots.certificates().iter().for_each(|one| authorities.add_trusted("authority", one.clone()));
        let identity = match identity {
            Some(_) => {
                let key = files.key().map_err(|fault| NAMED.tls(fault))?;
                Some((key.chain_pem().into_bytes(), key.key_pem().as_bytes().to_vec()))
            }
            None => None,
        };
        Ok(Tls { authorities: authorities.trusted_pem().into_bytes(), identity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_is_named_by_a_word() {
        assert_eq!("memory".parse(), Ok(Place::Memory));
        let two = vec!["http://a:2379".to_owned(), "https://b:2379".to_owned()];
        assert_eq!("etcd:http://a:2379, https://b:2379".parse(), Ok(Place::Etcd(two)));
        for (wrong, said) in [
            ("", "give memory"),
            ("redis://h:1", "give memory"),
            ("etcd:", "`` is no address"),
            ("etcd:h:2379", "`h:2379` is no address"),
            ("etcd:http://a:2379,", "`` is no address"),
            ("etcd:http://user:secret@a:2379", "--registry-user"),
        ] {
            let error = wrong.parse::<Place>().unwrap_err();
            assert!(error.contains(said) && !error.contains("secret"), "{wrong}: {error}");
        }
    }

    #[test]
    fn half_of_what_belongs_together_is_refused_instead_of_left_out() {
        let half = |variable: &'static str| {
            let look_up = move |name: &str| match name {
                "ZWE_configs_registry" => Some("etcd:http://a:2379".to_owned()),
                name if name == variable => Some("x".to_owned()),
                _ => None,
            };
            Options::default().plan(&Environment::new(NAMED.component, &look_up))
        };
        for variable in ["User", "Password", "Key", "Certificate"] {
            let variable: &'static str = format!("ZWE_configs_registry{variable}").leak();
            assert!(matches!(half(variable), Err(PlanError::Half { .. })), "{variable}");
        }
        assert!(half("ZWE_configs_registryPrefix").is_ok());
    }

    #[test]
    fn variables_of_a_component_say_where_and_options_win() {
        let variables = [
            ("ZWE_configs_registry", "etcd:http://a:2379"),
            ("ZWE_configs_registryPrefix", "/mine"),
            ("ZWE_configs_registryUser", "tender"),
            ("ZWE_configs_registryPassword", "secret"),
        ];
        let look_up = |name: &str| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        let environment = Environment::new(NAMED.component, &look_up);
        let shared = Options::default().plan(&environment).unwrap().unwrap();
        assert_eq!(shared.description(), "etcd at http://a:2379, below /mine");
        assert_eq!(shared.login.as_ref().map(|(user, _)| user.as_str()), Some("tender"));
        assert!(!format!("{shared:?}").contains("secret"));
        let options = Options { registry: Some(Place::Memory), ..Options::default() };
        assert!(options.plan(&environment).unwrap().is_none());
        let options = Options { registry_prefix: Some("/other".to_owned()), ..Options::default() };
        assert!(options.plan(&environment).unwrap().unwrap().description().ends_with("/other"));
    }
}
