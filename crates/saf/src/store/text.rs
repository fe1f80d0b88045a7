//! A database as a directory of text, for those who keep it in git.
//!
//! ```text
//! options.saf        SETROPTS
//! classes.saf        RDEFINE CDT, SETROPTS CLASSACT
//! groups.saf         ADDGROUP
//! users.saf          ADDUSER, CONNECT
//! class-<NAME>.saf   RDEFINE, PERMIT of one class
//! history.jsonl      what happened, one record a line
//! .lock              held while reading or writing
//! .pending           the files of a commit that is being made
//! ```
//!
//! The files consist of commands in a fixed order, one record after the other, so that a change of one entry is a change
//! of one line. They may be edited by hand or replaced by git. A commit writes all its files into `.pending` first; whoever
//! finds that file carries the commit to its end, so a crash leaves all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::{Committed, Epoch, HistoryEntry, Store, StoreError, Transaction, entries_of};
use crate::class::builtin_classes;
use crate::command::{Context, Draft, commands_of};
use crate::database::{Database, Record};
use crate::script::Script;

const HISTORY: &str = "history.jsonl";
const LOCK: &str = ".lock";
const PENDING: &str = ".pending";

/// A database as a directory of text.
#[derive(Debug)]
pub struct TextStore {
    path: PathBuf,
}

/// Files by name; `None` is a file that is not to be there.
type Files = BTreeMap<String, Option<String>>;

impl TextStore {
    /// Makes a directory, which may exist if it is empty, with the initial database.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(path).map_err(StoreError::io("create", path))?;
        let store = Self { path: path.to_owned() };
        let _lock = store.lock(FlockOperation::LockExclusive)?;
        if !store.file_names()?.is_empty() {
            return Err(StoreError::Exists { path: path.to_owned() });
        }
        store.write_files(&files_of(&Database::initial()))?;
        Ok(store)
    }

    /// Opens a directory that is there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Self { path: path.to_owned() };
        if !path.is_dir() || store.file_names()?.is_empty() {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        Ok(store)
    }

    /// Locks the directory and ends a commit that was interrupted.
    fn lock(&self, operation: FlockOperation) -> Result<File, StoreError> {
        let path = self.path.join(LOCK);
        let file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        let lock = |operation| {
            rustix::fs::flock(&file, operation).map_err(|error| StoreError::io("lock", &path)(error.into()))
        };
        lock(operation)?;
        if self.path.join(PENDING).exists() {
            // Only the holder of the exclusive lock may end it; whoever reads takes the lock again afterwards.
            lock(FlockOperation::LockExclusive)?;
            self.finish_pending()?;
            lock(operation)?;
        }
        Ok(file)
    }

    fn file_names(&self) -> Result<BTreeSet<String>, StoreError> {
        let failed = || StoreError::io("list", &self.path);
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.path).map_err(failed())? {
            if let Ok(name) = entry.map_err(failed())?.file_name().into_string()
                && name.ends_with(".saf")
            {
                names.insert(name);
            }
        }
        Ok(names)
    }

    fn read_file(&self, name: &str) -> Result<String, StoreError> {
        let path = self.path.join(name);
        fs::read_to_string(&path).map_err(StoreError::io("read", &path))
    }

    /// Reads all files under the lock.
    fn read_files(&self) -> Result<BTreeMap<String, String>, StoreError> {
        self.file_names()?.into_iter().map(|name| Ok((name.clone(), self.read_file(&name)?))).collect()
    }

    fn read(&self) -> Result<(Database, Epoch), StoreError> {
        let files = self.read_files()?;
        let mut database = Database::default();
        for class in builtin_classes() {
            database.classes.insert(class.name.clone(), class);
        }
        let who = crate::database::FIRST_USER.parse().expect("a constant name");
        let mut draft = Draft::new(database, Context { who });
        draft.is_lenient = true;
        // Classes before their profiles, groups before users; names sort so but for `class-`, which comes last here.
        let order = |name: &str| (name.starts_with("class-"), name.to_owned());
        let mut names: Vec<&String> = files.keys().collect();
        names.sort_by_key(|name| order(name));
        for name in names {
            let failed = |source| StoreError::Text { path: self.path.join(name), source: Box::new(source) };
            let script = Script::parse_plain(&files[name]).map_err(failed)?;
            script.draft(&mut draft).map_err(failed)?;
            draft.effects.clear();
        }
        if let Some(what) = draft.database.dangling().into_iter().next() {
            return Err(StoreError::Dangling { path: self.path.clone(), what });
        }
        Ok((draft.database, epoch_of(&files)))
    }

    fn read_history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        let path = self.path.join(HISTORY);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(StoreError::io("read", &path))?,
        };
        let failed = |line: usize| {
            let path = path.clone();
            move |source| StoreError::Record { path, key: format!("line {line}"), source }
        };
        let lines = text.lines().enumerate();
        lines.map(|(index, line)| serde_json::from_str(line).map_err(failed(index + 1))).collect()
    }

    /// Writes files so that all of them change or none.
    fn write_files(&self, files: &Files) -> Result<(), StoreError> {
        let pending = serde_json::to_vec(files).expect("text always becomes JSON");
        self.write_file(PENDING, &pending)?;
        self.sync_directory()?;
        self.finish_pending()
    }

    /// Carries out what `.pending` says; may be done any number of times.
    fn finish_pending(&self) -> Result<(), StoreError> {
        let path = self.path.join(PENDING);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(StoreError::io("read", &path))?,
        };
        let failed = |source| StoreError::Record { path: path.clone(), key: "files".to_owned(), source };
        let files: Files = serde_json::from_slice(&bytes).map_err(failed)?;
        for (name, content) in &files {
            match content {
                Some(content) => self.write_file(name, content.as_bytes())?,
                None => match fs::remove_file(self.path.join(name)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(StoreError::io("remove", &self.path.join(name))(error));
                    }
                    _ => {}
                },
            }
        }
        // The plan must outlive what it plans.
        self.sync_directory()?;
        fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        // Nor may it come back and undo what somebody edits next.
        self.sync_directory()
    }

    /// Replaces a file; its name is on disk only after [`Self::sync_directory`].
    fn write_file(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let path = self.path.join(name);
        let failed = || StoreError::io("write", &path);
        let mut file = tempfile::NamedTempFile::new_in(&self.path).map_err(failed())?;
        file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(failed())?;
        file.persist(&path).map_err(|error| failed()(error.error))?;
        Ok(())
    }

    fn sync_directory(&self) -> Result<(), StoreError> {
        let directory = File::open(&self.path).map_err(StoreError::io("open", &self.path))?;
        directory.sync_all().map_err(StoreError::io("sync", &self.path))
    }

    /// Returns what has to be written so that the files say what a database says.
    fn differing(&self, database: &Database) -> Result<Files, StoreError> {
        let now = self.read_files()?;
        let mut wanted = files_of(database);
        for name in now.keys() {
            wanted.entry(name.clone()).or_insert(None);
        }
        wanted.retain(|name, content| now.get(name) != content.as_ref());
        Ok(wanted)
    }
}

/// Names the file of a record.
fn file_of(record: &Record) -> String {
    match record {
        Record::Options(_) => "options.saf".to_owned(),
        Record::Class(_) => "classes.saf".to_owned(),
        Record::Group(_) => "groups.saf".to_owned(),
        Record::User(_) => "users.saf".to_owned(),
        Record::Profile(profile) => format!("class-{}.saf", profile.class),
    }
}

/// Writes a database down.
fn files_of(database: &Database) -> Files {
    let mut files = Files::new();
    for record in database.records() {
        let text = files.entry(file_of(&record)).or_default().get_or_insert_default();
        for command in commands_of(&record) {
            text.push_str(&command);
            text.push('\n');
        }
    }
    files
}

/// Makes a number of what the files say.
fn epoch_of(files: &BTreeMap<String, String>) -> Epoch {
    let mut hasher = blake3::Hasher::new();
    for (name, content) in files {
        for part in [name, content] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    let digest = hasher.finalize();
    let (first, _) = digest.as_bytes().split_first_chunk::<8>().expect("a digest has 32 bytes");
    Epoch(u64::from_le_bytes(*first))
}

fn history_text(entries: impl IntoIterator<Item = HistoryEntry>) -> String {
    let line = |entry| serde_json::to_string(&entry).expect("records always become JSON") + "\n";
    entries.into_iter().map(line).collect()
}

impl Store for TextStore {
    fn path(&self) -> &Path {
        &self.path
    }

    fn load(&self) -> Result<(Database, Epoch), StoreError> {
        let _lock = self.lock(FlockOperation::LockShared)?;
        self.read()
    }

    fn epoch(&self) -> Result<Epoch, StoreError> {
        let _lock = self.lock(FlockOperation::LockShared)?;
        Ok(epoch_of(&self.read_files()?))
    }

    fn commit(&self, transaction: &Transaction) -> Result<Committed, StoreError> {
        let _lock = self.lock(FlockOperation::LockExclusive)?;
        let (mut database, epoch) = self.read()?;
        database.apply(&transaction.changes).map_err(|source| StoreError::Conflict { source })?;
        if transaction.changes.is_empty() {
            return Ok(Committed { transaction: None, epoch });
        }
        let mut history = self.read_history()?;
        let number = history.last().map_or(0, |entry| entry.transaction) + 1;
        history.extend(entries_of(transaction, number));
        let mut files = self.differing(&database)?;
        files.insert(HISTORY.to_owned(), Some(history_text(history)));
        self.write_files(&files)?;
        Ok(Committed { transaction: Some(number), epoch: epoch_of(&self.read_files()?) })
    }

    fn history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        let _lock = self.lock(FlockOperation::LockShared)?;
        self.read_history()
    }

    fn replace(&self, database: &Database, history: &[HistoryEntry]) -> Result<Epoch, StoreError> {
        let _lock = self.lock(FlockOperation::LockExclusive)?;
        let mut files = self.differing(database)?;
        files.insert(HISTORY.to_owned(), Some(history_text(history.iter().cloned())));
        self.write_files(&files)?;
        Ok(epoch_of(&self.read_files()?))
    }
}
