//! Puts a file: complete, durable and verified before it has a name.

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, SealFlags, Uid};
use rustix::io::Errno;

use super::directory::{Place, UNFINISHED};
use super::{Content, INLINE_BYTES_MAX, PlaceOutcome, PlaceSettings};
use crate::order::{Refusal, from_hex, to_hex};
use crate::range::Range;

const CHUNK_BYTES: usize = 64 * 1024;

/// What a file shall be.
pub(super) struct File<'a> {
    pub(super) content: &'a Content,
    pub(super) digest: &'a str,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) replace: bool,
    pub(super) expected: Option<&'a str>,
}

/// A file without a name, or with one that says it is not finished.
struct Unfinished {
    file: OwnedFd,
    name: Option<String>,
}

impl File<'_> {
    pub(super) fn check(&self, settings: &PlaceSettings) -> Result<(), Refusal> {
        if from_hex(self.digest).is_none_or(|bytes| bytes.len() != blake3::OUT_LEN) {
            return Err(Refusal::invalid("digest", "has 64 lower-case hexadecimal digits"));
        }
        if self.mode & !0o777 != 0 {
            return Err(Refusal::invalid("mode", "has no set-id or sticky bit"));
        }
        if self.mode & !settings.mode_max != 0 {
            return Err(Refusal::not_allowed(format!(
                "mode {:o} is beyond {:o}",
                self.mode, settings.mode_max
            )));
        }
        for (what, id, ranges) in [("uid", self.uid, &settings.uids), ("gid", self.gid, &settings.gids)] {
            if id != 0 && (id == u32::MAX || !Range::any_has(ranges, id)) {
                return Err(Refusal::not_allowed(format!("{what} {id} is not in a range of the settings")));
            }
        }
        Ok(())
    }

    /// Puts it under its name. `counter` makes names of unfinished files differ.
    pub(super) fn put(
        &self,
        place: &Place,
        descriptor: Option<&OwnedFd>,
        settings: &PlaceSettings,
        counter: u64,
    ) -> Result<PlaceOutcome, Refusal> {
        let source = Source::new(self.content, descriptor, settings)?;
        let there = self.compare(place)?;
        if there == There::Same {
            return Ok(PlaceOutcome::Unchanged);
        }
        if there == There::Other && (!self.replace || !self.is_expected(place)?) {
            return Err(self.taken(place));
        }
        let mut unfinished = Unfinished::new(place, counter)?;
        let done = self.finish(place, &source, &mut unfinished, counter);
        if done.is_err()
            && let Some(name) = &unfinished.name
        {
            let _left_for_tidy = rustix::fs::unlinkat(&place.directory, name.as_str(), AtFlags::empty());
        }
        done?;
        place.sync()?;
        Ok(if there == There::Other { PlaceOutcome::Replaced } else { PlaceOutcome::Created })
    }

    fn finish(
        &self,
        place: &Place,
        source: &Source<'_>,
        to: &mut Unfinished,
        counter: u64,
    ) -> Result<(), Refusal> {
        let failed = |what: &str, error| Refusal::system(format!("{what} `{}`", place.name), error);
        source.copy(&to.file).map_err(|error| failed("write", error))?;
        let mode = Mode::from_raw_mode(self.mode);
        rustix::fs::fchmod(&to.file, mode).map_err(|error| failed("set mode of", error))?;
        // What is on its way to the disk is compared, not what was meant to be written.
        let digest = digest(&to.file).map_err(|error| failed("read", error))?;
        if digest != self.digest {
            return Err(Refusal::invalid("digest", format!("the content has {digest}")));
        }
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let given_away = (self.uid, self.gid) != own;
        // Only its owner may give a file without a name one, so it has one before it is given away, if not yet its own.
        if to.name.is_none() && (given_away || self.replace) {
            let name = unfinished_name(counter);
            link(&to.file, &place.directory, &name).map_err(|error| failed("make", error))?;
            to.name = Some(name);
        }
        if given_away {
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            let given = rustix::fs::fchown(&to.file, Some(uid), Some(gid));
            given.map_err(|error| failed("set owner of", error))?;
        }
        rustix::fs::fsync(&to.file).map_err(|error| failed("make durable", error))?;
        self.name(place, to).map_err(|error| match error {
            Errno::EXIST => self.taken(place),
            Errno::INVAL => {
                Refusal::Unsupported { what: "the file system cannot rename without replacing".to_owned() }
            }
            error => failed("name", error),
        })
    }

    /// Whether the file that is there is the one that was meant. A link is none, and neither is what cannot be read.
    fn is_expected(&self, place: &Place) -> Result<bool, Refusal> {
        let Some(expected) = self.expected else { return Ok(true) };
        let failed = |error| Refusal::system(format!("look at `{}`", place.name), error);
        match open_file(place) {
            Err(Errno::ACCESS | Errno::LOOP | Errno::NOENT) => Ok(false),
            Err(error) => Err(failed(error)),
            Ok(file) => Ok(digest(&file).map_err(failed)? == expected),
        }
    }

    /// Not "not allowed": who orders must be able to tell a name that is taken from one that it may not have.
    fn taken(&self, place: &Place) -> Refusal {
        Refusal::system(format!("make `{}` anew", place.name), Errno::EXIST)
    }

    /// Gives a finished file its name, at once.
    fn name(&self, place: &Place, from: &Unfinished) -> Result<(), Errno> {
        let (directory, name) = (&place.directory, place.name.as_str());
        match &from.name {
            None => link(&from.file, directory, name),
            Some(unfinished) if self.replace => {
                rustix::fs::renameat(directory, unfinished.as_str(), directory, name)
            }
            Some(unfinished) => {
                let flags = RenameFlags::NOREPLACE;
                rustix::fs::renameat_with(directory, unfinished.as_str(), directory, name, flags)
            }
        }
    }

    fn compare(&self, place: &Place) -> Result<There, Refusal> {
        let failed = |error| Refusal::system(format!("look at `{}`", place.name), error);
        let name = place.name.as_str();
        let stat = match rustix::fs::statat(&place.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(There::Nothing),
            other => other.map_err(failed)?,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Symlink => return Ok(There::Other),
            _ => return Err(Refusal::not_allowed(format!("`{name}` is neither a file nor a link"))),
        }
        let owned = (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777) == (self.uid, self.gid, self.mode);
        if !owned || u64::try_from(stat.st_size).is_err() {
            return Ok(There::Other);
        }
        match open_file(place) {
            // Without the right to look past modes, what was given away cannot be compared.
            Err(Errno::ACCESS | Errno::LOOP | Errno::NOENT) => Ok(There::Other),
            Err(error) => Err(failed(error)),
            Ok(file) => {
                let same = digest(&file).map_err(failed)? == self.digest;
                Ok(if same { There::Same } else { There::Other })
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    Same,
    Other,
}

/// Opens the file of that name for reading, if it is one.
pub(super) fn open_file(place: &Place) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(&place.directory, place.name.as_str(), flags, Mode::empty())
}

/// BLAKE3 of an open file.
pub(super) fn digest(file: impl AsFd) -> Result<String, Errno> {
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = 0;
    loop {
        match rustix::io::pread(&file, chunk.as_mut_slice(), at) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&chunk[..read]);
                at += read as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(to_hex(hasher.finalize().as_bytes()))
}

/// Where content comes from, checked.
enum Source<'a> {
    Inline(&'a [u8]),
    Descriptor(&'a OwnedFd, u64),
}

impl<'a> Source<'a> {
    fn new(
        content: &'a Content,
        descriptor: Option<&'a OwnedFd>,
        settings: &PlaceSettings,
    ) -> Result<Self, Refusal> {
        let (source, length) = match (content, descriptor) {
            (Content::Inline(bytes), _) if bytes.0.len() > INLINE_BYTES_MAX => {
                return Err(Refusal::invalid("content", format!("has at most {INLINE_BYTES_MAX} bytes")));
            }
            (Content::Inline(bytes), _) => (Self::Inline(&bytes.0), bytes.0.len() as u64),
            (Content::Descriptor, None) => return Err(Refusal::Descriptors { expected: 1, came: 0 }),
            (Content::Descriptor, Some(descriptor)) => {
                let needed = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
                let sealed =
                    rustix::fs::fcntl_get_seals(descriptor).is_ok_and(|seals| seals.contains(needed));
                if !sealed {
                    return Err(Refusal::invalid(
                        "content",
                        "is a memfd sealed against writing, growing, shrinking",
                    ));
                }
                let stat = rustix::fs::fstat(descriptor)
                    .map_err(|error| Refusal::system("look at content", error))?;
                let length = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
                (Self::Descriptor(descriptor, length), length)
            }
        };
        if length > settings.bytes_max {
            return Err(Refusal::not_allowed(format!("{length} bytes, at most {}", settings.bytes_max)));
        }
        Ok(source)
    }

    fn copy(&self, to: &OwnedFd) -> Result<(), Errno> {
        let (descriptor, length) = match self {
            Self::Inline(bytes) => return write_all(to, bytes),
            Self::Descriptor(descriptor, length) => (descriptor, *length),
        };
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut at = 0;
        while at < length {
            let read = rustix::io::pread(descriptor, chunk.as_mut_slice(), at)?;
            if read == 0 {
                break;
            }
            write_all(to, &chunk[..read])?;
            at += read as u64;
        }
        Ok(())
    }
}

fn write_all(to: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Unfinished {
    fn new(place: &Place, counter: u64) -> Result<Self, Refusal> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        match rustix::fs::openat(&place.directory, ".", flags | OFlags::TMPFILE, mode) {
            Ok(file) => return Ok(Self { file, name: None }),
            // Not every file system has files without names.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {}
            Err(error) => return Err(Refusal::system(format!("make a file beside `{}`", place.name), error)),
        }
        let name = unfinished_name(counter);
        let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&place.directory, name.as_str(), flags, mode)
            .map_err(|error| Refusal::system(format!("make a file beside `{}`", place.name), error))?;
        Ok(Self { file, name: Some(name) })
    }
}

pub(super) fn unfinished_name(counter: u64) -> String {
    format!("{UNFINISHED}{}-{counter}", std::process::id())
}

/// Gives a file without a name one that is free.
fn link(file: &OwnedFd, directory: &OwnedFd, name: &str) -> Result<(), Errno> {
    let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::linkat(rustix::fs::CWD, itself.as_str(), directory, name, AtFlags::SYMLINK_FOLLOW) {
        // Without /proc; since Linux 6.10 who opened it may do this.
        Err(Errno::NOENT | Errno::ACCESS) => {
            rustix::fs::linkat(file, "", directory, name, AtFlags::EMPTY_PATH)
        }
        other => other,
    }
}
