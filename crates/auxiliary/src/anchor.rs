//! What plug-ins keep from one start to the next: 64 bytes for the plug-in and for each of its services.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tender_xmem::plugin::Anchors;

/// How many bytes one anchor has.
pub const ANCHOR_BYTES: usize = 64;

/// How many anchors one plug-in may have: one for itself and one for each service.
const ANCHORS_MAX: usize = 65;

/// What is in the file of one plug-in.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The layout the plug-in gave them.
    layout: u32,
    /// The bytes, in hexadecimal.
    anchors: Anchors,
}

/// Says why anchors cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// A file could not be used.
    #[error("{step} anchors `{}`", path.display())]
    Io {
        /// What was being done.
        step: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// What a plug-in wants kept, or what a file holds, is not anchors.
    #[error("anchors of plug-in {plugin} are not JSON of this shape")]
    Malformed {
        /// Whose.
        plugin: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// An anchor is not 64 bytes in hexadecimal, or there are too many.
    #[error("anchor `{}` of plug-in {plugin} is not {ANCHOR_BYTES} bytes in hexadecimal, or one too many", service.escape_debug())]
    Anchor {
        /// Whose.
        plugin: String,
        /// Which.
        service: String,
    },
}

/// A directory with one file for each plug-in.
///
/// Only anchors of the layout that a plug-in names are handed to it; those of another layout are dropped, as the reference
/// discards them.
#[derive(Debug, Clone)]
pub struct AnchorStore {
    directory: PathBuf,
}

impl AnchorStore {
    /// Uses a directory; it must exist.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Returns what was kept for a plug-in in this layout; nothing when nothing was or in another layout.
    ///
    /// `plugin` must be the checked name of a [`Descriptor`](tender_xmem::plugin::Descriptor).
    pub fn read(&self, plugin: &str, layout: u32) -> Result<Anchors, AnchorError> {
        let path = self.path(plugin);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Anchors::new()),
            Err(source) => return Err(AnchorError::Io { step: "read", path, source }),
        };
        let malformed = |source| AnchorError::Malformed { plugin: plugin.to_owned(), source };
        let kept: Kept = serde_json::from_slice(&text).map_err(malformed)?;
        check(plugin, &kept.anchors)?;
        Ok(if kept.layout == layout { kept.anchors } else { Anchors::new() })
    }

    /// Keeps what a plug-in sent with ANCHOR: all its anchors, in place of those kept before.
    ///
    /// After a kill at any moment the old anchors are there or the new.
    pub fn keep(&self, plugin: &str, layout: u32, payload: &[u8]) -> Result<(), AnchorError> {
        let malformed = |source| AnchorError::Malformed { plugin: plugin.to_owned(), source };
        let anchors: Anchors = serde_json::from_slice(payload).map_err(malformed)?;
        check(plugin, &anchors)?;
        let path = self.path(plugin);
        let temporary = self.directory.join(format!(".{plugin}.new"));
        let text = serde_json::to_vec(&Kept { layout, anchors }).expect("a map of texts is JSON");
        let failed = |step| {
            let path = path.clone();
            move |source| AnchorError::Io { step, path, source }
        };
        let written = (|| {
            // What an earlier kill left.
            match fs::remove_file(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(&text)?;
            file.sync_all()
        })();
        written.map_err(failed("write"))?;
        fs::rename(&temporary, &path).map_err(failed("replace"))?;
        let directory = File::open(&self.directory).and_then(|directory| directory.sync_all());
        directory.map_err(failed("replace"))
    }

    /// Forgets what was kept for a plug-in.
    pub fn forget(&self, plugin: &str) -> Result<(), AnchorError> {
        let path = self.path(plugin);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(AnchorError::Io { step: "remove", path, source: error })
            }
            _ => Ok(()),
        }
    }

    fn path(&self, plugin: &str) -> PathBuf {
        self.directory.join(format!("{plugin}.json"))
    }
}

fn check(plugin: &str, anchors: &Anchors) -> Result<(), AnchorError> {
    let is_anchor =
        |hex: &str| hex.len() == 2 * ANCHOR_BYTES && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut bad = anchors
        .iter()
        .enumerate()
        .filter(|(place, (service, hex))| *place >= ANCHORS_MAX || service.len() > 16 || !is_anchor(hex));
    match bad.next() {
        Some((_, (service, _))) => {
            Err(AnchorError::Anchor { plugin: plugin.to_owned(), service: service.clone() })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(hex: &str) -> Vec<u8> {
        format!(r#"{{"":"{hex}"}}"#).into_bytes()
    }

    #[test]
    fn anchors_that_were_kept_are_read_in_the_same_layout_only() {
        let directory = tempfile::tempdir().unwrap();
        let store = AnchorStore::new(directory.path());
        assert!(store.read("P", 2).unwrap().is_empty());
        let hex = "5a".repeat(64);
        store.keep("P", 2, &payload(&hex)).unwrap();
        assert_eq!(store.read("P", 2).unwrap()[""], hex);
        assert!(store.read("P", 3).unwrap().is_empty());
        store.forget("P").unwrap();
        store.forget("P").unwrap();
        assert!(store.read("P", 2).unwrap().is_empty());
    }

    #[test]
    fn anchors_of_another_size_leave_the_old_ones() {
        let directory = tempfile::tempdir().unwrap();
        let store = AnchorStore::new(directory.path());
        store.keep("P", 1, &payload(&"00".repeat(64))).unwrap();
        for hex in ["00".repeat(63), "00".repeat(65), "zz".repeat(64)] {
            let error = store.keep("P", 1, &payload(&hex)).unwrap_err();
            assert!(matches!(error, AnchorError::Anchor { .. }), "{error}");
        }
        assert!(matches!(store.keep("P", 1, b"{").unwrap_err(), AnchorError::Malformed { .. }));
        assert_eq!(store.read("P", 1).unwrap()[""], "00".repeat(64));
    }

    #[test]
    fn anchors_kept_after_a_kill_in_the_middle_are_replaced() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".P.new"), "half").unwrap();
        let store = AnchorStore::new(directory.path());
        store.keep("P", 1, &payload(&"11".repeat(64))).unwrap();
        assert_eq!(store.read("P", 1).unwrap()[""], "11".repeat(64));
    }
}
