//! Files of a plugin's web directory: the kernel itself does not follow a path out of it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};

/// The largest file that is handed out, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Says why a file is not handed out.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// There is none: also when the path leads out of the directory, or to something that is no file.
    #[error("there is no such file")]
    NotThere,
    /// It is too large.
    #[error("`{}` has more than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge { path: PathBuf },
    /// It cannot be read.
    #[error("read `{}`", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Reads a file below a directory, with a tag for this state of it.
pub(super) fn read(directory: &Path, path: &str) -> Result<(Vec<u8>, String), FileError> {
    // Files of the administrator's own, such as `.git`, are none of the page's.
    if path.contains('\0') || path.split('/').any(|step| step.is_empty() || step.starts_with('.')) {
        return Err(FileError::NotThere);
    }
    let whole = directory.join(path);
    let io = |source: rustix::io::Errno| FileError::Io { path: whole.clone(), source: source.into() };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = match open(directory, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Err(FileError::NotThere),
        other => other.map_err(io)?,
    };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let file = match openat2(&directory, path, flags, Mode::empty(), resolve) {
        Err(
            rustix::io::Errno::NOENT
            | rustix::io::Errno::NOTDIR
            | rustix::io::Errno::XDEV
            | rustix::io::Errno::LOOP,
        ) => {
            return Err(FileError::NotThere);
        }
        other => other.map_err(io)?,
    };
    let about = fstat(&file).map_err(io)?;
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return Err(FileError::NotThere);
    }
    let size = u64::try_from(about.st_size).unwrap_or(u64::MAX);
    if size > FILE_BYTES_MAX {
        return Err(FileError::TooLarge { path: whole });
    }
    let mut bytes = Vec::new();
    let read = File::from(file).take(FILE_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|source| FileError::Io { path: whole, source })?;
    Ok((bytes, format!("\"{:x}-{:x}-{size:x}\"", about.st_mtime, about.st_mtime_nsec)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn path_that_leads_out_of_the_directory_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let web = directory.path().join("web");
        fs::create_dir_all(web.join("images")).unwrap();
        fs::write(web.join("images/i.png"), "image").unwrap();
        fs::write(web.join(".secret"), "s").unwrap();
        fs::write(directory.path().join("key"), "s").unwrap();
        symlink("../key", web.join("out")).unwrap();
        symlink("/etc/passwd", web.join("absolute")).unwrap();
        symlink("images/i.png", web.join("inside")).unwrap();
        symlink("loop", web.join("loop")).unwrap();
        assert_eq!(read(&web, "images/i.png").unwrap().0, b"image");
        assert_eq!(read(&web, "inside").unwrap().0, b"image");
        for path in [
            "../key",
            "images/../../key",
            "out",
            "absolute",
            "/etc/passwd",
            ".secret",
            "images",
            "loop",
            "",
            "a",
            "images//i.png",
            "i\0",
        ] {
            assert!(matches!(read(&web, path), Err(FileError::NotThere)), "{path}");
        }
        assert!(matches!(read(&directory.path().join("none"), "a"), Err(FileError::NotThere)));
    }
}
