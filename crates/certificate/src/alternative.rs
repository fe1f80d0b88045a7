//! The host names and addresses under which a server is reached.

use std::net::IpAddr;

use rcgen::SanType;
use rustls_pki_types::{DnsName, ServerName};

/// Every certificate is also good for these: components of one host talk through the loop-back.
const ALWAYS: [&str; 4] = ["localhost", "localhost.localdomain", "127.0.0.1", "::1"];

/// What was given, without duplicates, followed by the names of the local host.
pub(crate) fn with_local_names(given: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in given.iter().map(String::as_str).chain(ALWAYS) {
        let name = normal(name);
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Lower case, without the brackets of an IPv6 address or a final dot; addresses in their shortest form.
pub(crate) fn normal(name: &str) -> String {
    let name = name.trim();
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase(),
    }
}

/// The alternative name; addresses of both families become real addresses, not host names.
pub(crate) fn of(name: &str) -> Option<SanType> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(SanType::IpAddress(address));
    }
    // Dotted numbers that are no address would be read as a host name by some and as an address by others.
    let last = name.rsplit('.').next().unwrap_or_default();
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let host = name.strip_prefix("*.").unwrap_or(name);
    DnsName::try_from(host).ok()?;
    Some(SanType::DnsName(name.try_into().ok()?))
}

/// What a client asks for when it connects to `host`.
pub(crate) fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(normal(host)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_addresses() {
        for name in ["192.0.2.7", "2001:db8::7", "::1"] {
            assert!(matches!(of(name), Some(SanType::IpAddress(_))), "{name}");
        }
    }

    #[test]
    fn names_that_are_no_host_are_refused() {
        for name in ["", "a b", "300.1.2.3", "a..b", "-", "*", "héllo.example"] {
            assert!(of(name).is_none(), "{name:?}");
        }
        assert!(matches!(of("*.example.com"), Some(SanType::DnsName(_))));
    }

    #[test]
    fn local_names_are_added_once() {
        let names = with_local_names(&["LOCALHOST.".into(), "[::1]".into(), "a.example.com".into()]);
        assert_eq!(names, ["localhost", "::1", "a.example.com", "localhost.localdomain", "127.0.0.1"]);
    }
}
