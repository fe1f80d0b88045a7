//! How much may be kept.

use std::str::FromStr;

/// What happens when there is no room for another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Eviction {
    /// The new one is refused.
    #[default]
    Reject,
    /// The one written longest ago makes room, whoever it belongs to.
    RemoveOldest,
}

impl std::fmt::Display for Eviction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reject => "reject",
            Self::RemoveOldest => "removeOldest",
        })
    }
}

impl FromStr for Eviction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "reject" => Ok(Self::Reject),
            "removeOldest" => Ok(Self::RemoveOldest),
            _ => Err(format!("`{text}` is no eviction strategy; there are `reject` and `removeOldest`")),
        }
    }
}

/// How much a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many entries there may be, of all owners together.
    pub entries_max: u64,
    /// What happens when there are as many.
    pub eviction: Eviction,
    /// How long a key may be.
    pub key_bytes_max: usize,
    /// How long a value may be.
    pub value_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries_max: 10_000,
            eviction: Eviction::Reject,
            key_bytes_max: 1024,
            value_bytes_max: 1 << 20,
        }
    }
}
