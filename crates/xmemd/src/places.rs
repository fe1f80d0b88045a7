//! Where things are, and directories that nobody else could have put there.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

/// Where things are.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Places {
    /// Sockets and locks, one directory a server below it.
    pub(crate) run: PathBuf,
    /// Audit log, keys, anchors, one directory a server below it.
    pub(crate) state: PathBuf,
    /// PARMLIB members and the list of authorised modules.
    pub(crate) parmlib: PathBuf,
    /// The profile database, unless the member names another.
    pub(crate) database: PathBuf,
}

impl Places {
    /// Returns the places for somebody, as `docs/cross-memory.md` says.
    pub(crate) fn find(is_root: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = path("TENDER_HOME").unwrap_or_else(|| {
            if is_root {
                return PathBuf::from("/var/lib/tender");
            }
            let data = path("XDG_DATA_HOME")
                .or_else(|| Some(path("HOME")?.join(".local/share")))
                .unwrap_or_else(|| PathBuf::from("/nonexistent"));
            data.join("tender")
        });
        let run = path("TENDER_XMEM_RUN").unwrap_or_else(|| match (is_root, path("XDG_RUNTIME_DIR")) {
            (true, _) => PathBuf::from("/run/tender/xmem"),
            (false, Some(runtime)) => runtime.join("tender/xmem"),
            (false, None) => home.join("xmem/run"),
        });
        let state = path("TENDER_XMEM_STATE").unwrap_or_else(|| home.join("xmem"));
        let parmlib = path("TENDER_XMEM_PARMLIB").unwrap_or_else(|| match is_root {
            true => PathBuf::from("/etc/tender/xmem"),
            false => home.join("xmem/parmlib"),
        });
        let text = home.join("saf");
        let database = if text.is_dir() { text } else { home.join("saf.db") };
        Self { run, state, parmlib, database }
    }
}

impl Places {
    /// Makes every path mean the same for the boxes, which have another directory than whoever started the server.
    pub(crate) fn make_absolute(&mut self) {
        for path in [&mut self.run, &mut self.state, &mut self.parmlib, &mut self.database] {
            if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute;
            }
        }
    }
}

/// Says why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// The kernel refused.
    #[error("{step} `{}`", path.display())]
    Io {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Somebody else could change what is in it.
    #[error(
        "`{}` belongs to uid {uid} and has mode {mode:03o}: others could replace what is below it; \
         it must belong to root or uid {own} and be writable by nobody else",
        path.display()
    )]
    Foreign { path: PathBuf, uid: u32, own: u32, mode: u32 },
    /// The path is not absolute.
    #[error("`{}` is not an absolute path without `..`", .0.display())]
    NotAbsolute(PathBuf),
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> PlaceError {
    let path = path.to_owned();
    move |error| PlaceError::Io { step, path, source: error.into() }
}

/// Opens a directory by walking there from `/`, following no link, and makes what is missing (mode 0755).
///
/// Each directory on the way belongs to root or to this process's user, and others can write to it only where the
/// sticky bit keeps them from replacing what is not theirs.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, PlaceError> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let mut so_far = PathBuf::from("/");
    let mut components = path.components();
    if components.next() != Some(Component::RootDir) {
        return Err(PlaceError::NotAbsolute(path.to_owned()));
    }
    let mut directory = rustix::fs::open("/", flags, Mode::empty()).map_err(failed("open", &so_far))?;
    check(&directory, &so_far)?;
    for component in components {
        let Component::Normal(name) = component else { return Err(PlaceError::NotAbsolute(path.to_owned())) };
        so_far.push(name);
        let mut opened = rustix::fs::openat(&directory, name, flags, Mode::empty());
        if matches!(opened, Err(rustix::io::Errno::NOENT)) {
            match rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755)) {
                Ok(()) => {
                    // The umask may have taken bits away that others need to get through.
                    let mode = Mode::from_raw_mode(0o755);
                    rustix::fs::chmodat(&directory, name, mode, AtFlags::empty())
                        .map_err(failed("set the mode of", &so_far))?;
                }
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(failed("make", &so_far)(error)),
            }
            opened = rustix::fs::openat(&directory, name, flags, Mode::empty());
        }
        directory = opened.map_err(failed("open (without following a link)", &so_far))?;
        check(&directory, &so_far)?;
    }
    Ok(directory)
}

fn check(directory: &OwnedFd, path: &Path) -> Result<(), PlaceError> {
    let stat = rustix::fs::fstat(directory).map_err(failed("look at", path))?;
    let own = rustix::process::geteuid().as_raw();
    let is_owned = stat.st_uid == 0 || stat.st_uid == own;
    let is_shared = stat.st_mode & 0o022 != 0 && stat.st_mode & 0o1000 == 0;
    if is_owned && !is_shared {
        return Ok(());
    }
    Err(PlaceError::Foreign { path: path.to_owned(), uid: stat.st_uid, own, mode: stat.st_mode & 0o7777 })
}

/// Makes a directory for one user and nobody else.
pub(crate) fn private_directory(
    parent: &OwnedFd,
    name: &str,
    path: &Path,
    uid: u32,
) -> Result<(), PlaceError> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(failed("make", path)(error)),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let directory = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(failed("open", path))?;
    own(&directory, path, uid, 0o700)
}

/// Makes a file for one user, empty if it is not there.
pub(crate) fn private_file(
    parent: &OwnedFd,
    name: &str,
    path: &Path,
    uid: u32,
    mode: u32,
) -> Result<(), PlaceError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file =
        rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(mode)).map_err(failed("open", path))?;
    own(&file, path, uid, mode)
}

fn own(fd: &OwnedFd, path: &Path, uid: u32, mode: u32) -> Result<(), PlaceError> {
    let stat = rustix::fs::fstat(fd).map_err(failed("look at", path))?;
    if stat.st_uid != uid {
        let uid = rustix::fs::Uid::from_raw(uid);
        rustix::fs::fchown(fd, Some(uid), None).map_err(failed("give away", path))?;
    }
    if stat.st_mode & 0o7777 != mode {
        rustix::fs::fchmod(fd, Mode::from_raw_mode(mode)).map_err(failed("set the mode of", path))?;
    }
    Ok(())
}

/// Counts how often a server of this name was started; the number is on disk when this returns.
pub(crate) fn next_generation(state: &OwnedFd, path: &Path) -> Result<u64, PlaceError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut bytes = Vec::new();
    match rustix::fs::openat(state, "generation", flags, Mode::empty()) {
        Ok(file) => {
            let read = io::Read::read_to_end(&mut io::Read::take(std::fs::File::from(file), 64), &mut bytes);
            let wrong = |source| PlaceError::Io { step: "read", path: path.join("generation"), source };
            read.map_err(wrong)?;
        }
        Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(failed("read", &path.join("generation"))(error)),
    }
    // What is no number begins anew; clients only ask whether it is another one. One that cannot be read could be any.
    let last = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let next = last.unwrap_or(0).wrapping_add(1).max(1);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let file = rustix::fs::openat(state, "generation.new", flags, mode).map_err(failed("write", path))?;
    let mut file = std::fs::File::from(file);
    let written =
        io::Write::write_all(&mut file, format!("{next}\n").as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|source| PlaceError::Io { step: "write", path: path.to_owned(), source })?;
    rustix::fs::renameat(state, "generation.new", state, "generation").map_err(failed("replace", path))?;
    rustix::fs::fsync(state).map_err(failed("write", path))?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn places_follow_the_variables_and_the_user() {
        let none = |_: &str| None;
        assert_eq!(Places::find(true, none).run, Path::new("/run/tender/xmem"));
        let some = |name: &str| match name {
            "TENDER_HOME" => Some(OsString::from("/h")),
            "XDG_RUNTIME_DIR" => Some(OsString::from("/r")),
            _ => None,
        };
        let places = Places::find(false, some);
        assert_eq!((&*places.run, &*places.state), (Path::new("/r/tender/xmem"), Path::new("/h/xmem")));
        assert_eq!(places.database, Path::new("/h/saf.db"));
    }

    #[test]
    fn places_that_are_relative_become_absolute() {
        let mut places = Places::find(true, |_| Some(OsString::from("x")));
        places.make_absolute();
        assert!(
            [places.run, places.state, places.parmlib, places.database].iter().all(|path| path.is_absolute())
        );
    }

    #[test]
    fn directory_that_others_can_change_is_refused_and_a_missing_one_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        open_directory(&root.join("a/b")).unwrap();
        std::fs::set_permissions(root.join("a"), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(open_directory(&root.join("a/b")), Err(PlaceError::Foreign { .. })));
        std::fs::set_permissions(root.join("a"), std::fs::Permissions::from_mode(0o1777)).unwrap();
        open_directory(&root.join("a/b")).unwrap();
        std::os::unix::fs::symlink(root.join("a"), root.join("link")).unwrap();
        assert!(matches!(open_directory(&root.join("link/b")), Err(PlaceError::Io { .. })));
        assert!(matches!(open_directory(Path::new("a")), Err(PlaceError::NotAbsolute(_))));
    }

    #[test]
    fn generation_is_another_one_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let fd: OwnedFd = std::fs::File::open(dir.path()).unwrap().into();
        assert_eq!(next_generation(&fd, dir.path()).unwrap(), 1);
        assert_eq!(next_generation(&fd, dir.path()).unwrap(), 2);
        std::fs::write(dir.path().join("generation"), "nonsense").unwrap();
        assert_eq!(next_generation(&fd, dir.path()).unwrap(), 1);
    }

    #[test]
    fn generation_that_cannot_be_read_is_an_error_and_not_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let fd: OwnedFd = std::fs::File::open(dir.path()).unwrap().into();
        std::fs::create_dir(dir.path().join("generation")).unwrap();
        let error = next_generation(&fd, dir.path()).unwrap_err();
        assert!(error.to_string().contains("generation"), "{error}");
        std::fs::remove_dir(dir.path().join("generation")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("generation")).unwrap();
        assert!(next_generation(&fd, dir.path()).is_err());
    }
}
