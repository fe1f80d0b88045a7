//! Servlinks: one component's difference against its base, in transportable form.
//!
//! ```text
//! magic, version      8 bytes
//! header              length, then [`ServlinkHeader`] as zstd-compressed JSON: what it leads from and to,
//!                     and size and digest of every section
//! sections            the plan; six streams a delta group; two a text group
//! seal                BLAKE3 of everything before it
//! ```
//!
//! How the difference is found: files of which the base has the very bytes are only named. Each other file is matched
//! with the old one it most likely came from. Executables and large files go through a bsdiff-class differ, whose
//! streams run through all files of a group and are compressed with LZMA. All others are one zstd stream a group,
//! with their old counterparts as the bytes before it; deflate streams inside gzip and zip files are opened first
//! where they can be closed again bit by bit. When all that takes more than sending the changed files whole, they are
//! sent whole.
//!
//! The same trees and options give the same bytes. Groups bound what builder and receiver hold in memory.

mod apply;
mod build;
mod bytes;
mod deflate;
mod delta;
mod differ;
mod file;
mod lzma;
mod matching;
mod memory;
mod plan;
mod reference;
mod spill;
mod text;

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::durable::DurableError;
use crate::path::PartPath;
use crate::store::StoreError;
use crate::tree::TreeError;

pub use apply::apply;
pub use build::build;
pub use file::inspect;
pub use plan::PlanError;

/// Memory a builder stays within unless told otherwise: enough for the best difference of files up to 130 MB.
pub const MEMORY_BYTES_DEFAULT: u64 = 640 << 20;

/// How a servlink is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildOptions {
    /// Memory to stay within: tables, buffers and lists of the builder's own. Old and new files, which are mapped,
    /// and the temporary file with what is finished do not count. Less memory makes a larger servlink; too little
    /// is refused with the least that suffices.
    pub memory_bytes_max: u64,
    /// Threads to use.
    pub threads: usize,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { memory_bytes_max: MEMORY_BYTES_DEFAULT, threads: crate::workers::cores() }
    }
}

/// What a receiver is ready to accept, whatever a servlink says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyLimits {
    /// Bytes of all new objects together.
    pub new_bytes_max: u64,
    /// Entries of the plan's lists.
    pub parts_max: u64,
}

impl Default for ApplyLimits {
    fn default() -> Self {
        Self { new_bytes_max: 64 << 30, parts_max: 4_000_000 }
    }
}

/// What a servlink says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServlinkHeader {
    /// Digest of the tree it starts from.
    pub base: Digest,
    /// Digest of the tree it leads to.
    pub new: Digest,
    /// Parts the base does not have.
    pub parts_added: u64,
    /// Parts that are other than in the base.
    pub parts_changed: u64,
    /// Parts of the base that go.
    pub parts_removed: u64,
    /// Bytes of all files of the base.
    pub base_bytes: u64,
    /// Bytes of all files of the new tree.
    pub new_bytes: u64,
    /// Bytes of the new files that the base has nowhere.
    pub changed_bytes: u64,
    /// What follows the header.
    pub sections: Vec<Section>,
}

/// One section of a servlink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// What it is, for messages.
    pub name: String,
    /// Bytes it unpacks to.
    pub plain_bytes: u64,
    /// Bytes it takes in the file.
    pub packed_bytes: u64,
    /// Digest of the bytes in the file.
    pub digest: Digest,
}

/// Says what was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServlinkSummary {
    /// The header as written.
    pub header: ServlinkHeader,
    /// Bytes of the file.
    pub servlink_bytes: u64,
    /// Whether sending the changed files whole took fewer bytes than their difference.
    pub is_whole: bool,
}

/// Says why no servlink was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The memory allowed cannot be kept.
    #[error(
        "this servlink cannot be built in {limit_bytes} bytes of memory; the smallest limit is {} MiB",
        smallest_bytes >> 20
    )]
    TooLittleMemory {
        /// The memory allowed.
        limit_bytes: u64,
        /// The least that suffices, a whole number of MiB.
        smallest_bytes: u64,
    },
    /// What is finished cannot be put aside.
    #[error("make a temporary file in `{}`", directory.display())]
    Spill {
        /// Where: beside the servlink.
        directory: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An object of one of the trees cannot be had.
    #[error("take an object of the trees from the store")]
    Object(#[from] StoreError),
    /// Something could not be compressed.
    #[error("compress {what}")]
    Compress {
        /// What.
        what: String,
        /// What the compressor said.
        #[source]
        source: io::Error,
    },
    /// The file could not be written.
    #[error("write servlink `{}`", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: DurableError,
    },
}

/// Says why a servlink cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The file cannot be read.
    #[error("read servlink `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is something else.
    #[error("`{}` is not a servlink of a version this program knows", path.display())]
    NotServlink {
        /// Which.
        path: PathBuf,
    },
    /// A part of the file is not what its digest says, or is cut off.
    #[error("{what} of servlink `{}` is damaged", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which part of it.
        what: String,
    },
}

/// Says why a servlink was refused; nothing that the trees refer to has changed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file is not readable as a servlink.
    #[error("read the servlink")]
    Inspect(#[from] InspectError),
    /// It starts from another tree.
    #[error("the servlink is against base {wanted}, but the base here is {found}")]
    WrongBase {
        /// The base it is for.
        wanted: Digest,
        /// The base given.
        found: Digest,
    },
    /// It would make more than the receiver accepts.
    #[error("the servlink is too large: {what} is {size}, at most {limit} is accepted")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it says it is.
        size: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The plan is not a plan.
    #[error("read the plan of the servlink")]
    Plan(#[from] PlanError),
    /// The plan has entries that fit neither tree.
    #[error("the plan of the servlink does not fit the base: {what}")]
    PlanMismatch {
        /// What does not fit.
        what: String,
    },
    /// A part comes twice.
    #[error("the servlink has two entries for part `{path}`")]
    Duplicate {
        /// The part.
        path: PartPath,
    },
    /// The stream that makes a part is broken.
    #[error("make part `{part}`")]
    Stream {
        /// The part, or the group of parts.
        part: String,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
    /// A part came out with other bytes than the servlink promises.
    #[error("part `{part}` came out with the wrong digest")]
    PartDigest {
        /// The part.
        part: String,
    },
    /// An old part is damaged in the store.
    #[error("old part `{part}` cannot be used")]
    OldPart {
        /// The part.
        part: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A new object could not be stored.
    #[error("store part `{part}`")]
    Store {
        /// The part.
        part: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The parts together are no tree.
    #[error("make a tree of the parts")]
    Tree(#[from] TreeError),
    /// The tree is another one than promised.
    #[error("the new tree came out as {found}, but the servlink promises {wanted}")]
    TreeDigest {
        /// The digest promised.
        wanted: Digest,
        /// The digest of what came out.
        found: Digest,
    },
}

#[cfg(test)]
mod tests;
