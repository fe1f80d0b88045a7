//! ACCESS (16): the access list of a profile.

use serde::{Deserialize, Serialize};

use super::limits::{CLASS_BYTES_MAX, ENTITY_BYTES_MAX, Invalid, capacity, present, text};
use super::{Level, Request, ServiceId};
use crate::code::AccessCode;

/// Whose list. When `capacity` is too small the service code is 16 and the answer has only `found`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessList {
    /// Class; empty for the one of `ZWES.SECMGMT.CLASS`.
    #[serde(default)]
    pub class: String,
    /// Profile.
    pub profile: String,
    /// Most entries, 0 to 8192.
    pub capacity: u32,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessEntry {
    /// User or group.
    pub id: String,
    /// Its access.
    pub access: Level,
}

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessListAnswer {
    /// How many entries there are.
    pub found: u32,
    /// All of them, or none when they are more than the capacity.
    pub entries: Vec<AccessEntry>,
}

impl Request for AccessList {
    const SERVICE: ServiceId = ServiceId::Access;
    const EXAMPLES: &'static [&'static str] =
        &[r#"{"class": "", "profile": "ZOWE.PROFILE", "capacity": 128}"#];
    type Answer = AccessListAnswer;

    fn validate(&self) -> Result<(), Invalid> {
        text(&self.class, CLASS_BYTES_MAX, "class", AccessCode::ClassTooLong)?;
        let long = AccessCode::ProfileTooLong;
        present(&self.profile, ENTITY_BYTES_MAX, "profile", long, long)?;
        capacity(self.capacity, AccessCode::Capacity)
    }
}
