//! The directories of an instance: writable ones writable and outside the product, the product readable.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{Access, access};

/// Says what is wrong with a directory that is written to; `Ok` when nothing is.
pub(crate) fn check_writable(directory: &Path, runtime: &Path) -> Result<(), String> {
    if is_below(directory, runtime) {
        return Err(format!(
            "`{}` lies in the runtime directory `{}`, which is never written to",
            directory.display(),
            runtime.display()
        ));
    }
    let existing = directory.ancestors().find(|ancestor| ancestor.exists());
    let existing = existing.ok_or_else(|| format!("`{}` has no root", directory.display()))?;
    if !existing.is_dir() {
        return Err(format!("`{}` is not a directory", existing.display()));
    }
    if existing != directory {
        // It is made later; then its parent must take a new name.
        return access(existing, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| cannot("made", directory, error.into()));
    }
    // Permission bits do not tell of read-only or full file systems: try.
    let written = tempfile::Builder::new()
        .prefix(".tender-check-")
        .tempfile_in(directory)
        .and_then(|mut file| io::Write::write_all(&mut file, b"x"));
    written.map_err(|error| cannot("written", directory, error))
}

fn cannot(what: &str, directory: &Path, error: io::Error) -> String {
    format!("`{}` cannot be {what}: {error}", directory.display())
}

/// Says what is wrong with the runtime directory, as an error or as a warning.
pub(crate) fn check_runtime(runtime: &Path) -> Result<Option<String>, String> {
    let entries = fs::read_dir(runtime);
    let mut entries = entries.map_err(|error| format!("runtime directory `{}`: {error}", runtime.display()))?;
    if entries.next().is_none() {
        return Err(format!("runtime directory `{}` is empty", runtime.display()));
    }
    let is_root = rustix::process::geteuid().is_root();
    let is_writable = !is_root && access(runtime, Access::WRITE_OK).is_ok();
    Ok(is_writable.then(|| {
        format!("runtime directory `{}` can be written by this user; nothing but an update should", runtime.display())
    }))
}

/// Says whether a path lies in another, also through links.
pub(crate) fn is_below(path: &Path, directory: &Path) -> bool {
    let resolved = |path: &Path| {
        let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
        let rest = path.strip_prefix(existing).ok()?;
        Some(existing.canonicalize().ok()?.join(rest))
    };
    match (resolved(path), resolved(directory)) {
        (Some(path), Some(directory)) => path.starts_with(directory),
        _ => path.starts_with(directory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_in_the_runtime_or_under_a_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = dir.path().join("runtime");
        fs::create_dir(&runtime).unwrap();
        std::os::unix::fs::symlink(&runtime, dir.path().join("current")).unwrap();
        let wrong = check_writable(&dir.path().join("current/logs"), &runtime).unwrap_err();
        assert!(wrong.contains("runtime directory"), "{wrong}");
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(check_writable(&dir.path().join("file/logs"), &runtime).is_err());
        check_writable(&dir.path().join("new/logs"), &runtime).unwrap();
        check_writable(dir.path(), &runtime).unwrap();
        assert!(fs::read_dir(dir.path()).unwrap().all(|entry| entry.unwrap().path() != dir.path().join(".tender")));
    }

    #[test]
    fn runtime_that_is_missing_or_empty_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(check_runtime(&dir.path().join("none")).is_err());
        assert!(check_runtime(dir.path()).is_err());
        fs::write(dir.path().join("x"), "").unwrap();
        check_runtime(dir.path()).unwrap();
    }
}
