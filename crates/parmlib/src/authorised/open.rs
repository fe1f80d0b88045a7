//! Opening a module that is on the list.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::list::AuthorisedList;
use super::module::{AuthorisedModule, Digest, ModuleName, Proof, Purpose};
use super::seal::{MODULE_BYTES_MAX, SealedProgram};

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 64;

/// A module that may be executed.
#[derive(Debug)]
pub struct VerifiedModule {
    /// Its sealed copy.
    pub program: SealedProgram,
    /// The line of the list that allows it.
    pub line: AuthorisedModule,
    /// Where it was read from.
    pub path: PathBuf,
}

/// Says why a module is not executed.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// No line names it.
    #[error("module {name} is not on the list of authorised modules as a {purpose}")]
    NotListed {
        /// Which.
        name: ModuleName,
        /// What for.
        purpose: Purpose,
    },
    /// It is not there.
    #[error("module {name} is in none of {}", listed(directories))]
    NotFound {
        /// Which.
        name: ModuleName,
        /// Where it was looked for.
        directories: Vec<PathBuf>,
    },
    /// A link is on the way.
    #[error("`{}` is, or leads through, a symbolic link; name the place it leads to", path.display())]
    Link {
        /// The path.
        path: PathBuf,
    },
    /// It is no file.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Somebody else owns it, or may write to it.
    #[error(
        "`{}` belongs to uid {uid} and has mode {mode:04o}; it must belong to root or uid {own} and be writable by its \
         owner alone",
        path.display()
    )]
    Foreign {
        /// The path.
        path: PathBuf,
        /// Who owns it.
        uid: u32,
        /// The user that asks.
        own: u32,
        /// Its mode.
        mode: u32,
    },
    /// It is too large.
    #[error("`{}` is larger than {MODULE_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
    },
    /// Its content is another one.
    #[error("`{}` is {found}, which no line for module {name} allows", path.display())]
    Mismatch {
        /// Which.
        name: ModuleName,
        /// The path.
        path: PathBuf,
        /// What it is.
        found: Digest,
    },
    /// It could not be read.
    #[error("read module `{}`", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn listed(directories: &[PathBuf]) -> String {
    let names: Vec<_> = directories.iter().map(|directory| format!("`{}`", directory.display())).collect();
    if names.is_empty() { "no directories".to_owned() } else { names.join(", ") }
}

impl AuthorisedList {
    /// Opens a module from the first directory that has it, and returns a sealed copy if a line allows that copy.
    ///
    /// Errors: a file that is there and is not allowed is an error; the next directory is not tried.
    pub fn open_verified(
        &self,
        directories: &[PathBuf],
        name: &ModuleName,
        purpose: Purpose,
    ) -> Result<VerifiedModule, ModuleError> {
        if self.of(name, purpose).next().is_none() {
            return Err(ModuleError::NotListed { name: name.clone(), purpose });
        }
        for directory in directories {
            match self.open_file(&directory.join(name.as_str()), name, purpose) {
                Err(ModuleError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                opened => return opened,
            }
        }
        Err(ModuleError::NotFound { name: name.clone(), directories: directories.to_vec() })
    }

    /// Opens one file as a module, and returns a sealed copy if a line allows that copy.
    pub fn open_file(
        &self,
        path: &Path,
        name: &ModuleName,
        purpose: Purpose,
    ) -> Result<VerifiedModule, ModuleError> {
        let program = SealedProgram::of_file(path, name)?;
        let signature = || read_signature(path);
        let allows = |line: &&AuthorisedModule| match &line.proof {
            Proof::Digest(digest) => *digest == program.digest(),
            Proof::Signer(key) => {
                signature().zip(program.content().ok()).is_some_and(|(signature, content)| {
                    UnparsedPublicKey::new(&ED25519, key.0).verify(&content, &signature).is_ok()
                })
            }
        };
        match self.of(name, purpose).find(allows).cloned() {
            Some(line) => Ok(VerifiedModule { program, line, path: path.to_owned() }),
            None if self.of(name, purpose).next().is_none() => {
                Err(ModuleError::NotListed { name: name.clone(), purpose })
            }
            None => {
                let found = program.digest();
                Err(ModuleError::Mismatch { name: name.clone(), path: path.to_owned(), found })
            }
        }
    }
}

impl SealedProgram {
    /// Makes a sealed copy of a file that only root or this process's user can have written.
    ///
    /// No part of the path may be a link. The file is opened once; what is at its path later does not matter.
    pub fn of_file(path: &Path, name: &ModuleName) -> Result<Self, ModuleError> {
        let failed = |source| ModuleError::Io { path: path.to_owned(), source };
        let mut file = File::from(open_without_links(path)?);
        check(&file, path)?;
        Self::copy(&mut file, name.as_str()).map_err(|source| match source.kind() {
            io::ErrorKind::FileTooLarge => ModuleError::TooLarge { path: path.to_owned() },
            _ => failed(source),
        })
    }
}

/// Refuses what is no file, and files that others may change.
fn check(file: &File, path: &Path) -> Result<(), ModuleError> {
    let stat = rustix::fs::fstat(file)
        .map_err(|error| ModuleError::Io { path: path.to_owned(), source: error.into() })?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ModuleError::NotAFile { path: path.to_owned() });
    }
    let own = rustix::process::geteuid().as_raw();
    let is_owned = stat.st_uid == 0 || stat.st_uid == own;
    if !is_owned || stat.st_mode & 0o022 != 0 {
        let (uid, mode) = (stat.st_uid, stat.st_mode & 0o7777);
        return Err(ModuleError::Foreign { path: path.to_owned(), uid, own, mode });
    }
    Ok(())
}

/// What a file that is only to be read is opened with; a pipe in its place must not block.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

fn open_without_links(path: &Path) -> Result<OwnedFd, ModuleError> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = match rustix::fs::openat2(rustix::fs::CWD, path, FLAGS, Mode::empty(), resolve) {
        // Not there before 5.6, and not allowed in some containers.
        Err(Errno::NOSYS | Errno::PERM) => open_step_by_step(path),
        opened => opened,
    };
    opened.map_err(|error| match error {
        Errno::LOOP => ModuleError::Link { path: path.to_owned() },
        error => ModuleError::Io { path: path.to_owned(), source: error.into() },
    })
}

/// Does what `openat2` does in one call: each part of the path is opened by itself, and none may be a link.
fn open_step_by_step(path: &Path) -> Result<OwnedFd, Errno> {
    let start = if path.is_absolute() { "/" } else { "." };
    let along = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = rustix::fs::open(start, along, Mode::empty())?;
    let parts: Vec<Component<'_>> =
        path.components().filter(|part| !matches!(part, Component::RootDir | Component::CurDir)).collect();
    let Some((last, before)) = parts.split_last() else { return Err(Errno::ISDIR) };
    for part in before {
        at = rustix::fs::openat(&at, part.as_os_str(), along, Mode::empty()).map_err(|error| {
            // A link that is opened as a directory without being followed is "not a directory".
            if error == Errno::NOTDIR { Errno::LOOP } else { error }
        })?;
    }
    rustix::fs::openat(&at, last.as_os_str(), FLAGS | OFlags::NOFOLLOW, Mode::empty())
}

/// Reads the signature beside a file; one that is not there, too long or unreadable is none.
fn read_signature(path: &Path) -> Option<Vec<u8>> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".sig");
    let file = File::from(open_without_links(Path::new(&beside)).ok()?);
    let mut signature = Vec::new();
    file.take(SIGNATURE_BYTES as u64 + 1).read_to_end(&mut signature).ok()?;
    (signature.len() == SIGNATURE_BYTES).then_some(signature)
}
