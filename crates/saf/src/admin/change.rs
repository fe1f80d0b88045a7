//! Services 17 and 20: changes of profiles and groups.

use super::authority::Acting;
use super::list::class;
use super::{AdminError, AdminFault, AdminPlan, AdminPolicy, AdminService};
use crate::command::{Command, Context};
use crate::database::{Database, Key};
use crate::id::Id;
use crate::level::AccessLevel;
use crate::user::Authority;

/// What service 17 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileFunction {
    /// 0: defines a profile that gives nobody anything.
    Define,
    /// 1: deletes it.
    Delete,
    /// 2: gives a user or group access.
    Give,
    /// 3: takes its entry away.
    Revoke,
}

/// One request of service 17.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileRequest {
    /// What to do.
    pub function: ProfileFunction,
    /// With which profile.
    pub profile: String,
    /// Who shall own it; only to define, the acting user when left out.
    pub owner: Option<String>,
    /// To whom to give, from whom to revoke: a user or a group.
    pub user: Option<String>,
    /// How much to give; Top Secret's ALL is ALTER.
    pub access: Option<AccessLevel>,
}

/// What service 20 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupFunction {
    /// 0: adds a group.
    Add,
    /// 1: deletes it.
    Delete,
    /// 2: connects a user.
    Connect,
    /// 3: removes a user.
    Remove,
}

/// One request of service 20.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRequest {
    /// What to do.
    pub function: GroupFunction,
    /// With which group.
    pub group: String,
    /// The group above; only to add, SYS1 when left out.
    pub superior: Option<String>,
    /// Whom to connect or remove.
    pub user: Option<String>,
    /// What the user may in the group; only to connect.
    pub access: Option<Authority>,
}

/// Refuses what does not belong to a function and what is missing.
fn require<T>(value: Option<T>, is_needed: bool, fault: AdminFault) -> Result<Option<T>, AdminFault> {
    if value.is_some() == is_needed { Ok(value) } else { Err(fault) }
}

/// Reads a command that was put together from names, and refuses one that does more than was meant.
fn planned(
    database: &Database,
    acting: &Acting<'_>,
    command: String,
    is_meant: impl Fn(&Key) -> bool,
) -> Result<AdminPlan, AdminFault> {
    let actor = acting.user.id.clone();
    let refused = |source| AdminFault::Refused { source };
    let context = Context { who: actor.clone() };
    let plan = Command::parse(&command).and_then(|read| read.plan(database, &context)).map_err(refused)?;
    if !plan.changes.iter().all(|change| is_meant(&change.key)) {
        return Err(AdminFault::TooWide);
    }
    Ok(AdminPlan { actor, command, refresh: None, plan })
}

/// Service 17: decides a change of a profile of the configured class.
pub fn plan_profile(
    database: &Database,
    policy: &AdminPolicy,
    actor: Option<&Id>,
    request: &ProfileRequest,
) -> Result<AdminPlan, AdminError> {
    let planned = profile_plan(database, policy, actor, request);
    planned.map_err(|fault| AdminError { service: AdminService::ProfileAdmin, fault })
}

fn profile_plan(
    database: &Database,
    policy: &AdminPolicy,
    actor: Option<&Id>,
    request: &ProfileRequest,
) -> Result<AdminPlan, AdminFault> {
    use ProfileFunction as F;
    let acting = Acting::of(database, actor)?;
    let class = class(database, policy, "")?;
    let name = class.fold(&request.profile);
    let pattern = Database::pattern(class, &name).map_err(|_| AdminFault::Profile)?;
    // Such names cannot stand in a command as they are; nobody needs them.
    if name.contains(['(', ')', '\'', '"', ',', ';', '&', '/']) || name.ends_with(['-', '+']) {
        return Err(AdminFault::Profile);
    }
    if !policy.profile_prefixes.iter().any(|prefix| name.starts_with(&class.fold(prefix))) {
        return Err(AdminFault::Prefix);
    }
    let function = request.function;
    let owner = require(
        request.owner.as_deref(),
        request.owner.is_some() && function == F::Define,
        AdminFault::Owner,
    )?;
    let user =
        require(request.user.as_deref(), matches!(function, F::Give | F::Revoke), AdminFault::Parameter)?;
    let access = require(request.access, function == F::Give, AdminFault::Access)?;
    if access.is_some_and(|access| access < AccessLevel::Read) {
        return Err(AdminFault::Access);
    }
    let user = user.map(str::parse::<Id>).transpose().map_err(|_| AdminFault::User)?;
    let present = database.profile(&class.name, &name);
    let is_allowed = match (function, present) {
        (F::Define, _) => acting.is_special(),
        (_, Some(profile)) => acting.changes_profile(profile, &pattern),
        // Who may not see profiles is not told which there are.
        (_, None) if acting.is_special() => return Err(AdminFault::NotFound),
        (_, None) => false,
    };
    if !is_allowed {
        let needs = match function {
            F::Define => "SPECIAL",
            _ => "SPECIAL, group-SPECIAL over the profile's owner, to own the profile, or ALTER to it",
        };
        return Err(AdminFault::NotAuthorised { needs });
    }
    let class_name = &class.name;
    let command = match (function, user, access) {
        (F::Define, ..) => {
            let owner = owner.map(str::parse::<Id>).transpose().map_err(|_| AdminFault::Owner)?;
            let owner = owner.unwrap_or_else(|| acting.user.id.clone());
            if !database.is_defined(&owner) {
                return Err(AdminFault::Owner);
            }
            format!("RDEFINE {class_name} {name} OWNER({owner}) UACC(NONE)")
        }
        (F::Delete, ..) => format!("RDELETE {class_name} {name}"),
        (F::Give, Some(user), Some(access)) => {
            format!("PERMIT {name} CLASS({class_name}) ID({user}) ACCESS({access})")
        }
        (F::Revoke, Some(user), _) => format!("PERMIT {name} CLASS({class_name}) ID({user}) DELETE"),
        _ => return Err(AdminFault::Parameter),
    };
    let key = Key::Profile(class.name.clone(), name);
    let mut plan = planned(database, &acting, command, |changed| *changed == key)?;
    plan.refresh = policy.is_auto_refresh.then(|| format!("SETROPTS RACLIST({class_name}) REFRESH"));
    Ok(plan)
}

/// Service 20: decides a change of a group.
pub fn plan_group(
    database: &Database,
    policy: &AdminPolicy,
    actor: Option<&Id>,
    request: &GroupRequest,
) -> Result<AdminPlan, AdminError> {
    let planned = group_plan(database, policy, actor, request);
    planned.map_err(|fault| AdminError { service: AdminService::GroupAdmin, fault })
}

fn group_plan(
    database: &Database,
    policy: &AdminPolicy,
    actor: Option<&Id>,
    request: &GroupRequest,
) -> Result<AdminPlan, AdminFault> {
    use GroupFunction as F;
    let acting = Acting::of(database, actor)?;
    let group: Id = request.group.parse().map_err(|_| AdminFault::Group)?;
    if !policy.group_prefixes.iter().any(|prefix| group.as_str().starts_with(&**prefix)) {
        return Err(AdminFault::Prefix);
    }
    let function = request.function;
    let superior = &request.superior;
    let superior =
        require(superior.as_deref(), superior.is_some() && function == F::Add, AdminFault::Superior)?;
    let user =
        require(request.user.as_deref(), matches!(function, F::Connect | F::Remove), AdminFault::Parameter)?;
    let access = require(request.access, function == F::Connect, AdminFault::Access)?;
    let user = user.map(str::parse::<Id>).transpose().map_err(|_| AdminFault::User)?;
    if function == F::Add {
        let superior = superior.map(str::parse::<Id>).transpose().map_err(|_| AdminFault::Superior)?;
        let superior = superior.unwrap_or_else(|| acting.default_superior());
        if !database.groups.get(&superior).map_or(acting.is_special(), |superior| acting.adds_below(superior))
        {
            let needs = "SPECIAL, group-SPECIAL over the superior group, to own it, or JOIN in it";
            return Err(AdminFault::NotAuthorised { needs });
        }
        let command = format!("ADDGROUP {group} SUPGROUP({superior}) OWNER({})", acting.user.id);
        return planned(database, &acting, command, |changed| *changed == Key::Group(group.clone()));
    }
    let Some(present) = database.groups.get(&group) else {
        let needs = "SPECIAL, or authority over the group";
        return Err(if acting.is_special() {
            AdminFault::NotFound
        } else {
            AdminFault::NotAuthorised { needs }
        });
    };
    match (function, user) {
        (F::Delete, _) => {
            if !acting.deletes_group(present) {
                let needs = "SPECIAL, group-SPECIAL over the group, to own it, or JOIN in its superior group";
                return Err(AdminFault::NotAuthorised { needs });
            }
            // The group leaves the access lists with itself: whoever is called so later must not inherit them.
            let is_meant = |key: &Key| matches!(key, Key::Profile(..)) || *key == Key::Group(group.clone());
            planned(database, &acting, format!("DELGROUP {group}"), is_meant)
        }
        (F::Connect | F::Remove, Some(user)) => {
            let highest = acting.connects(present);
            if highest.is_none_or(|highest| access.is_some_and(|access| access > highest)) {
                let needs = "SPECIAL, group-SPECIAL over the group, to own it, or CONNECT or JOIN in it and no less \
                             than it gives";
                return Err(AdminFault::NotAuthorised { needs });
            }
            let command = match access {
                Some(access) => format!("CONNECT {user} GROUP({group}) AUTHORITY({})", access.as_str()),
                None => format!("REMOVE {user} GROUP({group})"),
            };
            planned(database, &acting, command, |changed| *changed == Key::User(user.clone()))
        }
        _ => Err(AdminFault::Parameter),
    }
}
