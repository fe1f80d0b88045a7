//! Install media: a directory with one directory for each component, or an archive of one.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use tender_content::{ImportError, Node, ObjectStore, Progress, StoreError, Tree, import_archive};

/// Why media cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MediaError {
    /// There is nothing there.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// There is no room to unpack.
    #[error("make room to unpack {}", path.display())]
    Room {
        /// The archive.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The working store cannot be used.
    #[error("unpack {}", path.display())]
    Store {
        /// The archive.
        path: PathBuf,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// The archive cannot be read.
    #[error("read archive {}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why not.
        #[source]
        source: ImportError,
    },
}

/// A directory to read from; what was unpacked for it goes away with it.
#[derive(Debug)]
pub(crate) struct Media {
    directory: PathBuf,
    unpacked: Option<tempfile::TempDir>,
}

impl Media {
    /// Opens a directory as it is, and a tar (plain, gz, xz, zst) or zip by unpacking it below `room`.
    ///
    /// Limits: nothing in the archive can leave its directory; an archive needs its size twice below `room`.
    pub(crate) fn open(path: &Path, room: &Path, progress: &dyn Progress) -> Result<Self, MediaError> {
        if !path.exists() {
            return Err(MediaError::Missing { path: path.to_owned() });
        }
        if path.is_dir() {
            return Ok(Self { directory: path.to_owned(), unpacked: None });
        }
        let no_room = |source| MediaError::Room { path: path.to_owned(), source };
        std::fs::create_dir_all(room).map_err(no_room)?;
        let unpacked = tempfile::Builder::new().prefix(".media-").tempdir_in(room).map_err(no_room)?;
        let media = Self { directory: unpacked.path().join("tree"), unpacked: Some(unpacked) };
        let store = ObjectStore::open(&media.directory.with_file_name("store"))
            .map_err(|source| MediaError::Store { path: path.to_owned(), source })?;
        let tree = import_archive(&store, path, 0, progress)
            .map_err(|source| MediaError::Archive { path: path.to_owned(), source })?;
        lay_out(&store, &tree, &media.directory, path)?;
        Ok(media)
    }

    /// Returns the directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Writes the parts with the permissions they have in the archive; a level's own directory would drop the write bits.
fn lay_out(store: &ObjectStore, tree: &Tree, directory: &Path, archive: &Path) -> Result<(), MediaError> {
    let no_room = |source| MediaError::Room { path: archive.to_owned(), source };
    for (path, node) in tree.iter() {
        let target = path.below(directory);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(no_room)?;
        }
        match node {
            Node::Directory => fs::create_dir(&target).map_err(no_room)?,
            Node::Symlink { target: leads_to } => symlink(leads_to, &target).map_err(no_room)?,
            Node::File { mode, digest, .. } => {
                let bytes = store
                    .read(digest)
                    .map_err(|source| MediaError::Store { path: archive.to_owned(), source })?;
                fs::write(&target, bytes).map_err(no_room)?;
                fs::set_permissions(&target, fs::Permissions::from_mode(*mode)).map_err(no_room)?;
            }
        }
    }
    Ok(())
}

impl Drop for Media {
    fn drop(&mut self) {
        if let Some(unpacked) = &self.unpacked {
            // What cannot be removed is a hidden directory of its own and does no harm.
            fs::remove_dir_all(unpacked.path()).unwrap_or_default();
        }
    }
}
