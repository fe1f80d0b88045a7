//! Walks a directory beside a tree, several directories at a time.
//!
//! Looking at a file costs a microsecond in the kernel, so what matters is not to add to it: names are resolved from
//! their own directory, parts are found among those of the same directory, and two cores share the work.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Statx, StatxFlags};
use rustix::io::Errno;

use super::cache::StatKey;
use super::{Candidate, Difference, DifferenceKind, ScanError};
use crate::tree::{Node, Tree};

/// Room for the names of one directory, or a good part of them.
const NAMES_BYTES: usize = 32 * 1024;
/// Trees with fewer directories are walked before a second thread has started.
const DIRECTORIES_A_THREAD: usize = 24;

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walked<'t> {
    pub(super) differences: Vec<Difference>,
    /// Files whose bytes are to be compared.
    pub(super) to_compare: Vec<Candidate<'t>>,
    /// Numbers of the parts at whose path something stands.
    seen: Vec<usize>,
}

/// Walks `dir` on up to `threads` threads; the directory itself missing is every part missing.
pub(super) fn walk<'t>(dir: &Path, tree: &'t Tree, threads: usize) -> Result<Walked<'t>, ScanError> {
    let expected = Expected::new(tree);
    let mut walked = Walked::default();
    match rustix::fs::open(dir, DIRECTORY_FLAGS, Mode::empty()) {
        Err(Errno::NOENT) => {}
        Err(e) => return Err(unreadable(dir, e)),
        Ok(root) => {
            let walk =
                Walk { dir, root, expected: &expected, queue: Mutex::default(), changed: Condvar::new() };
            walk.queue().waiting.push(Directory { path: Vec::new(), is_expected: true });
            walked = walk.run(threads.min(1 + expected.directories.len() / DIRECTORIES_A_THREAD))?;
        }
    }
    let mut is_seen = vec![false; tree.len()];
    walked.seen.iter().for_each(|number| is_seen[*number] = true);
    for ((path, _), _) in tree.iter().zip(&is_seen).filter(|(_, is_seen)| !**is_seen) {
        walked.differs(path.as_str(), DifferenceKind::Missing);
    }
    Ok(walked)
}

const DIRECTORY_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

fn unreadable(path: &Path, errno: Errno) -> ScanError {
    ScanError::Read { path: path.to_owned(), source: errno.into() }
}

impl Walked<'_> {
    fn differs(&mut self, path: &str, kind: DifferenceKind) {
        self.differences.push(Difference { path: path.to_owned(), kind });
    }
}

/// A part as the tree has it.
struct Part<'t> {
    name: &'t str,
    number: usize,
    path: &'t str,
    node: &'t Node,
}

/// The parts of a tree by directory.
struct Expected<'t> {
    /// By path, without a slash at the end; the parts of each are in order of their names.
    directories: HashMap<&'t str, Vec<Part<'t>>>,
}

impl<'t> Expected<'t> {
    fn new(tree: &'t Tree) -> Self {
        let mut directories: HashMap<&'t str, Vec<Part<'t>>> = HashMap::new();
        for (number, (path, node)) in tree.iter().enumerate() {
            let path = path.as_str();
            let (mut directory, name) = path.rsplit_once('/').unwrap_or(("", path));
            directories.entry(directory).or_default().push(Part { name, number, path, node });
            // The directories above, as far as they are not known.
            while let Some((above, _)) = directory.rsplit_once('/')
                && !directories.contains_key(above)
            {
                directories.insert(above, Vec::new());
                directory = above;
            }
        }
        Self { directories }
    }
}

/// A directory to be walked: its path below the root as bytes, and whether the tree has it.
struct Directory {
    path: Vec<u8>,
    is_expected: bool,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Directory>,
    /// Directories being walked, from which more may come.
    walking: usize,
    failed: bool,
}

struct Walk<'w, 't> {
    dir: &'w Path,
    root: OwnedFd,
    expected: &'w Expected<'t>,
    queue: Mutex<Queue>,
    changed: Condvar,
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
                        all.to_compare.append(&mut found.to_compare);
                        all.seen.append(&mut found.seen);
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
        let mut walked = Walked::default();
        let mut names = Vec::with_capacity(NAMES_BYTES);
        let mut found = Vec::new();
        while let Some(directory) = self.next() {
            let result = self.directory(&directory, &mut names, &mut walked, &mut found);
            let mut queue = self.queue();
            queue.walking -= 1;
            queue.failed |= result.is_err();
            queue.waiting.append(&mut found);
            drop(queue);
            self.changed.notify_all();
            result?;
        }
        Ok(walked)
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
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn at(&self, path: &[u8]) -> PathBuf {
        self.dir.join(OsStr::from_bytes(path))
    }

    /// Compares what stands in one directory and adds the directories in it to `found`.
    fn directory(
        &self,
        directory: &Directory,
        names: &mut Vec<u8>,
        walked: &mut Walked<'t>,
        found: &mut Vec<Directory>,
    ) -> Result<(), ScanError> {
        let failed = |e| unreadable(&self.at(&directory.path), e);
        let name: &[u8] = if directory.path.is_empty() { b"." } else { &directory.path };
        let opened = rustix::fs::openat(&self.root, name, DIRECTORY_FLAGS | OFlags::NOFOLLOW, Mode::empty());
        let opened = match opened {
            // Gone since it was seen: its parts are missing.
            Err(Errno::NOENT) if !directory.path.is_empty() => return Ok(()),
            opened => opened.map_err(failed)?,
        };
        let parts = std::str::from_utf8(&directory.path).ok();
        let parts = parts.filter(|_| directory.is_expected).and_then(|p| self.expected.directories.get(p));
        let parts = parts.map_or(&[][..], Vec::as_slice);
        let mut path = directory.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        let prefix_bytes = path.len();
        let mut entries = RawDir::new(&opened, names.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            path.truncate(prefix_bytes);
            path.extend_from_slice(name.to_bytes());
            let entry = Entry { directory: &opened, name, path: &path };
            let compared = self.entry(&entry, parts, walked, found);
            compared.map_err(|e| unreadable(&self.at(&path), e))?;
        }
        Ok(())
    }

    fn entry(
        &self,
        entry: &Entry<'_>,
        parts: &[Part<'t>],
        walked: &mut Walked<'t>,
        found: &mut Vec<Directory>,
    ) -> Result<(), Errno> {
        let stat = match entry.look() {
            // Gone since it was listed: it is missing or it was extra, and both come out right by passing over.
            Err(Errno::NOENT) => return Ok(()),
            stat => stat?,
        };
        let is_directory = kind(&stat) == FileType::Directory;
        let part = parts.binary_search_by(|part| part.name.as_bytes().cmp(entry.name.to_bytes()));
        if let Ok(at) = part {
            return compare(&parts[at], entry, &stat, walked);
        }
        let shown = String::from_utf8_lossy(entry.path);
        if !is_directory {
            walked.differs(&shown, DifferenceKind::Extra);
            return Ok(());
        }
        let is_expected =
            std::str::from_utf8(entry.path).is_ok_and(|path| self.expected.directories.contains_key(path));
        let found_mode = u32::from(stat.stx_mode) & 0o5555;
        if !is_expected {
            walked.differs(&shown, DifferenceKind::Extra);
        } else if found_mode != 0o555 {
            walked.differs(&shown, DifferenceKind::Mode { expected: 0o555, found: found_mode });
        }
        found.push(Directory { path: entry.path.to_vec(), is_expected });
        Ok(())
    }
}

/// Something that stands in a directory.
struct Entry<'e> {
    directory: &'e OwnedFd,
    name: &'e CStr,
    /// Its path below the root.
    path: &'e [u8],
}

impl Entry<'_> {
    fn look(&self) -> Result<Statx, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        rustix::fs::statx(self.directory, self.name, flags, StatxFlags::BASIC_STATS)
    }
}

fn kind(stat: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(stat.stx_mode))
}

fn compare<'t>(
    part: &Part<'t>,
    entry: &Entry<'_>,
    stat: &Statx,
    walked: &mut Walked<'t>,
) -> Result<(), Errno> {
    walked.seen.push(part.number);
    match (part.node, kind(stat)) {
        (Node::File { mode, size, digest }, FileType::RegularFile) => {
            let (expected, found) = (mode & 0o555, u32::from(stat.stx_mode) & 0o7555);
            if stat.stx_size == *size {
                let key = StatKey::of_statx(stat);
                walked.to_compare.push(Candidate { path: part.path, key, digest: *digest });
            } else {
                walked.differs(part.path, DifferenceKind::Modified);
            }
            if expected != found {
                walked.differs(part.path, DifferenceKind::Mode { expected, found });
            }
        }
        (Node::Symlink { target }, FileType::Symlink) => {
            let found = rustix::fs::readlinkat(entry.directory, entry.name, Vec::new())?;
            if found.as_bytes() != target.as_bytes() {
                walked.differs(part.path, DifferenceKind::Modified);
            }
        }
        _ => walked.differs(part.path, DifferenceKind::Kind),
    }
    Ok(())
}
