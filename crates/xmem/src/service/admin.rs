//! ADMIN (17): define and delete profiles, give and revoke access.

use serde::{Deserialize, Serialize};

use super::limits::{ENTITY_BYTES_MAX, ID_BYTES_MAX, Invalid, dry_run, present, text};
use super::{Request, ServiceId};
use crate::code::AdminCode;

/// What ADMIN does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminFunction {
    /// 0: a new profile.
    Define,
    /// 1: a profile goes.
    Delete,
    /// 2: a user or group gets access.
    Give,
    /// 3: a user or group loses its entry.
    Revoke,
}

/// The access that can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum GrantAccess {
    /// 0.
    Read,
    /// 1.
    Update,
    /// 2.
    Alter,
    /// 3: Top Secret's ALL; the same as ALTER here.
    All,
}

/// One change of the class of `ZWES.SECMGMT.CLASS`. The profile must begin with `ZOWE.`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// What to do.
    pub function: AdminFunction,
    /// Which profile.
    pub profile: String,
    /// Define: its owner; the caller when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Give and revoke: whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Give: what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<GrantAccess>,
    /// Only say what would be done; so it is unless it is denied.
    #[serde(default = "dry_run")]
    pub dry_run: bool,
}

/// What ADMIN and GROUPADM answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminResult {
    /// The command that does the same.
    pub command: String,
    /// What the security database said.
    #[serde(default)]
    pub message: String,
    /// Whether anything was changed.
    pub changed: bool,
}

impl Request for Admin {
    const SERVICE: ServiceId = ServiceId::Admin;
    const EXAMPLES: &'static [&'static str] = &[
        r#"{"function": "define", "profile": "ZOWE.PROFILE", "owner": "USERID", "dry_run": true}"#,
        r#"{"function": "give", "profile": "ZOWE.PROFILE", "user": "USERID", "access": "READ", "dry_run": true}"#,
        r#"{"function": "revoke", "profile": "ZOWE.PROFILE", "user": "USERID", "dry_run": true}"#,
        r#"{"function": "delete", "profile": "ZOWE.PROFILE", "dry_run": true}"#,
    ];
    type Answer = AdminResult;

    fn is_repeatable(&self) -> bool {
        self.dry_run
    }

    fn validate(&self) -> Result<(), Invalid> {
        let long = AdminCode::ProfileTooLong;
        present(&self.profile, ENTITY_BYTES_MAX, "profile", long, long)?;
        if !self.profile.starts_with("ZOWE.") {
            return Err(Invalid::new(AdminCode::ForeignPrefix, "profile", "does not begin with ZOWE."));
        }
        if let Some(owner) = &self.owner {
            text(owner, ID_BYTES_MAX, "owner", AdminCode::OwnerTooLong)?;
        }
        if let Some(user) = &self.user {
            text(user, ID_BYTES_MAX, "user", AdminCode::UserTooLong)?;
        }
        let gives = matches!(self.function, AdminFunction::Give | AdminFunction::Revoke);
        if gives && self.user.as_deref().unwrap_or_default().is_empty() {
            return Err(Invalid::new(AdminCode::Parameter, "user", "is missing"));
        }
        if (self.function == AdminFunction::Give) != self.access.is_some() {
            return Err(Invalid::new(AdminCode::Access, "access", "belongs to give, and only to it"));
        }
        Ok(())
    }
}
