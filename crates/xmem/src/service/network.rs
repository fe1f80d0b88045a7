//! NETWORK (13): sockets with their owners.

use serde::{Deserialize, Serialize};

use super::limits::{CAPACITY_MAX, Invalid};
use super::{Request, ServiceId};
use crate::code::NetworkCode;

/// What kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP over IPv4 and IPv6.
    Tcp,
    /// UDP over IPv4 and IPv6.
    Udp,
    /// Unix.
    Unix,
}

/// Which sockets; what is not said does not narrow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Kinds; none means TCP and UDP.
    #[serde(default)]
    pub protocols: Vec<Protocol>,
    /// Only those that wait for connections or datagrams.
    #[serde(default)]
    pub listening: bool,
    /// Only those whose local port is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Only those of this uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Most entries of the answer, 1 to 8192.
    pub capacity: u32,
}

impl Default for Network {
    fn default() -> Self {
        Self { protocols: Vec::new(), listening: false, port: None, uid: None, capacity: 1000 }
    }
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketEntry {
    /// Kind.
    pub protocol: Protocol,
    /// `address:port`, `[address]:port` or a path.
    pub local: String,
    /// The other end, empty when there is none.
    #[serde(default)]
    pub remote: String,
    /// State in the kernel's words, `LISTEN`, `ESTABLISHED`, ….
    pub state: String,
    /// Owner.
    pub uid: u32,
    /// The socket's number.
    pub inode: u64,
    /// A process that has it open, when the server may see that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// That process's program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// The sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAnswer {
    /// How many there are, also beyond the capacity.
    pub found: u32,
    /// As many as the capacity allows.
    pub sockets: Vec<SocketEntry>,
}

impl Request for Network {
    const SERVICE: ServiceId = ServiceId::Network;
    const EXAMPLES: &'static [&'static str] = &[
        r#"{"capacity": 1000}"#,
        r#"{"protocols": ["tcp", "udp", "unix"], "listening": true, "port": 443, "uid": 0, "capacity": 1000}"#,
    ];
    type Answer = NetworkAnswer;

    fn validate(&self) -> Result<(), Invalid> {
        if self.capacity == 0 || self.capacity > CAPACITY_MAX {
            let reason = format!("{} is not within 1 to {CAPACITY_MAX}", self.capacity);
            return Err(Invalid::new(NetworkCode::NoBuffer, "capacity", reason));
        }
        if self.protocols.len() > 3 {
            return Err(Invalid::new(NetworkCode::Missing, "protocols", "names a kind twice"));
        }
        Ok(())
    }
}
