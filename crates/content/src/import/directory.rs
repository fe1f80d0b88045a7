//! A directory made into a tree.

use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{ImportError, permission_bits};
use crate::path::PartPath;
use crate::progress::Progress;
use crate::store::ObjectStore;
use crate::tree::{Node, Tree};
use crate::workers::{cores, try_map};

/// A file, a link, or a directory with nothing in it.
struct Found {
    path: PartPath,
    metadata: Metadata,
}

/// Stores the files below `dir` and returns their tree.
pub fn import_dir(store: &ObjectStore, dir: &Path, progress: &dyn Progress) -> Result<Tree, ImportError> {
    let mut found = Vec::new();
    walk(dir, "", &mut found)?;
    let total_bytes = found.iter().filter(|f| f.metadata.is_file()).map(|f| f.metadata.len()).sum();
    progress.begin("reading files", total_bytes);
    let nodes = try_map(cores(), &found, |found| {
        let node = import_one(store, dir, found)?;
        progress.advance(node.size());
        Ok((found.path.clone(), node))
    });
    progress.end();
    Tree::from_nodes(nodes?.into_iter().collect()).map_err(ImportError::Tree)
}

fn import_one(store: &ObjectStore, dir: &Path, found: &Found) -> Result<Node, ImportError> {
    let path = found.path.below(dir);
    if found.metadata.is_symlink() {
        let target = fs::read_link(&path).map_err(|source| ImportError::Read { path, source })?;
        let target = target.into_os_string().into_string();
        return match target {
            Ok(target) => Ok(Node::Symlink { target }),
            Err(_) => Err(ImportError::NameEncoding { part: format!("{} (its target)", found.path) }),
        };
    }
    if found.metadata.is_dir() {
        return Ok(Node::Directory);
    }
    let mode = permission_bits(found.metadata.mode() & 0o7777, &found.path)?;
    let stored = store.put_file(&path);
    let (digest, size) = stored.map_err(|source| ImportError::Store { part: found.path.clone(), source })?;
    Ok(Node::File { mode, size, digest })
}

fn walk(dir: &Path, prefix: &str, found: &mut Vec<Found>) -> Result<(), ImportError> {
    let read_error = |path: PathBuf| |source: io::Error| ImportError::Read { path, source };
    for entry in fs::read_dir(dir).map_err(read_error(dir.to_owned()))? {
        let entry = entry.map_err(read_error(dir.to_owned()))?;
        let name = entry.file_name();
        let Ok(name) = std::str::from_utf8(name.as_bytes()) else {
            let part = format!("{prefix}{}", name.to_string_lossy());
            return Err(ImportError::NameEncoding { part });
        };
        let part = format!("{prefix}{name}");
        let metadata = entry.metadata().map_err(read_error(entry.path()))?;
        if metadata.is_dir() {
            let before = found.len();
            walk(&entry.path(), &format!("{part}/"), found)?;
            if found.len() > before {
                continue;
            }
        } else if let Some(what) = refused_kind(metadata.file_type()) {
            return Err(ImportError::Kind { part, what });
        }
        let path = PartPath::new(part.as_str()).map_err(|source| ImportError::Name { part, source })?;
        found.push(Found { path, metadata });
    }
    Ok(())
}

fn refused_kind(file_type: FileType) -> Option<&'static str> {
    if file_type.is_file() || file_type.is_symlink() {
        None
    } else if file_type.is_fifo() {
        Some("a named pipe")
    } else if file_type.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}
