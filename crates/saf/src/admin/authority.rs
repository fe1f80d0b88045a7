//! What the acting user may.

use std::collections::BTreeSet;

use super::AdminFault;
use crate::database::{Database, TOP_GROUP};
use crate::id::Id;
use crate::level::AccessLevel;
use crate::pattern::Pattern;
use crate::profile::{Profile, Who};
use crate::user::{Authority, Group, User};

/// The acting user and what it may.
pub(super) struct Acting<'a> {
    database: &'a Database,
    pub(super) user: &'a User,
    /// The groups in the scope of its group-SPECIAL.
    scope: BTreeSet<&'a Id>,
}

impl<'a> Acting<'a> {
    /// Looks the acting user up; one that is revoked acts no more.
    pub(super) fn of(database: &'a Database, actor: Option<&Id>) -> Result<Self, AdminFault> {
        let user = actor.and_then(|id| database.users.get(id)).filter(|user| !user.flags.is_revoked);
        let user = user.ok_or(AdminFault::NoActor)?;
        let special = user.groups.iter().filter(|(_, connect)| connect.is_special && !connect.is_revoked);
        let mut scope: BTreeSet<&Id> =
            special.filter_map(|(id, _)| database.groups.get_key_value(id)).map(|(id, _)| id).collect();
        if !scope.is_empty() {
            // A group owned by one in scope is in scope; each round adds at least one.
            loop {
                let owned = |group: &&Group| scope.contains(&group.owner) && !scope.contains(&group.id);
                let more: Vec<&Id> = database.groups.values().filter(owned).map(|group| &group.id).collect();
                if more.is_empty() {
                    break;
                }
                scope.extend(more);
            }
        }
        Ok(Self { database, user, scope })
    }

    pub(super) fn is_special(&self) -> bool {
        self.user.flags.is_special
    }

    /// Returns whether it sees everything.
    fn sees_all(&self) -> bool {
        self.is_special() || self.user.flags.is_auditor
    }

    /// Returns whether what belongs to an owner is its own or in its scope.
    fn governs(&self, owner: &Id) -> bool {
        let is_owner_in_scope = || {
            let owner_of_owner = self.database.users.get(owner).map(|user| &user.owner);
            self.scope.contains(owner) || owner_of_owner.is_some_and(|above| self.scope.contains(above))
        };
        *owner == self.user.id || is_owner_in_scope()
    }

    /// Returns what it may in a group by its connect.
    pub(super) fn authority(&self, group: &Id) -> Option<Authority> {
        let connect = self.user.groups.get(group).filter(|connect| !connect.is_revoked)?;
        Some(connect.authority)
    }

    fn has_authority(&self, group: &Id, wanted: Authority) -> bool {
        self.authority(group).is_some_and(|authority| authority >= wanted)
    }

    /// Returns whether a group is its own or in its scope.
    pub(super) fn governs_group(&self, group: &Group) -> bool {
        self.scope.contains(&group.id) || self.governs(&group.owner)
    }

    pub(super) fn sees_user(&self, user: &User) -> bool {
        self.sees_all() || user.id == self.user.id || self.governs(&user.owner)
    }

    pub(super) fn sees_group(&self, group: &Group) -> bool {
        self.sees_all() || self.governs_group(group) || self.has_authority(&group.id, Authority::Connect)
    }

    pub(super) fn sees_profile(&self, profile: &Profile, pattern: &Pattern) -> bool {
        self.sees_all() || self.changes_profile(profile, pattern)
    }

    /// Returns whether it may delete a profile and change its access list.
    pub(super) fn changes_profile(&self, profile: &Profile, pattern: &Pattern) -> bool {
        self.is_special()
            || self.governs(&profile.owner)
            || (!pattern.is_generic() && self.standard_access(profile) >= AccessLevel::Alter)
    }

    /// Returns what a profile's standard access list and UACC give it, as decisions do.
    fn standard_access(&self, profile: &Profile) -> AccessLevel {
        let entry = |id: &Id| profile.access.get(&Who::Id(id.clone())).copied();
        if let Some(access) = entry(&self.user.id) {
            return access;
        }
        let counts = |group: &Id| self.database.options.is_grouplist || *group == self.user.default_group;
        let connected = self.user.groups.iter().filter(|(group, connect)| {
            !connect.is_revoked && counts(group) && self.database.groups.contains_key(*group)
        });
        if let Some(access) = connected.filter_map(|(group, _)| entry(group)).max() {
            return access;
        }
        if self.user.flags.is_restricted {
            return AccessLevel::None;
        }
        profile.access.get(&Who::All).copied().unwrap_or(profile.uacc)
    }

    /// Returns whether it may add groups below one.
    pub(super) fn adds_below(&self, superior: &Group) -> bool {
        self.is_special() || self.governs_group(superior) || self.has_authority(&superior.id, Authority::Join)
    }

    /// Returns whether it may delete a group.
    pub(super) fn deletes_group(&self, group: &Group) -> bool {
        let superior = group.superior.as_ref().and_then(|id| self.database.groups.get(id));
        self.is_special()
            || self.governs_group(group)
            || superior.is_some_and(|superior| self.adds_below(superior))
    }

    /// Returns the highest authority that it may give in a group; `None` when it may connect nobody.
    pub(super) fn connects(&self, group: &Group) -> Option<Authority> {
        if self.is_special() || self.governs_group(group) {
            return Some(Authority::Join);
        }
        self.authority(&group.id).filter(|authority| *authority >= Authority::Connect)
    }

    /// Returns the group that new groups are below when nothing is said.
    pub(super) fn default_superior(&self) -> Id {
        TOP_GROUP.parse().expect("a constant name")
    }
}
