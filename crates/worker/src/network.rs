//! Lists sockets and who owns them.

mod diag;
mod owners;
mod worker;

use serde::{Deserialize, Serialize};

pub(crate) use worker::list;

/// The most rows of one answer.
pub const ROWS_MAX: u32 = 1024;

/// List sockets of this host (of the network namespace of the worker).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkOrder {
    /// Which protocols; none stands for all.
    pub protocols: Vec<Protocol>,
    /// Only with this port at the local end.
    pub local_port: Option<u16>,
    /// Only with this port at the remote end.
    pub remote_port: Option<u16>,
    /// Only in one of these states; none stands for all.
    pub states: Vec<State>,
    /// Only of this user.
    pub uid: Option<u32>,
    /// Only of this process; looks for owners.
    pub process: Option<u32>,
    /// Whether to look for the processes that own them.
    pub owners: bool,
    /// The most rows, up to [`ROWS_MAX`]; 0 for that.
    pub rows_max: u32,
}

/// Protocols that can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4.
    Udp4,
    /// UDP over IPv6.
    Udp6,
    /// Unix domain.
    Unix,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Self; 5] = [Self::Tcp4, Self::Tcp6, Self::Udp4, Self::Udp6, Self::Unix];
}

/// States of a socket, as the kernel numbers them. One of UDP is `established` when connected, else `close`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Data can flow.
    Established,
    /// Asked for a connection.
    SynSent,
    /// Was asked for one.
    SynReceived,
    /// Closed here first.
    FinWait1,
    /// Closed here, acknowledged.
    FinWait2,
    /// Waits for stray packets to die.
    TimeWait,
    /// Not connected.
    Close,
    /// Closed by the other end.
    CloseWait,
    /// Closed by both, to be acknowledged.
    LastAck,
    /// Waits for connections.
    Listen,
    /// Closed by both at once.
    Closing,
    /// A request for a connection, not accepted yet.
    NewSynReceived,
}

/// One socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Socket {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its state; none if the kernel has one that this build does not know.
    pub state: Option<State>,
    /// Local address and port, `[…]:port` for IPv6; of a Unix socket its path, `@name` if abstract, `""` if none.
    pub local: String,
    /// Remote address and port; of a Unix socket the inode number of its peer.
    pub remote: String,
    /// Its user; none if the kernel does not say.
    pub uid: Option<u32>,
    /// Its inode number; 0 when no process has it any more.
    pub inode: u64,
    /// Processes that have it open; empty if none was looked for or found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Owner>,
}

/// A process that has a socket open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// Its process id.
    pub pid: u32,
    /// Its name, as the kernel has it: at most 15 bytes, chosen by the process itself.
    pub name: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkOutcome {
    /// The sockets.
    pub sockets: Vec<Socket>,
    /// Whether there are more that fit the order.
    pub more: bool,
    /// Whether every process was looked at for owners; false if time ran out or processes could not be looked at.
    pub owners_complete: bool,
}

/// What may be listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSettings {
    /// Whether owners may be looked for, which takes capabilities.
    pub owners: bool,
    /// The most rows of one answer, up to [`ROWS_MAX`].
    pub rows_max: u32,
    /// The longest time to look for owners, in milliseconds.
    pub owners_ms_max: u32,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self { owners: true, rows_max: ROWS_MAX, owners_ms_max: 2000 }
    }
}
