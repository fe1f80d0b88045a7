//! Where a database is kept: behind one trait, one SQLite file or a directory of text.
//!
//! A transaction carries what each record was when the change was planned. A store commits it only if every record still
//! is so, all of it or nothing, and writes each record into the history as it was and as it became.

mod sqlite;
mod text;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::sqlite::SqliteStore;
pub use self::text::TextStore;
use crate::database::{Change, ConflictError, Database, Key, Record};
use crate::script::ScriptError;

/// Says which state of a database is meant; differs whenever the content differs, in no particular order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// Changes that belong together, and who makes them why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Who.
    pub who: String,
    /// When.
    pub at: Timestamp,
    /// The command, or what else led to it.
    pub what: String,
    /// The records.
    pub changes: Vec<Change>,
}

/// One record of one transaction, as the history keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryEntry {
    /// Which transaction, from 1.
    pub transaction: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// The command, or what else led to it.
    pub what: String,
    /// Which record.
    pub key: Key,
    /// As it was.
    pub before: Option<Record>,
    /// As it became.
    pub after: Option<Record>,
}

/// What a commit led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The transaction's number; `None` when nothing changed, which leaves no trace.
    pub transaction: Option<u64>,
    /// The state of the database now.
    pub epoch: Epoch,
}

/// Says why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no database.
    #[error("there is no authorisation database at `{}`", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is one already.
    #[error("there is an authorisation database at `{}` already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A file could not be used.
    #[error("{step} `{}`", path.display())]
    Io {
        /// What was being done.
        step: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// SQLite failed.
    #[error("{step} authorisation database `{}`", path.display())]
    Sqlite {
        /// What was being done.
        step: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// A record cannot be read.
    #[error("record `{key}` in `{}` cannot be read", path.display())]
    Record {
        /// In which file.
        path: PathBuf,
        /// Which.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A file of text cannot be read.
    #[error("file `{}` cannot be read", path.display())]
    Text {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<ScriptError>,
    },
    /// What is there contradicts itself.
    #[error("authorisation database `{}` contradicts itself: {what}", path.display())]
    Dangling {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It was written by a newer version.
    #[error("authorisation database `{}` has format {found}, this version knows {known}", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// Somebody was faster.
    #[error("the change is not made")]
    Conflict {
        /// What was changed meanwhile.
        #[source]
        source: ConflictError,
    },
}

impl StoreError {
    pub(crate) fn io(step: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { step, path, source }
    }
}

/// Keeps a database.
pub trait Store: std::fmt::Debug {
    /// Returns where.
    fn path(&self) -> &Path;

    /// Reads the database and says which state it is.
    fn load(&self) -> Result<(Database, Epoch), StoreError>;

    /// Returns which state is stored, without reading it.
    fn epoch(&self) -> Result<Epoch, StoreError>;

    /// Makes changes, all or none, durably.
    ///
    /// Errors: [`StoreError::Conflict`] when a record is not what the change was planned on.
    fn commit(&self, transaction: &Transaction) -> Result<Committed, StoreError>;

    /// Returns what happened, oldest first.
    fn history(&self) -> Result<Vec<HistoryEntry>, StoreError>;

    /// Replaces everything, history included; for [`copy`].
    fn replace(&self, database: &Database, history: &[HistoryEntry]) -> Result<Epoch, StoreError>;
}

/// Opens the store at a path: a directory of text or a SQLite file.
pub fn open(path: &Path) -> Result<Box<dyn Store>, StoreError> {
    if path.is_dir() { Ok(Box::new(TextStore::open(path)?)) } else { Ok(Box::new(SqliteStore::open(path)?)) }
}

/// Copies database and history from one store to another, replacing what is there.
pub fn copy(from: &dyn Store, to: &dyn Store) -> Result<Epoch, StoreError> {
    let (database, _) = from.load()?;
    to.replace(&database, &from.history()?)
}

/// Returns the history of a transaction.
fn entries_of(transaction: &Transaction, number: u64) -> impl Iterator<Item = HistoryEntry> + '_ {
    transaction.changes.iter().map(move |change| HistoryEntry {
        transaction: number,
        at: transaction.at,
        who: transaction.who.clone(),
        what: transaction.what.clone(),
        key: change.key.clone(),
        before: change.before.clone(),
        after: change.after.clone(),
    })
}
