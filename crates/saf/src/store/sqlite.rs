//! A database in one SQLite file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, params};

use super::{Committed, Epoch, HistoryEntry, Store, StoreError, Transaction, entries_of};
use crate::database::{ConflictError, Database, Record};

/// The format that this version writes.
const FORMAT: u32 = 1;
/// Marks a file as ours: `TSAF`.
const APPLICATION: u32 = 0x5453_4146;
/// How long a writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
    CREATE TABLE record (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE history (
        id INTEGER PRIMARY KEY,
        number INTEGER NOT NULL,
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        what TEXT NOT NULL,
        key TEXT NOT NULL,
        before TEXT,
        after TEXT
    );
    CREATE INDEX history_by_number ON history (number);
    CREATE TABLE epoch (only INTEGER PRIMARY KEY CHECK (only = 1), value INTEGER NOT NULL);
    INSERT INTO epoch VALUES (1, 1);
";

/// A database in one SQLite file, mode 0600.
///
/// Shape: a connection is opened for each operation, so that any number of processes may use the file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
}

impl SqliteStore {
    /// Makes a file with the initial database.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let created = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match created {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(StoreError::Exists { path: path.to_owned() });
            }
            Err(error) => return Err(StoreError::io("create", path)(error)),
        }
        let store = Self { path: path.to_owned() };
        let mut connection = store.connect_unchecked()?;
        let failed = |source| store.failed("create", source);
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(SCHEMA).map_err(failed)?;
        transaction.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
        transaction.pragma_update(None, "user_version", FORMAT).map_err(failed)?;
        for record in Database::initial().records() {
            write_record(&transaction, &record).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(store)
    }

    /// Opens a file that is there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        let store = Self { path: path.to_owned() };
        store.connect()?;
        Ok(store)
    }

    fn failed(&self, step: &'static str, source: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { step, path: self.path.clone(), source }
    }

    fn connect_unchecked(&self) -> Result<Connection, StoreError> {
        let failed = |source| self.failed("open", source);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        Ok(connection)
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let connection = self.connect_unchecked()?;
        let failed = |source| self.failed("open", source);
        let found: u32 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if found != FORMAT {
            return Err(StoreError::Format { path: self.path.clone(), found, known: FORMAT });
        }
        Ok(connection)
    }

    fn decode<T: serde::de::DeserializeOwned>(&self, key: &str, body: &str) -> Result<T, StoreError> {
        let failed = |source| StoreError::Record { path: self.path.clone(), key: key.to_owned(), source };
        serde_json::from_str(body).map_err(failed)
    }

    fn read(&self, connection: &Connection) -> Result<(Database, Epoch), StoreError> {
        let failed = |source| self.failed("read", source);
        let mut statement = connection.prepare("SELECT key, body FROM record").map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut database = Database::default();
        while let Some(row) = rows.next().map_err(failed)? {
            let (key, body): (String, String) = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
            database.insert(self.decode::<Record>(&key, &body)?);
        }
        Ok((database, read_epoch(connection).map_err(failed)?))
    }
}

fn read_epoch(connection: &Connection) -> rusqlite::Result<Epoch> {
    let value: i64 = connection.query_row("SELECT value FROM epoch", [], |row| row.get(0))?;
    Ok(Epoch(value.cast_unsigned()))
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("records always become JSON")
}

fn write_record(connection: &Connection, record: &Record) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO record VALUES (?1, ?2)")?;
    statement.execute(params![json(&record.key()), json(record)])
}

fn write_history(connection: &Connection, entry: &HistoryEntry) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO history (number, at, who, what, key, before, after) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    statement.execute(params![
        entry.transaction.cast_signed(),
        entry.at.to_string(),
        entry.who,
        entry.what,
        json(&entry.key),
        entry.before.as_ref().map(json),
        entry.after.as_ref().map(json),
    ])
}

impl Store for SqliteStore {
    fn path(&self) -> &Path {
        &self.path
    }

    fn load(&self) -> Result<(Database, Epoch), StoreError> {
        let mut connection = self.connect()?;
        // One transaction, so that records and epoch belong together.
        let transaction = connection.transaction().map_err(|source| self.failed("read", source))?;
        self.read(&transaction)
    }

    fn epoch(&self) -> Result<Epoch, StoreError> {
        read_epoch(&self.connect()?).map_err(|source| self.failed("read", source))
    }

    fn commit(&self, changes: &Transaction) -> Result<Committed, StoreError> {
        let failed = |source| self.failed("change", source);
        let mut connection = self.connect()?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        for change in &changes.changes {
            let key = json(&change.key);
            let found: Option<String> = transaction
                .query_row("SELECT body FROM record WHERE key = ?1", [&key], |row| row.get(0))
                .optional()
                .map_err(failed)?;
            let found: Option<Record> = found.map(|body| self.decode(&key, &body)).transpose()?;
            if found != change.before {
                return Err(StoreError::Conflict { source: ConflictError { key: change.key.clone() } });
            }
            match &change.after {
                Some(record) => write_record(&transaction, record),
                None => transaction.execute("DELETE FROM record WHERE key = ?1", [&key]),
            }
            .map_err(failed)?;
        }
        if changes.changes.is_empty() {
            return Ok(Committed { transaction: None, epoch: read_epoch(&transaction).map_err(failed)? });
        }
        let number: i64 = transaction
            .query_row("SELECT coalesce(max(number), 0) + 1 FROM history", [], |row| row.get(0))
            .map_err(failed)?;
        for entry in entries_of(changes, number.cast_unsigned()) {
            write_history(&transaction, &entry).map_err(failed)?;
        }
        transaction.execute("UPDATE epoch SET value = value + 1", []).map_err(failed)?;
        let epoch = read_epoch(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(Committed { transaction: Some(number.cast_unsigned()), epoch })
    }

    fn history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        let failed = |source| self.failed("read", source);
        let connection = self.connect()?;
        let mut statement = connection
            .prepare("SELECT number, at, who, what, key, before, after FROM history ORDER BY id")
            .map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let text = |column| row.get::<_, String>(column).map_err(failed);
            let record = |column| -> Result<Option<Record>, StoreError> {
                let body: Option<String> = row.get(column).map_err(failed)?;
                body.map(|body| self.decode("history", &body)).transpose()
            };
            let at = text(1)?;
            entries.push(HistoryEntry {
                transaction: row.get::<_, i64>(0).map_err(failed)?.cast_unsigned(),
                at: self.decode("history", &json(&at))?,
                who: text(2)?,
                what: text(3)?,
                key: self.decode("history", &text(4)?)?,
                before: record(5)?,
                after: record(6)?,
            });
        }
        Ok(entries)
    }

    fn replace(&self, database: &Database, history: &[HistoryEntry]) -> Result<Epoch, StoreError> {
        let failed = |source| self.failed("replace", source);
        let mut connection = self.connect()?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        transaction.execute_batch("DELETE FROM record; DELETE FROM history;").map_err(failed)?;
        for record in database.records() {
            write_record(&transaction, &record).map_err(failed)?;
        }
        for entry in history {
            write_history(&transaction, entry).map_err(failed)?;
        }
        transaction.execute("UPDATE epoch SET value = value + 1", []).map_err(failed)?;
        let epoch = read_epoch(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(epoch)
    }
}
