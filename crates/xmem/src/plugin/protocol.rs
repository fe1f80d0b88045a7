//! Payloads of the frames between an auxiliary host and its plug-in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::service::{Parcel, ParcelError};

/// The inherited socket for control.
pub const CONTROL_DESCRIPTOR: i32 = 3;
/// The inherited socket for calls.
pub const SERVE_DESCRIPTOR: i32 = 4;
/// Most calls under way in one plug-in.
pub const CALLS_MAX: usize = 16;

/// DESCRIPTOR: what a plug-in is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// 1 to 16 printable characters.
    pub name: String,
    /// 1 to 4 printable characters, the target of operator commands.
    pub nickname: String,
    /// Version of the plug-in.
    pub version: u32,
    /// Version of the layout of its anchors.
    #[serde(default)]
    pub anchor_layout: u32,
    /// Its services.
    pub services: Vec<ServiceDescriptor>,
}

/// A service of a plug-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceDescriptor {
    /// 1 to 16 printable characters.
    pub name: String,
    /// Version of the service.
    pub version: u32,
    /// Class of a profile that callers need beyond the service's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Resource in that class, READ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
}

/// 64 bytes that survive the plug-in: by service, or under the empty name for the plug-in, in hexadecimal.
pub type Anchors = BTreeMap<String, String>;

/// START: what a plug-in is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Name of the server.
    pub server: String,
    /// Its generation.
    pub generation: u64,
    /// PARMLIB's parameters for this plug-in.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// What the plug-in kept.
    #[serde(default)]
    pub anchors: Anchors,
}

/// Who calls a plug-in; from the kernel and the server, not from the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Number of the connection.
    pub connection: u64,
    /// Uid of the process that connected.
    pub uid: u32,
    /// Its gid.
    pub gid: u32,
    /// Its pid.
    pub pid: u32,
    /// User that the uid means to the security database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// User of the actor that the call named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The service, as the plug-in declared it.
    pub service: String,
}

/// Payload of a CALL to a plug-in: the caller as JSON with its length before it, then the request.
pub type PluginCall<'a> = Parcel<'a, Caller>;

impl PluginCall<'_> {
    /// The payload for this caller and request.
    ///
    /// # Errors
    ///
    /// [`ParcelError`].
    pub fn payload(caller: &Caller, request: &[u8]) -> Result<Vec<u8>, ParcelError> {
        Parcel { head: caller.clone(), bytes: request }.encode()
    }
}

/// How a plug-in answers an operator command: `code` of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum CommandStatus {
    /// It does not know the command.
    Unknown = 1,
    /// Done; the server also does what it does.
    Processed = 2,
    /// Done; nobody else needs to look at it.
    Consumed = 3,
    /// It will not do it.
    Rejected = 4,
}

impl CommandStatus {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The status with this number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Unknown,
            2 => Self::Processed,
            3 => Self::Consumed,
            4 => Self::Rejected,
            _ => return None,
        })
    }
}
