//! Opens low ports and hands them over.

mod worker;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::range::Range;

pub(crate) use worker::open;

/// The longest queue of connections that nobody has accepted.
pub const BACKLOG_MAX: u32 = 4096;

/// Open this port. The answer [`PortOutcome::Opened`] brings its descriptor, non-blocking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortOrder {
    /// Whether it is for connections or for datagrams.
    pub transport: Transport,
    /// The local address, IPv4 or IPv6; `0.0.0.0` or `::` for all.
    pub address: IpAddr,
    /// The port: 1 to 65535, one that the settings allow.
    pub port: u16,
    /// Whether to bind although connections of an earlier holder are still dying (`SO_REUSEADDR`).
    #[serde(default)]
    pub reuse_address: bool,
    /// Whether an IPv6 socket also serves IPv4.
    #[serde(default)]
    pub dual_stack: bool,
    /// Queue of connections that nobody has accepted, for [`Transport::Tcp`]; 0 for the system's own, else up to
    /// [`BACKLOG_MAX`].
    #[serde(default)]
    pub backlog: u32,
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Connections: the descriptor is listening.
    Tcp,
    /// Datagrams.
    Udp,
}

/// What became of the port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum PortOutcome {
    /// Its descriptor comes along.
    Opened,
    /// Somebody else has it.
    InUse,
    /// The host has no such address.
    NoAddress,
}

/// Which ports may be opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PortSettings {
    /// Ports that may be opened.
    pub ports: Vec<Range>,
    /// Addresses that may be named; none stands for any.
    pub addresses: Vec<IpAddr>,
}
