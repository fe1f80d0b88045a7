//! Where nobody is led, whatever is registered there.
//!
//! Discovery and others like it know this gateway by its certificate, and would take a request that comes through it for the
//! gateway's own. So whoever registers a service could lead everybody to them. And a request that is led to the gateway
//! itself goes round.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Places that are asked by the gateway itself, and by nobody through it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guarded {
    /// Hosts, with ports, such as those of discovery.
    pub places: Vec<(String, u16)>,
    /// Where the gateway itself listens on this machine.
    pub own_ports: Vec<u16>,
}

/// Says why a connection is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{address} is the gateway itself")]
    Itself { address: SocketAddr },
    #[error("{address} is `{host}`, which is asked by the gateway alone")]
    Place { address: SocketAddr, host: String },
    #[error("{address} may be `{host}`, which is asked by the gateway alone, and cannot be looked up now")]
    Unknown {
        address: SocketAddr,
        host: String,
        #[source]
        source: io::Error,
    },
}

impl Guarded {
    /// Looks where a connection leads, before anything is sent over it.
    pub(super) async fn look(&self, peer: SocketAddr, local: SocketAddr) -> Result<(), Refused> {
        let (peer_ip, port) = (peer.ip().to_canonical(), peer.port());
        // To an address of its own a machine connects from that address.
        let is_here = peer_ip == local.ip().to_canonical();
        if is_here && self.own_ports.contains(&port) {
            return Err(Refused::Itself { address: peer });
        }
        for (host, _) in self.places.iter().filter(|(_, other)| *other == port) {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let found = tokio::net::lookup_host((bare, port)).await;
            let found =
                found.map_err(|source| Refused::Unknown { address: peer, host: host.clone(), source })?;
            let mut addresses = found.map(|address| address.ip().to_canonical());
            if addresses.any(|ip| ip == peer_ip || (is_here && is_of_this_machine(ip))) {
                return Err(Refused::Place { address: peer, host: host.clone() });
            }
        }
        Ok(())
    }
}

/// Says whether an address is one of this machine: then a socket can be bound to it.
fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(peer: &str, local: &str) -> bool {
        let places = vec![
            ("localhost".to_owned(), 7553),
            ("192.0.2.7".to_owned(), 7553),
            ("[::1]".to_owned(), 7600),
            ("no such host".to_owned(), 7700),
        ];
        let guarded = Guarded { places, own_ports: vec![7554] };
        guarded.look(peer.parse().unwrap(), local.parse().unwrap()).await.is_err()
    }

    #[tokio::test]
    async fn gateway_and_what_it_alone_asks_are_found_at_every_address_of_theirs() {
        for (peer, local) in [
            ("127.0.0.1:7554", "127.0.0.1:40000"),
            ("10.0.0.1:7554", "10.0.0.1:40000"),
            ("[::ffff:10.0.0.1]:7554", "[::ffff:10.0.0.1]:40000"),
            ("127.0.0.1:7553", "127.0.0.1:40000"),
            // At another address of this machine, where `localhost` may listen, too.
            ("10.0.0.1:7553", "10.0.0.1:40000"),
            ("192.0.2.7:7553", "10.0.0.1:40000"),
            ("[::1]:7600", "[::1]:40000"),
            // Whether it leads there cannot be said.
            ("10.0.0.2:7700", "10.0.0.1:40000"),
        ] {
            assert!(refused(peer, local).await, "{peer}");
        }
        for (peer, local) in [
            ("10.0.0.2:7554", "10.0.0.1:40000"),
            ("10.0.0.2:7553", "10.0.0.1:40000"),
            ("127.0.0.1:7555", "127.0.0.1:40000"),
            ("192.0.2.7:443", "10.0.0.1:40000"),
        ] {
            assert!(!refused(peer, local).await, "{peer}");
        }
    }
}
