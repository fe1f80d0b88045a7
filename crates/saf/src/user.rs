//! Users, groups and the connections between them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::Id;

/// What a user is besides its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFlags {
    /// May change the database.
    pub is_special: bool,
    /// May read everything the database says and what was written down.
    pub is_auditor: bool,
    /// Kept for a round trip; gives no access here.
    pub is_operations: bool,
    /// Gets nothing from UACC or from an entry for everybody.
    pub is_restricted: bool,
    /// Has no password (NOPASSWORD).
    pub is_protected: bool,
    /// Gets no access at all.
    pub is_revoked: bool,
    /// Everything it does is written down.
    pub is_audited: bool,
}

/// What Linux knows of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserUnix {
    /// Number; without one the Linux user of the same name is meant.
    pub uid: Option<u32>,
    /// Home directory.
    pub home: Option<String>,
    /// Shell.
    pub program: Option<String>,
}

/// What Linux knows of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupUnix {
    /// Number; without one the Linux group of the same name is meant.
    pub gid: Option<u32>,
}

/// What a member may do in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Authority {
    /// Use what the group may use.
    #[default]
    Use,
    /// Also define data sets of the group.
    Create,
    /// Also connect users.
    Connect,
    /// Also define subgroups.
    Join,
}

impl Authority {
    /// Every authority, lowest first.
    pub const ALL: [Self; 4] = [Self::Use, Self::Create, Self::Connect, Self::Join];

    /// Returns the word of commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Use => "USE",
            Self::Create => "CREATE",
            Self::Connect => "CONNECT",
            Self::Join => "JOIN",
        }
    }
}

/// That a user is a member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// What it may do in it.
    pub authority: Authority,
    /// Whether the membership gives nothing for now.
    pub is_revoked: bool,
    /// Whether it is special within the group.
    pub is_special: bool,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name.
    pub id: Id,
    /// Who is called so.
    pub name: Option<String>,
    /// Who may change the record.
    pub owner: Id,
    /// The group it is in when nothing else is said; always one of `groups`.
    pub default_group: Id,
    /// The groups it is in.
    pub groups: BTreeMap<Id, Connect>,
    /// What it is.
    pub flags: UserFlags,
    /// Installation data.
    pub data: Option<String>,
    /// The Linux user.
    pub unix: Option<UserUnix>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub id: Id,
    /// The group above; only SYS1 has none.
    pub superior: Option<Id>,
    /// Who may change the record.
    pub owner: Id,
    /// Installation data.
    pub data: Option<String>,
    /// The Linux group.
    pub unix: Option<GroupUnix>,
}
