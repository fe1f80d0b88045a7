//! What a system would lose: fixes and local modifications it has and a level does not (invariant 11).

use std::collections::BTreeSet;

use rusqlite::Connection;
use tender_content::Digest;
use tender_package::manifest::LevelManifest;
use tender_package::report::SystemInfo;
use tender_package::{FixId, LevelName, Vrm};

use crate::error::ServiceError;
use crate::shapes::LevelContent;
use crate::tables::{levels, packages};

/// Fixes and local modifications of a level or of what a system runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SystemContent {
    /// Fixes, contained ones included.
    pub fixes: BTreeSet<FixId>,
    /// Local modifications with the part each changes.
    pub mods: BTreeSet<(FixId, String)>,
}

/// Something a system would lose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// A fix.
    Fix(FixId),
    /// A local modification of a part.
    LocalMod(FixId, String),
}

impl Loss {
    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> &FixId {
        match self {
            Self::Fix(id) | Self::LocalMod(id, _) => id,
        }
    }

    /// Returns the words for people.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Fix(id) => format!("fix {id}"),
            Self::LocalMod(id, path) => format!("local modification {id} of `{path}`"),
        }
    }
}

impl From<&LevelManifest> for SystemContent {
    fn from(manifest: &LevelManifest) -> Self {
        let fixes = manifest.components.iter().flat_map(|component| &component.fixes);
        let mods = manifest.components.iter().flat_map(|component| &component.local_mods);
        Self {
            fixes: fixes.map(|fix| fix.id.clone()).collect(),
            mods: mods.map(|one| (one.id.clone(), one.path.to_string())).collect(),
        }
    }
}

impl From<&LevelContent> for SystemContent {
    fn from(content: &LevelContent) -> Self {
        Self {
            fixes: content.fixes.iter().map(|fix| fix.id.clone()).collect(),
            mods: content.mods.iter().map(|one| (one.id.clone(), one.path.to_string())).collect(),
        }
    }
}

impl SystemContent {
    /// Reads what a level generation, or the level as it is now when there is no such package, holds.
    pub(crate) fn of_level(
        tables: &Connection,
        vrm: &Vrm,
        level: &LevelName,
        generation: u32,
    ) -> Result<Self, ServiceError> {
        if let Some(package) = packages::find(tables, vrm, level, generation)? {
            return Ok(Self::from(&package.manifest));
        }
        Ok(Self::from(&levels::content(tables, vrm, level)?))
    }

    /// Reads what a system runs; a directory that was taken over as it was counts as the level with equal content.
    pub(crate) fn of_system(
        tables: &Connection,
        vrm: &Vrm,
        info: &SystemInfo,
        prod: Option<&(LevelName, u32)>,
    ) -> Result<Self, ServiceError> {
        let Some(current) = &info.current else { return Ok(Self::default()) };
        // What was changed by hand may have become a level here, which then counts as what runs.
        let is_changed = info.changes.as_ref().is_some_and(|head| !head.diverged.is_empty());
        if let Some((level, generation)) = prod.filter(|_| is_changed) {
            return Self::of_level(tables, vrm, level, *generation);
        }
        if levels::find(tables, vrm, &current.level.level)?.is_some() {
            return Self::of_level(tables, vrm, &current.level.level, current.level.generation);
        }
        match prod {
            Some((level, generation)) => Self::of_level(tables, vrm, level, *generation),
            None => Ok(Self::default()),
        }
    }

    /// Lists what this has and `next` does not.
    #[must_use]
    pub fn lost_in(&self, next: &Self) -> Vec<Loss> {
        let fixes = self.fixes.difference(&next.fixes).cloned().map(Loss::Fix);
        let mods = self.mods.difference(&next.mods);
        fixes.chain(mods.map(|(id, path)| Loss::LocalMod(id.clone(), path.clone()))).collect()
    }
}

/// Lists what would get lost and was not named as such.
pub(crate) fn losses(now: &SystemContent, next: &SystemContent, allowed: &[FixId]) -> Vec<Loss> {
    now.lost_in(next).into_iter().filter(|loss| !allowed.contains(loss.id())).collect()
}

/// Finds the level whose content a system reports, when there is one.
pub(crate) fn level_with_content(
    tables: &Connection,
    vrm: &Vrm,
    content: &Digest,
) -> Result<Option<LevelName>, ServiceError> {
    Ok(levels::all(tables, vrm)?.into_iter().find(|level| level.content == *content).map(|level| level.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(fixes: &[&str], mods: &[&str]) -> SystemContent {
        let id = |text: &&str| FixId::new(text).unwrap();
        SystemContent {
            fixes: fixes.iter().map(id).collect(),
            mods: mods.iter().map(|one| (id(one), "p".to_owned())).collect(),
        }
    }

    #[test]
    fn fix_and_modification_missing_in_next_level_are_lost() {
        let now = content(&["A", "B"], &["L1"]);
        let lost = losses(&now, &content(&["B", "C"], &[]), &[]);
        let words: Vec<_> = lost.iter().map(Loss::words).collect();
        assert_eq!(words, ["fix A", "local modification L1 of `p`"]);
    }

    #[test]
    fn loss_that_was_named_is_allowed() {
        let now = content(&["A", "B"], &[]);
        assert!(losses(&now, &content(&["B"], &[]), &[FixId::new("A").unwrap()]).is_empty());
    }
}
