//! GROUPADM (20): add and delete groups, connect and remove users.

use serde::{Deserialize, Serialize};

use super::admin::AdminResult;
use super::limits::{ID_BYTES_MAX, Invalid, dry_run, present, text};
use super::{Request, ServiceId};
use crate::code::GroupAdminCode;

/// What GROUPADM does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupAdminFunction {
    /// 0: a new group.
    Add,
    /// 1: a group goes.
    Delete,
    /// 2: a user becomes a member.
    Connect,
    /// 3: a user is no member any more.
    Remove,
}

/// Authority of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum GroupAccess {
    /// 0.
    Use,
    /// 1.
    Create,
    /// 2.
    Connect,
    /// 3.
    Join,
}

/// One change. The group must begin with ZWE, ZOWE, MVD or ZIS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupAdmin {
    /// What to do.
    pub function: GroupAdminFunction,
    /// Which group.
    pub group: String,
    /// Add: the group above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superior: Option<String>,
    /// Connect and remove: whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Connect: with which authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<GroupAccess>,
    /// Only say what would be done; so it is unless it is denied.
    #[serde(default = "dry_run")]
    pub dry_run: bool,
}

impl Request for GroupAdmin {
    const SERVICE: ServiceId = ServiceId::GroupAdmin;
    const EXAMPLES: &'static [&'static str] = &[
        r#"{"function": "add", "group": "ZWEGROUP", "superior": "SYS1", "dry_run": true}"#,
        r#"{"function": "connect", "group": "ZWEGROUP", "user": "USERID", "access": "USE", "dry_run": true}"#,
        r#"{"function": "remove", "group": "ZWEGROUP", "user": "USERID", "dry_run": true}"#,
        r#"{"function": "delete", "group": "ZWEGROUP", "dry_run": true}"#,
    ];
    type Answer = AdminResult;

    fn is_repeatable(&self) -> bool {
        self.dry_run
    }

    fn validate(&self) -> Result<(), Invalid> {
        let long = GroupAdminCode::GroupTooLong;
        present(&self.group, ID_BYTES_MAX, "group", long, long)?;
        if !["ZWE", "ZOWE", "MVD", "ZIS"].iter().any(|prefix| self.group.starts_with(prefix)) {
            let reason = "does not begin with ZWE, ZOWE, MVD or ZIS";
            return Err(Invalid::new(GroupAdminCode::ForeignPrefix, "group", reason));
        }
        if let Some(superior) = &self.superior {
            text(superior, ID_BYTES_MAX, "superior", GroupAdminCode::SuperiorTooLong)?;
        }
        if let Some(user) = &self.user {
            text(user, ID_BYTES_MAX, "user", GroupAdminCode::UserTooLong)?;
        }
        let about_user = matches!(self.function, GroupAdminFunction::Connect | GroupAdminFunction::Remove);
        if about_user && self.user.as_deref().unwrap_or_default().is_empty() {
            return Err(Invalid::new(GroupAdminCode::Parameter, "user", "is missing"));
        }
        if (self.function == GroupAdminFunction::Connect) != self.access.is_some() {
            let reason = "belongs to connect, and only to it";
            return Err(Invalid::new(GroupAdminCode::Access, "access", reason));
        }
        Ok(())
    }
}
