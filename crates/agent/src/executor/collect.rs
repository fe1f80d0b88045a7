//! Removes loaded levels and objects that nothing needs: no slot, no BASE.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use tender_content::materialise::{MaterialiseError, remove_tree};
use tender_content::store::StoreError;

use super::Context;
use crate::base;
use crate::home::{HomeError, remove_file};
use crate::managed::ManagedState;
use crate::slots::{self, SlotError};
use crate::trees::{self, TreesError};

/// Says why not everything could be removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    #[error("read the slots")]
    Slot(#[source] SlotError),
    #[error("use the files of this system")]
    Home(#[source] HomeError),
    #[error("read what a level holds")]
    Trees(#[source] TreesError),
    #[error("remove a level")]
    Remove(#[source] MaterialiseError),
    #[error("remove objects")]
    Store(#[source] StoreError),
}

/// Keeps what slots and BASEs need and removes the rest, what killed steps left included.
pub(super) fn collect(context: &Context<'_>) -> Result<(), CollectError> {
    let home = context.home;
    let slots = slots::read(home).map_err(CollectError::Slot)?;
    let mut kept = BTreeSet::new();
    let mut live = HashSet::new();
    for (_, occupant) in slots.occupied() {
        kept.insert(home.level_dir(occupant.level()));
        for (_, tree) in occupant.record.trees() {
            trees::keep_alive(&context.store, tree, &mut live).map_err(CollectError::Trees)?;
        }
        live.extend(occupant.record.kept.iter().filter_map(|one| one.is.as_ref()?.digest()));
    }
    let state = ManagedState::read(home).map_err(CollectError::Home)?;
    live.extend(state.exceptions.iter().filter_map(|one| one.is.as_ref()?.digest()));
    for held in base::all_held(home).map_err(CollectError::Home)? {
        for (_, tree) in &held.components {
            trees::keep_alive(&context.store, tree, &mut live).map_err(CollectError::Trees)?;
        }
    }
    let levels = home.root().join("levels");
    kept.extend(in_use(&levels));
    for release in entries(&levels)? {
        for path in entries(&release)? {
            remove_unless_kept(&path, &kept)?;
        }
    }
    context.store.gc(&live).map(drop).map_err(CollectError::Store)
}

/// Lists levels that processes work in: a component that no switch changed goes on running where it was started.
///
/// Limits: only processes that this user may look at; components run as another user need a level's files open or
/// reached by way of the slot.
fn in_use(levels: &Path) -> BTreeSet<PathBuf> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return BTreeSet::new() };
    let places = processes.flatten().filter_map(|process| std::fs::read_link(process.path().join("cwd")).ok());
    places
        .filter_map(|place| {
            let below: PathBuf = place.strip_prefix(levels).ok()?.iter().take(2).collect();
            Some(levels.join(below))
        })
        .collect()
}

fn remove_unless_kept(path: &Path, kept: &BTreeSet<PathBuf>) -> Result<(), CollectError> {
    let is_directory = path.is_dir() && !path.is_symlink();
    let level = if is_directory { path.to_owned() } else { path.with_extension("") };
    if kept.contains(&level) {
        return Ok(());
    }
    if is_directory {
        remove_tree(path).map_err(CollectError::Remove)
    } else {
        remove_file(path).map_err(CollectError::Home)
    }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, CollectError> {
    let failed = |error| CollectError::Home(HomeError::io("list", dir)(error));
    let listed = std::fs::read_dir(dir).map_err(failed)?;
    let paths: Result<Vec<_>, _> = listed.map(|entry| entry.map(|entry| entry.path())).collect();
    paths.map_err(|error| CollectError::Home(HomeError::io("list", dir)(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_that_a_process_works_in_is_in_use_until_the_process_ends() {
        let place = tempfile::tempdir().unwrap();
        let levels = place.path().canonicalize().unwrap().join("levels");
        let component = levels.join("720/ONE.1/ledger");
        std::fs::create_dir_all(&component).unwrap();
        std::fs::create_dir_all(levels.join("720/TWO.1")).unwrap();
        let mut server =
            std::process::Command::new("sleep").arg("1000").current_dir(&component).spawn().unwrap();
        assert_eq!(in_use(&levels), BTreeSet::from([levels.join("720/ONE.1")]));
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(in_use(&levels), BTreeSet::new());
    }
}
