//! What is to be installed where.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::keys::ServerName;
use crate::member::MemberName;

/// The longest name of a data set.
pub const LIBRARY_CHARACTERS_MAX: usize = 44;
/// The longest path and part of a path that Linux takes, in bytes.
const PATH_BYTES_MAX: usize = 4095;
const PART_BYTES_MAX: usize = 255;

/// How the server is started on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Procedure {
    /// A template of units, `tender-xmem@.service`.
    Systemd,
    /// A script, `ZWESISTC`.
    Script,
}

/// What is to be installed where. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstallRequest {
    /// What was delivered: it has the program, and perhaps `SZWESAMP` with a member.
    pub prefix: PathBuf,
    /// Where modules go.
    pub loadlib: PathBuf,
    /// Where the member goes.
    pub parmlib: PathBuf,
    /// Where the start procedure goes.
    pub proclib: PathBuf,
    /// Which one it is.
    pub procedure: Procedure,
    /// Where logs go.
    pub logs: PathBuf,
    /// The member.
    pub member: MemberName,
    /// The name of the server, for `ZWES.NAME`; the member's own when left out.
    pub name: Option<ServerName>,
    /// Where the file for systemd-sysusers goes; none is written when left out.
    pub sysusers: Option<PathBuf>,
    /// Create the users that are missing.
    pub is_creating_users: bool,
    /// Where the server keeps its things; journal and lock of installing are below it.
    pub home: PathBuf,
}

/// What was installed where, for commands that come later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// Where modules are.
    pub loadlib: PathBuf,
    /// Where the member is.
    pub parmlib: PathBuf,
    /// The start procedure.
    pub procedure: PathBuf,
    /// Which one it is.
    pub kind: Procedure,
    /// Where logs go.
    pub logs: PathBuf,
    /// The member.
    pub member: String,
}

impl Installation {
    /// Returns what was installed last, if something was.
    ///
    /// `home` is where the server keeps its things.
    pub fn read(home: &Path) -> std::io::Result<Option<Self>> {
        match std::fs::read(record(home)) {
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => serde_json::from_slice(&read?).map(Some).map_err(std::io::Error::other),
        }
    }
}

fn journal_directory(home: &Path) -> PathBuf {
    home.join("xmem/install")
}

fn record(home: &Path) -> PathBuf {
    journal_directory(home).join("installed.json")
}

/// Says why a word names no directory to install from or to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    /// Nothing.
    #[error("the name of a directory is empty")]
    Empty,
    /// Too long.
    #[error("`{name}` has {len} characters; a name without `/` has at most {LIBRARY_CHARACTERS_MAX}", len = name.chars().count())]
    TooLong {
        /// The name.
        name: String,
    },
    /// Too long for a file system.
    #[error(
        "`{path}` is too long for a file system: {PART_BYTES_MAX} bytes a part, {PATH_BYTES_MAX} as a whole"
    )]
    PathTooLong {
        /// The path.
        path: String,
    },
    /// Nothing that could stand in a unit or a script.
    #[error("`{path}` holds the control character {character:?}")]
    Character {
        /// The path.
        path: String,
        /// The character.
        character: char,
    },
}

/// Reads a directory as it was typed. A word without `/`, as names of data sets are, has at most 44 characters.
pub fn library(text: &str) -> Result<PathBuf, LibraryError> {
    if text.is_empty() {
        return Err(LibraryError::Empty);
    }
    if let Some(character) = text.chars().find(|character| character.is_control()) {
        return Err(LibraryError::Character { path: text.to_owned(), character });
    }
    if !text.contains('/') && text.chars().count() > LIBRARY_CHARACTERS_MAX {
        return Err(LibraryError::TooLong { name: text.to_owned() });
    }
    // A name in the last directory gets a few letters while it is staged.
    if text.len() > PATH_BYTES_MAX - 64 || text.split('/').any(|part| part.len() > PART_BYTES_MAX) {
        return Err(LibraryError::PathTooLong { path: text.to_owned() });
    }
    Ok(PathBuf::from(text))
}

impl InstallRequest {
    /// Returns where journal and lock are.
    pub(super) fn journal_directory(&self) -> PathBuf {
        journal_directory(&self.home)
    }

    /// Returns where it is written down what was installed.
    pub(super) fn record_path(&self) -> PathBuf {
        record(&self.home)
    }

    /// Returns what is written down.
    pub(super) fn installation(&self) -> Installation {
        Installation {
            loadlib: self.loadlib.clone(),
            parmlib: self.parmlib.clone(),
            procedure: self.procedure_path(),
            kind: self.procedure,
            logs: self.logs.clone(),
            member: self.member.to_string(),
        }
    }

    /// Returns where the member goes.
    #[must_use]
    pub fn member_path(&self) -> PathBuf {
        self.parmlib.join(self.member.as_str())
    }

    /// Returns where the member is kept as it was shipped, for the next merge.
    pub(super) fn shipped_path(&self) -> PathBuf {
        self.parmlib.join(format!(".{}.shipped", self.member))
    }

    /// Returns where the start procedure goes.
    #[must_use]
    pub fn procedure_path(&self) -> PathBuf {
        self.proclib.join(match self.procedure {
            Procedure::Systemd => super::unit::UNIT_FILE,
            Procedure::Script => "ZWESISTC",
        })
    }

    /// Returns where the file for systemd-sysusers goes.
    pub(super) fn sysusers_path(&self) -> Option<PathBuf> {
        self.sysusers.as_deref().map(|directory: &Path| directory.join("tender-xmem.conf"))
    }
}
