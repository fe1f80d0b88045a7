//! On disk: one file of one process, durable with every answer.
//!
//! A commit waits for the disk, so one thread writes and takes all that waits into one commit.
//!
//! ```text
//! requests ──► queue ──► writer: one transaction for all that waits ──► commit, on disk ──► answers
//! reads ───────────────────────────────────────────────────────► what was committed last
//! ```
//!
//! After a disk that was full, or failed, the file is opened again: it holds what was committed, and that is all that is
//! known of it then.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable, ReadableTableMetadata as _, Table,
    TableDefinition,
};
use tokio::sync::{mpsc, oneshot};

use super::{Created, Store, StoreError};
use crate::entry::{Entry, Owner};
use crate::limits::{Eviction, Limits};

/// Owner and key to the number of the last change, its time in milliseconds, and the value.
const ENTRIES: TableDefinition<'_, (&str, &str), (u64, u64, &str)> = TableDefinition::new("entries");
/// The number of the last change to owner and key: the first was changed longest ago.
const ORDER: TableDefinition<'_, u64, (&str, &str)> = TableDefinition::new("order");

/// Requests that wait for the writer; more wait outside.
const QUEUE: usize = 1024;
/// Requests that share a commit at most.
const BATCH: usize = 256;

/// A store in a file.
#[derive(Debug)]
pub struct DiskStore {
    path: PathBuf,
    database: Arc<Reopened>,
    /// Taken when this is dropped, which ends the writer.
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        // The file is another's to open only when the writer has let go of it.
        drop(self.requests.take());
        drop(self.writer.take().map(JoinHandle::join));
    }
}

/// What the writer is asked for.
#[derive(Debug)]
struct Request {
    owner: Owner,
    change: Change,
    answer: oneshot::Sender<Result<Outcome, Arc<redb::Error>>>,
}

#[derive(Debug)]
enum Change {
    Create(Entry, Limits),
    Update(Entry),
    Delete(String),
    DeleteAll,
}

#[derive(Debug)]
enum Outcome {
    Created(Created),
    Updated(bool),
    Deleted(Option<Entry>),
    DeletedAll(u64),
}

impl DiskStore {
    /// Opens a store, or makes one.
    ///
    /// Errors: [`StoreError::InUse`] while another process has it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let wrong =
            |source: redb::Error| StoreError::Disk { path: path.to_owned(), source: Box::new(source) };
        // Values may be secrets of their owners.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        made.map_err(|error| wrong(error.into()))?;
        let database = match Database::create(path) {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(StoreError::InUse { path: path.to_owned() });
            }
            Err(error) => return Err(wrong(error.into())),
        };
        make_tables(&database).map_err(wrong)?;
        let database = Arc::new(Reopened { path: path.to_owned(), database: RwLock::new(Some(database)) });
        let (requests, queue) = mpsc::channel(QUEUE);
        let written = Arc::clone(&database);
        let writer = std::thread::Builder::new()
            .name("cache-writer".to_owned())
            .spawn(move || write(&written, queue))
            .map_err(|error| wrong(redb::Error::Io(error)))?;
        Ok(Self { path: path.to_owned(), database, requests: Some(requests), writer: Some(writer) })
    }

    async fn change(&self, owner: &Owner, change: Change) -> Result<Outcome, StoreError> {
        let (answer, answered) = oneshot::channel();
        let closed = || StoreError::Closed { path: self.path.clone() };
        let requests = self.requests.as_ref().ok_or_else(closed)?;
        requests.send(Request { owner: owner.clone(), change, answer }).await.map_err(|_| closed())?;
        let outcome = answered.await.map_err(|_| closed())?;
        outcome.map_err(|error| self.wrong(redb::Error::Io(std::io::Error::other(error))))
    }

    fn wrong(&self, source: redb::Error) -> StoreError {
        StoreError::Disk { path: self.path.clone(), source: Box::new(source) }
    }

    /// Reads on a thread that may wait for the disk.
    async fn read<T: Send + 'static>(
        &self,
        read: impl Fn(&Database) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        match tokio::task::spawn_blocking(move || database.run(read)).await {
            Ok(result) => result.map_err(|error| self.wrong(error)),
            Err(_) => Err(StoreError::Closed { path: self.path.clone() }),
        }
    }
}

/// A file that is opened again when it could not be used.
#[derive(Debug)]
struct Reopened {
    path: PathBuf,
    /// Nothing when it could not be opened again either.
    database: RwLock<Option<Database>>,
}

impl Reopened {
    /// Does something; a file that failed before is opened again first.
    fn run<T>(&self, work: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let done = self.database.read().expect(LOCK).as_ref().map(&work);
        match done {
            Some(Err(redb::Error::PreviousIo)) | None => {}
            Some(done) => return done,
        }
        let mut database = self.database.write().expect(LOCK);
        // Another thread may have opened it again in the meantime.
        if let Some(Ok(done)) = database.as_ref().map(&work) {
            return Ok(done);
        }
        // The file is locked until nobody has it.
        drop(database.take());
        work(database.insert(Database::open(&self.path)?))
    }
}

const LOCK: &str = "no thread panics while it uses the file";

fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(ORDER)?;
    Ok(transaction.commit()?)
}

/// Writes until nobody asks any more.
fn write(database: &Reopened, mut queue: mpsc::Receiver<Request>) {
    let mut waiting = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut waiting, BATCH) > 0 {
        let (changes, answers): (Vec<_>, Vec<_>) =
            waiting.drain(..).map(|request| ((request.owner, request.change), request.answer)).unzip();
        let outcomes = database.run(|database| commit(database, &changes)).map_err(Arc::new);
        let outcomes: Vec<_> = match outcomes {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            // Nothing of it was written.
            Err(error) => answers.iter().map(|_| Err(Arc::clone(&error))).collect(),
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Whoever asked may be gone.
            answer.send(outcome).ok();
        }
    }
}

fn commit(database: &Database, changes: &[(Owner, Change)]) -> Result<Vec<Outcome>, redb::Error> {
    let transaction = database.begin_write()?;
    let outcomes = {
        let mut tables =
            Tables { entries: transaction.open_table(ENTRIES)?, order: transaction.open_table(ORDER)? };
        changes
            .iter()
            .map(|(owner, change)| tables.apply(owner, change))
            .collect::<Result<Vec<_>, redb::Error>>()?
    };
    transaction.commit()?;
    Ok(outcomes)
}

struct Tables<'t> {
    entries: Table<'t, (&'static str, &'static str), (u64, u64, &'static str)>,
    order: Table<'t, u64, (&'static str, &'static str)>,
}

impl Tables<'_> {
    fn apply(&mut self, owner: &Owner, change: &Change) -> Result<Outcome, redb::Error> {
        Ok(match change {
            Change::Create(entry, limits) => Outcome::Created(self.create(owner, entry, limits)?),
            Change::Update(entry) => {
                let is_there = self.entries.get((owner.as_str(), entry.key.as_str()))?.is_some();
                if is_there {
                    self.put(owner, entry)?;
                }
                Outcome::Updated(is_there)
            }
            Change::Delete(key) => Outcome::Deleted(self.remove(owner.as_str(), key)?),
            Change::DeleteAll => {
                let entries = of_owner(&self.entries, owner)?;
                for entry in &entries {
                    self.remove(owner.as_str(), &entry.key)?;
                }
                Outcome::DeletedAll(entries.len() as u64)
            }
        })
    }

    fn create(&mut self, owner: &Owner, entry: &Entry, limits: &Limits) -> Result<Created, redb::Error> {
        if self.entries.get((owner.as_str(), entry.key.as_str()))?.is_some() {
            return Ok(Created::Exists);
        }
        let is_full = self.entries.len()? >= limits.entries_max;
        if limits.entries_max == 0 || (is_full && limits.eviction == Eviction::Reject) {
            return Ok(Created::Full);
        }
        while self.entries.len()? >= limits.entries_max {
            let oldest = self.order.first()?.map(|(_, place)| {
                let (owner, key) = place.value();
                (owner.to_owned(), key.to_owned())
            });
            let Some((owner, key)) = oldest else { break };
            self.remove(&owner, &key)?;
        }
        self.put(owner, entry)?;
        Ok(Created::Done)
    }

    fn put(&mut self, owner: &Owner, entry: &Entry) -> Result<(), redb::Error> {
        let change = self.order.last()?.map_or(0, |(change, _)| change.value()) + 1;
        let place = (owner.as_str(), entry.key.as_str());
        let replaced = self.entries.insert(place, (change, entry.created_ms, entry.value.as_str()))?;
        let replaced = replaced.map(|held| held.value().0);
        if let Some(replaced) = replaced {
            self.order.remove(replaced)?;
        }
        self.order.insert(change, place)?;
        Ok(())
    }

    fn remove(&mut self, owner: &str, key: &str) -> Result<Option<Entry>, redb::Error> {
        let removed = self.entries.remove((owner, key))?.map(|held| {
            let (change, created_ms, value) = held.value();
            (change, Entry { key: key.to_owned(), value: value.to_owned(), created_ms })
        });
        let Some((change, entry)) = removed else { return Ok(None) };
        self.order.remove(change)?;
        Ok(Some(entry))
    }
}

fn of_owner(
    entries: &impl ReadableTable<(&'static str, &'static str), (u64, u64, &'static str)>,
    owner: &Owner,
) -> Result<Vec<Entry>, redb::Error> {
    let mut found = Vec::new();
    for entry in entries.range((owner.as_str(), "")..)? {
        let (place, held) = entry?;
        let (whose, key) = place.value();
        if whose != owner.as_str() {
            break;
        }
        let (_, created_ms, value) = held.value();
        found.push(Entry { key: key.to_owned(), value: value.to_owned(), created_ms });
    }
    Ok(found)
}

#[async_trait]
impl Store for DiskStore {
    async fn list(&self, owner: &Owner) -> Result<Vec<Entry>, StoreError> {
        let owner = owner.clone();
        self.read(move |database| of_owner(&database.begin_read()?.open_table(ENTRIES)?, &owner)).await
    }

    async fn get(&self, owner: &Owner, key: &str) -> Result<Option<Entry>, StoreError> {
        let (owner, key) = (owner.clone(), key.to_owned());
        self.read(move |database| {
            let entries = database.begin_read()?.open_table(ENTRIES)?;
            let held = entries.get((owner.as_str(), key.as_str()))?;
            Ok(held.map(|held| {
                let (_, created_ms, value) = held.value();
                Entry { value: value.to_owned(), created_ms, key: key.clone() }
            }))
        })
        .await
    }

    async fn create(&self, owner: &Owner, entry: Entry, limits: &Limits) -> Result<Created, StoreError> {
        match self.change(owner, Change::Create(entry, *limits)).await? {
            Outcome::Created(created) => Ok(created),
            other => unreachable!("a creation is answered as one, not by {other:?}"),
        }
    }

    async fn update(&self, owner: &Owner, entry: Entry) -> Result<bool, StoreError> {
        match self.change(owner, Change::Update(entry)).await? {
            Outcome::Updated(is_there) => Ok(is_there),
            other => unreachable!("an update is answered as one, not by {other:?}"),
        }
    }

    async fn delete(&self, owner: &Owner, key: &str) -> Result<Option<Entry>, StoreError> {
        match self.change(owner, Change::Delete(key.to_owned())).await? {
            Outcome::Deleted(entry) => Ok(entry),
            other => unreachable!("a deletion is answered as one, not by {other:?}"),
        }
    }

    async fn delete_all(&self, owner: &Owner) -> Result<u64, StoreError> {
        match self.change(owner, Change::DeleteAll).await? {
            Outcome::DeletedAll(count) => Ok(count),
            other => unreachable!("a deletion of all is answered as one, not by {other:?}"),
        }
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.read(|database| Ok(database.begin_read()?.open_table(ENTRIES)?.len()?)).await
    }
}
