//! TCP ports of this host: which are taken, and by whom.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use serde::{Deserialize, Serialize};

/// The process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its process id; unknown when it belongs to another user and we are not root.
    pub pid: Option<u32>,
    /// Its program, such as `nginx`.
    pub program: Option<String>,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.pid, &self.program) {
            (Some(pid), Some(program)) => write!(f, "process {pid} ({program})"),
            (Some(pid), None) => write!(f, "process {pid}"),
            _ => f.write_str("a process of another user"),
        }
    }
}

/// Returns every port somebody listens on, with the inodes of the sockets.
pub fn listening() -> BTreeMap<u16, Vec<u64>> {
    let mut ports: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // A host without IPv6 has no second file.
        let text = fs::read_to_string(file).unwrap_or_default();
        for (port, inode) in text.lines().skip(1).filter_map(parse_line) {
            ports.entry(port).or_default().push(inode);
        }
    }
    ports
}

/// Reads one line of `/proc/net/tcp`; `None` for what does not listen.
fn parse_line(line: &str) -> Option<(u16, u64)> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?.parse().ok()?;
    let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    (state == LISTEN).then_some((port, inode))
}

/// Finds the process that has one of these sockets open.
#[must_use]
pub fn owner(inodes: &[u64]) -> Owner {
    let wanted: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let descriptors = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        let has_it = descriptors
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .any(|target| wanted.iter().any(|socket| target.as_os_str() == socket.as_str()));
        if has_it {
            return Owner { pid: Some(pid), program: program(pid) };
        }
    }
    Owner { pid: None, program: None }
}

/// Returns the name of a process's program.
#[must_use]
pub fn program(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// How a port was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortState {
    /// Nobody has it.
    Free,
    /// Somebody listens on it.
    Taken(Owner),
    /// It cannot be bound for another reason, such as missing privilege.
    Unusable(String),
}

/// Tries to bind a port on the given addresses, or on all when there are none, and finds who has it.
#[must_use]
pub fn probe(port: u16, addresses: &[IpAddr]) -> PortState {
    let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let addresses = if addresses.is_empty() { &all[..] } else { addresses };
    for address in addresses {
        let Err(error) = TcpListener::bind(SocketAddr::new(*address, port)) else { continue };
        return match error.kind() {
            io::ErrorKind::AddrInUse => PortState::Taken(owner(&listening().remove(&port).unwrap_or_default())),
            // No IPv6 on this host: the port is free as far as it can be used.
            _ if address.is_ipv6() && addresses.len() > 1 => continue,
            _ => PortState::Unusable(format!("{address}: {error}")),
        };
    }
    PortState::Free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_port_names_this_process_and_a_free_one_is_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let PortState::Taken(owner) = probe(port, &[]) else { panic!("the port is taken") };
        assert_eq!(owner.pid, Some(std::process::id()));
        assert!(owner.to_string().contains(&std::process::id().to_string()));
        drop(listener);
        assert_eq!(probe(port, &["127.0.0.1".parse().unwrap()]), PortState::Free);
    }

    #[test]
    fn address_of_another_host_is_unusable() {
        let state = probe(0, &["192.0.2.1".parse().unwrap()]);
        assert!(matches!(state, PortState::Unusable(text) if text.contains("192.0.2.1")));
    }

    #[test]
    fn line_of_a_connection_is_no_listener() {
        let line = "   0: 0100007F:1F90 0100007F:A0B2 01 00000000:00000000 00:00000000 00000000     0        0 4711 1";
        assert_eq!(parse_line(line), None);
        assert_eq!(parse_line(&line.replace(" 01 ", " 0A ")), Some((8080, 4711)));
    }
}
