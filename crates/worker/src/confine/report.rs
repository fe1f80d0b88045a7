//! What a sandbox has become, mechanism by mechanism.

use serde::{Deserialize, Serialize};

/// One wall of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// The environment is empty.
    Environment,
    /// Only descriptors that were named are open.
    Descriptors,
    /// A cgroup of its own.
    Cgroup,
    /// Limits of resources; no core dumps.
    Limits,
    /// User namespace.
    UserNamespace,
    /// Mount namespace.
    MountNamespace,
    /// Network namespace.
    NetworkNamespace,
    /// IPC namespace.
    IpcNamespace,
    /// Host name namespace.
    HostNamespace,
    /// uid, gid and groups are as ordered.
    Identity,
    /// What no capability set can ever get back.
    BoundingSet,
    /// uid 0 means nothing for capabilities.
    SecureBits,
    /// Exactly the capabilities that were named.
    Capabilities,
    /// A program that is run never gets more.
    NoNewPrivileges,
    /// Nobody of the same user can look into the process, and it leaves no dump.
    NotDumpable,
    /// It ends when its parent ends.
    ParentDeath,
    /// Paths, ports and scopes.
    Landlock,
    /// System calls.
    Seccomp,
}

/// How far a mechanism was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As asked for.
    Full,
    /// Less than asked for.
    Partial(String),
    /// Not at all.
    Missing(String),
}

/// The level that a sandbox actually reached. Mechanisms that were not asked for are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// In the order in which they were set up.
    pub reached: Vec<(Mechanism, Level)>,
}

impl Mechanism {
    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Descriptors => "descriptors",
            Self::Cgroup => "cgroup",
            Self::Limits => "limits",
            Self::UserNamespace => "user namespace",
            Self::MountNamespace => "mount namespace",
            Self::NetworkNamespace => "network namespace",
            Self::IpcNamespace => "ipc namespace",
            Self::HostNamespace => "host namespace",
            Self::Identity => "identity",
            Self::BoundingSet => "bounding set",
            Self::SecureBits => "securebits",
            Self::Capabilities => "capabilities",
            Self::NoNewPrivileges => "no new privileges",
            Self::NotDumpable => "not dumpable",
            Self::ParentDeath => "parent death",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        }
    }
}

impl Report {
    pub(crate) fn note(&mut self, mechanism: Mechanism, level: Level) {
        self.reached.push((mechanism, level));
    }

    pub(crate) fn try_note<E: std::fmt::Display>(&mut self, mechanism: Mechanism, result: Result<(), E>) {
        let level = result.map_or_else(|error| Level::Missing(error.to_string()), |()| Level::Full);
        self.note(mechanism, level);
    }

    /// How far one mechanism was reached; none if it was not asked for.
    #[must_use]
    pub fn level(&self, mechanism: Mechanism) -> Option<&Level> {
        self.reached.iter().find(|(one, _)| *one == mechanism).map(|(_, level)| level)
    }

    /// Whether everything that was asked for was reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.reached.iter().all(|(_, level)| *level == Level::Full)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (mechanism, level)) in self.reached.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let name = mechanism.name();
            match level {
                Level::Full => write!(to, "{comma}{name}")?,
                Level::Partial(why) => write!(to, "{comma}{name} in part ({why})")?,
                Level::Missing(why) => write!(to, "{comma}no {name} ({why})")?,
            }
        }
        Ok(())
    }
}
