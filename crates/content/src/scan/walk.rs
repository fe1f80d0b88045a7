//! Walks a directory beside a tree, several directories at a time.
//!
//! Looking at a file costs a microsecond in the kernel, so what matters is not to add to it: names are resolved from
//! their own directory, only files and links are looked at one by one, parts are found among those of the same
//! directory, and two cores share the work.

use std::ffi::{CStr, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Statx, StatxFlags};
use rustix::io::Errno;

use super::cache::StatKey;
use super::expected::{DirectoryNumber, Expected, What};
use super::{Candidate, Difference, DifferenceKind, ScanError};
use crate::digest::Digest;
use crate::tree::{Node, Tree};

/// Room for the names of one directory, or a good part of them.
const NAMES_BYTES: usize = 32 * 1024;
/// Trees with fewer directories are walked before a second thread has started.
const DIRECTORIES_A_THREAD: usize = 24;

/// What is known of a file's bytes before they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bytes {
    /// They are right, or not asked for.
    Right,
    /// They are others than the tree says.
    Wrong,
    /// They must be hashed.
    Unknown,
}

/// Says what is known of the bytes of a file in this state, which should have this digest.
pub(super) type Judge<'j> = &'j (dyn Fn(&StatKey, &Digest) -> Bytes + Sync);

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walked<'t> {
    pub(super) differences: Vec<Difference>,
    /// Files whose bytes are to be hashed.
    pub(super) to_hash: Vec<Candidate<'t>>,
}

/// Walks `dir` on up to `threads` threads; the directory itself missing is every part missing.
pub(super) fn walk<'t>(
    dir: &Path,
    tree: &'t Tree,
    judge: Judge<'_>,
    threads: usize,
) -> Result<Walked<'t>, ScanError> {
    let expected = Expected::new(tree);
    match rustix::fs::open(dir, DIRECTORY_FLAGS, Mode::empty()) {
        Err(Errno::NOENT) => {
            let mut walked = Walked::default();
            walked.misses(&expected, Expected::ROOT);
            Ok(walked)
        }
        Err(e) => Err(unreadable(dir, e)),
        Ok(root) => {
            let (queue, changed) = (Mutex::default(), Condvar::new());
            let walk = Walk { dir, root, expected: &expected, judge, queue, changed };
            walk.queue().waiting.push(Directory { path: Vec::new(), expected: Some(Expected::ROOT) });
            walk.run(threads.min(1 + expected.len() / DIRECTORIES_A_THREAD))
        }
    }
}

const DIRECTORY_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

fn unreadable(path: &Path, errno: Errno) -> ScanError {
    ScanError::Read { path: path.to_owned(), source: errno.into() }
}

impl<'t> Walked<'t> {
    fn differs(&mut self, path: &str, kind: DifferenceKind) {
        self.differences.push(Difference { path: path.to_owned(), kind });
    }

    /// Notes everything at and below a directory that is not there.
    fn misses(&mut self, expected: &Expected<'t>, directory: DirectoryNumber) {
        expected.each_part(directory, &mut |path| self.differs(path, DifferenceKind::Missing));
    }
}

/// A directory to be walked.
struct Directory {
    /// Below the root, as bytes.
    path: Vec<u8>,
    /// Which one of the tree it is; none for one that is extra.
    expected: Option<DirectoryNumber>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Directory>,
    /// Directories being walked, from which more may come.
    walking: usize,
    /// Threads that wait for a directory; waking nobody costs a call of the system all the same.
    idle: usize,
    failed: bool,
}

struct Walk<'w, 't> {
    dir: &'w Path,
    root: OwnedFd,
    expected: &'w Expected<'t>,
    judge: Judge<'w>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// What one thread works with.
#[derive(Default)]
struct Worker<'t> {
    walked: Walked<'t>,
    /// Directories found in the one being walked.
    found: Vec<Directory>,
    /// Which entries of the one being walked were seen.
    seen: Vec<bool>,
}

impl<'t> Walk<'_, 't> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, threads: usize) -> Result<Walked<'t>, ScanError> {
        if threads <= 1 {
            return self.work();
        }
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| self.work())).collect();
            let mut all = self.work();
            for other in others {
                let found = other.join().expect("walking does not panic");
                match (&mut all, found) {
                    (Ok(all), Ok(mut found)) => {
                        all.differences.append(&mut found.differences);
                        all.to_hash.append(&mut found.to_hash);
                    }
                    (Ok(_), Err(error)) => all = Err(error),
                    (Err(_), _) => {}
                }
            }
            all
        })
    }

    /// Walks directories until there are none and none can come.
    fn work(&self) -> Result<Walked<'t>, ScanError> {
        let mut worker = Worker::default();
        let mut names = Vec::with_capacity(NAMES_BYTES);
        while let Some(directory) = self.next() {
            let result = self.directory(&directory, &mut names, &mut worker);
            let mut queue = self.queue();
            queue.walking -= 1;
            queue.failed |= result.is_err();
            queue.waiting.append(&mut worker.found);
            let is_awaited = queue.idle > 0;
            drop(queue);
            if is_awaited {
                self.changed.notify_all();
            }
            result?;
        }
        Ok(worker.walked)
    }

    fn next(&self) -> Option<Directory> {
        let mut queue = self.queue();
        loop {
            if queue.failed {
                return None;
            }
            if let Some(directory) = queue.waiting.pop() {
                queue.walking += 1;
                return Some(directory);
            }
            if queue.walking == 0 {
                return None;
            }
            queue.idle += 1;
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    fn at(&self, path: &[u8]) -> PathBuf {
        self.dir.join(OsStr::from_bytes(path))
    }

    /// Opens a directory; none when it went or became something else since it was seen.
    fn open(&self, directory: &Directory, walked: &mut Walked<'t>) -> Result<Option<OwnedFd>, ScanError> {
        let is_root = directory.path.is_empty();
        let name: &[u8] = if is_root { b"." } else { &directory.path };
        match rustix::fs::openat(&self.root, name, DIRECTORY_FLAGS | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(opened) => Ok(Some(opened)),
            Err(Errno::NOENT) if !is_root => {
                directory.expected.into_iter().for_each(|number| walked.misses(self.expected, number));
                Ok(None)
            }
            Err(Errno::NOTDIR | Errno::LOOP) if !is_root => {
                directory
                    .expected
                    .into_iter()
                    .for_each(|number| self.is_something_else(number, directory, walked));
                Ok(None)
            }
            Err(error) => Err(unreadable(&self.at(&directory.path), error)),
        }
    }

    /// Notes that something stands where a directory should.
    fn is_something_else(&self, number: DirectoryNumber, at: &Directory, walked: &mut Walked<'t>) {
        let path = String::from_utf8_lossy(&at.path);
        if self.expected[number].is_part() {
            walked.differs(&path, DifferenceKind::Kind);
        } else {
            walked.differs(&path, DifferenceKind::Extra);
            walked.misses(self.expected, number);
        }
    }

    /// Compares what stands in one directory and adds the directories in it to those found.
    fn directory(
        &self,
        directory: &Directory,
        names: &mut Vec<u8>,
        worker: &mut Worker<'t>,
    ) -> Result<(), ScanError> {
        let Some(opened) = self.open(directory, &mut worker.walked)? else { return Ok(()) };
        let failed = |e| unreadable(&self.at(&directory.path), e);
        let entries = directory.expected.map_or(&[][..], |number| self.expected[number].entries());
        if directory.expected.is_some() && !directory.path.is_empty() {
            let mode = rustix::fs::fstat(&opened).map_err(failed)?.st_mode & 0o5555;
            if mode != 0o555 {
                let kind = DifferenceKind::Mode { expected: 0o555, found: mode };
                worker.walked.differs(&String::from_utf8_lossy(&directory.path), kind);
            }
        }
        worker.seen.clear();
        worker.seen.resize(entries.len(), false);
        let mut listed = RawDir::new(&opened, names.spare_capacity_mut());
        while let Some(entry) = listed.next() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let entry = Entry { opened: &opened, directory, name, kind: entry.file_type() };
            self.entry(&entry, worker).map_err(|e| unreadable(&self.at(&entry.path()), e))?;
        }
        for (entry, _) in entries.iter().zip(&worker.seen).filter(|(_, is_seen)| !**is_seen) {
            match entry.what {
                What::Part(_) => worker.walked.differs(entry.path, DifferenceKind::Missing),
                What::Directory(number) => worker.walked.misses(self.expected, number),
            }
        }
        Ok(())
    }

    fn entry(&self, entry: &Entry<'_>, worker: &mut Worker<'t>) -> Result<(), Errno> {
        let walked = &mut worker.walked;
        let Some((number, at)) = entry
            .directory
            .expected
            .and_then(|number| Some((number, self.expected[number].find(entry.name.to_bytes())?)))
        else {
            // Gone since it was listed: it is not extra any more.
            let Some(kind) = entry.kind()? else { return Ok(()) };
            walked.differs(&String::from_utf8_lossy(&entry.path()), DifferenceKind::Extra);
            if kind == FileType::Directory {
                worker.found.push(Directory { path: entry.path(), expected: None });
            }
            return Ok(());
        };
        let expected = self.expected[number].entries()[at];
        match expected.what {
            What::Part(node) => {
                // Gone since it was listed: it is missing, as what was never seen is.
                let Some(stat) = entry.look()? else { return Ok(()) };
                worker.seen[at] = true;
                compare(expected.path, node, entry, &stat, self.judge, walked)
            }
            What::Directory(number) => {
                let Some(kind) = entry.kind()? else { return Ok(()) };
                worker.seen[at] = true;
                let below = Directory { path: entry.path(), expected: Some(number) };
                if kind == FileType::Directory {
                    worker.found.push(below);
                } else {
                    self.is_something_else(number, &below, walked);
                }
                Ok(())
            }
        }
    }
}

/// Something that stands in a directory.
struct Entry<'e> {
    opened: &'e OwnedFd,
    directory: &'e Directory,
    name: &'e CStr,
    /// As the directory says; not every file system does.
    kind: FileType,
}

impl Entry<'_> {
    /// Returns its path below the root.
    fn path(&self) -> Vec<u8> {
        let above = &self.directory.path;
        let between: &[u8] = if above.is_empty() { b"" } else { b"/" };
        [above, between, self.name.to_bytes()].concat()
    }

    /// Looks at it; none when it is gone.
    fn look(&self) -> Result<Option<Statx>, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        match rustix::fs::statx(self.opened, self.name, flags, StatxFlags::BASIC_STATS) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns its kind; none when it is gone.
    fn kind(&self) -> Result<Option<FileType>, Errno> {
        match self.kind {
            FileType::Unknown => Ok(self.look()?.map(|stat| kind_of(&stat))),
            kind => Ok(Some(kind)),
        }
    }
}

fn kind_of(stat: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(stat.stx_mode))
}

fn compare<'t>(
    path: &'t str,
    node: &Node,
    entry: &Entry<'_>,
    stat: &Statx,
    judge: Judge<'_>,
    walked: &mut Walked<'t>,
) -> Result<(), Errno> {
    match (node, kind_of(stat)) {
        (Node::File { mode, size, digest }, FileType::RegularFile) => {
            let key = StatKey::of_statx(stat);
            let bytes = if stat.stx_size == *size { judge(&key, digest) } else { Bytes::Wrong };
            match bytes {
                Bytes::Right => {}
                Bytes::Wrong => walked.differs(path, DifferenceKind::Modified),
                Bytes::Unknown => walked.to_hash.push(Candidate { path, key, digest: *digest }),
            }
            let (expected, found) = (mode & 0o555, u32::from(stat.stx_mode) & 0o7555);
            if expected != found {
                walked.differs(path, DifferenceKind::Mode { expected, found });
            }
        }
        (Node::Symlink { target }, FileType::Symlink) => {
            let found = rustix::fs::readlinkat(entry.opened, entry.name, Vec::new())?;
            if found.as_bytes() != target.as_bytes() {
                walked.differs(path, DifferenceKind::Modified);
            }
        }
        _ => walked.differs(path, DifferenceKind::Kind),
    }
    Ok(())
}
