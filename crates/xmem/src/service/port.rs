//! PORT (25): a listening socket on a low port, which comes back as a descriptor.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::limits::Invalid;
use super::{Request, ServiceId};
use crate::code::PortCode;

/// Most connections that may wait.
pub const BACKLOG_MAX: u32 = 4096;

/// Stream or datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// Which port. The reply brings one descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// 1 to 1023.
    pub port: u16,
    /// Where to listen.
    pub address: IpAddr,
    /// TCP when it is not said.
    #[serde(default)]
    pub transport: Transport,
    /// How many connections may wait, at most 4096.
    #[serde(default = "backlog")]
    pub backlog: u32,
}

const fn backlog() -> u32 {
    128
}

/// Where the socket listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortOpened {
    /// Port.
    pub port: u16,
    /// Address.
    pub address: IpAddr,
}

impl Request for Port {
    const SERVICE: ServiceId = ServiceId::Port;
    const EXAMPLES: &'static [&'static str] =
        &[r#"{"port": 443, "address": "127.0.0.1", "transport": "tcp", "backlog": 128}"#];
    type Answer = PortOpened;

    fn validate(&self) -> Result<(), Invalid> {
        if self.port == 0 || self.port > 1023 {
            return Err(Invalid::new(
                PortCode::Port,
                "port",
                format!("{} is not within 1 to 1023", self.port),
            ));
        }
        if self.backlog > BACKLOG_MAX {
            let reason = format!("{} is above {BACKLOG_MAX}", self.backlog);
            return Err(Invalid::new(PortCode::Backlog, "backlog", reason));
        }
        Ok(())
    }
}
