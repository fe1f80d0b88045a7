//! What the member says, in the shape in which the root process hands it on.

use serde::{Deserialize, Serialize};

/// Settings of a server, read by the root process alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) calls_max: u32,
    pub(crate) calls_per_connection_max: u32,
    pub(crate) calls_per_uid_max: u32,
    pub(crate) connections_per_uid_max: u32,
    /// Connections of everybody together.
    pub(crate) connections_max: u32,
    pub(crate) deadline_ms: u64,
    /// Wrong passwords in a row that a caller may try for a user.
    pub(crate) auth_attempts_max: u32,
    /// Memory of a plug-in.
    pub(crate) auxiliary_memory_bytes_max: u64,
    /// Processes and threads of a plug-in.
    pub(crate) auxiliary_processes_max: u64,
    pub(crate) drain_ms: u64,
    /// How long a quiet ring is looked at before its client has to wake the server, in microseconds.
    pub(crate) spin_us: u64,
    /// Lines that a connection may log a second.
    pub(crate) log_lines_per_second: u32,
    pub(crate) auth_class: Option<String>,
    pub(crate) security_class: Option<String>,
    pub(crate) is_security_refreshed: bool,
    pub(crate) is_dev_mode: bool,
    pub(crate) is_inspect_on: bool,
    pub(crate) is_userns_allowed: bool,
    pub(crate) audit_queue_entries_max: usize,
    pub(crate) audit_linger_ms: u64,
    pub(crate) audit_wait_ms: u64,
    pub(crate) audit_retry_ms: u64,
    pub(crate) monitor_user: String,
    pub(crate) front_user: String,
    pub(crate) auxiliary_user: String,
    /// Ranges of uids, ports; directories by slot: what the workers are held to.
    pub(crate) runas_uids: String,
    pub(crate) ports: String,
    pub(crate) places: Vec<(String, Vec<std::path::PathBuf>)>,
    /// Where modules are looked for; empty for where the server's own program is.
    pub(crate) loadlib: Vec<std::path::PathBuf>,
    /// Identifier and module, in the order of the member.
    pub(crate) plugins: Vec<(String, String)>,
    /// Every parameter as it counts, in order.
    pub(crate) parameters: Vec<(String, String)>,
}

impl From<&tender_parmlib::Settings> for Settings {
    fn from(read: &tender_parmlib::Settings) -> Self {
        let limits = &read.limits;
        Self {
            calls_max: limits.calls_max,
            calls_per_connection_max: limits.calls_per_connection_max,
            calls_per_uid_max: limits.calls_per_uid_max,
            connections_per_uid_max: limits.connections_per_uid_max,
            connections_max: limits.connections_max,
            deadline_ms: limits.deadline_ms,
            auth_attempts_max: limits.auth_attempts_max,
            auxiliary_memory_bytes_max: limits.auxiliary_memory_mib << 20,
            auxiliary_processes_max: limits.auxiliary_processes_max,
            drain_ms: limits.drain_seconds * 1000,
            spin_us: limits.spin_us,
            log_lines_per_second: limits.log_lines_per_second_max.max(1),
            auth_class: read.auth_class.clone(),
            security_class: read.security_class.clone(),
            is_security_refreshed: read.is_security_refreshed,
            is_dev_mode: read.is_dev_mode,
            is_inspect_on: read.is_inspect_on,
            is_userns_allowed: read.is_userns_allowed,
            audit_queue_entries_max: read.audit.queue_entries_max,
            audit_linger_ms: read.audit.linger_ms,
            audit_wait_ms: read.audit.wait_ms,
            audit_retry_ms: read.audit.retry_ms,
            monitor_user: read.monitor_user.clone(),
            front_user: read.front_user.clone(),
            auxiliary_user: read.auxiliary_user.clone(),
            runas_uids: read.runas_uids.to_string(),
            ports: read.ports.to_string(),
            places: read.places.iter().map(|place| (place.id.clone(), place.directories.clone())).collect(),
            loadlib: read.loadlib.clone(),
            plugins: read.plugins.iter().map(|plugin| (plugin.id.clone(), plugin.module.clone())).collect(),
            parameters: read
                .parameters
                .iter()
                .map(|setting| (setting.key.clone(), setting.value.clone().unwrap_or_default()))
                .collect(),
        }
    }
}
