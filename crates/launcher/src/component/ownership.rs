//! Who owns what root makes in the directory of somebody else.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};

#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

/// Gives what root made at `path`, which lies in `directory`, to the owner of the directory.
///
/// The owner could neither use nor remove it otherwise. For everybody but root, and in a directory of root's own,
/// nothing is done. The owner can change the directory at any time, so that each file is opened first, no link is
/// followed, and only what is root's and has no other name is given away.
pub(super) fn give_away(directory: &Path, path: &Path) -> io::Result<()> {
    let facts = fs::metadata(directory)?;
    let owner = Owner { uid: facts.uid(), gid: facts.gid() };
    let Ok(below) = path.strip_prefix(directory) else { return Ok(()) };
    if !rustix::process::geteuid().is_root() || owner.uid == 0 {
        return Ok(());
    }
    let mut parent =
        rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut steps = below.iter().peekable();
    while let Some(step) = steps.next() {
        if steps.peek().is_none() {
            return give(parent.as_fd(), step, owner);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        parent = rustix::fs::openat(&parent, step, flags, Mode::empty())?;
    }
    Ok(())
}

fn give(parent: BorrowedFd<'_>, name: &OsStr, owner: Owner) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let facts = rustix::fs::fstat(&entry)?;
    let is_dir = FileType::from_raw_mode(facts.st_mode).is_dir();
    if facts.st_uid == 0 && (is_dir || facts.st_nlink == 1) {
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        rustix::fs::chownat(&entry, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    }
    if is_dir {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = rustix::fs::openat(&entry, c".", flags, Mode::empty())?;
        for inner in Dir::read_from(&listed)? {
            let inner = inner?;
            let name = inner.file_name().to_bytes();
            if name != b"." && name != b".." {
                give(listed.as_fd(), OsStr::from_bytes(name), owner)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, lchown, symlink};

    use super::*;

    #[test]
    fn link_is_not_followed_and_a_file_with_another_name_stays_roots() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root gives files away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (theirs, outside) = (dir.path().join("theirs"), dir.path().join("outside"));
        fs::create_dir_all(theirs.join("made/deep")).unwrap();
        fs::create_dir(&outside).unwrap();
        for file in [theirs.join("made/deep/file"), theirs.join("made/third"), outside.join("secret")] {
            fs::write(file, "x").unwrap();
        }
        symlink(&outside, theirs.join("made/link")).unwrap();
        fs::hard_link(outside.join("secret"), theirs.join("made/second-name")).unwrap();
        lchown(theirs.join("made/third"), Some(777), None).unwrap();
        chown(&theirs, Some(12_345), Some(54_321)).unwrap();
        give_away(&theirs, &theirs.join("made")).unwrap();
        let owner = |path: &str| fs::symlink_metadata(dir.path().join(path)).unwrap().uid();
        for path in ["theirs/made", "theirs/made/deep", "theirs/made/deep/file", "theirs/made/link"] {
            assert_eq!(owner(path), 12_345, "{path}");
        }
        assert_eq!(["outside", "outside/secret", "theirs/made/third"].map(owner), [0, 0, 777]);
    }
}
