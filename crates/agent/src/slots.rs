//! The three slots and what is known of the levels they name.
//!
//! A slot is a symbolic link into `levels/`; beside the directory of a level stands its record. There is no second
//! table of slots that could contradict the links: what `current` names is what runs.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tender_content::durable::DurableError;
use tender_content::{Digest, slot};
use tender_package::changes::Exception;
use tender_package::manifest::LevelManifest;
use tender_package::report::SlotInfo;
use tender_package::{ComponentName, LevelName, LevelRef, Mode, Vrm};

use crate::home::{Home, HomeError, read_json};

/// A slot of a managed system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The level being tested.
    Test,
    /// The level in production.
    Current,
    /// The level that was in production before.
    Previous,
}

impl Slot {
    /// All slots.
    pub const ALL: [Self; 3] = [Self::Test, Self::Current, Self::Previous];

    /// Returns the name of the slot's link.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }
}

/// What is known of a loaded level: `levels/<vrm>/<LEVEL>.<gen>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelRecord {
    /// The verified manifest.
    pub manifest: LevelManifest,
    /// As what the level was loaded; STABLE only when the signed metadata said so.
    pub mode: Mode,
    /// When it was loaded.
    pub loaded: Timestamp,
    /// Parts of this system that stand in its directory instead of the level's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Exception>,
}

impl LevelRecord {
    /// Returns the components the level has, with the digests of their trees.
    pub fn trees(&self) -> impl Iterator<Item = (&ComponentName, &Digest)> {
        self.manifest.components.iter().filter_map(|one| Some((&one.name, one.tree.as_ref()?)))
    }

    /// Returns the level with its trees alone.
    pub(crate) fn contents(&self) -> Contents {
        Contents {
            level: self.manifest.level.clone(),
            trees: self.trees().map(|(name, tree)| (name.clone(), *tree)).collect(),
            kept: self.kept.clone(),
        }
    }

    /// Returns the digest of a component's tree.
    #[must_use]
    pub fn tree(&self, component: &ComponentName) -> Option<&Digest> {
        self.trees().find(|(name, _)| *name == component).map(|(_, tree)| tree)
    }
}

/// The trees that make up a level, and the parts of this system that stand instead of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    pub(crate) level: LevelRef,
    pub(crate) trees: Vec<(ComponentName, Digest)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kept: Vec<Exception>,
}

/// What a slot names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// The level's record.
    pub record: LevelRecord,
    /// When it came into this slot.
    pub since: Timestamp,
}

impl Occupant {
    /// Returns which level it is.
    #[must_use]
    pub fn level(&self) -> &LevelRef {
        &self.record.manifest.level
    }

    /// Returns what is reported of it.
    #[must_use]
    pub fn info(&self) -> SlotInfo {
        SlotInfo {
            level: self.level().clone(),
            content: self.record.manifest.content,
            mode: self.record.mode,
            since: self.since,
        }
    }
}

/// What all slots name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slots {
    /// Being tested.
    pub test: Option<Occupant>,
    /// In production.
    pub current: Option<Occupant>,
    /// In production before.
    pub previous: Option<Occupant>,
}

impl Slots {
    /// Returns what is in one slot.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&Occupant> {
        match slot {
            Slot::Test => self.test.as_ref(),
            Slot::Current => self.current.as_ref(),
            Slot::Previous => self.previous.as_ref(),
        }
    }

    /// Returns the slots that are not empty.
    pub fn occupied(&self) -> impl Iterator<Item = (Slot, &Occupant)> {
        Slot::ALL.into_iter().filter_map(|slot| Some((slot, self.get(slot)?)))
    }
}

/// Says why the slots cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// A link could not be read or changed.
    #[error("use slot `{slot}`")]
    Link {
        /// The slot.
        slot: &'static str,
        /// Why.
        #[source]
        source: DurableError,
    },
    /// A link names no level.
    #[error(
        "slot `{slot}` names `{target}`, which is no level; set it to a directory in `levels/` or remove it"
    )]
    NotALevel {
        /// The slot.
        slot: &'static str,
        /// What the link holds.
        target: String,
    },
    /// A level has no record.
    #[error("level {level} in slot `{slot}` has no record; send it again")]
    NoRecord {
        /// The slot.
        slot: &'static str,
        /// The level.
        level: LevelRef,
    },
    /// A file could not be used.
    #[error("use slot `{slot}`")]
    Home {
        /// The slot.
        slot: &'static str,
        /// Why.
        #[source]
        source: HomeError,
    },
}

/// Reads all slots.
pub fn read(home: &Home) -> Result<Slots, SlotError> {
    Ok(Slots {
        test: read_one(home, Slot::Test)?,
        current: read_one(home, Slot::Current)?,
        previous: read_one(home, Slot::Previous)?,
    })
}

fn read_one(home: &Home, slot: Slot) -> Result<Option<Occupant>, SlotError> {
    let word = slot.word();
    let link = home.slot_link(slot);
    let target = slot::read(&link).map_err(|source| SlotError::Link { slot: word, source })?;
    let Some(target) = target else { return Ok(None) };
    let level = parse_link(&target)
        .ok_or_else(|| SlotError::NotALevel { slot: word, target: target.display().to_string() })?;
    let record = read_json(&home.level_record(&level))
        .map_err(|source| SlotError::Home { slot: word, source })?
        .ok_or(SlotError::NoRecord { slot: word, level })?;
    // A link keeps the time at which it was made, and switching makes a new one.
    let metadata = std::fs::symlink_metadata(&link)
        .map_err(|error| SlotError::Home { slot: word, source: HomeError::io("look at", &link)(error) })?;
    let made = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    Ok(Some(Occupant { record, since: made.unwrap_or(Timestamp::UNIX_EPOCH) }))
}

/// Reads `levels/<vrm>/<LEVEL>.<generation>`.
pub(crate) fn parse_link(target: &Path) -> Option<LevelRef> {
    let mut names = target.to_str()?.strip_prefix("levels/")?.split('/');
    let vrm = Vrm::new(names.next()?).ok()?;
    let (level, generation) = names.next()?.rsplit_once('.')?;
    let level = LevelRef { vrm, level: LevelName::new(level).ok()?, generation: generation.parse().ok()? };
    names.next().is_none().then_some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_to_a_level_is_parsed() {
        let level = parse_link(Path::new("levels/720/VM010102_BLD1.3")).unwrap();
        assert_eq!(level.to_string(), "720 VM010102_BLD1.3");
    }

    #[test]
    fn link_to_anything_else_is_no_level() {
        for target in
            ["/etc", "levels/720", "levels/720/X", "levels/720/X.1/y", "levels/../X.1", "levels/720/X.-1"]
        {
            assert_eq!(parse_link(Path::new(target)), None, "{target}");
        }
    }
}
