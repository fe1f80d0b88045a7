//! Definitions to instances.

use tender_config::Problem;

use super::definition::{Definition, Located, Service, WRONG};
use super::metadata::{self, Additional, Mode, joined};
use crate::discovery::instance::{DATA_CENTER_CLASS, DataCenter, Instance, Lease, Port, Status, app_key};

/// An instance with the place it comes from.
pub(super) type Placed = (Instance, Located);

/// Makes the instances of a file's services; a service that is wrong has none and a problem instead.
pub(super) fn of(definition: &Definition, now_ms: u64) -> (Vec<Placed>, Vec<Problem>) {
    let (mut instances, mut problems) = (Vec::new(), Vec::new());
    for service in &definition.services {
        match of_service(service, definition, now_ms, &mut problems) {
            Ok(more) => instances.extend(more),
            Err(problem) => problems.push(*problem),
        }
    }
    (instances, problems)
}

/// Makes what a file adds to services that announce themselves, by their ids in lower case.
pub(super) fn additional(definition: &Definition) -> (Vec<(String, Additional)>, Vec<Problem>) {
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for (service, mode) in &definition.additional {
        let Some(id) = service.id.as_ref().filter(|id| !id.text.is_empty()) else {
            problems.push(wrong(service, "additional metadata names its `serviceId`"));
            continue;
        };
        let mode = match mode.as_ref().map(|mode| mode.text.as_str()) {
            None | Some("UPDATE") => Mode::Update,
            Some("FORCE_UPDATE") => Mode::ForceUpdate,
            Some(other) => {
                problems.push(wrong(service, format!("mode is UPDATE or FORCE_UPDATE, not `{other}`")));
                continue;
            }
        };
        let metadata = metadata::of(service, definition, "", false);
        all.push((id.text.to_ascii_lowercase(), Additional { mode, metadata }));
    }
    (all, problems)
}

fn wrong(service: &Service, message: impl Into<String>) -> Problem {
    let name = service.id.as_ref().map_or("services", |id| id.text.as_str());
    Problem::error(message).at(&service.origin).on(name).id(WRONG)
}

fn of_service(
    service: &Service,
    definition: &Definition,
    now_ms: u64,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Placed>, Box<Problem>> {
    let refused = |message: String| Box::new(wrong(service, message));
    let id = service.id.as_ref().map(|id| id.text.trim()).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| refused("a service has a `serviceId`".to_owned()))?;
    if !id.is_ascii() {
        return Err(refused("a `serviceId` is ASCII".to_owned()));
    }
    if let Some(tile) = service.tile.as_ref().filter(|tile| !definition.tiles.contains_key(&tile.text)) {
        // The service is there all the same, only in no tile.
        let message = format!("tile `{}` is not among catalogUiTiles", tile.text);
        problems.push(Problem::error(message).at(&tile.origin).on(id).id(WRONG));
    }
    if service.base_urls.is_empty() {
        return Err(refused("a service has `instanceBaseUrls`".to_owned()));
    }
    let mut instances = Vec::new();
    for located in &service.base_urls {
        match BaseUrl::parse(&located.text) {
            Ok(url) => {
                instances.push((instance(id, service, definition, &url, now_ms), located.clone()));
            }
            Err(reason) => {
                let message = format!("`{}` {reason}", located.text);
                problems.push(Problem::error(message).at(&located.origin).on(id).id(WRONG));
            }
        }
    }
    Ok(instances)
}

fn instance(
    id: &str,
    service: &Service,
    definition: &Definition,
    url: &BaseUrl<'_>,
    now_ms: u64,
) -> Instance {
    let page = |relative: &Option<String>| joined(url.whole, relative.as_deref());
    let (plain, secure) = match (page(&service.health_check), url.is_https) {
        (health, false) => (health, None),
        (health, true) => (None, health),
    };
    Instance {
        id: format!("STATIC-{}:{id}:{}", url.host, url.port),
        app: app_key(id),
        group: None,
        host: url.host.to_owned(),
        address: url.host.trim_matches(['[', ']']).to_owned(),
        sid: None,
        status: Status::Up,
        overridden: Status::Unknown,
        port: Port { number: url.port, is_enabled: !url.is_https },
        secure_port: Port { number: url.port, is_enabled: url.is_https },
        country: 1,
        data_center: DataCenter { class: DATA_CENTER_CLASS.to_owned(), name: "MyOwn".to_owned() },
        lease: Lease::default(),
        metadata: metadata::of(service, definition, url.path, true),
        home_page_url: page(&service.home_page),
        status_page_url: page(&service.status_page),
        health_check_url: plain,
        secure_health_check_url: secure,
        vip: Some(id.to_ascii_lowercase()),
        secure_vip: Some(id.to_ascii_lowercase()),
        asg: None,
        is_coordinating: false,
        updated_ms: now_ms,
        dirty_ms: now_ms,
        action: crate::discovery::Action::Added,
    }
}

/// The parts of a base URL.
#[derive(Debug, PartialEq, Eq)]
struct BaseUrl<'a> {
    whole: &'a str,
    is_https: bool,
    host: &'a str,
    port: u16,
    path: &'a str,
}

impl<'a> BaseUrl<'a> {
    fn parse(whole: &'a str) -> Result<Self, &'static str> {
        let (scheme, rest) = whole.split_once("://").ok_or("has no scheme")?;
        let is_https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err("has a scheme that is neither http nor https"),
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if path.contains(['?', '#']) {
            return Err("has a query or fragment");
        }
        let (host, port) = authority.rsplit_once(':').ok_or("has no port")?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match address {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(is_name),
        };
        if !is_host {
            return Err("has no host that could be one");
        }
        let port = port.parse().map_err(|_| "has a port that is no number up to 65535")?;
        Ok(Self { whole, is_https, host, port, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_url_needs_scheme_host_and_port_and_nothing_else() {
        let url = BaseUrl::parse("https://[::1]:8443/a/b").unwrap();
        assert_eq!((url.host, url.port, url.path, url.is_https), ("[::1]", 8443, "/a/b", true));
        for (text, reason) in [
            ("host:1", "scheme"),
            ("ftp://h:1", "neither"),
            ("http://h", "port"),
            ("http://:1", "host"),
            ("http://u@h:1", "host"),
            ("http://h:70000", "65535"),
            ("http://h:1/?a", "query"),
        ] {
            let error = BaseUrl::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
