//! The kinds of privileged work.

use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// What a worker does. One process has one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Checks a password through PAM.
    Password,
    /// Runs a program as a user.
    RunAs,
    /// Reads memory of another process.
    Inspect,
    /// Lists sockets and their owners.
    Network,
    /// Puts files into directories that belong to root.
    Place,
    /// Opens low ports.
    Port,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Password, Self::RunAs, Self::Inspect, Self::Network, Self::Place, Self::Port];

    /// Its name on a command line and in a message.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::RunAs => "runas",
            Self::Inspect => "inspect",
            Self::Network => "network",
            Self::Place => "place",
            Self::Port => "port",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The most that a worker of this kind may hold.
    ///
    /// - `password`: PAM writes audit records, counts failures in files of the user, and reads `/etc/shadow`, which has
    ///   mode 0 on some distributions.
    /// - `runas`: switching, and ending what it started.
    /// - `network`: only to find owners; `/proc/<pid>/fd` can be listed by its owner alone, so reading foreign ones
    ///   takes the right to look past modes beside the right to look at processes.
    /// - `place`: the worker is root, so root's directories are its own; what takes a capability is giving a file away and
    ///   comparing it with another one later.
    #[must_use]
    pub const fn capabilities(self) -> CapabilitySet {
        match self {
            Self::Password => {
                CapabilitySet::AUDIT_WRITE.union(CapabilitySet::CHOWN).union(CapabilitySet::DAC_READ_SEARCH)
            }
            Self::RunAs => CapabilitySet::SETUID.union(CapabilitySet::SETGID).union(CapabilitySet::KILL),
            Self::Inspect => CapabilitySet::SYS_PTRACE,
            Self::Network => CapabilitySet::SYS_PTRACE.union(CapabilitySet::DAC_READ_SEARCH),
            Self::Place => CapabilitySet::CHOWN.union(CapabilitySet::DAC_READ_SEARCH),
            Self::Port => CapabilitySet::NET_BIND_SERVICE,
        }
    }

    /// What a worker of this kind needs with these settings: what is turned off needs nothing.
    #[must_use]
    pub fn capabilities_with(self, settings: &Settings) -> CapabilitySet {
        match self {
            Self::Inspect if !settings.inspect.enabled => CapabilitySet::empty(),
            Self::Network if !settings.network.owners => CapabilitySet::empty(),
            Self::RunAs if settings.runas.uids.is_empty() => CapabilitySet::empty(),
            Self::Place if settings.place.uids.is_empty() && settings.place.gids.is_empty() => {
                CapabilitySet::empty()
            }
            Self::Port if settings.port.ports.is_empty() => CapabilitySet::empty(),
            kind => kind.capabilities(),
        }
    }

    /// Whether the worker has to be uid 0, though without root's capabilities; others can be any user.
    #[must_use]
    pub const fn runs_as_root(self) -> bool {
        matches!(self, Self::Password | Self::Place)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(self.name())
    }
}
