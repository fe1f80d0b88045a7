//! Typed settings.

use std::path::PathBuf;

use serde::Serialize;

use super::name::{ServerName, ServerNameError};
use super::problem::{Origin, Problem, Severity};
use super::ranges::Ranges;

/// One parameter as it counts, whether known or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The key.
    pub key: String,
    /// The value; `None` where none was written.
    pub value: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// One plug-in to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginSetting {
    /// What stands behind `ZWES.PLUGIN.`.
    pub id: String,
    /// Its module.
    pub module: String,
}

/// Where files may be placed for one slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// What stands behind `ZWES.PLACE.`.
    pub id: String,
    /// Directories, absolute.
    pub directories: Vec<PathBuf>,
}

/// How audit records reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AuditSettings {
    /// Records that may wait.
    pub queue_entries_max: usize,
    /// How long they are collected, in milliseconds.
    pub linger_ms: u64,
    /// How long a refusal waits for room, in milliseconds.
    pub wait_ms: u64,
    /// How long after a failed write the next is tried, in milliseconds.
    pub retry_ms: u64,
}

/// How much callers may ask for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Calls under way in the server.
    pub calls_max: u32,
    /// Calls that the server remembers, those waiting included.
    pub recovery_states_max: u32,
    /// Calls under way of one connection.
    pub calls_per_connection_max: u32,
    /// Calls under way of one user.
    pub calls_per_uid_max: u32,
    /// Connections of everybody.
    pub connections_max: u32,
    /// Connections of one user.
    pub connections_per_uid_max: u32,
    /// Log lines of one connection in a second.
    pub log_lines_per_second_max: u32,
    /// How long a ring is looked at before sleeping, in microseconds.
    pub spin_us: u64,
    /// Wrong passwords in a row before a user has to wait.
    pub auth_attempts_max: u32,
    /// Memory of a plug-in, in MiB.
    pub auxiliary_memory_mib: u64,
    /// Processes and threads of a plug-in.
    pub auxiliary_processes_max: u64,
    /// The server's own deadline of a call, in milliseconds.
    pub deadline_ms: u64,
    /// How long a process that is being replaced finishes its calls, in seconds.
    pub drain_seconds: u64,
}

/// What a server was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Its name.
    pub name: ServerName,
    /// Whether nobody gave it one (ZWES0003I instead of ZWES0004I).
    pub is_name_default: bool,
    /// Start without anything that an earlier server left.
    pub is_cold: bool,
    /// Log everything.
    pub is_debug: bool,
    /// Make the directory of servers anew.
    pub is_lookup_reset: bool,
    /// Unknown keys and wrong values end the start.
    pub is_strict: bool,
    /// Where modules are looked for, in this order; beside the server's own program when empty.
    pub loadlib: Vec<PathBuf>,
    /// Plug-ins, in the order of the member.
    pub plugins: Vec<PluginSetting>,
    /// Quotas and deadlines.
    pub limits: Limits,
    /// Privileged callers are checked too.
    pub is_auth_checked: bool,
    /// The only class that AUTH answers questions about.
    pub auth_class: Option<String>,
    /// The class of the services on profiles.
    pub security_class: Option<String>,
    /// Refresh that class after each change.
    pub is_security_refreshed: bool,
    /// Every development mode is on.
    pub is_dev_mode: bool,
    /// Plug-ins are loaded anew at every start; also with [`Settings::is_dev_mode`].
    pub is_dev_mode_lpa: bool,
    /// User of the monitor.
    pub monitor_user: String,
    /// User of the front.
    pub front_user: String,
    /// User of the hosts of plug-ins.
    pub auxiliary_user: String,
    /// The authorisation database, where one is named.
    pub saf_database: Option<PathBuf>,
    /// Clients in other user namespaces are served, by the uid they have here.
    pub is_userns_allowed: bool,
    /// Service INSPECT is on.
    pub is_inspect_on: bool,
    /// Users that RUNAS may become; never 0.
    pub runas_uids: Ranges,
    /// Ports that PORT may open.
    pub ports: Ranges,
    /// Where PLACE may write.
    pub places: Vec<Place>,
    /// How audit records reach the disk.
    pub audit: AuditSettings,
    /// Every parameter as it counts, in the order in which keys appear first; for services and plug-ins.
    pub parameters: Vec<Setting>,
}

impl Settings {
    /// Returns a parameter by its exact key.
    #[must_use]
    pub fn parameter(&self, key: &str) -> Option<&Setting> {
        self.parameters.iter().find(|setting| setting.key == key)
    }
}

/// Settings, and what is wrong with what they were made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// The settings; defaults stand where a value was wrong.
    pub settings: Settings,
    /// What is wrong, in the order of the parameters.
    pub problems: Vec<Problem>,
}

impl Settled {
    /// Says whether the server may start with this.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity < Severity::Error)
    }
}

/// Says why there are no settings at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No server can have this name.
    #[error("{origin}: key {key}")]
    Name {
        /// Where it comes from.
        origin: Origin,
        /// The key that gives it.
        key: &'static str,
        /// Why.
        #[source]
        source: ServerNameError,
    },
}

impl SettingsError {
    /// Returns the CMS return code.
    #[must_use]
    pub fn return_code(&self) -> u32 {
        match self {
            Self::Name { source, .. } => source.return_code(),
        }
    }
}
