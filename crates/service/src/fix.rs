//! What follows from a fix alone.

use std::collections::BTreeMap;

use tender_content::{Node, PartPath, Tree, tree::TreeError};
use tender_package::{ComponentName, FixId, SystemName};

use crate::shapes::{Fix, PartChange, Requisite};

/// Says why a fix cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FixError {
    /// A part is changed twice.
    #[error("fix {fix} changes part `{path}` twice")]
    PartTwice {
        /// The fix.
        fix: FixId,
        /// The part.
        path: PartPath,
    },
    /// A part neither was nor becomes anything.
    #[error("fix {fix} changes part `{path}` from nothing to nothing")]
    PartNothing {
        /// The fix.
        fix: FixId,
        /// The part.
        path: PartPath,
    },
    /// A fix names itself.
    #[error("fix {fix} names itself among its requisites or supersedes")]
    NamesItself {
        /// The fix.
        fix: FixId,
    },
    /// The parts it brings do not make a tree.
    #[error("the parts of fix {fix} do not make a tree")]
    Parts {
        /// The fix.
        fix: FixId,
        /// Why.
        #[source]
        source: TreeError,
    },
}

impl Fix {
    /// Checks what can be checked without other fixes.
    pub fn validate(&self) -> Result<(), FixError> {
        let mut seen = BTreeMap::new();
        let mut brought = BTreeMap::new();
        for part in &self.parts {
            if part.was.is_none() && part.becomes.is_none() {
                return Err(FixError::PartNothing { fix: self.id.clone(), path: part.path.clone() });
            }
            if seen.insert(&part.path, ()).is_some() {
                return Err(FixError::PartTwice { fix: self.id.clone(), path: part.path.clone() });
            }
            if let Some(node) = &part.becomes {
                brought.insert(part.path.clone(), node.clone());
            }
        }
        let names = self.requisites.iter().map(Requisite::fix).chain(&self.supersedes);
        if names.into_iter().any(|name| *name == self.id) {
            return Err(FixError::NamesItself { fix: self.id.clone() });
        }
        Tree::from_nodes(brought).map(drop).map_err(|source| FixError::Parts { fix: self.id.clone(), source })
    }

    /// Tells whether the fix brings its component along: it adds the component's manifest.
    #[must_use]
    pub fn brings_component(&self) -> bool {
        self.parts.iter().any(|part| {
            part.path.as_str() == crate::component::MANIFEST && part.was.is_none() && part.becomes.is_some()
        })
    }
}

impl Requisite {
    /// Returns the other fix.
    #[must_use]
    pub fn fix(&self) -> &FixId {
        match self {
            Self::Pre { fix }
            | Self::Co { fix }
            | Self::If { fix, .. }
            | Self::Npre { fix }
            | Self::Fleet { fix, .. } => fix,
        }
    }

    /// Returns the words for people, such as `PRE UM35801`.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Pre { fix } => format!("PRE {fix}"),
            Self::Co { fix } => format!("CO {fix}"),
            Self::Npre { fix } => format!("NPRE {fix}"),
            Self::Fleet { fix, component, systems } => {
                let systems: Vec<_> = systems.iter().map(SystemName::as_str).collect();
                let systems = if systems.is_empty() { "every system".to_owned() } else { systems.join(" ") };
                let having =
                    component.as_ref().map_or_else(String::new, |component| format!(" with {component}"));
                format!("FLEET {fix} on {systems}{having}")
            }
            Self::If { component, when: on, fix } => {
                let component = component.as_ref().map(ComponentName::as_str);
                let on = on.as_ref().map(FixId::as_str);
                let condition: Vec<_> = component.into_iter().chain(on).collect();
                format!("IF {} THEN {fix}", condition.join(" "))
            }
        }
    }
}

/// Lists the part changes that lead from one tree to another.
///
/// A directory that is no longer empty is none of them: the parts in it say so, whichever fix brings them.
#[must_use]
pub fn changes_between(from: &Tree, to: &Tree) -> Vec<PartChange> {
    let mut changes: BTreeMap<&PartPath, (Option<&Node>, Option<&Node>)> = BTreeMap::new();
    for (path, node) in from.iter() {
        changes.entry(path).or_default().0 = Some(node);
    }
    for (path, node) in to.iter() {
        changes.entry(path).or_default().1 = Some(node);
    }
    changes
        .into_iter()
        .filter(|(_, (was, becomes))| was != becomes)
        .filter(|(path, (was, _))| *was != Some(&Node::Directory) || !to.is_filled_directory(path))
        .map(|(path, (was, becomes))| PartChange {
            path: path.clone(),
            was: was.cloned(),
            becomes: becomes.cloned(),
        })
        .collect()
}
