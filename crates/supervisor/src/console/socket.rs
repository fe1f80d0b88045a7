//! Unix sockets at paths of any length.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// Longest path a socket address holds, with the NUL at its end.
const PATH_MAX: usize = 107;

/// Calls with a path to the same file that fits into a socket address: through its opened directory if need be.
pub(crate) fn with_short_path<T>(path: &Path, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if fits(path) {
        return call(path);
    }
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let directory = File::open(path.parent().unwrap_or(Path::new(".")))?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    call(&short)
}

/// Says whether a path can be a socket address as it is.
pub(crate) fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= PATH_MAX
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn socket_at_a_long_path_can_be_bound_and_reached() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let path = deep.join("socket");
        assert!(!fits(&path));
        let _listener = with_short_path(&path, |path| UnixListener::bind(path)).unwrap();
        with_short_path(&path, |path| UnixStream::connect(path)).unwrap();
    }
}
