//! Whom connections may be made to: what a registration names is asked with the rights of this machine.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use hyper_util::client::legacy::connect::dns::Name;

/// Whom connections may be made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Whoever is configured.
    Configured,
    /// Whoever somebody registered: not addresses that are nobody's service.
    Registered,
}

/// Says whether requests may be sent to an address that somebody registered: addresses of clouds' own services, of all
/// hosts at once and of none are never those of a service.
#[must_use]
pub fn may_be_asked(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !(address.is_link_local()
                || address.is_multicast()
                || address.is_unspecified()
                || address.is_broadcast())
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => may_be_asked(IpAddr::V4(address)),
            None => !(address.is_unicast_link_local() || address.is_multicast() || address.is_unspecified()),
        },
    }
}

/// Says whether a text is a name or an address of a host that requests may be sent to.
///
/// What a registration names is asked with the rights of this machine: addresses of clouds' own services, of all hosts at
/// once and of none are never those of a service.
#[must_use]
pub fn may_be_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return may_be_asked(address);
    }
    !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

/// Returns a host as addresses have it: one of IPv6 in brackets.
#[must_use]
pub fn bracketed(host: &str) -> Cow<'_, str> {
    let is_bare_v6 = host.contains(':') && !host.starts_with('[');
    if is_bare_v6 { format!("[{host}]").into() } else { host.into() }
}

/// Finds the addresses of hosts, as far as connections may be made to them.
#[derive(Debug, Clone, Copy)]
pub struct Resolver(Reach);

impl Resolver {
    /// Finds those that are within reach.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        Self(reach)
    }
}

impl tower_service::Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<vec::IntoIter<SocketAddr>>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let may = |address: &SocketAddr| reach == Reach::Configured || may_be_asked(address.ip());
            let allowed: Vec<_> = found.filter(may).collect();
            if allowed.is_empty() {
                let what = format!("`{name}` has no address that requests may be sent to");
                return Err(io::Error::other(what));
            }
            Ok(allowed.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_addresses_that_may_be_asked_and_nothing_else() {
        for host in ["a", "a-b.example_1.com", "10.0.0.1", "[::1]", "::1"] {
            assert!(may_be_host(host), "{host}");
        }
        for host in ["", "a/b", "a b", "a:80", "x@169.254.169.254", "169.254.169.254", "[fe80::1]", "0.0.0.0"]
        {
            assert!(!may_be_host(host), "{host}");
        }
    }

    #[test]
    fn host_of_ipv6_gets_brackets_once() {
        assert_eq!(["a", "10.0.0.1", "::1", "[::1]"].map(bracketed), ["a", "10.0.0.1", "[::1]", "[::1]"]);
    }

    #[test]
    fn addresses_of_nobodys_service_are_not_asked() {
        for address in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:169.254.169.254",
        ] {
            assert!(!may_be_asked(address.parse().unwrap()), "{address}");
        }
        for address in ["127.0.0.1", "10.0.0.1", "192.0.2.7", "::1", "2001:db8::1"] {
            assert!(may_be_asked(address.parse().unwrap()), "{address}");
        }
    }
}
