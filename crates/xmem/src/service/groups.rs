//! GROUPS (18): group profiles, page by page.

use serde::{Deserialize, Serialize};

use super::limits::{ID_BYTES_MAX, Invalid, count, text};
use super::{Request, ServiceId};
use crate::code::GroupCode;

/// The next page. A page that is shorter than `count` is the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// Last group of the page before; empty for the first page.
    #[serde(default)]
    pub start: String,
    /// Groups of a page, 1 to 1000.
    pub count: u32,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupEntry {
    /// Id.
    pub group: String,
    /// Group above it.
    #[serde(default)]
    pub superior: String,
    /// Owner.
    #[serde(default)]
    pub owner: String,
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupsAnswer {
    /// The groups.
    pub groups: Vec<GroupEntry>,
}

impl Request for Groups {
    const SERVICE: ServiceId = ServiceId::Groups;
    const EXAMPLES: &'static [&'static str] = &[r#"{"start": "", "count": 100}"#];
    type Answer = GroupsAnswer;

    fn validate(&self) -> Result<(), Invalid> {
        text(&self.start, ID_BYTES_MAX, "start", GroupCode::GroupTooLong)?;
        count(self.count, GroupCode::Count)
    }
}
