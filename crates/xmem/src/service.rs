//! What the built-in services are asked and what they answer: one file a service.
//!
//! A type here is both ends' only description of a request. [`Request::decode`] reads it from a payload, refusing fields
//! that are not known, and holds it against the limits; what it refuses carries the service return code to answer with.
//! Answers may gain fields: an old client reads past what it does not know. Passwords, tickets and tokens are [`Secret`]s: wiped when dropped, never printed.
//!
//! | form of a payload | services |
//! |---|---|
//! | text | LOG, CONFIG |
//! | bytes | DUMP, STATUS, the routers |
//! | JSON | IDENTIFY (answer), ACTOR, AUTH, NETWORK, 14 to 22, PORT, EXPLAIN |
//! | [`Parcel`]: `u32` length, JSON, bytes | INSPECT (answer), RUNAS, PLACE (request) |

mod access;
mod actor;
mod admin;
mod auth;
mod config;
mod dump;
mod explain;
mod groupadm;
mod groups;
mod identify;
mod inspect;
mod limits;
mod log;
mod members;
mod network;
mod parcel;
mod place;
mod port;
mod profiles;
mod router;
mod runas;
mod secret;
mod status;
mod ticket;
mod token;
mod users;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use access::{AccessEntry, AccessList, AccessListAnswer};
pub use actor::{Actor, ActorAnswer, Proof};
pub use admin::{Admin, AdminFunction, AdminResult, GrantAccess};
pub use auth::{Auth, AuthAnswer, SafStatus};
pub use config::{CONFIG_KEY_BYTES_MAX, ConfigKey};
pub use dump::{DUMP_BYTES_PRINTED_MAX, DUMP_DESCRIPTION_BYTES_MAX, Dump};
pub use explain::{Explain, ExplainAnswer, RefusalRecord, WhoCan};
pub use groupadm::{GroupAccess, GroupAdmin, GroupAdminFunction};
pub use groups::{GroupEntry, Groups, GroupsAnswer};
pub use identify::{ServiceEntry, WhoAmI};
pub use inspect::{INSPECT_BYTES_MAX, Inspect, Inspected};
pub use limits::{
    APPLICATION_BYTES_MAX, CAPACITY_MAX, CLASS_BYTES_MAX, COUNT_MAX, ENTITY_BYTES_MAX, ID_BYTES_MAX, Invalid,
    NotTaken, PASSWORD_BYTES_MAX, TOKEN_BYTES_MAX,
};
pub use log::{LOG_BYTES_MAX, LogText};
pub use members::{Member, Members, MembersAnswer};
pub use network::{Network, NetworkAnswer, Protocol, SocketEntry};
pub use parcel::{Parcel, ParcelError};
pub use place::{PLACE_BYTES_MAX, Place, Placed};
pub use port::{BACKLOG_MAX, Port, PortOpened, Transport};
pub use profiles::{ProfileEntry, Profiles, ProfilesAnswer};
pub use router::{ROUTER_HEADER_BYTES, RouterCall};
pub use runas::{RunAs, RunAsResult};
pub use secret::Secret;
pub use status::STATUS_BYTES_MAX;
pub use ticket::{Ticket, TicketAnswer};
pub use token::{Token, TokenAnswer};
pub use users::{UserEntry, Users, UsersAnswer};

/// A built-in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u16)]
pub enum ServiceId {
    /// A line for the server's log.
    Log = 1,
    /// Bytes for the server's log.
    Dump = 2,
    /// A parameter of the server's.
    Config = 3,
    /// The ping.
    Status = 4,
    /// Who the server takes the caller for.
    Identify = 5,
    /// Another identity for calls of this connection.
    Actor = 6,
    /// Passwords and access checks.
    Auth = 11,
    /// Memory of another process.
    Inspect = 12,
    /// Sockets and their owners.
    Network = 13,
    /// Security management: user profiles.
    Users = 14,
    /// Security management: resource profiles.
    Profiles = 15,
    /// Security management: access list of a profile.
    Access = 16,
    /// Security management: define, delete, give, revoke.
    Admin = 17,
    /// Security management: group profiles.
    Groups = 18,
    /// Security management: members of a group.
    Members = 19,
    /// Security management: add, delete, connect, remove.
    GroupAdmin = 20,
    /// One-time tickets.
    Ticket = 21,
    /// Identity tokens.
    Token = 22,
    /// A program run as the actor.
    RunAs = 23,
    /// A file put into a slot that belongs to root.
    Place = 24,
    /// A listening socket on a low port.
    Port = 25,
    /// Who can call what, the last refusals.
    Explain = 26,
    /// Plug-ins; the number that meant "in the server's address space".
    RouterSwitch = 64,
    /// Plug-ins; the number that meant "in the caller's address space". Here both are the same.
    Router = 65,
}

impl ServiceId {
    /// Every built-in service, by number.
    pub const ALL: &'static [Self] = &[
        Self::Log,
        Self::Dump,
        Self::Config,
        Self::Status,
        Self::Identify,
        Self::Actor,
        Self::Auth,
        Self::Inspect,
        Self::Network,
        Self::Users,
        Self::Profiles,
        Self::Access,
        Self::Admin,
        Self::Groups,
        Self::Members,
        Self::GroupAdmin,
        Self::Ticket,
        Self::Token,
        Self::RunAs,
        Self::Place,
        Self::Port,
        Self::Explain,
        Self::RouterSwitch,
        Self::Router,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The built-in service with this number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|service| service.number() == number)
    }

    /// The name, as in a profile `ZWES.IS.SRV.<name>`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "LOG",
            Self::Dump => "DUMP",
            Self::Config => "CONFIG",
            Self::Status => "STATUS",
            Self::Identify => "IDENTIFY",
            Self::Actor => "ACTOR",
            Self::Auth => "AUTH",
            Self::Inspect => "INSPECT",
            Self::Network => "NETWORK",
            Self::Users => "USERS",
            Self::Profiles => "PROFILES",
            Self::Access => "ACCESS",
            Self::Admin => "ADMIN",
            Self::Groups => "GROUPS",
            Self::Members => "MEMBERS",
            Self::GroupAdmin => "GROUPADM",
            Self::Ticket => "TICKET",
            Self::Token => "TOKEN",
            Self::RunAs => "RUNAS",
            Self::Place => "PLACE",
            Self::Port => "PORT",
            Self::Explain => "EXPLAIN",
            Self::RouterSwitch => "ROUTERSS",
            Self::Router => "ROUTER",
        }
    }

    /// The built-in service with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|service| service.name() == name)
    }

    /// Whether the service changes nothing and counts nothing.
    #[must_use]
    pub const fn only_reads(self) -> bool {
        matches!(
            self,
            Self::Config
                | Self::Status
                | Self::Identify
                | Self::Inspect
                | Self::Network
                | Self::Users
                | Self::Profiles
                | Self::Access
                | Self::Groups
                | Self::Members
                | Self::Explain
        )
    }

    /// The version that this release has of the service.
    #[must_use]
    pub const fn version(self) -> u32 {
        1
    }
}

impl std::fmt::Display for ServiceId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A request whose payload is JSON.
pub trait Request: Serialize + DeserializeOwned {
    /// Who answers it.
    const SERVICE: ServiceId;
    /// Requests as they may be, one of each kind: what the service shows whose request it does not understand.
    const EXAMPLES: &'static [&'static str];
    /// The service's code for a request that is missing or not understood.
    const MALFORMED: u32 = 8;
    /// What the answer's payload is, when the service code is 0 (or one that comes with an answer).
    type Answer: Serialize + DeserializeOwned;

    /// Holds the request against the limits of its service.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with the return code to answer with.
    fn validate(&self) -> Result<(), Invalid>;

    /// Whether it may be executed twice without harm. Services that only read may; some functions of others too.
    fn is_repeatable(&self) -> bool {
        Self::SERVICE.only_reads()
    }

    /// Reads and validates a request.
    ///
    /// # Errors
    ///
    /// [`Invalid`]: [`Request::MALFORMED`] when it is not JSON of this shape, else what [`Request::validate`] says.
    fn decode(payload: &[u8]) -> Result<Self, Invalid> {
        let request: Self = serde_json::from_slice(payload)
            .map_err(|error| Invalid::new(Self::MALFORMED, "request", error.to_string()))?;
        request.validate()?;
        Ok(request)
    }

    /// The payload for this request.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`Request::validate`], so that a request that can only be refused is not sent.
    fn encode(&self) -> Result<zeroize::Zeroizing<Vec<u8>>, Invalid> {
        self.validate()?;
        encode_wiped(self).map_err(|error| Invalid::new(Self::MALFORMED, "request", error.to_string()))
    }
}

/// JSON in a buffer that never grows and is wiped when dropped, because there may be a password in it.
fn encode_wiped<T: Serialize>(value: &T) -> Result<zeroize::Zeroizing<Vec<u8>>, serde_json::Error> {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value)?;
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(count.0));
    serde_json::to_writer(&mut *bytes, value)?;
    Ok(bytes)
}

/// An access level as the services name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Nothing.
    None,
    /// Run, but not look at.
    Execute,
    /// Look at.
    Read,
    /// Change.
    Update,
    /// More than change.
    Control,
    /// Everything.
    Alter,
}

#[cfg(test)]
mod tests;
