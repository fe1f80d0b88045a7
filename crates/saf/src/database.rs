//! The database as one value, and changes to it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::class::{Class, builtin_classes};
use crate::id::{ClassName, Id};
use crate::pattern::{Pattern, PatternError};
use crate::profile::{Profile, Who};
use crate::user::{Connect, Group, GroupUnix, User, UserFlags, UserUnix};

/// The group that every other group is below.
pub(crate) const TOP_GROUP: &str = "SYS1";
/// The user that owns what nobody else owns.
pub(crate) const FIRST_USER: &str = "ROOT";

/// What SETROPTS sets for everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Whether all groups of a user count, or only its default group.
    pub is_grouplist: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { is_grouplist: true }
    }
}

/// Names one record of the database.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// The options.
    Options,
    /// A class.
    Class(ClassName),
    /// A group.
    Group(Id),
    /// A user, with its connects.
    User(Id),
    /// A profile, with its access lists.
    Profile(ClassName, String),
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options => formatter.write_str("options"),
            Self::Class(name) => write!(formatter, "class {name}"),
            Self::Group(id) => write!(formatter, "group {id}"),
            Self::User(id) => write!(formatter, "user {id}"),
            Self::Profile(class, name) => write!(formatter, "profile {class} {name}"),
        }
    }
}

/// One record of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The options.
    Options(Options),
    /// A class.
    Class(Class),
    /// A group.
    Group(Group),
    /// A user.
    User(User),
    /// A profile.
    Profile(Profile),
}

impl Record {
    /// Returns its name.
    pub fn key(&self) -> Key {
        match self {
            Self::Options(_) => Key::Options,
            Self::Class(class) => Key::Class(class.name.clone()),
            Self::Group(group) => Key::Group(group.id.clone()),
            Self::User(user) => Key::User(user.id.clone()),
            Self::Profile(profile) => Key::Profile(profile.class.clone(), profile.name.clone()),
        }
    }
}

/// One record as it was and as it will be; `None` is a record that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Which record.
    pub key: Key,
    /// As it was.
    pub before: Option<Record>,
    /// As it will be.
    pub after: Option<Record>,
}

/// Says that a record is no longer what a change was planned on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} was changed by somebody else meanwhile")]
pub struct ConflictError {
    /// Which record.
    pub key: Key,
}

/// Users, groups, classes and profiles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Database {
    /// What holds for everything.
    pub options: Options,
    /// The classes.
    pub classes: BTreeMap<ClassName, Class>,
    /// The groups.
    pub groups: BTreeMap<Id, Group>,
    /// The users.
    pub users: BTreeMap<Id, User>,
    /// The profiles.
    pub profiles: BTreeMap<ClassName, BTreeMap<String, Profile>>,
}

impl Database {
    /// Makes the database that every installation begins with: the built-in classes, group SYS1, user ROOT (uid 0).
    ///
    /// ROOT is a user like any other: it gets what profiles give it and nothing else.
    pub fn initial() -> Self {
        let top: Id = TOP_GROUP.parse().expect("a constant name");
        let first: Id = FIRST_USER.parse().expect("a constant name");
        let mut database = Self::default();
        for class in builtin_classes() {
            database.classes.insert(class.name.clone(), class);
        }
        let group = Group {
            id: top.clone(),
            superior: None,
            owner: first.clone(),
            data: None,
            unix: Some(GroupUnix { gid: Some(0) }),
        };
        let user = User {
            id: first.clone(),
            name: Some("FIRST ADMINISTRATOR".to_owned()),
            owner: first.clone(),
            default_group: top.clone(),
            groups: BTreeMap::from([(top.clone(), Connect::default())]),
            flags: UserFlags { is_special: true, ..UserFlags::default() },
            data: None,
            unix: Some(UserUnix { uid: Some(0), home: None, program: None }),
        };
        database.groups.insert(top, group);
        database.users.insert(first, user);
        database
    }

    /// Returns one record.
    pub fn record(&self, key: &Key) -> Option<Record> {
        match key {
            Key::Options => Some(Record::Options(self.options.clone())),
            Key::Class(name) => self.classes.get(name).cloned().map(Record::Class),
            Key::Group(id) => self.groups.get(id).cloned().map(Record::Group),
            Key::User(id) => self.users.get(id).cloned().map(Record::User),
            Key::Profile(class, name) => self.profile(class, name).cloned().map(Record::Profile),
        }
    }

    /// Returns every record, in a stable order.
    pub fn records(&self) -> Vec<Record> {
        let mut records = vec![Record::Options(self.options.clone())];
        records.extend(self.classes.values().cloned().map(Record::Class));
        records.extend(self.groups.values().cloned().map(Record::Group));
        records.extend(self.users.values().cloned().map(Record::User));
        records.extend(self.profiles.values().flat_map(BTreeMap::values).cloned().map(Record::Profile));
        records
    }

    /// Puts a record in its place.
    pub fn insert(&mut self, record: Record) {
        match record {
            Record::Options(options) => self.options = options,
            Record::Class(class) => drop(self.classes.insert(class.name.clone(), class)),
            Record::Group(group) => drop(self.groups.insert(group.id.clone(), group)),
            Record::User(user) => drop(self.users.insert(user.id.clone(), user)),
            Record::Profile(profile) => {
                let class = self.profiles.entry(profile.class.clone()).or_default();
                class.insert(profile.name.clone(), profile);
            }
        }
    }

    fn remove(&mut self, key: &Key) {
        match key {
            Key::Options => self.options = Options::default(),
            Key::Class(name) => drop(self.classes.remove(name)),
            Key::Group(id) => drop(self.groups.remove(id)),
            Key::User(id) => drop(self.users.remove(id)),
            Key::Profile(class, name) => {
                if let Some(profiles) = self.profiles.get_mut(class) {
                    profiles.remove(name);
                    if profiles.is_empty() {
                        self.profiles.remove(class);
                    }
                }
            }
        }
    }

    /// Carries changes out, all or none.
    ///
    /// Errors: [`ConflictError`] when a record is not what the change was planned on.
    pub fn apply(&mut self, changes: &[Change]) -> Result<(), ConflictError> {
        let mut changed = self.clone();
        for change in changes {
            if changed.record(&change.key) != change.before {
                return Err(ConflictError { key: change.key.clone() });
            }
            match &change.after {
                Some(record) => changed.insert(record.clone()),
                None => changed.remove(&change.key),
            }
        }
        *self = changed;
        Ok(())
    }

    /// Returns what turns this database into another, in a stable order.
    pub fn changes_to(&self, other: &Self) -> Vec<Change> {
        let keys = self.records().into_iter().chain(other.records()).map(|record| record.key());
        let keys: std::collections::BTreeSet<Key> = keys.collect();
        let change = |key: Key| Change { before: self.record(&key), after: other.record(&key), key };
        keys.into_iter().map(change).filter(|change| change.before != change.after).collect()
    }

    /// Returns one profile by its exact name.
    pub fn profile(&self, class: &ClassName, name: &str) -> Option<&Profile> {
        self.profiles.get(class)?.get(name)
    }

    /// Returns the profiles of a class, by name.
    pub fn profiles_of(&self, class: &ClassName) -> impl Iterator<Item = &Profile> {
        self.profiles.get(class).into_iter().flat_map(BTreeMap::values)
    }

    /// Returns whether a name is that of a user or a group.
    pub fn is_defined(&self, id: &Id) -> bool {
        self.users.contains_key(id) || self.groups.contains_key(id)
    }

    /// Reads a profile name by the rules of its class.
    pub(crate) fn pattern(class: &Class, name: &str) -> Result<Pattern, PatternError> {
        Pattern::parse(name, class.naming, class.bytes_max())
    }

    /// Returns what refers to something that is not there, one fragment of a sentence each.
    pub fn dangling(&self) -> Vec<String> {
        let mut found = Vec::new();
        for user in self.users.values() {
            for group in user.groups.keys().filter(|group| !self.groups.contains_key(*group)) {
                found.push(format!("user {} is connected to group {group}, which is not defined", user.id));
            }
            if !user.groups.contains_key(&user.default_group) {
                found.push(format!("user {} is not connected to its default group", user.id));
            }
        }
        for group in self.groups.values() {
            if group.superior.as_ref().is_some_and(|above| !self.groups.contains_key(above)) {
                found.push(format!("group {} is below a group that is not defined", group.id));
            }
        }
        for profile in self.profiles.values().flat_map(BTreeMap::values) {
            let name = format!("profile {} {}", profile.class, profile.name);
            if !self.classes.contains_key(&profile.class) {
                found.push(format!("{name} is in a class that is not defined"));
            }
            let listed = profile.access.keys().chain(profile.conditional.iter().map(|entry| &entry.who));
            for who in listed {
                if let Who::Id(id) = who
                    && !self.is_defined(id)
                {
                    found.push(format!("{name} permits {id}, which is not defined"));
                }
            }
        }
        found
    }
}
