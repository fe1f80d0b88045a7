//! MEMBERS (19): who is connected to a group.

use serde::{Deserialize, Serialize};

use super::groupadm::GroupAccess;
use super::limits::{ID_BYTES_MAX, Invalid, capacity, present};
use super::{Request, ServiceId};
use crate::code::MemberCode;

/// Which group. When `capacity` is too small the service code is 15 and the answer has only `found`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// Group.
    pub group: String,
    /// Most entries, 0 to 8192.
    pub capacity: u32,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// User.
    pub id: String,
    /// Its authority in the group.
    pub access: GroupAccess,
}

/// The members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersAnswer {
    /// How many there are.
    pub found: u32,
    /// All of them, or none when they are more than the capacity.
    pub members: Vec<Member>,
}

impl Request for Members {
    const SERVICE: ServiceId = ServiceId::Members;
    const EXAMPLES: &'static [&'static str] = &[r#"{"group": "ZWEGROUP", "capacity": 128}"#];
    type Answer = MembersAnswer;

    fn validate(&self) -> Result<(), Invalid> {
        let long = MemberCode::GroupTooLong;
        present(&self.group, ID_BYTES_MAX, "group", long, long)?;
        capacity(self.capacity, MemberCode::Capacity)
    }
}
