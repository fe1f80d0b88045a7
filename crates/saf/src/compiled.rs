//! The database made ready for questions: everything found by hash or by walking down a name once.

mod index;

use std::collections::HashMap;

use self::index::Index;
use crate::database::Database;
use crate::id::Id;
use crate::level::{AccessLevel, AuditSettings};
use crate::linux::{LinuxGroup, LinuxIdentity};
use crate::pattern::Pattern;
use crate::profile::{Condition, Profile, StartedData, StartedUser, Who};
use crate::subject::Subject;

/// Stands for a name in access lists: its place in [`Compiled::names`].
pub(crate) type Name = u32;

/// A user made ready.
#[derive(Debug)]
pub(crate) struct CompiledUser {
    pub(crate) name: Name,
    /// Groups whose connect is not revoked; only the default group when lists of groups do not count.
    pub(crate) groups: Box<[Name]>,
    pub(crate) is_revoked: bool,
    pub(crate) is_restricted: bool,
    pub(crate) is_audited: bool,
}

/// An entry under a condition made ready.
#[derive(Debug)]
pub(crate) struct CompiledConditional {
    /// `None` stands for every defined user.
    pub(crate) who: Option<Name>,
    pub(crate) condition: Condition,
    pub(crate) access: AccessLevel,
}

/// A profile made ready.
#[derive(Debug)]
pub(crate) struct CompiledProfile {
    pub(crate) name: Box<str>,
    pub(crate) pattern: Pattern,
    pub(crate) uacc: AccessLevel,
    pub(crate) audit: AuditSettings,
    pub(crate) is_warning: bool,
    /// Sorted by name.
    pub(crate) access: Box<[(Name, AccessLevel)]>,
    /// The entry for every defined user.
    pub(crate) everybody: Option<AccessLevel>,
    pub(crate) conditional: Box<[CompiledConditional]>,
    pub(crate) started: Option<StartedData>,
}

impl CompiledProfile {
    /// Returns the entry of one name.
    pub(crate) fn entry(&self, name: Name) -> Option<AccessLevel> {
        let at = self.access.binary_search_by_key(&name, |(listed, _)| *listed).ok()?;
        Some(self.access[at].1)
    }
}

/// A class made ready.
#[derive(Debug)]
pub(crate) struct CompiledClass {
    pub(crate) is_active: bool,
    pub(crate) is_case_sensitive: bool,
    pub(crate) default_return_code: u8,
    /// Generic ones first, most specific first: the place of a generic profile is its rank.
    pub(crate) profiles: Box<[CompiledProfile]>,
    pub(crate) index: Index,
}

/// The database made ready for questions; immutable, so that it can be swapped as a whole.
#[derive(Debug)]
pub struct Compiled {
    pub(crate) is_grouplist: bool,
    pub(crate) names: Box<[Id]>,
    pub(crate) name_of: HashMap<Box<str>, Name>,
    pub(crate) users: HashMap<Box<str>, CompiledUser>,
    pub(crate) classes: HashMap<Box<str>, CompiledClass>,
    linux_users: Mapping,
    linux_groups: Mapping,
}

/// Which name of the database a Linux user or group goes by.
#[derive(Debug)]
struct Mapping {
    /// Names with a number of their own; `None` where two claim one number.
    by_number: HashMap<u32, Option<Id>>,
    /// Whether a name goes by itself, having no number.
    by_name: HashMap<Box<str>, bool>,
}

/// As whom a started task runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedTask<'a> {
    /// Which STARTED profile says so.
    pub profile: &'a str,
    /// Its user.
    pub user: Option<Id>,
    /// Its group.
    pub group: Option<Id>,
    /// Whether its start is written down.
    pub is_traced: bool,
}

/// Gives each name its number.
#[derive(Default)]
struct Names {
    list: Vec<Id>,
    of: HashMap<Box<str>, Name>,
}

impl Names {
    fn number(&mut self, id: &Id) -> Name {
        if let Some(number) = self.of.get(id.as_str()) {
            return *number;
        }
        let number = Name::try_from(self.list.len()).expect("fewer names than fit into 32 bits");
        self.list.push(id.clone());
        self.of.insert(id.as_str().into(), number);
        number
    }
}

impl Compiled {
    /// Makes a database ready.
    ///
    /// A profile whose name its class does not accept (a directory of text was edited by hand) is left out: it could
    /// match nothing.
    pub fn new(database: &Database) -> Self {
        let mut names = Names::default();
        for id in database.users.keys().chain(database.groups.keys()) {
            names.number(id);
        }
        let is_grouplist = database.options.is_grouplist;
        let users = compile_users(database, &mut names);
        let mut classes = HashMap::new();
        for class in database.classes.values() {
            let named = |profile: &Profile| {
                let pattern = Database::pattern(class, &profile.name).ok()?;
                Some((pattern, profile.clone()))
            };
            let mut sorted: Vec<_> = database.profiles_of(&class.name).filter_map(named).collect();
            sorted.sort_by(|(one, _), (two, _)| (!one.is_generic(), one).cmp(&(!two.is_generic(), two)));
            let profiles: Box<[CompiledProfile]> = sorted
                .into_iter()
                .map(|(pattern, profile)| compile_profile(pattern, profile, &mut names))
                .collect();
            let index = Index::new(profiles.iter().map(|profile| (&profile.pattern, &*profile.name)));
            let compiled = CompiledClass {
                is_active: class.is_active,
                is_case_sensitive: class.is_case_sensitive,
                default_return_code: class.default_return_code,
                profiles,
                index,
            };
            classes.insert(class.name.as_str().into(), compiled);
        }
        let numbered_users =
            database.users.values().map(|user| (user.unix.as_ref().and_then(|unix| unix.uid), &user.id));
        let numbered_groups =
            database.groups.values().map(|group| (group.unix.as_ref().and_then(|unix| unix.gid), &group.id));
        Self {
            is_grouplist,
            names: names.list.into(),
            name_of: names.of,
            users,
            classes,
            linux_users: Mapping::new(numbered_users),
            linux_groups: Mapping::new(numbered_groups),
        }
    }

    /// Returns the subject that a Linux user is.
    ///
    /// A user of the database with a number of its own is the Linux user of that number; one without is the Linux user
    /// of the same name. Two that claim one number are nobody: the database does not say who is meant. Groups likewise.
    pub fn subject(&self, identity: &LinuxIdentity) -> Subject {
        let user = self.linux_users.find(identity.uid, identity.name.as_deref());
        let group = |group: &LinuxGroup| self.linux_groups.find(group.gid, group.name.as_deref());
        Subject { user, groups: identity.groups.iter().filter_map(group).collect() }
    }

    /// Returns as whom a started task runs: procedure and job name, looked up in class STARTED.
    pub fn started_task(&self, procedure: &str, job: &str) -> Option<StartedTask<'_>> {
        let class = self.classes.get("STARTED").filter(|class| class.is_active)?;
        let resource = format!("{procedure}.{job}").to_ascii_uppercase();
        let profile = &class.profiles[class.index.find(&resource)?];
        let data = profile.started.as_ref()?;
        let id = |user: &Option<StartedUser>| match user {
            None => None,
            Some(StartedUser::Id(id)) => Some(id.clone()),
            Some(StartedUser::Member) => procedure.parse().ok(),
        };
        Some(StartedTask {
            profile: &profile.name,
            user: id(&data.user),
            group: id(&data.group),
            is_traced: data.is_traced,
        })
    }

    /// Returns the users, by name.
    pub fn users(&self) -> impl Iterator<Item = &Id> {
        self.names.iter().filter(|id| self.users.contains_key(id.as_str()))
    }
}

fn compile_users(database: &Database, names: &mut Names) -> HashMap<Box<str>, CompiledUser> {
    let mut users = HashMap::new();
    for user in database.users.values() {
        let counts = |group: &Id| database.options.is_grouplist || *group == user.default_group;
        let connected = user.groups.iter().filter(|(group, connect)| {
            !connect.is_revoked && counts(group) && database.groups.contains_key(*group)
        });
        let groups = connected.map(|(group, _)| names.number(group)).collect();
        let compiled = CompiledUser {
            name: names.number(&user.id),
            groups,
            is_revoked: user.flags.is_revoked,
            is_restricted: user.flags.is_restricted,
            is_audited: user.flags.is_audited,
        };
        users.insert(user.id.as_str().into(), compiled);
    }
    users
}

fn compile_profile(pattern: Pattern, profile: Profile, names: &mut Names) -> CompiledProfile {
    let mut access = Vec::new();
    let mut everybody = None;
    for (who, level) in &profile.access {
        match who {
            Who::All => everybody = Some(*level),
            Who::Id(id) => access.push((names.number(id), *level)),
        }
    }
    access.sort_unstable();
    let mut number = |who: &Who| match who {
        Who::All => None,
        Who::Id(id) => Some(names.number(id)),
    };
    let conditional = profile
        .conditional
        .iter()
        .map(|entry| CompiledConditional {
            who: number(&entry.who),
            condition: entry.when.clone(),
            access: entry.access,
        })
        .collect();
    CompiledProfile {
        name: profile.name.into(),
        pattern,
        uacc: profile.uacc,
        audit: profile.audit,
        is_warning: profile.is_warning,
        access: access.into(),
        everybody,
        conditional,
        started: profile.started,
    }
}

impl Mapping {
    fn new<'a>(numbered: impl Iterator<Item = (Option<u32>, &'a Id)>) -> Self {
        let mut mapping = Self { by_number: HashMap::new(), by_name: HashMap::new() };
        for (number, id) in numbered {
            if let Some(number) = number {
                let claims = mapping.by_number.entry(number);
                claims.and_modify(|claimed| *claimed = None).or_insert_with(|| Some(id.clone()));
            }
            mapping.by_name.insert(id.as_str().into(), number.is_none());
        }
        mapping
    }

    fn find(&self, number: u32, name: Option<&str>) -> Option<Id> {
        if let Some(claimed) = self.by_number.get(&number) {
            return claimed.clone();
        }
        let id = Id::of_linux(name?)?;
        self.by_name.get(id.as_str()).copied().unwrap_or(false).then_some(id)
    }
}

#[cfg(test)]
mod tests;
