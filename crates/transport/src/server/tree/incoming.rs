//! A file that is being received.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

use super::{FILE_MODE, Tree, TreeError, open_beneath};

/// How much may be written before quota and space are looked at again.
const CHECK_EVERY_BYTES: u64 = 16 << 20;

/// A file below the root, open for writing at some offset.
///
/// It is written in place: what arrived before the connection broke is what the next attempt goes on from.
/// Whether a file is whole is not a matter of its being here; whoever uses it checks its digest.
#[derive(Debug)]
pub(in super::super) struct Incoming {
    tree: Arc<Tree>,
    file: File,
    parent: String,
    name: String,
    start: u64,
    at: u64,
    /// Where the quota ends for this file, as of the last look.
    end: u64,
    unchecked: u64,
}

impl Incoming {
    /// Opens `path` and discards what is there beyond `start`.
    pub(in super::super) fn open(tree: &Arc<Tree>, path: &Path, start: u64) -> Result<Self, TreeError> {
        let place = tree.place(path)?;
        if place.is_view || !tree.may_write(&place.path()) {
            return Err(TreeError::Forbidden);
        }
        let (parent, name) = place.split().ok_or(TreeError::Forbidden)?;
        let name = name.to_owned();
        if start > tree.limits.file_bytes_max {
            return Err(TreeError::FileTooLarge);
        }
        tree.check_space()?;
        let mut file = open_alone(tree, &parent, &name, start)?;
        let size = file.metadata()?.len();
        if start > size {
            return Err(TreeError::Offset);
        }
        file.set_len(start)?;
        file.seek(SeekFrom::Start(start))?;
        let mut incoming =
            Self { tree: Arc::clone(tree), file, parent, name, start, at: start, end: start, unchecked: 0 };
        match incoming.look() {
            Ok(()) => Ok(incoming),
            Err(error) => {
                incoming.discard();
                Err(error)
            }
        }
    }

    /// Writes the next bytes. After an error the file is to be discarded.
    pub(in super::super) fn write(&mut self, bytes: &[u8]) -> Result<(), TreeError> {
        let length = bytes.len() as u64;
        if self.at.saturating_add(length) > self.tree.limits.file_bytes_max {
            return Err(TreeError::FileTooLarge);
        }
        if self.at.saturating_add(length) > self.end {
            return Err(TreeError::Quota);
        }
        self.file.write_all(bytes)?;
        self.at += length;
        self.unchecked += length;
        if self.unchecked >= CHECK_EVERY_BYTES { self.look() } else { Ok(()) }
    }

    /// Everything has arrived; makes it durable.
    pub(in super::super) fn finish(self) -> Result<u64, TreeError> {
        self.file.sync_data()?;
        let parent =
            open_beneath(&self.tree.root, &self.parent, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        rustix::fs::fsync(&parent)?;
        Ok(self.at - self.start)
    }

    /// Takes back what was written, so that a file that cannot be completed does not use up the quota.
    pub(in super::super) fn discard(self) {
        // Without success the bytes stay, which costs room and nothing else; the reason for discarding is
        // reported.
        if self.start > 0 {
            self.file.set_len(self.start).ok();
            return;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        if let Ok(parent) = open_beneath(&self.tree.root, &self.parent, flags, Mode::empty()) {
            rustix::fs::unlinkat(&parent, self.name.as_str(), AtFlags::empty()).ok();
        }
    }

    /// Looks how much room there is. Other conversations may fill it meanwhile, by no more than what each
    /// writes between two looks.
    fn look(&mut self) -> Result<(), TreeError> {
        self.tree.check_space()?;
        let usage = self.tree.usage()?;
        let limits = &self.tree.limits;
        if usage.bytes > limits.total_bytes_max || usage.entries > limits.entries_max {
            return Err(TreeError::Quota);
        }
        self.end = self.at.saturating_add(limits.total_bytes_max - usage.bytes);
        self.unchecked = 0;
        Ok(())
    }
}

/// Opens a regular file that has no other name; one that has is replaced by a new file, never written
/// through.
fn open_alone(tree: &Tree, parent: &str, name: &str, start: u64) -> Result<File, TreeError> {
    let parent = open_beneath(&tree.root, parent, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    let create = || {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        open_beneath(&parent, name, flags, FILE_MODE).map(File::from)
    };
    let file = match open_beneath(&parent, name, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()) {
        Err(Errno::NOENT) => match create() {
            // Somebody else made it first; two uploads of one name are the client's own affair.
            Err(Errno::EXIST) => {
                open_beneath(&parent, name, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty())?.into()
            }
            created => created?,
        },
        opened => File::from(opened?),
    };
    let stat = rustix::fs::fstat(&file)?;
    if !file.metadata()?.is_file() {
        return Err(TreeError::Missing);
    }
    if stat.st_nlink <= 1 {
        return Ok(file);
    }
    if start > 0 {
        return Err(TreeError::Forbidden);
    }
    rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
    Ok(create()?)
}
