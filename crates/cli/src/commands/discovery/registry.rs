//! Where registrations are shared with other discovery services, from options and variables to a way to reach it.

use std::path::PathBuf;
use std::str::FromStr;

use tender_etcd::{Client, Settings};
use tender_mediation::discovery::Cluster;

use super::environment as names;
use super::{NAMED, fault};
use crate::error::CommandError;
use crate::serving::access::{Access, Given, Variables};
use crate::serving::environment::Environment;
use crate::serving::options::{PlanError, Serving, read};
use crate::serving::store::{Keys, are_encrypted, members};

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
    access: Access,
}

impl Options {
    /// Says where registrations are shared; nothing when they are not.
    pub(super) fn plan(&self, environment: &Environment<'_>) -> Result<Option<Shared>, PlanError> {
        let said = read(environment, names::REGISTRY, WANTED)?;
        let Some(Place::Etcd(members)) = self.registry.clone().or(said) else { return Ok(None) };
        let given = Given {
            trust: self.registry_trust.clone(),
            key: self.registry_key.clone(),
            certificate: self.registry_certificate.clone(),
            user: self.registry_user.clone(),
            password_file: self.registry_password_file.clone(),
        };
        let variables = Variables {
            option: "--registry",
            trust: names::REGISTRY_TRUST,
            key: names::REGISTRY_KEY,
            certificate: names::REGISTRY_CERTIFICATE,
            user: names::REGISTRY_USER,
            password: names::REGISTRY_PASSWORD,
        };
        let prefix = self.registry_prefix.clone().or_else(|| environment.text(names::REGISTRY_PREFIX));
        let access = Access::plan(&given, variables, environment, are_encrypted(&members))?;
        Ok(Some(Shared { members, prefix: prefix.unwrap_or_else(|| PREFIX.to_owned()), access }))
    }
}

impl Shared {
    /// Says where it is.
    pub(super) fn description(&self) -> String {
        format!("etcd at {}, below {}", self.members.join(", "), self.prefix)
    }

    /// Makes ready to reach it, having read keys, authorities and the password.
    pub(super) fn open(&self, serving: &Serving) -> Result<Cluster, CommandError> {
        let Keys { user, tls } = Keys::read(NAMED, serving, &self.access, ("etcd", &self.members))?;
        let settings = Settings { tls, user, ..Settings::new(self.members.clone()) };
        let client = Client::new(&settings).map_err(fault::registry)?;
        Ok(Cluster { client, prefix: self.prefix.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_is_named_by_a_word() {
        assert_eq!("memory".parse(), Ok(Place::Memory));
        let two = vec!["https://a:2379".to_owned(), "https://b:2379".to_owned()];
        assert_eq!("etcd:https://a:2379, https://b:2379".parse(), Ok(Place::Etcd(two)));
        for (wrong, said) in [
            ("", "give memory"),
            ("redis://h:1", "give memory"),
            ("etcd:", "`` is no address"),
            ("etcd:h:2379", "`h:2379` is no address"),
            ("etcd:http://a:2379,", "`` is no address"),
            ("etcd:http://a:2379,https://b:2379", "all begin with https"),
            ("etcd:http://user:secret@a:2379", "--registry-user"),
        ] {
            let error = wrong.parse::<Place>().unwrap_err();
            assert!(error.contains(said) && !error.contains("secret"), "{wrong}: {error}");
        }
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
        assert!(!format!("{shared:?}").contains("secret"));
        let options = Options { registry: Some(Place::Memory), ..Options::default() };
        assert!(options.plan(&environment).unwrap().is_none());
        let options = Options { registry_prefix: Some("/other".to_owned()), ..Options::default() };
        assert!(options.plan(&environment).unwrap().unwrap().description().ends_with("/other"));
    }
}
