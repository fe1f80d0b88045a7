//! Listening, and saying who has the port when that fails.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::inherited;

/// Connections that may wait to be taken.
const BACKLOG: u32 = 4096;

/// A process that has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
    /// Its program.
    pub program: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} (`{}`)", self.pid, self.program)
    }
}

/// Says why an address cannot be listened at.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error("listen at {address}: {} listens there", holder.as_ref().map_or_else(|| "another process".to_owned(), Holder::to_string))]
    Taken {
        /// The address.
        address: SocketAddr,
        /// Who, when this process may see it.
        holder: Option<Holder>,
    },
    /// No interface of this machine has the address.
    #[error("listen at {address}: no interface of this machine has this address")]
    NotHere {
        /// The address.
        address: SocketAddr,
    },
    /// This user may not listen there.
    #[error("listen at {address}: this user may not; ports below 1024 need CAP_NET_BIND_SERVICE")]
    Forbidden {
        /// The address.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("listen at {address}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// An address to listen at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    address: SocketAddr,
    /// It is IPv6 and takes no connection of IPv4.
    is_ipv6_alone: bool,
}

/// Decides how to listen at several addresses; what another of them has already is left out.
///
/// `[::]` takes connections of IPv4, too, unless an address of IPv4 says where these are taken.
pub(crate) fn places(addresses: &[SocketAddr]) -> Vec<Place> {
    let is_ipv4_at = |port: u16| addresses.iter().any(|one| one.is_ipv4() && one.port() == port);
    let covers = |other: &SocketAddr, one: &SocketAddr| {
        // Port 0 is another port for each.
        let is_same_port = one.port() == other.port() && one.port() != 0;
        is_same_port && one.is_ipv4() == other.is_ipv4() && other.ip().is_unspecified() && one != other
    };
    let mut places: Vec<Place> = Vec::new();
    for address in addresses {
        let is_there = address.port() != 0 && places.iter().any(|place| place.address == *address);
        if !is_there && !addresses.iter().any(|other| covers(other, address)) {
            let is_ipv6_alone = address.is_ipv6() && is_ipv4_at(address.port());
            places.push(Place { address: *address, is_ipv6_alone });
        }
    }
    places
}

/// Begins to listen, or goes on at what listens there already.
pub(crate) fn listen(
    place: Place,
    inherited: &mut Vec<std::net::TcpListener>,
) -> Result<TcpListener, BindError> {
    let Place { address, is_ipv6_alone } = place;
    let found = inherited::find(inherited, address, is_ipv6_alone);
    let open = || {
        if let Some(listener) = found {
            return TcpListener::from_std(listener);
        }
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if is_ipv6_alone {
            rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
        }
        socket.set_reuseaddr(true)?;
        // Connections have this from their listener: a peer whose machine is gone is noticed in the end.
        socket.set_keepalive(true)?;
        socket.set_nodelay(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken { address, holder: holder(address.port()) },
        io::ErrorKind::AddrNotAvailable => BindError::NotHere { address },
        io::ErrorKind::PermissionDenied => BindError::Forbidden { address },
        _ => BindError::Io { address, source },
    })
}

/// Finds who listens on a port, as far as this user may see it.
fn holder(port: u16) -> Option<Holder> {
    let mut inodes = BTreeSet::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // A kernel without IPv6 has no such file.
        let text = fs::read_to_string(path).unwrap_or_default();
        inodes
            .extend(text.lines().skip(1).filter_map(listening).filter(|one| one.1 == port).map(|one| one.0));
    }
    let has_it = |pid: i32| {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.any(|link| {
            let inode = link.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
            inode.and_then(|inode| inode.parse().ok()).is_some_and(|inode: u64| inodes.contains(&inode))
        })
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pid =
        processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|pid| has_it(*pid))?;
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Holder { pid, program: program.trim().to_owned() })
}

/// Reads a line of `/proc/net/tcp`: inode and port of a socket that listens.
fn listening(line: &str) -> Option<(u64, u16)> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let port = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
    Some((fields.get(9)?.parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(address: SocketAddr) -> Place {
        let [place] = places(&[address])[..] else { panic!("{address} is one place") };
        place
    }

    #[tokio::test]
    async fn port_that_is_taken_names_its_holder() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen(only(address), &mut Vec::new()).unwrap_err();
        let BindError::Taken { holder: Some(holder), .. } = &error else { panic!("{error}") };
        assert_eq!(u32::try_from(holder.pid).unwrap(), std::process::id());
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    }

    #[tokio::test]
    async fn address_of_another_machine_is_told_apart() {
        let error = listen(only("192.0.2.1:0".parse().unwrap()), &mut Vec::new()).unwrap_err();
        assert!(matches!(error, BindError::NotHere { .. }), "{error}");
    }

    #[test]
    fn address_that_another_has_already_is_left_out() {
        let of = |texts: &[&str]| {
            let addresses: Vec<SocketAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            let text = |place: &Place| {
                format!("{}{}", place.address, if place.is_ipv6_alone { " alone" } else { "" })
            };
            places(&addresses).iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(of(&["0.0.0.0:1", "[::]:1"]), ["0.0.0.0:1", "[::]:1 alone"]);
        assert_eq!(of(&["[::]:1", "127.0.0.1:1"]), ["[::]:1 alone", "127.0.0.1:1"]);
        assert_eq!(of(&["[::]:1", "0.0.0.0:2"]), ["[::]:1", "0.0.0.0:2"]);
        assert_eq!(of(&["127.0.0.1:1", "0.0.0.0:1", "0.0.0.0:1"]), ["0.0.0.0:1"]);
        assert_eq!(of(&["[::1]:1", "[::]:1"]), ["[::]:1"]);
        assert_eq!(of(&["127.0.0.1:0", "127.0.0.1:0"]), ["127.0.0.1:0", "127.0.0.1:0"]);
    }

    #[tokio::test]
    async fn both_families_may_be_listened_at_on_one_port() {
        // Somebody may take the port in between: another is as good.
        for _ in 0..20 {
            let probe = std::net::TcpListener::bind("[::]:0").unwrap();
            let port = probe.local_addr().unwrap().port();
            drop(probe);
            let addresses = [SocketAddr::from(([0, 0, 0, 0], port)), SocketAddr::from(([0_u16; 8], port))];
            let listening: Result<Vec<_>, _> =
                places(&addresses).into_iter().map(|place| listen(place, &mut Vec::new())).collect();
            match listening {
                Ok(listening) => return assert_eq!(listening.len(), 2),
                Err(BindError::Taken { holder, .. })
                    if holder.as_ref().is_none_or(|one| u32::try_from(one.pid) != Ok(std::process::id())) => {
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("every port is taken");
    }
}
