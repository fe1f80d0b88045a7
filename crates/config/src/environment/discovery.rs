//! The list of discovery services: a function of the configuration alone, so that every instance computes the same.

use crate::node::{Mapping, Node};

/// Lists `https://<host>:<port>/eureka/` of every HA instance that runs discovery, in the order of `haInstances`.
///
/// Without HA instances there is one for each external domain. `components.discovery.replicas` stands for a Kubernetes
/// service with that many replicas.
pub(super) fn list(root: &Node) -> String {
    let common = root.below(&["components", "discovery"]);
    let replicas = common.and_then(|node| node.get("replicas")).and_then(Node::integer).unwrap_or(0);
    let mut urls: Vec<String> = Vec::new();
    let mut add = |host: &str, port: &str| {
        let url = format!("https://{host}:{port}/eureka/").to_ascii_lowercase();
        if !urls.contains(&url) {
            urls.push(url);
        }
    };
    let global_port = port(common).unwrap_or_else(|| "7553".to_owned());
    if replicas > 0 {
        let text = |keys: &[&str], default: &str| {
            root.below(keys).and_then(Node::scalar).unwrap_or_else(|| default.to_owned())
        };
        let namespace = text(&["zowe", "environments", "ZWE_POD_NAMESPACE"], "zowe");
        let cluster = text(&["zowe", "environments", "ZWE_POD_CLUSTERNAME"], "cluster.local");
        for replica in 0..replicas.min(1000) {
            add(&format!("discovery-{replica}.discovery-service.{namespace}.svc.{cluster}"), &global_port);
        }
        return urls.join(",");
    }
    let domains: Vec<String> = root
        .below(&["zowe", "externalDomains"])
        .and_then(Node::sequence)
        .map(|domains| domains.iter().filter_map(Node::scalar).collect())
        .unwrap_or_default();
    let instances = root.get("haInstances").and_then(Node::mapping).map(Mapping::entries).unwrap_or_default();
    if instances.is_empty() && is_enabled(common) {
        domains.iter().for_each(|domain| add(domain, &global_port));
    }
    for instance in instances {
        let own = instance.node.below(&["components", "discovery"]);
        let is_here = match own.and_then(|own| own.get("enabled")).and_then(Node::boolean) {
            Some(is_enabled) => is_enabled,
            None => is_enabled(common),
        };
        let host = instance.node.get("hostname").and_then(Node::scalar).or_else(|| domains.first().cloned());
        if let (true, Some(host)) = (is_here, host) {
            add(&host, &port(own).unwrap_or_else(|| global_port.clone()));
        }
    }
    urls.join(",")
}

fn is_enabled(component: Option<&Node>) -> bool {
    component.and_then(|node| node.get("enabled")).and_then(Node::boolean).unwrap_or(false)
}

fn port(component: Option<&Node>) -> Option<String> {
    component?.get("port").and_then(Node::scalar).filter(|port| !port.is_empty())
}
