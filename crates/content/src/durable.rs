//! Writes that survive a crash: a reader finds the old bytes or the new ones, never a mixture.
//!
//! The order is always temporary name, bytes, `fsync`, rename, `fsync` of the directory. A kill leaves at most a
//! temporary file, which [`remove_leftovers`] finds by its name.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const LEFTOVER_SUFFIX: &str = ".tender-tmp";
const FILL_BUFFER_BYTES: usize = 128 * 1024;

/// Says which step of a durable write failed.
#[derive(Debug, thiserror::Error)]
#[error("{step} `{}`", path.display())]
pub struct DurableError {
    step: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl DurableError {
    pub(crate) fn at(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { step, path, source }
    }

    /// Returns what the system said.
    #[must_use]
    pub fn io(&self) -> &io::Error {
        &self.source
    }
}

/// Replaces or creates the file at `path`, readable by all (less the umask).
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), DurableError> {
    write_with_mode(path, bytes, 0o644)
}

/// Replaces or creates the file at `path`, readable by its owner alone.
pub fn write_secret_atomically(path: &Path, bytes: &[u8]) -> Result<(), DurableError> {
    write_with_mode(path, bytes, 0o600)
}

fn write_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DurableError> {
    write_with(path, mode, |file| file.write_all(bytes))
}

/// Replaces or creates the file at `path` by what `fill` writes, readable by all (less the umask).
///
/// For files that are not to be held in memory whole.
pub fn fill_atomically<T>(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> Result<T, DurableError> {
    write_with(path, 0o644, |file| {
        let mut buffered = BufWriter::with_capacity(FILL_BUFFER_BYTES, file);
        let filled = fill(&mut buffered)?;
        buffered.flush()?;
        Ok(filled)
    })
}

fn write_with<T>(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> Result<T, DurableError> {
    let directory = parent_of(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut temporary = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(LEFTOVER_SUFFIX)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)
        .map_err(DurableError::at("create a temporary file in", directory))?;
    let filled = fill(&mut temporary).map_err(DurableError::at("write", path))?;
    temporary.as_file().sync_all().map_err(DurableError::at("flush", path))?;
    temporary.persist(path).map_err(|e| DurableError::at("put in place", path)(e.error))?;
    sync_directory(directory)?;
    Ok(filled)
}

/// Renames `from` to `to` and makes the new name durable; both lie in one file system.
pub fn rename_durably(from: &Path, to: &Path) -> Result<(), DurableError> {
    fs::rename(from, to).map_err(DurableError::at("put in place", to))?;
    if parent_of(from) != parent_of(to) {
        sync_directory(parent_of(from))?;
    }
    sync_directory(parent_of(to))
}

/// Makes the names in a directory durable.
pub fn sync_directory(path: &Path) -> Result<(), DurableError> {
    File::open(path).and_then(|d| d.sync_all()).map_err(DurableError::at("flush directory", path))
}

/// Makes everything written so far on the file system that holds `path` durable, in one go.
///
/// One barrier for a batch: a flush per file costs 0.2 ms, which ten thousand files turn into seconds.
pub fn sync_filesystem(path: &Path) -> Result<(), DurableError> {
    let directory = File::open(path).map_err(DurableError::at("open", path))?;
    rustix::fs::syncfs(&directory).map_err(|e| DurableError::at("flush the file system of", path)(e.into()))
}

/// Removes temporary files that a killed write left in `directory`; returns how many.
///
/// Only for a directory that no one else writes to at the moment.
pub fn remove_leftovers(directory: &Path) -> Result<u64, DurableError> {
    let mut removed = 0;
    for entry in fs::read_dir(directory).map_err(DurableError::at("list", directory))? {
        let entry = entry.map_err(DurableError::at("list", directory))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(LEFTOVER_SUFFIX) {
            fs::remove_file(entry.path()).map_err(DurableError::at("remove", &entry.path()))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Returns the directory that holds `path`; the current one for a bare name.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_over_existing_file_replaces_it_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn write_secret_is_readable_by_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_secret_atomically(&path, b"k").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn write_into_missing_directory_names_the_directory() {
        let error = write_atomically(Path::new("/nonexistent-tender/x"), b"").unwrap_err();
        assert!(error.to_string().contains("/nonexistent-tender"), "{error}");
    }

    #[test]
    fn leftovers_of_a_killed_write_are_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".state.abc.tender-tmp"), b"half").unwrap();
        fs::write(dir.path().join("state"), b"whole").unwrap();
        assert_eq!(remove_leftovers(dir.path()).unwrap(), 1);
        assert!(dir.path().join("state").exists());
    }
}
