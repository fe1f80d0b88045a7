//! Why something was not installed.

use std::io;
use std::path::{Path, PathBuf};

use crate::edit::EditError;

/// Says why something was not installed. Nothing has changed, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Something that is needed is not there.
    #[error("there is no {what} `{}`", path.display())]
    Missing {
        /// What.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
    },
    /// Something else is in the place of a directory.
    #[error("`{}` is not a directory", path.display())]
    NotADirectory {
        /// Where.
        path: PathBuf,
    },
    /// Something else is in the place of a file.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// Where.
        path: PathBuf,
    },
    /// A path that cannot stand in a unit, a script or the journal.
    #[error("`{}` is not UTF-8", path.display())]
    NotText {
        /// Which.
        path: PathBuf,
    },
    /// A target cannot be written to.
    #[error("`{}` cannot be written to", path.display())]
    NotWritable {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A module is too large.
    #[error("`{}` is larger than {} bytes", path.display(), crate::authorised::MODULE_BYTES_MAX)]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// Somebody else is at it.
    #[error("`{}` is in use by somebody else", path.display())]
    Busy {
        /// What.
        path: PathBuf,
    },
    /// It is not any more what the plan was made for.
    #[error("`{}` has changed since the plan was made", path.display())]
    Changed {
        /// What.
        path: PathBuf,
    },
    /// What was written is not what was to be written.
    #[error("`{}` does not hold what was written to it", path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
    },
    /// The member cannot be merged.
    #[error("merge member `{}`", path.display())]
    Member {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: EditError,
    },
    /// A program that was run failed.
    #[error("{program} failed ({status}): {said}")]
    Program {
        /// Which.
        program: &'static str,
        /// How it ended.
        status: String,
        /// Its last words.
        said: String,
    },
    /// No program creates users here.
    #[error("neither systemd-sysusers nor useradd and userdel are on this machine")]
    NoUserTool,
    /// A user is still not there.
    #[error("user {name} was created and is not there, or is root")]
    UserNotMade {
        /// Which.
        name: String,
    },
    /// The journal of an earlier run cannot be read.
    #[error("the journal `{}` of a run that was cut off cannot be read", path.display())]
    Journal {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Taking back failed too: something is left half done, and the next run goes on taking it back.
    #[error("{cause}; taking everything back stopped at `{}`", path.display())]
    HalfDone {
        /// Where.
        path: PathBuf,
        /// Why it had to be taken back.
        cause: String,
        /// Why that failed.
        #[source]
        source: io::Error,
    },
    /// The kernel refused something.
    #[error("{doing} `{}`", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl InstallError {
    /// Makes an error of what the kernel said; what means that somebody else is at it becomes [`InstallError::Busy`].
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::ResourceBusy | io::ErrorKind::ExecutableFileBusy => Self::Busy { path },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::NotWritable { path, source }
            }
            _ => Self::Io { doing, path, source },
        }
    }
}
