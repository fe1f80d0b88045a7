//! Trees made from directories and archives.
//!
//! What a tree cannot hold is refused and named: devices, pipes, sockets, set-id and sticky bits, names that are not
//! UTF-8, links that lead out. Hard links become files. Empty directories are not parts and are dropped.

mod archive;
mod directory;
mod zip;

use std::io;
use std::path::PathBuf;

use crate::path::{PartPath, PartPathError};
use crate::store::StoreError;
use crate::tree::TreeError;

pub use archive::import_archive;
pub use directory::import_dir;

/// Says why no tree was made.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be read.
    #[error("read `{}`", path.display())]
    Read {
        /// The directory, file or archive.
        path: PathBuf,
        /// What the system or the decompressor said.
        #[source]
        source: io::Error,
    },
    /// The file is not an archive of a known kind.
    #[error("`{}` is not a tar, tar.gz, tar.xz, tar.zst or zip archive", path.display())]
    UnknownArchive {
        /// The file.
        path: PathBuf,
    },
    /// The archive breaks the rules of its format.
    #[error("archive `{}` is damaged: {reason}", path.display())]
    DamagedArchive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A part is something that a tree cannot hold.
    #[error("`{part}` is {what}, which cannot be serviced")]
    Kind {
        /// The part.
        part: String,
        /// What it is.
        what: &'static str,
    },
    /// A part's name is not UTF-8.
    #[error("`{part}` has a name that is not UTF-8")]
    NameEncoding {
        /// The name with the wrong bytes replaced.
        part: String,
    },
    /// A part's name is not usable.
    #[error("`{part}` has an unusable name")]
    Name {
        /// The name.
        part: String,
        /// Why.
        #[source]
        source: PartPathError,
    },
    /// An archive has two different parts of one name.
    #[error("`{part}` is in the archive twice with different content")]
    Twice {
        /// The part.
        part: PartPath,
    },
    /// A hard link in an archive names no file before it.
    #[error("`{part}` is a hard link to `{target}`, which is not a file before it in the archive")]
    HardLink {
        /// The part.
        part: PartPath,
        /// What it links to.
        target: String,
    },
    /// The bytes of a part could not be stored.
    #[error("store `{part}`")]
    Store {
        /// The part.
        part: PartPath,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The parts together are not a tree.
    #[error("make a tree of the parts")]
    Tree(#[source] TreeError),
}

/// Refuses set-id and sticky bits and returns the permission bits.
fn permission_bits(mode: u32, part: &PartPath) -> Result<u32, ImportError> {
    match mode & 0o7000 {
        0 => Ok(mode & 0o777),
        _ => Err(ImportError::Kind {
            part: part.to_string(),
            what: "a file with set-user-id, set-group-id or sticky bit",
        }),
    }
}

#[cfg(test)]
mod tests;
