//! IDENTIFY (5): who the server takes the caller for, and what it may call. The request is empty.

use serde::{Deserialize, Serialize};

/// A service as WELCOME and IDENTIFY name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEntry {
    /// Number; 64 for a service of a plug-in.
    pub id: u16,
    /// `LOG`, or `<PLUG-IN>.<SERVICE>`.
    pub name: String,
    /// Version that is installed.
    pub version: u32,
    /// Whether this connection may call it.
    pub granted: bool,
}

/// The caller in the server's eyes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    /// Number of the connection, as in the log.
    pub connection: u64,
    /// Process at the time of connecting; 0 when it is in a foreign pid namespace.
    pub pid: u32,
    /// Its uid then.
    pub uid: u32,
    /// Its gid then.
    pub gid: u32,
    /// Its groups then.
    pub groups: Vec<u32>,
    /// The user that the uid means to the security database, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user of the actor that the call named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The name that HELLO gave; believed by nobody.
    pub client: String,
    /// Generation of the server.
    pub generation: u64,
    /// Epoch of the profiles.
    pub epoch: u64,
    /// What there is and what may be called.
    pub services: Vec<ServiceEntry>,
}
