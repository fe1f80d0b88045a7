//! Which store a service shares with others, from a word.
//!
//! ```text
//! memory │ disk:FILE │ etcd:https://HOST:2379[,https://…] │ rediss://HOST:6379
//! ```
//!
//! With `http:` and `redis:` it is reached without TLS.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use tender_cache::{DiskStore, EtcdStore, MemoryStore, RedisSettings, RedisStore, Store, StoreError};
use tender_etcd::{Client, Settings, Tls};
use tender_http::hyper::Uri;

use super::Named;
use super::access::{Access, Given, Variables};
use super::environment::Environment;
use super::options::{PlanError, Serving};
use super::run::tell;
use crate::error::CommandError;

/// Options that say how the store is reached.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Authorities that the certificate of the store is trusted by, as PEM [default: those of --trust]
    #[arg(long, value_name = "FILE")]
    store_trust: Option<PathBuf>,
    /// The key to show to the store, as PEM [default: the service's own]
    #[arg(long, value_name = "FILE", requires = "store_certificate")]
    store_key: Option<PathBuf>,
    /// The certificate to show to the store, as PEM [default: the service's own]
    #[arg(long, value_name = "FILE", requires = "store_key")]
    store_certificate: Option<PathBuf>,
    /// The user to log in to the store as
    #[arg(long, value_name = "USER", requires = "store_password_file")]
    store_user: Option<String>,
    /// A file whose first line is the password of that user
    #[arg(long, value_name = "FILE", requires = "store_user")]
    store_password_file: Option<PathBuf>,
}

impl Options {
    /// Says how a store is reached.
    pub(crate) fn plan(
        &self,
        place: &Place,
        variables: Variables,
        environment: &Environment<'_>,
    ) -> Result<Access, PlanError> {
        let has_tls = match place {
            // Nothing is reached, and what says how is for another day.
            Place::Memory | Place::Disk(_) => true,
            Place::Etcd(members) => are_encrypted(members),
            Place::Redis(url) => is_encrypted(url),
        };
        let given = Given {
            trust: self.store_trust.clone(),
            key: self.store_key.clone(),
            certificate: self.store_certificate.clone(),
            user: self.store_user.clone(),
            password_file: self.store_password_file.clone(),
        };
        Access::plan(&given, variables, environment, has_tls)
    }
}

/// What is read before a server is reached: a password, authorities, a key.
pub(crate) struct Keys {
    pub(crate) user: Option<(String, String)>,
    pub(crate) tls: Option<Tls>,
}

impl Keys {
    /// Reads them for a server, which is called what a sentence calls it, at its addresses.
    pub(crate) fn read(
        named: Named,
        serving: &Serving,
        access: &Access,
        (what, addresses): (&str, &[String]),
    ) -> Result<Self, CommandError> {
        let has_tls = are_encrypted(addresses);
        let tls = has_tls.then(|| access.tls(named, serving, what)).transpose()?;
        // A password may stand in the address itself.
        let has_password = access.has_login() || addresses.iter().any(|address| address.contains('@'));
        if has_password && !has_tls && !addresses.iter().all(|address| is_of_this_machine(address)) {
            tell(&format!("ZWEAM501W the password for {what} goes over the network without TLS"));
        }
        Ok(Self { user: access.login(named, what)?, tls })
    }
}

/// A store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Memory,
    Disk(PathBuf),
    Etcd(Vec<String>),
    Redis(String),
}

/// Returns what of a word may be shown: no password that an address holds.
pub(crate) fn shown(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, address)) => format!("{scheme}://…@{address}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

/// Reads the addresses of the members of an etcd, with `,` between them.
pub(crate) fn members(list: &str) -> Result<Vec<String>, String> {
    let is_address = |text: &str| {
        let uri: Option<Uri> = text.parse().ok();
        uri.is_some_and(|uri| {
            let has_host = uri.host().is_some_and(|host| !host.is_empty());
            has_host && matches!(uri.scheme_str(), Some("http" | "https"))
        })
    };
    let members: Vec<_> = list.split(',').map(|one| one.trim().to_owned()).collect();
    // What stands before `@` could be a password, and is not shown.
    if list.contains('@') {
        return Err("an address of etcd names no user".to_owned());
    }
    let first = members.first().is_some_and(|one| is_encrypted(one));
    match members.iter().find(|one| !is_address(one)) {
        None if members.iter().any(|one| is_encrypted(one) != first) => {
            Err("addresses of one etcd all begin with https:, or none does".to_owned())
        }
        None => Ok(members),
        Some(wrong) => Err(format!("`{wrong}` is no address such as https://HOST:2379")),
    }
}

/// Says whether addresses are reached over TLS: all are, or none is.
pub(crate) fn are_encrypted(addresses: &[String]) -> bool {
    addresses.iter().all(|address| is_encrypted(address))
}

/// Says whether an address leads to no other machine.
fn is_of_this_machine(address: &str) -> bool {
    let uri: Option<Uri> = address.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Says whether an address is reached over TLS.
fn is_encrypted(address: &str) -> bool {
    let scheme = address.split(':').next().unwrap_or_default();
    ["https", "rediss"].iter().any(|one| scheme.eq_ignore_ascii_case(one))
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" || text == "inMemory" => Ok(Self::Memory),
            Some(("disk", path)) if !path.is_empty() => Ok(Self::Disk(path.into())),
            Some(("etcd", list)) if list.contains('@') => {
                Err("an address of etcd names no user: give --store-user and --store-password-file"
                    .to_owned())
            }
            Some(("etcd", list)) => members(list).map(Self::Etcd),
            Some(("redis" | "rediss", address)) if address.contains('#') => {
                Err("an address of Redis ends before `#`: certificates are always checked".to_owned())
            }
            Some(("redis" | "rediss", _)) => Ok(Self::Redis(text.to_owned())),
            _ => Err("give memory, disk:FILE, etcd:https://HOST:2379 or rediss://HOST:6379".to_owned()),
        }
    }
}

impl Place {
    /// Reads what it is reached with: a password, authorities, a key.
    pub(crate) fn keys(
        &self,
        named: Named,
        access: &Access,
        serving: &Serving,
    ) -> Result<Keys, CommandError> {
        let (what, addresses) = match self {
            Self::Memory | Self::Disk(_) => return Ok(Keys { user: None, tls: None }),
            Self::Etcd(members) => ("etcd", members.as_slice()),
            Self::Redis(url) => ("Redis", std::slice::from_ref(url)),
        };
        Keys::read(named, serving, access, (what, addresses))
    }

    /// Opens it; services that share it name it alike.
    pub(crate) async fn open(&self, name: &str, keys: Keys) -> Result<Arc<dyn Store>, StoreError> {
        let Keys { user, tls } = keys;
        Ok(match self {
            Self::Memory => Arc::new(MemoryStore::new()),
            Self::Disk(path) => Arc::new(DiskStore::open(path)?),
            Self::Etcd(endpoints) => {
                let settings = Settings { user, tls, ..Settings::new(endpoints.clone()) };
                Arc::new(EtcdStore::new(Client::connect(&settings).await?, &format!("/tender/{name}")))
            }
            Self::Redis(url) => {
                let settings = RedisSettings { url: url.clone(), user, tls };
                Arc::new(RedisStore::connect(&settings, &format!("tender:{name}")).await?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_named_by_a_word() {
        assert_eq!("memory".parse(), Ok(Place::Memory));
        assert_eq!("disk:/a:b".parse(), Ok(Place::Disk("/a:b".into())));
        let two = vec!["http://a:2379".to_owned(), "http://b:2379".to_owned()];
        assert_eq!("etcd:http://a:2379,http://b:2379".parse(), Ok(Place::Etcd(two)));
        assert_eq!("redis://h:6379".parse(), Ok(Place::Redis("redis://h:6379".to_owned())));
        assert_eq!("rediss://h:6379".parse(), Ok(Place::Redis("rediss://h:6379".to_owned())));
        assert_eq!("etcd:https://a:2379".parse(), Ok(Place::Etcd(vec!["https://a:2379".to_owned()])));
        for wrong in [
            "",
            "disk",
            "disk:",
            "etcd:",
            "etcd:h:2379",
            "etcd:http://u:p@h:2379",
            "vsam",
            "memory:x",
            "rediss://h:6379/#insecure",
        ] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn scheme_says_whether_a_store_is_reached_over_tls() {
        for encrypted in ["https://a:2379", "HTTPS://a", "rediss://h:6379"] {
            assert!(is_encrypted(encrypted), "{encrypted}");
        }
        for open in ["http://https:1", "redis://h:6379", "redis://rediss"] {
            assert!(!is_encrypted(open), "{open}");
        }
    }

    #[test]
    fn address_of_this_machine_is_told_from_others() {
        for here in ["http://localhost:2379", "redis://u:p@127.0.0.1:6379", "http://[::1]:2379"] {
            assert!(is_of_this_machine(here), "{here}");
        }
        for elsewhere in
            ["http://localhost.example.com:1", "redis://h", "redis://127.0.0.1@h:6379", "nonsense"]
        {
            assert!(!is_of_this_machine(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn password_of_an_address_does_not_show() {
        assert_eq!(shown("redis://user:p@ss@host:6379"), "redis://…@host:6379");
        assert_eq!(shown("disk:/a"), "disk:/a");
    }
}
