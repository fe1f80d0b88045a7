//! Which store a service shares with others, from a word.
//!
//! ```text
//! memory │ disk:FILE │ etcd:http://HOST:2379[,http://…] │ redis://[USER:PASSWORD@]HOST:6379
//! ```

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use tender_cache::{DiskStore, EtcdStore, MemoryStore, RedisStore, Store, StoreError};
use tender_http::hyper::Uri;

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
    match members.iter().find(|one| !is_address(one)) {
        None => Ok(members),
        Some(wrong) => Err(format!("`{wrong}` is no address such as https://HOST:2379")),
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" || text == "inMemory" => Ok(Self::Memory),
            Some(("disk", path)) if !path.is_empty() => Ok(Self::Disk(path.into())),
            Some(("etcd", list)) if list.contains("https:") => {
                Err("etcd is reached without TLS so far: give etcd:http://HOST:2379 on a network of its own"
                    .to_owned())
            }
            Some(("etcd", list)) => members(list).map(Self::Etcd),
            Some(("rediss", _)) => {
                Err("Redis is reached without TLS so far: give redis://HOST:6379 on a network of its own"
                    .to_owned())
            }
            Some(("redis", _)) => Ok(Self::Redis(text.to_owned())),
            _ => Err("give memory, disk:FILE, etcd:http://HOST:2379 or redis://HOST:6379".to_owned()),
        }
    }
}

impl Place {
    /// Opens it; services that share it name it alike.
    pub(crate) async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::Memory => Arc::new(MemoryStore::new()),
            Self::Disk(path) => Arc::new(DiskStore::open(path)?),
            Self::Etcd(endpoints) => {
                let client =
                    tender_etcd::Client::connect(&tender_etcd::Settings::new(endpoints.clone())).await?;
                Arc::new(EtcdStore::new(client, &format!("/tender/{name}")))
            }
            Self::Redis(url) => Arc::new(RedisStore::connect(url, &format!("tender:{name}")).await?),
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
        for wrong in
            ["", "disk", "disk:", "etcd:", "etcd:h:2379", "etcd:http://u:p@h:2379", "vsam", "memory:x"]
        {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
        for encrypted in ["etcd:https://a:2379", "rediss://h:6379"] {
            assert!(encrypted.parse::<Place>().unwrap_err().contains("without TLS"), "{encrypted}");
        }
    }

    #[test]
    fn password_of_an_address_does_not_show() {
        assert_eq!(shown("redis://user:p@ss@host:6379"), "redis://…@host:6379");
        assert_eq!(shown("disk:/a"), "disk:/a");
    }
}
