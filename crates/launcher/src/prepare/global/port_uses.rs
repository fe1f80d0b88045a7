//! Ports that the configuration gives to components: each once a host, and free when they start.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::ports::{PortState, probe};

/// A port in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PortUse {
    /// The port.
    pub(crate) port: u16,
    /// The host it is used on.
    pub(crate) host: String,
    /// The HA instance.
    pub(crate) ha_id: String,
    /// The key, such as `components.gateway.port`.
    pub(crate) key: String,
    /// The addresses it is used on; all when there are none.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether the configuration wants it checked.
    pub(crate) is_checked: bool,
}

/// Names every port that two components of one host would share.
pub(crate) fn conflicts(uses: &[PortUse]) -> Vec<String> {
    let mut by_place: BTreeMap<(&str, u16), Vec<&PortUse>> = BTreeMap::new();
    for one in uses {
        by_place.entry((&one.host, one.port)).or_default().push(one);
    }
    let mut found = Vec::new();
    for ((host, port), users) in by_place {
        for (index, second) in users.iter().enumerate() {
            let Some(first) = users[..index].iter().find(|first| first.meets(second)) else { continue };
            found.push(format!("port {port} on {host} is given twice: to {first} and to {second}"));
        }
    }
    found
}

impl PortUse {
    fn meets(&self, other: &Self) -> bool {
        let is_everywhere = self.addresses.is_empty() || other.addresses.is_empty();
        is_everywhere || self.addresses.iter().any(|address| other.addresses.contains(address))
    }
}

impl std::fmt::Display for PortUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of HA instance {}", self.key, self.ha_id)
    }
}

/// Says what is wrong with a port that is about to be used; `own` are ports that this instance has already.
pub(crate) fn check_free(one: &PortUse, own: &BTreeSet<u16>) -> Result<(), String> {
    if !one.is_checked || own.contains(&one.port) {
        return Ok(());
    }
    match probe(one.port, &one.addresses) {
        PortState::Free => Ok(()),
        PortState::Taken(owner) => Err(format!("port {} ({}) is in use by {owner}", one.port, one.key)),
        PortState::Unusable(reason) => Err(format!("port {} ({}) cannot be used: {reason}", one.port, one.key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port_use(port: u16, host: &str, component: &str) -> PortUse {
        PortUse {
            port,
            host: host.to_owned(),
            ha_id: host.to_owned(),
            key: format!("components.{component}.port"),
            addresses: Vec::new(),
            is_checked: true,
        }
    }

    #[test]
    fn port_given_twice_on_one_host_names_both() {
        let uses = [port_use(7558, "a", "zaas"), port_use(7558, "b", "zaas"), port_use(7558, "a", "jobs-api")];
        let found = conflicts(&uses);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("components.zaas.port") && found[0].contains("components.jobs-api.port"));
    }

    #[test]
    fn different_addresses_do_not_meet() {
        let mut uses = [port_use(1, "a", "x"), port_use(1, "a", "y")];
        uses[0].addresses = vec!["127.0.0.1".parse().unwrap()];
        uses[1].addresses = vec!["127.0.0.2".parse().unwrap()];
        assert_eq!(conflicts(&uses), Vec::<String>::new());
        uses[1].addresses = Vec::new();
        assert_eq!(conflicts(&uses).len(), 1);
    }

    #[test]
    fn taken_port_is_an_error_unless_the_instance_has_it_or_nobody_asks() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut one = port_use(listener.local_addr().unwrap().port(), "a", "x");
        let error = check_free(&one, &BTreeSet::new()).unwrap_err();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        check_free(&one, &BTreeSet::from([one.port])).unwrap();
        one.is_checked = false;
        check_free(&one, &BTreeSet::new()).unwrap();
    }
}
