//! What an administrator allows the workers, whoever orders.

use serde::{Deserialize, Serialize};

use crate::{inspect, network, password, place, port, runas};

/// Settings of all kinds; a worker reads those of its own kind.
///
/// Left out, a kind allows nothing that has to be named: no uid, no directory, no port, no memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Checking passwords.
    pub password: password::PasswordSettings,
    /// Running programs as a user.
    pub runas: runas::RunAsSettings,
    /// Reading memory of a process.
    pub inspect: inspect::InspectSettings,
    /// Listing sockets.
    pub network: network::NetworkSettings,
    /// Placing files.
    pub place: place::PlaceSettings,
    /// Opening low ports.
    pub port: port::PortSettings,
}
