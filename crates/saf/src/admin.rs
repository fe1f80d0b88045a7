//! Security management for callers of the cross-memory server: services 14 to 20 as functions over a database.
//!
//! Listings show what the acting user may see. A change becomes an [`AdminPlan`]: the command that says the same in RACF's
//! language, and the records it changes. The caller shows the command (dry run) or commits the plan, all of it or nothing,
//! with the acting user in the history. What the caller names is read as a name before it gets into a command, and a plan
//! that would change anything but what was named is refused.
//!
//! # Who may do what
//!
//! As RACF decides; CLAUTH and the profiles of R_admin are not kept here, so what RACF gives by them is given to SPECIAL only.
//!
//! | | SPECIAL | scope of group-SPECIAL | owner | otherwise |
//! |---|---|---|---|---|
//! | see a user | yes, AUDITOR too | the user's owner is in it | of the user | oneself |
//! | see a group | yes, AUDITOR too | the group is in it | of the group | its members with CONNECT or JOIN |
//! | see a profile | yes, AUDITOR too | the profile's owner is in it | of the profile | ALTER to a discrete profile |
//! | define a profile | yes | | | |
//! | delete, give, revoke | yes | the profile's owner is in it | of the profile | ALTER to a discrete profile |
//! | add a group | yes | the superior group is in it | of the superior group | JOIN in the superior group |
//! | delete a group | yes | the group or its superior is in it | of either | JOIN in the superior group |
//! | connect, remove | yes | the group is in it | of the group | CONNECT or JOIN in it, and none above one's own |
//!
//! The scope of group-SPECIAL is the group itself and every group owned by one in it; an owner is in it when it is such a
//! group, or a user owned by one. A revoked user, and a revoked connect, may nothing.

mod authority;
mod change;
mod list;

use std::fmt;

use jiff::Timestamp;

pub use self::change::{
    GroupFunction, GroupRequest, ProfileFunction, ProfileRequest, plan_group, plan_profile,
};
pub use self::list::{
    GroupLine, List, MemberLine, ProfileLine, UserLine, access_list, groups, members, profiles, users,
};
use crate::command::{CommandError, Plan};
use crate::id::{ClassName, Id};
use crate::store::{Committed, Store, StoreError, Transaction};

/// The most lines of a page.
const PAGE_MAX: u32 = 1000;
/// The most lines of a list that comes as a whole.
const LIST_MAX: u32 = 8192;

/// What the server's configuration allows to be administered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminPolicy {
    /// The class of the profiles (`ZWES.SECMGMT.CLASS`), whatever a caller says.
    pub class: ClassName,
    /// What names of profiles begin with.
    pub profile_prefixes: Vec<String>,
    /// What names of groups begin with.
    pub group_prefixes: Vec<String>,
    /// Whether a change of a profile is followed by a refresh of the class (`ZWES.SECMGMT.AUTOREFRESH`).
    ///
    /// Here a change is in force at once; the command is shown for those who carry it over.
    pub is_auto_refresh: bool,
}

impl AdminPolicy {
    /// Makes the policy of the original: profiles `ZOWE.`, groups ZWE, ZOWE, MVD and ZIS.
    pub fn new(class: ClassName) -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            class,
            profile_prefixes: texts(&["ZOWE."]),
            group_prefixes: texts(&["ZWE", "ZOWE", "MVD", "ZIS"]),
            is_auto_refresh: false,
        }
    }
}

/// The services, by the numbers that callers know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminService {
    /// 14: user profiles.
    Users,
    /// 15: profiles of the class.
    Profiles,
    /// 16: the access list of a profile.
    AccessList,
    /// 17: changes of profiles.
    ProfileAdmin,
    /// 18: group profiles.
    Groups,
    /// 19: the members of a group.
    Members,
    /// 20: changes of groups.
    GroupAdmin,
}

/// What is wrong with a request, or against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminFault {
    /// Nobody acts.
    NoActor,
    /// The count is 0 or too high.
    Count,
    /// The capacity is too high.
    Capacity,
    /// There are more entries than fit.
    Insufficient {
        /// How many there are.
        found: u32,
    },
    /// Another class than the configured one.
    Class,
    /// The configured class is not defined.
    NoClass,
    /// The name of a profile is none.
    Profile,
    /// The name of a group is none.
    Group,
    /// The name of a superior group is none.
    Superior,
    /// The name of a user is none.
    User,
    /// The name of an owner is none.
    Owner,
    /// The name does not begin as it must.
    Prefix,
    /// The access is missing, or there is one where none belongs.
    Access,
    /// Something else is missing.
    Parameter,
    /// What is asked about is not there, or the acting user may not see that it is.
    NotFound,
    /// The acting user has not the authority.
    NotAuthorised {
        /// What would give it.
        needs: &'static str,
    },
    /// The database refuses.
    Refused {
        /// Why.
        source: CommandError,
    },
    /// The command would change something else too.
    TooWide,
}

/// Says why a service does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminError {
    /// Which service.
    pub service: AdminService,
    /// What is wrong.
    pub fault: AdminFault,
}

impl AdminError {
    /// Returns the return code of the service: the numbers are those of the original.
    pub fn return_code(&self) -> u32 {
        use AdminService as S;
        match (&self.fault, self.service) {
            (AdminFault::NoActor, S::Users | S::Groups | S::AccessList) => 13,
            (AdminFault::NoActor, S::Profiles) => 15,
            (AdminFault::NoActor, S::Members) => 12,
            (AdminFault::NoActor, S::ProfileAdmin | S::GroupAdmin) => 14,
            (AdminFault::Count, S::Profiles) => 14,
            (AdminFault::Count, _) | (AdminFault::Capacity, S::AccessList) => 12,
            (AdminFault::Capacity, _) => 11,
            (AdminFault::Insufficient { .. }, S::Members) => 15,
            (AdminFault::Insufficient { .. }, _) => 16,
            (AdminFault::Class | AdminFault::NoClass, S::ProfileAdmin) => 19,
            (AdminFault::Class | AdminFault::NoClass, S::AccessList) => 17,
            (AdminFault::Class | AdminFault::NoClass, _) => 18,
            (AdminFault::Profile, S::Profiles | S::AccessList) => 11,
            (AdminFault::Profile | AdminFault::Group, _) => 10,
            (AdminFault::Superior, _) => 11,
            (AdminFault::User, S::Users) => 10,
            (AdminFault::User, _) => 13,
            (AdminFault::Owner, _) => 22,
            (AdminFault::Prefix, S::GroupAdmin) => 12,
            (AdminFault::Prefix, _) => 11,
            (AdminFault::Access, _) => 16,
            (AdminFault::Parameter, _) => 18,
            // Everything else is "the security database refuses".
            (_, S::Users | S::AccessList | S::Groups) => 14,
            (_, S::Profiles) => 16,
            (_, S::Members) => 13,
            (_, S::ProfileAdmin | S::GroupAdmin) => 17,
        }
    }
}

impl fmt::Display for AdminError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.fault {
            AdminFault::NoActor => "there is no user who acts, or it is revoked",
            AdminFault::Count => "a page has 1 to 1000 lines",
            AdminFault::Capacity => "a list has at most 8192 lines",
            AdminFault::Insufficient { found } => {
                return write!(formatter, "there are {found} entries, more than fit");
            }
            AdminFault::Class => "only the configured class can be administered",
            AdminFault::NoClass => "the configured class is not defined; define it (RDEFINE CDT)",
            AdminFault::Profile => "that is no name of a profile",
            AdminFault::Group => "that is no name of a group",
            AdminFault::Superior => "that is no name of a superior group",
            AdminFault::User => "that is no name of a user",
            AdminFault::Owner => "that is no name of an owner, or nobody has it",
            AdminFault::Prefix => "the name does not begin with any of the prefixes that can be administered",
            AdminFault::Access => "an access belongs to this function, or does not",
            AdminFault::Parameter => "something that this function needs is missing",
            AdminFault::NotFound => "there is nothing of this name that the acting user may see",
            AdminFault::NotAuthorised { needs } => {
                return write!(formatter, "the acting user has not the authority: it needs {needs}");
            }
            AdminFault::Refused { .. } => "the security database refuses",
            AdminFault::TooWide => "the command would change more than was named",
        };
        formatter.write_str(text)
    }
}

impl std::error::Error for AdminError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            AdminFault::Refused { source } => Some(source),
            _ => None,
        }
    }
}

/// A change that is decided and not yet made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminPlan {
    /// Who acts.
    pub actor: Id,
    /// The command that says the same in RACF's language.
    pub command: String,
    /// The command that puts it in force there, if the configuration wants one.
    pub refresh: Option<String>,
    /// What changes, and what there is to say about it.
    pub plan: Plan,
}

impl AdminPlan {
    /// Returns what a store commits.
    pub fn transaction(&self, at: Timestamp) -> Transaction {
        Transaction {
            who: self.actor.to_string(),
            at,
            what: self.command.clone(),
            changes: self.plan.changes.clone(),
        }
    }

    /// Makes the change, all of it or nothing.
    ///
    /// Errors: [`StoreError::Conflict`] when a record was changed since the plan was made; plan again.
    pub fn commit(&self, store: &dyn Store, at: Timestamp) -> Result<Committed, StoreError> {
        store.commit(&self.transaction(at))
    }

    /// Returns what there is to say, a line each.
    pub fn message(&self) -> String {
        let lines: Vec<&str> = self.plan.effects.iter().map(|effect| &*effect.text).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests;
