//! Network namespaces, one for each host and one with the switch between them.

use std::process::Command;

use crate::failure::Failure;
use crate::program;

/// Addresses of a network that exists nowhere but between these namespaces.
const PREFIX: &str = "10.77.0";
const SWITCH: &str = "switch";

/// One host on the network.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Its namespace.
    pub(super) namespace: String,
    /// Its address.
    pub(super) address: String,
}

/// A switch and the hosts on it; removed when dropped.
#[derive(Debug)]
pub(super) struct Network {
    prefix: String,
    hosts: Vec<String>,
}

fn ip(arguments: &[&str]) -> Result<(), Failure> {
    program::run(Command::new("ip").args(arguments))
}

impl Network {
    /// Makes the namespaces, named after this process so that two proofs do not meet.
    pub(super) fn make(hosts: &[&str]) -> Result<Self, Failure> {
        let network = Self {
            prefix: format!("tender-{}-", std::process::id()),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        };
        let switch = network.namespace(SWITCH);
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "name", "bridge", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "bridge", "up"])?;
        for host in hosts {
            let node = network.node(host);
            ip(&["netns", "add", &node.namespace])?;
            let pair = [
                "link",
                "add",
                "name",
                host,
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                &node.namespace,
            ];
            ip(&[&["-n", &switch], &pair[..]].concat())?;
            ip(&["-n", &switch, "link", "set", host, "master", "bridge", "up"])?;
            ip(&["-n", &node.namespace, "address", "add", &format!("{}/24", node.address), "dev", "eth0"])?;
            ip(&["-n", &node.namespace, "link", "set", "eth0", "up"])?;
            ip(&["-n", &node.namespace, "link", "set", "lo", "up"])?;
        }
        Ok(network)
    }

    fn namespace(&self, host: &str) -> String {
        format!("{}{host}", self.prefix)
    }

    /// Returns where a host is.
    pub(super) fn node(&self, host: &str) -> Node {
        let number = self
            .hosts
            .iter()
            .position(|name| name == host)
            .expect("hosts are named when the network is made");
        Node { namespace: self.namespace(host), address: format!("{PREFIX}.{}", number + 1) }
    }

    /// Takes the cable out of the switch: nothing arrives and nobody is told.
    pub(super) fn cut(&self, host: &str) -> Result<(), Failure> {
        ip(&["-n", &self.namespace(SWITCH), "link", "set", host, "down"])
    }

    /// Puts the cable back.
    pub(super) fn mend(&self, host: &str) -> Result<(), Failure> {
        ip(&["-n", &self.namespace(SWITCH), "link", "set", host, "up"])
    }

    /// Limits what a host sends.
    pub(super) fn slow(&self, host: &str, kbit_per_s: u32) -> Result<(), Failure> {
        let rate = format!("{kbit_per_s}kbit");
        let mut tc = Command::new("tc");
        tc.args(["-n", &self.namespace(host), "qdisc", "replace", "dev", "eth0", "root", "tbf"]);
        program::run(tc.args(["rate", &rate, "burst", "8kb", "latency", "200ms"]))
    }

    /// Lifts the limit.
    pub(super) fn hasten(&self, host: &str) -> Result<(), Failure> {
        program::run(Command::new("tc").args([
            "-n",
            &self.namespace(host),
            "qdisc",
            "del",
            "dev",
            "eth0",
            "root",
        ]))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in self.hosts.iter().map(String::as_str).chain([SWITCH]) {
            // A namespace that was never made cannot be removed, and need not be.
            drop(program::output(Command::new("ip").args(["netns", "del", &self.namespace(host)])));
        }
    }
}
