//! Shared libraries that components bring for the gateway, the discovery service and ZAAS.
//!
//! Copied to `<workspace>/<kind>/sharedLibs/<component>/` with a copy of the manifest. A file is replaced only when
//! its bytes differ, under a temporary name: a running gateway may have the old one open. Libraries of components
//! that are gone or disabled are removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::api_definition::entries;
use crate::layout::{Layout, LayoutError, create_dir, remove_dir, remove_file, write_generated};

/// Who can be extended.
pub const KINDS: &[&str] = &["gateway", "discovery", "zaas"];

/// Copies what `component` (in `root`, with this manifest file) lists for `kind`; entries are files or directories.
pub fn place(
    layout: &Layout,
    kind: &str,
    (component, root, manifest): (&str, &Path, &Path),
    listed: &[String],
) -> Result<(), LayoutError> {
    let target = layout.shared_libs(kind).join(component);
    if listed.is_empty() {
        return remove_dir(&target);
    }
    create_dir(&target, 0o770)?;
    let mut kept = Vec::new();
    copy(manifest, &target, &mut kept)?;
    for entry in listed {
        let from = root.join(entry);
        if from.is_dir() {
            for file in entries(&from)? {
                copy_tree(&file, &target, &mut kept)?;
            }
        } else {
            copy(&from, &target, &mut kept)?;
        }
    }
    for path in entries(&target)? {
        if !kept.contains(&path) {
            if path.is_dir() { remove_dir(&path)? } else { remove_file(&path)? }
        }
    }
    Ok(())
}

/// Removes the libraries of components that are not in `components`.
pub fn remove_stale(layout: &Layout, components: &[&str]) -> Result<Vec<PathBuf>, LayoutError> {
    let mut removed = Vec::new();
    for kind in KINDS {
        for path in entries(&layout.shared_libs(kind))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && !components.contains(&&*name) {
                remove_dir(&path)?;
                removed.push(path);
            }
        }
    }
    Ok(removed)
}

fn copy_tree(from: &Path, into: &Path, kept: &mut Vec<PathBuf>) -> Result<(), LayoutError> {
    if !from.is_dir() {
        return copy(from, into, kept);
    }
    let target = into.join(from.file_name().unwrap_or_default());
    create_dir(&target, 0o770)?;
    for file in entries(from)? {
        copy_tree(&file, &target, kept)?;
    }
    kept.push(target);
    Ok(())
}

fn copy(from: &Path, into: &Path, kept: &mut Vec<PathBuf>) -> Result<(), LayoutError> {
    let failed = |source: io::Error| LayoutError::File { step: "read", path: from.to_owned(), source };
    let bytes = fs::read(from).map_err(failed)?;
    let target = into.join(from.file_name().unwrap_or_default());
    write_generated(&target, &bytes, 0o660)?;
    kept.push(target);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_follow_the_component_and_go_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let layout =
            Layout { workspace: dir.path().join("w"), logs: dir.path().join("l"), ha_id: "one".to_owned() };
        layout.create().unwrap();
        let root = dir.path().join("c");
        fs::create_dir_all(root.join("libs/deep")).unwrap();
        for file in ["manifest.yaml", "a.jar", "libs/b.jar", "libs/deep/c.jar"] {
            fs::write(root.join(file), file).unwrap();
        }
        let manifest = root.join("manifest.yaml");
        let component = ("c", root.as_path(), manifest.as_path());
        place(&layout, "gateway", component, &["a.jar".to_owned(), "libs".to_owned()]).unwrap();
        let target = layout.shared_libs("gateway").join("c");
        for file in ["manifest.yaml", "a.jar", "b.jar", "deep/c.jar"] {
            assert!(target.join(file).exists(), "{file}");
        }
        place(&layout, "gateway", component, &["a.jar".to_owned()]).unwrap();
        assert!(!target.join("b.jar").exists() && !target.join("deep").exists());
        let error = place(&layout, "zaas", component, &["none.jar".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("none.jar"), "{error}");
        assert_eq!(remove_stale(&layout, &["d"]).unwrap().len(), 2);
        assert!(!target.exists());
    }
}
