//! A set kept on disk as lines that are added, shared by processes, and written anew when most of them are outdated.
//!
//! ```text
//! lock directory ─► file replaced? read it whole : read what others added ─► decide ─► add a line, sync ─► unlock
//! ```
//!
//! What was added is on disk before the answer goes out, and no two processes decide at once: that is what makes a ticket
//! good for one use even while a server is being replaced by another.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::vault::{Stamp, Vault, VaultError, VaultLock};

/// What is kept in memory of a journal.
pub(crate) trait Ledger: Default {
    /// One line.
    type Line: Serialize + DeserializeOwned;

    /// Takes a line in.
    fn take(&mut self, line: Self::Line);

    /// Returns about how many lines there are to say it.
    fn len(&self) -> usize;

    /// Returns the lines that say the same as all lines so far.
    fn lines(&self) -> Vec<Self::Line>;
}

/// A journal and what it says.
#[derive(Debug)]
pub(crate) struct Journal<L> {
    name: &'static str,
    file: Option<Open>,
    ledger: L,
    /// Lines in the file.
    count: usize,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: (u64, u64),
    /// Where the last whole line ends that was read or written.
    end: u64,
}

impl<L: Ledger> Journal<L> {
    /// Reads a journal; one that is not there is empty.
    pub(crate) fn open(vault: &Vault, name: &'static str) -> Result<Self, VaultError> {
        let mut journal = Self { name, file: None, ledger: L::default(), count: 0 };
        let lock = vault.lock()?;
        journal.catch_up(vault)?;
        drop(lock);
        Ok(journal)
    }

    /// Returns what is known now, other processes' additions included. Costs one system call when there are none.
    pub(crate) fn current(&mut self, vault: &Vault) -> Result<&L, VaultError> {
        let stamp = vault.stamp(self.name)?;
        let is_known = match (&self.file, stamp) {
            (None, None) => true,
            (Some(open), Some(stamp)) => open.inode == stamp.inode && open.end == stamp.length,
            _ => false,
        };
        if !is_known {
            let lock = vault.lock()?;
            self.catch_up(vault)?;
            drop(lock);
        }
        Ok(&self.ledger)
    }

    /// Decides on what is known and adds a line, or none, in one step that no other process comes between.
    ///
    /// Errors: the line is then not there, for nobody.
    pub(crate) fn update<T>(
        &mut self,
        vault: &Vault,
        decide: impl FnOnce(&mut L) -> (T, Vec<L::Line>),
    ) -> Result<T, VaultError> {
        let lock = vault.lock()?;
        self.catch_up(vault)?;
        let (result, lines) = decide(&mut self.ledger);
        if !lines.is_empty() {
            self.append(vault, &lock, lines)?;
        }
        drop(lock);
        Ok(result)
    }

    /// Returns what is known to this process.
    pub(crate) fn ledger(&self) -> &L {
        &self.ledger
    }

    fn append(&mut self, vault: &Vault, lock: &VaultLock, lines: Vec<L::Line>) -> Result<(), VaultError> {
        let mut bytes = Vec::new();
        for line in &lines {
            serde_json::to_writer(&mut bytes, line).expect("plain fields always become JSON");
            bytes.push(b'\n');
        }
        let live = self.ledger.len() + lines.len();
        if self.file.is_none() || self.count + lines.len() > 2 * live + 1024 {
            return self.rewrite(vault, lock, lines);
        }
        let open = self.file.as_mut().expect("a journal without a file was written anew");
        let written = open
            .file
            .seek(SeekFrom::Start(open.end))
            .and_then(|_| open.file.write_all(&bytes))
            .and_then(|()| open.file.sync_data());
        if let Err(source) = written {
            // Half a line must not stay; if this fails too, the next reader cuts it off.
            let cut = open.file.set_len(open.end);
            let step = if cut.is_ok() { "write" } else { "write and cut" };
            return Err(VaultError::Io { step, path: vault.path_of(self.name), source });
        }
        open.end += bytes.len() as u64;
        self.count += lines.len();
        for line in lines {
            self.ledger.take(line);
        }
        Ok(())
    }

    /// Writes everything that still counts, and new lines, into a new file.
    fn rewrite(&mut self, vault: &Vault, lock: &VaultLock, lines: Vec<L::Line>) -> Result<(), VaultError> {
        let mut bytes = Vec::new();
        let kept = self.ledger.lines();
        for line in kept.iter().chain(&lines) {
            serde_json::to_writer(&mut bytes, line).expect("plain fields always become JSON");
            bytes.push(b'\n');
        }
        let count = kept.len() + lines.len();
        let stamp = vault.write(lock, self.name, &bytes)?;
        for line in lines {
            self.ledger.take(line);
        }
        // From here on the lines are there; should opening fail, the next call reads the file.
        self.file = None;
        self.count = count;
        let file = vault.open_file(self.name)?;
        self.file = file.map(|file| Open { file, inode: stamp.inode, end: stamp.length });
        Ok(())
    }

    /// Takes in what the file says beyond what is known; the caller holds the lock.
    fn catch_up(&mut self, vault: &Vault) -> Result<(), VaultError> {
        let stamp = vault.stamp(self.name)?;
        let is_same = match (&self.file, stamp) {
            (Some(open), Some(stamp)) => open.inode == stamp.inode && open.end <= stamp.length,
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            self.file = None;
            let Some(file) = vault.open_file(self.name)? else {
                // Somebody removed it. What this process knows stays true.
                return Ok(());
            };
            let stat = rustix::fs::fstat(&file).map_err(|error| self.failed(vault, error.into()))?;
            self.file = Some(Open { file, inode: Stamp::of(&stat).inode, end: 0 });
            self.ledger = L::default();
            self.count = 0;
        }
        let Some(open) = &mut self.file else { return Ok(()) };
        let mut added = Vec::new();
        let read = open.file.seek(SeekFrom::Start(open.end)).and_then(|_| open.file.read_to_end(&mut added));
        let path = vault.path_of(self.name);
        read.map_err(|source| VaultError::Io { step: "read", path: path.clone(), source })?;
        let whole = added.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in added[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let malformed = |error: serde_json::Error| VaultError::Malformed {
                path: path.clone(),
                what: format!("line {}: {error}", self.count + 1),
            };
            self.ledger.take(serde_json::from_slice(line).map_err(malformed)?);
            self.count += 1;
        }
        open.end += whole as u64;
        if whole < added.len() {
            // A crash left it; nobody was told that it was written.
            let cut = open.file.set_len(open.end);
            cut.map_err(|source| VaultError::Io { step: "cut", path, source })?;
        }
        Ok(())
    }

    fn failed(&self, vault: &Vault, source: std::io::Error) -> VaultError {
        VaultError::Io { step: "look at", path: vault.path_of(self.name), source }
    }
}
