//! Puts files and links into directories that belong to root.

mod directory;
mod file;
mod link;
mod worker;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::order::Bytes;
use crate::range::Range;

pub(crate) use worker::Places;

/// The most bytes of a file that travels inside an order.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Change one name below one directory. Doing it twice is the same as doing it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrder {
    /// The directory: exactly one of the settings' roots.
    pub root: PathBuf,
    /// The name below it: relative, no `.` or `..`, no symbolic link on the way, every directory on the way exists,
    /// belongs to root and can be written by nobody else.
    pub name: PathBuf,
    /// What to do with it.
    pub action: Action,
}

/// What to do with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Action {
    /// Make it a file. It is there under its name complete, durable and verified, or not at all.
    Put {
        /// Where its content is.
        content: Content,
        /// BLAKE3 of its content, 64 lower-case hexadecimal digits.
        digest: String,
        /// Its permissions; set-id and sticky bits are refused.
        mode: u32,
        /// Its user: 0 or one that the settings allow.
        uid: u32,
        /// Its group: 0 or one that the settings allow.
        gid: u32,
        /// Whether another file of that name may be replaced. One that is the same already is left alone anyway.
        replace: bool,
        /// BLAKE3 of the only file that may be replaced; none for whatever is there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<String>,
    },
    /// Make it a symbolic link, at once also where there is one already.
    Link {
        /// Where to: relative, without `..`.
        target: PathBuf,
    },
    /// Exchange two symbolic links in the same directory, at once.
    Exchange {
        /// The other name, in the same directory as the first.
        with: String,
        /// Where the first must lead to now. Makes it safe to repeat: if the other one leads there already, it is done.
        expected: PathBuf,
    },
    /// Take a file or a link away; done if there is none.
    Remove {
        /// BLAKE3 of the file that is meant; another one is left. None for any, and for links.
        digest: Option<String>,
    },
}

/// Where the content of a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Content {
    /// In the descriptor that came along: a memfd sealed against writing, growing and shrinking, so that it can neither
    /// change under the reader nor make it wait.
    Descriptor,
    /// Here: at most [`INLINE_BYTES_MAX`].
    Inline(Bytes),
}

/// What became of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaceOutcome {
    /// It is new.
    Created,
    /// It took another's place.
    Replaced,
    /// It was so already.
    Unchanged,
    /// It is gone.
    Removed,
}

/// Where files may be placed, and what files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlaceSettings {
    /// Directories below which names may be changed: absolute paths.
    pub roots: Vec<PathBuf>,
    /// The longest file, in bytes.
    pub bytes_max: u64,
    /// Users that a file may be given to, beside root.
    pub uids: Vec<Range>,
    /// Groups that a file may be given to, beside root's.
    pub gids: Vec<Range>,
    /// Permissions that a file may have.
    pub mode_max: u32,
}

impl Default for PlaceSettings {
    fn default() -> Self {
        Self { roots: Vec::new(), bytes_max: 64 << 20, uids: Vec::new(), gids: Vec::new(), mode_max: 0o755 }
    }
}

impl PlaceOrder {
    pub(crate) const fn descriptors(&self) -> usize {
        matches!(self.action, Action::Put { content: Content::Descriptor, .. }) as usize
    }
}
