//! A slot: a symbolic link that names the tree in use, switched in one step.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::durable::{DurableError, parent_of, rename_durably};

/// Makes the slot at `link` name `target`, atomically and durably.
///
/// A reader sees the old target or the new one. `target` is stored as given; it need not exist. Switching to the
/// target it already has changes nothing.
pub fn switch(link: &Path, target: &Path) -> Result<(), DurableError> {
    if read(link)?.as_deref() == Some(target) {
        return Ok(());
    }
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    // One fixed name, so that a killed switch leaves at most one link, which the next switch replaces.
    let next = parent_of(link).join(format!(".{name}.next"));
    match fs::remove_file(&next) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(DurableError::at("remove", &next)(e)),
        _ => {}
    }
    symlink(target, &next).map_err(DurableError::at("create link", &next))?;
    rename_durably(&next, link)
}

/// Returns what the slot names; `None` when there is no slot yet.
pub fn read(link: &Path) -> Result<Option<PathBuf>, DurableError> {
    match fs::read_link(link) {
        Ok(target) => Ok(Some(target)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(DurableError::at("read link", link)(e)),
    }
}

/// Empties the slot; an empty slot stays empty.
pub fn clear(link: &Path) -> Result<(), DurableError> {
    match fs::remove_file(link) {
        Ok(()) => crate::durable::sync_directory(parent_of(link)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(DurableError::at("remove link", link)(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switch_of_missing_slot_creates_it_and_again_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("current");
        assert_eq!(read(&link).unwrap(), None);
        switch(&link, Path::new("levels/a")).unwrap();
        switch(&link, Path::new("levels/b")).unwrap();
        assert_eq!(read(&link).unwrap(), Some(PathBuf::from("levels/b")));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn switch_after_a_killed_switch_succeeds() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("current");
        symlink("half", dir.path().join(".current.next")).unwrap();
        switch(&link, Path::new("b")).unwrap();
        assert_eq!(read(&link).unwrap(), Some(PathBuf::from("b")));
        assert!(!dir.path().join(".current.next").is_symlink());
    }

    #[test]
    fn switch_over_a_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("current");
        fs::create_dir(&link).unwrap();
        assert!(switch(&link, Path::new("b")).is_err());
    }

    #[test]
    fn clear_twice_leaves_an_empty_slot() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("test");
        switch(&link, Path::new("a")).unwrap();
        clear(&link).unwrap();
        clear(&link).unwrap();
        assert_eq!(read(&link).unwrap(), None);
    }
}
