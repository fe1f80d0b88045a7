//! A tree made into a read-only directory.
//!
//! The directory is built beside its place under `.<name>.partial`, made durable and renamed: after a kill it is
//! there whole or not at all, and the next run removes what was half done. Files are hard links to the object store
//! where one file system holds both, else clones, else copies.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::durable::{self, DurableError};
use crate::path::PartPath;
use crate::store::{ObjectStore, StoreError, clone_or_copy};
use crate::tree::{Node, Tree};

/// Says how a directory was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MaterialiseReport {
    /// Files that are hard links to objects.
    pub linked: u64,
    /// Files that are clones or copies of objects.
    pub copied: u64,
    /// Symbolic links.
    pub symlinks: u64,
}

/// Says why a directory was not made.
#[derive(Debug, thiserror::Error)]
pub enum MaterialiseError {
    /// Something is there already.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The name of a component cannot be a directory name.
    #[error("`{name}` cannot name the directory of a component")]
    ComponentName {
        /// The name.
        name: String,
    },
    /// A part's object cannot be had.
    #[error("take part `{path}` from the object store")]
    Object {
        /// The part.
        path: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A part's object has another size than the tree says.
    #[error("object {digest} of part `{path}` is damaged: it has another size than the tree says")]
    ObjectSize {
        /// The part.
        path: String,
        /// Its object.
        digest: Digest,
    },
    /// A file or directory could not be made or removed.
    #[error("{step} `{}`", path.display())]
    Io {
        /// What was being done.
        step: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The directory could not be put in its place durably.
    #[error("put the new directory in place")]
    Place(#[source] DurableError),
}

impl MaterialiseError {
    fn io(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { step, path, source }
    }
}

/// Makes `dest`, which must not exist, a read-only directory with the parts of `tree`.
pub fn materialise(
    store: &ObjectStore,
    tree: &Tree,
    dest: &Path,
) -> Result<MaterialiseReport, MaterialiseError> {
    build_and_place(dest, |partial, report| build_tree(store, tree, "", partial, report))
}

/// Makes `dest`, which must not exist, a read-only directory with one directory for each named tree.
pub fn materialise_into(
    store: &ObjectStore,
    components: &[(&str, &Tree)],
    dest: &Path,
) -> Result<MaterialiseReport, MaterialiseError> {
    for (name, _) in components {
        if name.contains('/') || PartPath::new(*name).is_err() {
            return Err(MaterialiseError::ComponentName { name: (*name).to_owned() });
        }
    }
    build_and_place(dest, |partial, report| {
        for (name, tree) in components {
            let directory = partial.join(name);
            fs::create_dir(&directory).map_err(MaterialiseError::io("create directory", &directory))?;
            build_tree(store, tree, &format!("{name}/"), &directory, report)?;
        }
        Ok(())
    })
}

fn build_and_place(
    dest: &Path,
    build: impl FnOnce(&Path, &mut MaterialiseReport) -> Result<(), MaterialiseError>,
) -> Result<MaterialiseReport, MaterialiseError> {
    if fs::symlink_metadata(dest).is_ok() {
        return Err(MaterialiseError::Exists { path: dest.to_owned() });
    }
    let partial = partial_path(dest);
    remove_tree(&partial)?;
    fs::create_dir(&partial).map_err(MaterialiseError::io("create directory", &partial))?;
    let mut report = MaterialiseReport::default();
    let built = build(&partial, &mut report)
        .and_then(|()| set_read_only(&partial))
        .and_then(|()| durable::sync_filesystem(&partial).map_err(MaterialiseError::Place))
        .and_then(|()| durable::rename_durably(&partial, dest).map_err(MaterialiseError::Place));
    if let Err(error) = built {
        // The first error is the one to report; what stays is removed by the next run.
        remove_tree(&partial).ok();
        return Err(error);
    }
    Ok(report)
}

/// Returns where the directory for `dest` is built.
fn partial_path(dest: &Path) -> PathBuf {
    let name = dest.file_name().unwrap_or_default().to_string_lossy();
    durable::parent_of(dest).join(format!(".{name}.partial"))
}

fn build_tree(
    store: &ObjectStore,
    tree: &Tree,
    prefix: &str,
    root: &Path,
    report: &mut MaterialiseReport,
) -> Result<(), MaterialiseError> {
    let above = tree.iter().flat_map(|(path, _)| path.ancestors());
    let empty = tree.iter().filter(|(_, node)| **node == Node::Directory).map(|(path, _)| path.as_str());
    let directories: BTreeSet<&str> = above.chain(empty).collect();
    for directory in directories {
        let directory = root.join(directory);
        fs::create_dir(&directory).map_err(MaterialiseError::io("create directory", &directory))?;
    }
    for (path, node) in tree.iter() {
        let target = path.below(root);
        match node {
            Node::Directory => {}
            Node::Symlink { target: points_to } => {
                symlink(points_to, &target).map_err(MaterialiseError::io("create link", &target))?;
                report.symlinks += 1;
            }
            Node::File { mode, size, digest } => {
                let named = || format!("{prefix}{path}");
                if !store.contains(digest) {
                    let source = StoreError::Missing { digest: *digest };
                    return Err(MaterialiseError::Object { path: named(), source });
                }
                if !store.contains_sized(digest, *size) {
                    return Err(MaterialiseError::ObjectSize { path: named(), digest: *digest });
                }
                place_file(store, digest, mode & 0o555, &target, report)
                    .map_err(|e| e.into_materialise(named, &target))?;
            }
        }
    }
    Ok(())
}

enum PlaceError {
    Object(StoreError),
    File(io::Error),
}

impl PlaceError {
    fn into_materialise(self, named: impl FnOnce() -> String, target: &Path) -> MaterialiseError {
        match self {
            Self::Object(source) => MaterialiseError::Object { path: named(), source },
            Self::File(source) => MaterialiseError::io("create file", target)(source),
        }
    }
}

fn place_file(
    store: &ObjectStore,
    digest: &Digest,
    mode: u32,
    target: &Path,
    report: &mut MaterialiseReport,
) -> Result<(), PlaceError> {
    let object = match mode {
        0o444 => Some(store.object_path(digest)),
        0o555 => Some(store.executable(digest).map_err(PlaceError::Object)?),
        _ => None,
    };
    // A link fails across file systems and past the limit of links to one inode; a copy is as good.
    if object.is_some_and(|object| fs::hard_link(object, target).is_ok()) {
        report.linked += 1;
        return Ok(());
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target);
    let file: File = file.map_err(PlaceError::File)?;
    clone_or_copy(&store.object_path(digest), &file).map_err(PlaceError::File)?;
    file.set_permissions(Permissions::from_mode(mode)).map_err(PlaceError::File)?;
    report.copied += 1;
    Ok(())
}

fn set_read_only(directory: &Path) -> Result<(), MaterialiseError> {
    visit_directories(directory, &mut |path| {
        fs::set_permissions(path, Permissions::from_mode(0o555))
            .map_err(MaterialiseError::io("set the mode of", path))
    })
}

/// Calls `visit` for every directory at and below `directory`, the inner ones first; links are not followed.
fn visit_directories(
    directory: &Path,
    visit: &mut dyn FnMut(&Path) -> Result<(), MaterialiseError>,
) -> Result<(), MaterialiseError> {
    let listed = MaterialiseError::io("list", directory);
    let entries: Vec<_> = fs::read_dir(directory).and_then(Iterator::collect).map_err(listed)?;
    for entry in entries {
        if entry.file_type().map_err(MaterialiseError::io("look at", &entry.path()))?.is_dir() {
            visit_directories(&entry.path(), visit)?;
        }
    }
    visit(directory)
}

/// Removes a directory with all in it, read-only directories included; what is not there is already removed.
///
/// The directory first takes a name that nobody looks for, so that no half-removed tree is seen in its place.
pub fn remove_tree(path: &Path) -> Result<(), MaterialiseError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let doomed = durable::parent_of(path).join(format!(".{}.removing", name.trim_start_matches('.')));
    remove_in_place(&doomed)?;
    match fs::rename(path, &doomed) {
        Ok(()) => remove_in_place(&doomed),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(MaterialiseError::io("remove", path)(e)),
    }
}

fn remove_in_place(path: &Path) -> Result<(), MaterialiseError> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(MaterialiseError::io("look at", path)(e)),
        Ok(metadata) if !metadata.is_dir() => {
            return fs::remove_file(path).map_err(MaterialiseError::io("remove", path));
        }
        Ok(_) => {}
    }
    make_writable(path)?;
    fs::remove_dir_all(path).map_err(MaterialiseError::io("remove", path))
}

/// Lets the owner list and empty the directories; from the top, as a closed directory cannot be listed.
fn make_writable(directory: &Path) -> Result<(), MaterialiseError> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))
        .map_err(MaterialiseError::io("set the mode of", directory))?;
    for entry in fs::read_dir(directory).map_err(MaterialiseError::io("list", directory))? {
        let entry = entry.map_err(MaterialiseError::io("list", directory))?;
        if entry.file_type().map_err(MaterialiseError::io("look at", &entry.path()))?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
