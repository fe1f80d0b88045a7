//! Files that are there whole or not at all, and nobody else's business.

use std::{fs, io, os::unix::fs::DirBuilderExt, path::Path};

/// Replaces `path` with `bytes`, readable by the owner alone; a crash leaves the old file or the new one.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    tender_content::durable::write_secret_atomically(path, bytes).map_err(io::Error::other)
}

/// Makes `dir` and its parents, closed to everyone but the owner.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn file_written_twice_is_whole_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        make_private_dir(&inner).unwrap();
        make_private_dir(&inner).expect("having it already is no error");
        let path = inner.join("key.pem");
        for text in ["first", "second"] {
            write_private(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&inner)), (0o600, 0o700));
        assert_eq!(fs::read_dir(inner).unwrap().count(), 1);
    }
}
