//! Services 14, 15, 16, 18 and 19: what is there.
//!
//! A page holds what comes after its cursor, exclusive, in the order of names; one that is shorter than asked for is the
//! last. The cursor need not exist any more: what was deleted between two pages is in no other's way.

use std::ops::Bound;

use super::authority::Acting;
use super::{AdminError, AdminFault, AdminPolicy, AdminService, LIST_MAX, PAGE_MAX};
use crate::class::Class;
use crate::database::Database;
use crate::id::{Id, RESOURCE_BYTES_MAX};
use crate::level::AccessLevel;
use crate::user::Authority;

/// One user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserLine {
    /// Its name.
    pub id: Id,
    /// Its default group.
    pub default_group: Id,
    /// Who is called so.
    pub name: String,
}

/// One profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileLine {
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: Id,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLine {
    /// Its name.
    pub id: Id,
    /// The group above; `None` for the one above all.
    pub superior: Option<Id>,
    /// Its owner.
    pub owner: Id,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberLine {
    /// Its name.
    pub id: Id,
    /// What it may in the group.
    pub authority: Authority,
}

/// A list that comes as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T> {
    /// How many entries there are.
    pub found: u32,
    /// The entries.
    pub entries: Vec<T>,
}

fn error(service: AdminService) -> impl Fn(AdminFault) -> AdminError {
    move |fault| AdminError { service, fault }
}

fn count(count: u32) -> Result<usize, AdminFault> {
    if (1..=PAGE_MAX).contains(&count) { Ok(count as usize) } else { Err(AdminFault::Count) }
}

/// Reads the cursor of a page of names; empty is the beginning.
fn after(start: &str, wrong: AdminFault) -> Result<Bound<Id>, AdminFault> {
    if start.is_empty() {
        return Ok(Bound::Unbounded);
    }
    start.parse().map(Bound::Excluded).map_err(|_| wrong)
}

/// Holds a list against what the caller has room for.
fn whole<T>(entries: Vec<T>, capacity: u32) -> Result<List<T>, AdminFault> {
    let found = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    if found > capacity { Err(AdminFault::Insufficient { found }) } else { Ok(List { found, entries }) }
}

/// Returns the configured class; a caller names that one, or none.
pub(super) fn class<'a>(
    database: &'a Database,
    policy: &AdminPolicy,
    named: &str,
) -> Result<&'a Class, AdminFault> {
    if !named.is_empty() && !named.eq_ignore_ascii_case(policy.class.as_str()) {
        return Err(AdminFault::Class);
    }
    database.classes.get(&policy.class).ok_or(AdminFault::NoClass)
}

/// Service 14: returns users after `start`.
pub fn users(
    database: &Database,
    actor: Option<&Id>,
    start: &str,
    lines: u32,
) -> Result<Vec<UserLine>, AdminError> {
    let failed = error(AdminService::Users);
    let lines = count(lines).map_err(&failed)?;
    let acting = Acting::of(database, actor).map_err(&failed)?;
    let start = after(start, AdminFault::User).map_err(&failed)?;
    let seen = database.users.range((start, Bound::Unbounded)).map(|(_, user)| user);
    let line = |user: &crate::user::User| UserLine {
        id: user.id.clone(),
        default_group: user.default_group.clone(),
        name: user.name.clone().unwrap_or_default(),
    };
    Ok(seen.filter(|user| acting.sees_user(user)).take(lines).map(line).collect())
}

/// Service 15: returns profiles of the configured class after `start`. `class` is that class, or empty.
pub fn profiles(
    database: &Database,
    policy: &AdminPolicy,
    actor: Option<&Id>,
    named: &str,
    start: &str,
    lines: u32,
) -> Result<Vec<ProfileLine>, AdminError> {
    let failed = error(AdminService::Profiles);
    let lines = count(lines).map_err(&failed)?;
    let acting = Acting::of(database, actor).map_err(&failed)?;
    let class = class(database, policy, named).map_err(&failed)?;
    if start.len() > RESOURCE_BYTES_MAX {
        return Err(failed(AdminFault::Profile));
    }
    let start = class.fold(start);
    let Some(all) = database.profiles.get(&class.name) else { return Ok(Vec::new()) };
    let bound = if start.is_empty() { Bound::Unbounded } else { Bound::Excluded(&*start) };
    let seen = all.range::<str, _>((bound, Bound::Unbounded)).map(|(_, profile)| profile).filter(|profile| {
        Database::pattern(class, &profile.name).is_ok_and(|pattern| acting.sees_profile(profile, &pattern))
    });
    let line = |profile: &crate::profile::Profile| ProfileLine {
        name: profile.name.clone(),
        owner: profile.owner.clone(),
    };
    Ok(seen.take(lines).map(line).collect())
}

/// Service 16: returns the standard access list of a profile of the configured class.
///
/// Errors: [`AdminFault::Insufficient`] with how many entries there are, when they are more than `capacity`.
pub fn access_list(
    database: &Database,
    policy: &AdminPolicy,
    actor: Option<&Id>,
    named: &str,
    profile: &str,
    capacity: u32,
) -> Result<List<(String, AccessLevel)>, AdminError> {
    let failed = error(AdminService::AccessList);
    if capacity > LIST_MAX {
        return Err(failed(AdminFault::Capacity));
    }
    let acting = Acting::of(database, actor).map_err(&failed)?;
    let class = class(database, policy, named).map_err(&failed)?;
    let name = class.fold(profile);
    let pattern = Database::pattern(class, &name).map_err(|_| failed(AdminFault::Profile))?;
    let found = database.profile(&class.name, &name).filter(|found| acting.sees_profile(found, &pattern));
    let found = found.ok_or_else(|| failed(AdminFault::NotFound))?;
    let entries = found.access.iter().map(|(who, access)| (who.as_str().to_owned(), *access)).collect();
    whole(entries, capacity).map_err(failed)
}

/// Service 18: returns groups after `start`.
pub fn groups(
    database: &Database,
    actor: Option<&Id>,
    start: &str,
    lines: u32,
) -> Result<Vec<GroupLine>, AdminError> {
    let failed = error(AdminService::Groups);
    let lines = count(lines).map_err(&failed)?;
    let acting = Acting::of(database, actor).map_err(&failed)?;
    let start = after(start, AdminFault::Group).map_err(&failed)?;
    let seen = database.groups.range((start, Bound::Unbounded)).map(|(_, group)| group);
    let line = |group: &crate::user::Group| GroupLine {
        id: group.id.clone(),
        superior: group.superior.clone(),
        owner: group.owner.clone(),
    };
    Ok(seen.filter(|group| acting.sees_group(group)).take(lines).map(line).collect())
}

/// Service 19: returns the members of a group.
///
/// Errors: [`AdminFault::Insufficient`] with how many there are, when they are more than `capacity`.
pub fn members(
    database: &Database,
    actor: Option<&Id>,
    group: &str,
    capacity: u32,
) -> Result<List<MemberLine>, AdminError> {
    let failed = error(AdminService::Members);
    if capacity > LIST_MAX {
        return Err(failed(AdminFault::Capacity));
    }
    let acting = Acting::of(database, actor).map_err(&failed)?;
    let id: Id = group.parse().map_err(|_| failed(AdminFault::Group))?;
    let found = database.groups.get(&id).filter(|group| acting.sees_group(group));
    let found = found.ok_or_else(|| failed(AdminFault::NotFound))?;
    let member = |user: &crate::user::User| {
        let connect = user.groups.get(&found.id)?;
        Some(MemberLine { id: user.id.clone(), authority: connect.authority })
    };
    whole(database.users.values().filter_map(member).collect(), capacity).map_err(failed)
}
