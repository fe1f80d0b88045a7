//! The principal: one directory with tables, objects, repositories, keys and logs.

mod audit;
mod lock;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tender_content::{Digest, ObjectStore, Tree};
use tender_package::{LevelName, SystemName, Vrm};

pub use audit::AuditError;
pub(crate) use lock::{Guard, Share};

use crate::error::{ServiceError, TablesContext};

/// The principal of a fleet.
///
/// Shape: `tables.db`, `objects/`, `releases/<vrm>/{repo,work,views}`, `keys/tuf/`, `logs/`, `locks/`,
///        `envelopes/` (where SERVICE looks for envelopes named without a path).
#[derive(Debug)]
pub struct Principal {
    home: PathBuf,
    tables: Mutex<Connection>,
    store: ObjectStore,
}

impl Principal {
    /// Opens the principal at `home`, and makes it when nothing is there yet.
    ///
    /// Errors: [`ServiceError::TooNew`] when a newer Tender wrote its tables.
    pub fn open(home: &Path) -> Result<Self, ServiceError> {
        for directory in ["releases", "keys", "logs", "locks", "envelopes"] {
            let path = home.join(directory);
            std::fs::create_dir_all(&path).map_err(ServiceError::file("making", &path))?;
        }
        let path = home.join("tables.db");
        let failed = |source: rusqlite::Error| {
            ServiceError::file("opening the tables", &path)(std::io::Error::other(source))
        };
        let mut connection = Connection::open(&path).map_err(failed)?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
        for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL"), ("foreign_keys", "ON")] {
            connection.pragma_update(None, name, value).map_err(failed)?;
        }
        schema::migrate(&mut connection)?;
        let store = ObjectStore::open(home)
            .map_err(ServiceError::content(format!("opening the object store at {}", home.display())))?;
        Ok(Self { home: home.to_owned(), tables: Mutex::new(connection), store })
    }

    /// Returns the directory.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Returns the object store.
    #[must_use]
    pub fn store(&self) -> &ObjectStore {
        &self.store
    }

    /// Returns the directory of a release.
    #[must_use]
    pub fn release_dir(&self, vrm: &Vrm) -> PathBuf {
        self.home.join("releases").join(vrm.as_str())
    }

    /// Returns the signed repository of a release.
    #[must_use]
    pub fn repo_dir(&self, vrm: &Vrm) -> PathBuf {
        self.release_dir(vrm).join("repo")
    }

    /// Returns the keys that sign the repositories of all releases: a managed system trusts one root.
    #[must_use]
    pub fn keys_dir(&self) -> PathBuf {
        self.home.join("keys").join("tuf")
    }

    /// Finds the releases that have a level of this name; a command may leave the release out when it is the only one.
    pub fn releases_with_level(&self, level: &LevelName) -> Result<Vec<Vrm>, ServiceError> {
        crate::tables::levels::releases_with(&self.tables(), level)
    }

    /// Finds the release of a system, or of the members of a nickname.
    pub fn release_of_system(&self, name: &SystemName) -> Result<Option<Vrm>, ServiceError> {
        let tables = self.tables();
        let members = crate::tables::systems::members(&tables, name)?;
        let name = members.first().unwrap_or(name);
        Ok(crate::tables::systems::find(&tables, name)?.map(|row| row.record.vrm))
    }

    /// Lists the releases that were initialised.
    pub fn releases(&self) -> Result<Vec<Vrm>, ServiceError> {
        let releases = crate::tables::releases::all(&self.tables())?;
        Ok(releases.into_iter().map(|release| release.vrm).collect())
    }

    /// Takes the tables for one short piece of work.
    pub(crate) fn tables(&self) -> MutexGuard<'_, Connection> {
        // A thread that panicked while it held the tables left no half-done work: SQLite rolls it back.
        self.tables.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Runs `work` in one transaction; an error undoes all of it.
    pub(crate) fn transaction<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let mut tables = self.tables();
        let transaction =
            tables.transaction_with_behavior(TransactionBehavior::Immediate).doing("beginning a change")?;
        let value = work(&transaction)?;
        transaction.commit().doing("committing a change")?;
        Ok(value)
    }

    /// Reads the tree with this digest; trees are objects like any other.
    pub(crate) fn tree(&self, digest: &Digest) -> Result<Tree, ServiceError> {
        let what = || format!("reading tree {}", digest.short());
        let bytes = self.store.read(digest).map_err(ServiceError::content(what()))?;
        let text = String::from_utf8(bytes).map_err(ServiceError::damaged(what()))?;
        Tree::decode(&text).map_err(ServiceError::damaged(what()))
    }

    /// Keeps a tree and returns its digest.
    pub(crate) fn keep_tree(&self, tree: &Tree) -> Result<Digest, ServiceError> {
        self.store.put_bytes(tree.encode().as_bytes()).map_err(ServiceError::content("keeping a tree"))
    }

    /// Makes everything put into the store durable before the tables refer to it.
    pub(crate) fn sync_store(&self) -> Result<(), ServiceError> {
        self.store.sync().map_err(ServiceError::content("making objects durable"))
    }
}
