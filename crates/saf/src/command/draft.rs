//! A database being changed by commands that are still only planned.

use super::{CommandError, Context, Effect, Plan, ReturnCode};
use crate::class::Class;
use crate::database::{Database, Key};
use crate::id::{ClassName, Id};
use crate::profile::Profile;

/// A copy of the database, and what was said about the changes so far.
#[derive(Debug)]
pub(crate) struct Draft {
    /// As it will be.
    pub(crate) database: Database,
    /// What surrounds the commands.
    pub(crate) context: Context,
    /// What happened.
    pub(crate) effects: Vec<Effect>,
    /// Whether names may be used before they are defined: a directory of text is read file by file.
    pub(crate) is_lenient: bool,
}

impl Draft {
    /// Begins on a database.
    pub(crate) fn new(database: Database, context: Context) -> Self {
        Self { database, context, effects: Vec::new(), is_lenient: false }
    }

    /// Ends with what changed.
    pub(crate) fn into_plan(self, before: &Database) -> Plan {
        let return_code = self.effects.iter().map(|effect| effect.code).max().unwrap_or(ReturnCode::Done);
        Plan { changes: before.changes_to(&self.database), effects: self.effects, return_code }
    }

    /// Notes what was done or found.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.effects.push(Effect { code: ReturnCode::Done, text: text.into() });
    }

    /// Notes what should be read.
    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.effects.push(Effect { code: ReturnCode::Warning, text: text.into() });
    }

    /// Returns a class that is there.
    pub(crate) fn class(&self, name: &ClassName) -> Result<&Class, CommandError> {
        let missing = || CommandError::NotDefined { key: Key::Class(name.clone()) };
        self.database.classes.get(name).ok_or_else(missing)
    }

    /// Refuses a group that is not there.
    pub(crate) fn require_group(&self, id: &Id) -> Result<(), CommandError> {
        if self.is_lenient || self.database.groups.contains_key(id) {
            return Ok(());
        }
        Err(CommandError::NotDefined { key: Key::Group(id.clone()) })
    }

    /// Refuses a name that is neither a user nor a group.
    pub(crate) fn require_anybody(&self, id: &Id) -> Result<(), CommandError> {
        if self.is_lenient || self.database.is_defined(id) {
            return Ok(());
        }
        Err(CommandError::NobodyDefined { id: id.clone() })
    }

    /// Takes a name out of every access list; returns the profiles that had it.
    ///
    /// A later user of the same name must not inherit what this one had.
    pub(crate) fn remove_from_access_lists(&mut self, id: &Id) -> Vec<String> {
        let mut touched = Vec::new();
        for profile in self.database.profiles.values_mut().flat_map(std::collections::BTreeMap::values_mut) {
            let is_meant =
                |who: &crate::profile::Who| matches!(who, crate::profile::Who::Id(listed) if listed == id);
            let before = profile.access.len() + profile.conditional.len();
            profile.access.retain(|who, _| !is_meant(who));
            profile.conditional.retain(|entry| !is_meant(&entry.who));
            if profile.access.len() + profile.conditional.len() < before {
                touched.push(format!("{} {}", profile.class, profile.name));
            }
        }
        touched
    }

    /// Returns a profile by its exact name.
    pub(crate) fn profile_mut(
        &mut self,
        class: &ClassName,
        name: &str,
    ) -> Result<&mut Profile, CommandError> {
        let missing = || CommandError::NotDefined { key: Key::Profile(class.clone(), name.to_owned()) };
        self.database.profiles.get_mut(class).and_then(|profiles| profiles.get_mut(name)).ok_or_else(missing)
    }
}
