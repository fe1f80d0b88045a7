//! HELLO and WELCOME, and the name of a server.

use serde::{Deserialize, Serialize};

use crate::service::ServiceEntry;

/// Most bytes of the name that a client gives itself.
pub const CLIENT_NAME_BYTES_MAX: usize = 64;
/// Most services that a client can require.
pub const REQUIRES_MAX: usize = 128;

/// The name of a server: 1 to 16 characters `A-Z 0-9 _ $ # @`. A longer one is refused (45), never cut.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerName(String);

/// Why a text is no server name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("the server name is empty")]
    Empty,
    /// It is too long, or has a character that is not allowed.
    #[error("{} is no server name: 1 to 16 characters A-Z, 0-9, _, $, # and @", name.escape_debug())]
    Characters {
        /// The text.
        name: String,
    },
}

impl NameError {
    /// 84 or 45.
    #[must_use]
    pub const fn code(&self) -> crate::code::CmsCode {
        match self {
            Self::Empty => crate::code::CmsCode::ServerNameMissing,
            Self::Characters { .. } => crate::code::CmsCode::ServerNameTooLong,
        }
    }
}

impl ServerName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        let allowed = |byte: u8| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'$' | b'#' | b'@')
        };
        if name.len() > 16 || !name.bytes().all(allowed) {
            return Err(NameError::Characters { name: name.to_owned() });
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ServerName {
    fn default() -> Self {
        Self("ZWESIS_STD".to_owned())
    }
}

impl std::fmt::Display for ServerName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::str::FromStr for ServerName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl TryFrom<String> for ServerName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(&name)
    }
}

impl From<ServerName> for String {
    fn from(name: ServerName) -> Self {
        name.0
    }
}

/// Payload of HELLO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// What the client calls itself; for the log, believed by nobody. At most 64 bytes.
    pub client: String,
    /// The server that it wants.
    pub server: ServerName,
    /// Services that it can not do without: `LOG`, `<PLUG-IN>.<SERVICE>`. At most 128.
    #[serde(default)]
    pub requires: Vec<String>,
}

impl Hello {
    /// Reads and checks the payload of a HELLO.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for the payload of GOODBYE 9.
    pub fn decode(payload: &[u8]) -> Result<Self, String> {
        let hello: Self = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
        if hello.client.len() > CLIENT_NAME_BYTES_MAX {
            return Err(format!("the client's name is longer than {CLIENT_NAME_BYTES_MAX} bytes"));
        }
        if hello.requires.len() > REQUIRES_MAX || hello.requires.iter().any(|name| name.len() > 33) {
            return Err(format!(
                "more than {REQUIRES_MAX} required services, or one with a name above 33 bytes"
            ));
        }
        Ok(hello)
    }
}

/// Payload of WELCOME with code 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The server.
    pub server: ServerName,
    /// Its release.
    pub release: String,
    /// Which of the servers of this name it is; another after each start.
    pub generation: u64,
    /// Epoch of the profiles.
    pub epoch: u64,
    /// What there is and what may be called.
    pub services: Vec<ServiceEntry>,
    /// Most bytes of a payload.
    pub payload_bytes_max: u32,
    /// Most calls under way on this connection.
    pub calls_max: u32,
}
