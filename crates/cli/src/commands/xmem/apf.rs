//! `tender xmem apf …`: which modules may run with privilege.

mod add;
mod check;
mod list;
mod remove;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use rustix::fs::FlockOperation;
use tender_package::{Outcome, ReturnCode};
use tender_parmlib::AuthorisedList;

use super::fault;
use super::places::Places;
use crate::commands::Shell;
use crate::error::{CommandError, RuntimeFault};

/// What SETPROG APF and D PROG,APF do elsewhere.
#[derive(Debug, Subcommand)]
pub(crate) enum Apf {
    /// Shows the list
    List(list::Args),
    /// Authorises modules as they are now, or whatever somebody signs
    Add(add::Args),
    /// Takes modules off the list
    Remove(remove::Args),
    /// Compares the list with the modules that are there
    Check(check::Args),
}

/// Which list.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Which {
    /// The list; `authorised` beside the members when left out
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
}

impl Apf {
    /// Carries the command out.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::List(command) => command.run(shell),
            Self::Add(command) => command.run(shell),
            Self::Remove(command) => command.run(shell),
            Self::Check(command) => command.run(shell),
        }
    }
}

impl Which {
    fn path(&self, shell: &Shell) -> Result<PathBuf, CommandError> {
        self.list.clone().map_or_else(|| Ok(Places::find(shell)?.authorised()), Ok)
    }
}

/// Keeps others from changing the list until it is dropped; it goes with the process, so a killed one holds nothing.
#[derive(Debug)]
struct Lock {
    _directory: File,
}

/// Takes the lock of a list: on its directory, since the list itself is replaced with each change.
fn lock(path: &Path) -> Result<Lock, CommandError> {
    let directory = directory_of(path);
    let opened = std::fs::create_dir_all(directory).and_then(|()| File::open(directory));
    let opened =
        opened.map_err(|source| CommandError::File { doing: "open", path: directory.to_owned(), source })?;
    match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock { _directory: opened }),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let text = format!("somebody else is changing the list of authorised modules {}", path.display());
            Err(RuntimeFault::new("ZWES2103E", ReturnCode::Busy, text)
                .with_hint("run it again when that is finished")
                .into())
        }
        Err(error) => {
            Err(CommandError::File { doing: "lock", path: directory.to_owned(), source: error.into() })
        }
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Reads a list; one that is not there has nothing on it.
fn read(path: &Path) -> Result<AuthorisedList, CommandError> {
    match std::fs::read_to_string(path) {
        Ok(text) => AuthorisedList::parse(&text).map_err(|cause| fault::list(path.to_owned(), cause)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(AuthorisedList::default()),
        Err(source) => Err(CommandError::File { doing: "read", path: path.to_owned(), source }),
    }
}

/// Replaces a list as a whole; the caller has held its lock since it read it.
fn write(_: &Lock, path: &Path, list: &AuthorisedList) -> Result<(), CommandError> {
    let directory = directory_of(path);
    let written = || {
        let mut file = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(directory)?;
        file.write_all(list.to_string().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(directory)?.sync_all()
    };
    written().map_err(|source| CommandError::File { doing: "write", path: path.to_owned(), source })
}
