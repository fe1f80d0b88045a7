//! Where things are.

use std::path::{Path, PathBuf};

/// The source tree that this xtask was built from.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Returns the tree xtask was built from: cargo builds it anew wherever the tree is moved.
    pub(crate) fn of_this_source() -> Self {
        let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = crate_dir.parent().expect("xtask is a directory of the workspace").to_owned();
        Self { root }
    }

    /// Returns the directory of the workspace manifest.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where cargo builds.
    pub(crate) fn target_dir(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from)
    }
}
