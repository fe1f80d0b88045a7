//! Where a server's sockets are, and whether the way there can be trusted.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use crate::handshake::ServerName;

const LINKS_MAX: usize = 16;

/// Why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// There is no such directory.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Somebody else than root and this user could have put it there.
    #[error("{} can not be trusted: {reason}", path.display())]
    Untrusted {
        /// The component.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// The kernel refuses.
    #[error("{} can not be opened", path.display())]
    Io {
        /// The component.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The directory below which servers have theirs: `TENDER_XMEM_RUN`, else `/run/tender/xmem` for root and
/// `$XDG_RUNTIME_DIR/tender/xmem` for others, when the server of root is not there.
#[must_use]
pub fn run_directory() -> PathBuf {
    if let Some(directory) = std::env::var_os("TENDER_XMEM_RUN").filter(|value| !value.is_empty()) {
        return directory.into();
    }
    let system = PathBuf::from("/run/tender/xmem");
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()) {
        Some(own) if !rustix::process::geteuid().is_root() && !system.exists() => {
            PathBuf::from(own).join("tender/xmem")
        }
        _ => system,
    }
}

/// The directory of a server.
#[must_use]
pub fn name_directory(run: &Path, server: &ServerName) -> PathBuf {
    run.join(server.as_str())
}

/// The socket for calls.
#[must_use]
pub fn socket_path(run: &Path, server: &ServerName) -> PathBuf {
    name_directory(run, server).join("socket")
}

/// The socket for operators.
#[must_use]
pub fn control_path(run: &Path, server: &ServerName) -> PathBuf {
    name_directory(run, server).join("control")
}

/// Opens a directory after having looked at every component of its path, links and all: each must belong to root or to this
/// user, and be writable for others only where the sticky bit protects entries.
///
/// # Errors
///
/// [`PlaceError`].
pub fn trusted_directory(path: &Path) -> Result<OwnedFd, PlaceError> {
    let absolute =
        std::path::absolute(path).map_err(|source| PlaceError::Io { path: path.to_owned(), source })?;
    let mut walk = Walk::new()?;
    let mut rest: Vec<OsString> = components(&absolute);
    let mut links = 0;
    while let Some(name) = rest.pop() {
        if let Some(target) = walk.step(&name)? {
            links += 1;
            if links > LINKS_MAX {
                return Err(PlaceError::Io { path: walk.path, source: Errno::LOOP.into() });
            }
            if target.is_absolute() {
                walk = Walk::new()?;
            }
            rest.extend(components(&target));
        }
    }
    Ok(walk.directory)
}

/// Whether the entry belongs to root or to this user.
pub(super) fn is_ours(entry: &Stat) -> bool {
    entry.st_uid == 0 || entry.st_uid == rustix::process::geteuid().as_raw()
}

/// Names of a path, last first. `..` is resolved by the walk itself, from the opened directory.
fn components(path: &Path) -> Vec<OsString> {
    let named = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut names: Vec<OsString> = named.collect();
    names.reverse();
    names
}

struct Walk {
    directory: OwnedFd,
    path: PathBuf,
}

const DIRECTORY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Walk {
    fn new() -> Result<Self, PlaceError> {
        let path = PathBuf::from("/");
        let io = |source: Errno| PlaceError::Io { path: "/".into(), source: source.into() };
        let directory = openat(CWD, "/", DIRECTORY, Mode::empty()).map_err(io)?;
        let walk = Self { directory, path };
        walk.check(&fstat(&walk.directory).map_err(io)?)?;
        Ok(walk)
    }

    /// Goes into `name`, or returns where the link of that name points.
    fn step(&mut self, name: &OsStr) -> Result<Option<PathBuf>, PlaceError> {
        let path = self.path.join(name);
        let error = |source: Errno| match source {
            Errno::NOENT | Errno::NOTDIR => PlaceError::Missing { path: path.clone() },
            source => PlaceError::Io { path: path.clone(), source: source.into() },
        };
        let entry = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(error)?;
        if FileType::from_raw_mode(entry.st_mode) == FileType::Symlink {
            if !is_ours(&entry) {
                return Err(PlaceError::Untrusted { path, reason: "the link belongs to another user" });
            }
            let target = readlinkat(&self.directory, name, Vec::new()).map_err(error)?;
            return Ok(Some(PathBuf::from(OsStr::from_bytes(target.as_bytes()))));
        }
        let directory = openat(&self.directory, name, DIRECTORY, Mode::empty()).map_err(error)?;
        let entry = fstat(&directory).map_err(error)?;
        (self.directory, self.path) = (directory, path);
        self.check(&entry)?;
        Ok(None)
    }

    fn check(&self, entry: &Stat) -> Result<(), PlaceError> {
        let untrusted = |reason| Err(PlaceError::Untrusted { path: self.path.clone(), reason });
        if !is_ours(entry) {
            return untrusted("it belongs to another user");
        }
        if entry.st_mode & 0o002 != 0 && entry.st_mode & 0o1000 == 0 {
            return untrusted("everybody can write to it, and no sticky bit protects its entries");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{PlaceError, trusted_directory};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn directory_on_a_trusted_way_is_opened_also_through_links() {
        let root = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(root.path().join("a/b")).expect("directories");
        symlink("a/../a", root.path().join("link")).expect("a link");
        symlink("loop", root.path().join("loop")).expect("a link");
        trusted_directory(&root.path().join("a/b")).expect("trusted");
        trusted_directory(&root.path().join("link/b")).expect("trusted");
        assert!(matches!(trusted_directory(&root.path().join("loop")), Err(PlaceError::Io { .. })));
        assert!(matches!(trusted_directory(&root.path().join("a/c")), Err(PlaceError::Missing { .. })));
    }

    #[test]
    fn directory_below_one_that_everybody_can_write_to_is_not_trusted() {
        let root = tempfile::tempdir().expect("a directory");
        let open = root.path().join("open");
        fs::create_dir_all(open.join("b")).expect("directories");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("open to all");
        let refused = trusted_directory(&open.join("b")).expect_err("writable for everybody");
        assert!(refused.to_string().contains("everybody can write"), "{refused}");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).expect("sticky");
        trusted_directory(&open.join("b")).expect("sticky");
    }

    #[test]
    fn directory_of_another_user_is_not_trusted() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can give a directory away");
            return;
        }
        let root = tempfile::tempdir().expect("a directory");
        let foreign = root.path().join("foreign");
        fs::create_dir_all(foreign.join("b")).expect("directories");
        std::os::unix::fs::chown(&foreign, Some(12345), Some(12345)).expect("given away");
        let refused = trusted_directory(&foreign.join("b")).expect_err("another user's");
        assert!(refused.to_string().contains("another user"), "{refused}");
    }
}
