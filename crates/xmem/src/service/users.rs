//! USERS (14): user profiles, page by page.

use serde::{Deserialize, Serialize};

use super::limits::{ID_BYTES_MAX, Invalid, count, text};
use super::{Request, ServiceId};
use crate::code::UserCode;

/// The next page. Users come by id; a page that is shorter than `count` is the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// Last id of the page before; empty for the first page.
    #[serde(default)]
    pub start: String,
    /// Users of a page, 1 to 1000.
    pub count: u32,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEntry {
    /// Id.
    pub user: String,
    /// Default group.
    pub default_group: String,
    /// Name of the person.
    #[serde(default)]
    pub name: String,
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersAnswer {
    /// The users.
    pub users: Vec<UserEntry>,
}

impl Request for Users {
    const SERVICE: ServiceId = ServiceId::Users;
    const EXAMPLES: &'static [&'static str] = &[r#"{"start": "", "count": 100}"#];
    type Answer = UsersAnswer;

    fn validate(&self) -> Result<(), Invalid> {
        text(&self.start, ID_BYTES_MAX, "start", UserCode::UserTooLong)?;
        count(self.count, UserCode::Count)
    }
}
