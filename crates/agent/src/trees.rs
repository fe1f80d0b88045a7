//! Trees in the object store: the encoding of a tree is an object like any other, named by the tree's digest.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tender_content::progress::{NoProgress, Progress};
use tender_content::scan::{Difference, DifferenceKind, ScanCache, ScanError, ScanMode, scan};
use tender_content::store::{ObjectStore, StoreError};
use tender_content::tree::TreeError;
use tender_content::{Digest, Node, PartPath, Tree};
use tender_package::changes::{Exception, is_same_part};
use tender_package::report::{DriftItem, DriftKind};
use tender_package::{ComponentName, LevelRef};

use crate::home::Home;
use crate::slots::Contents;

/// Says why a tree cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TreesError {
    /// Its object cannot be read.
    #[error("read tree {}", digest.short())]
    Object {
        /// The tree.
        digest: Digest,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// Its object is not a tree.
    #[error("object {} is not a tree", digest.short())]
    Encoding {
        /// The object.
        digest: Digest,
        /// Why; absent when it is not even text.
        #[source]
        source: Option<TreeError>,
    },
    /// A part that is kept on this system was changed in the level.
    #[error("keep parts of this system in {level}, which has something else there: {}", parts.join(", "))]
    Rework {
        /// The level.
        level: LevelRef,
        /// The parts, each with its component.
        parts: Vec<String>,
    },
    /// The parts kept on this system do not go with those of the level.
    #[error("lay the parts kept on this system over component `{component}`")]
    Overlay {
        /// The component.
        component: String,
        /// Why.
        #[source]
        source: TreeError,
    },
    /// A directory cannot be compared with it.
    #[error("compare component `{component}` with its level")]
    Scan {
        /// The component.
        component: String,
        /// Why.
        #[source]
        source: ScanError,
    },
}

/// Stores a tree as an object and returns its digest.
pub(crate) fn put(store: &ObjectStore, tree: &Tree) -> Result<Digest, StoreError> {
    store.put_bytes(tree.encode().as_bytes())
}

/// Reads a tree.
pub(crate) fn read(store: &ObjectStore, digest: &Digest) -> Result<Tree, TreesError> {
    let bytes = store.read(digest).map_err(|source| TreesError::Object { digest: *digest, source })?;
    let text =
        String::from_utf8(bytes).map_err(|_| TreesError::Encoding { digest: *digest, source: None })?;
    Tree::decode(&text).map_err(|source| TreesError::Encoding { digest: *digest, source: Some(source) })
}

/// Reads the trees of a level with the parts of this system laid over them.
///
/// Errors: every part that the level changed under one that is kept here is named at once; people must look at it.
pub(crate) fn effective(
    store: &ObjectStore,
    contents: &Contents,
) -> Result<Vec<(ComponentName, Tree)>, TreesError> {
    let mut conflicts = Vec::new();
    let mut trees = Vec::new();
    for (name, digest) in &contents.trees {
        let mut tree = read(store, digest)?;
        let kept: Vec<&Exception> = contents.kept.iter().filter(|one| one.component == *name).collect();
        if !kept.is_empty() {
            conflicts.extend(reworks(&tree, &kept).into_iter().map(|path| format!("{name}/{path}")));
            tree = overlay(tree, &kept)
                .map_err(|source| TreesError::Overlay { component: name.to_string(), source })?;
        }
        trees.push((name.clone(), tree));
    }
    if conflicts.is_empty() {
        Ok(trees)
    } else {
        Err(TreesError::Rework { level: contents.level.clone(), parts: conflicts })
    }
}

/// Lists the parts under which a tree has neither what was there when they were kept, nor the same as they.
pub(crate) fn reworks(tree: &Tree, kept: &[&Exception]) -> Vec<PartPath> {
    let has = |one: &Exception, node: &Option<Node>| is_same_part(tree.get(one.path.as_str()), node.as_ref());
    kept.iter().filter(|one| !has(one, &one.was) && !has(one, &one.is)).map(|one| one.path.clone()).collect()
}

fn overlay(tree: Tree, kept: &[&Exception]) -> Result<Tree, TreeError> {
    let mut nodes = tree.into_nodes();
    for one in kept {
        match &one.is {
            Some(node) => nodes.insert(one.path.clone(), node.clone()),
            None => nodes.remove(&one.path),
        };
    }
    Tree::from_nodes(nodes)
}

/// Tells whether a tree and all its parts are in the store, as far as sizes show.
pub(crate) fn is_complete(store: &ObjectStore, digest: &Digest) -> bool {
    read(store, digest).is_ok_and(|tree| {
        tree.iter().all(|(_, node)| match node {
            Node::File { size, digest, .. } => store.contains_sized(digest, *size),
            Node::Symlink { .. } | Node::Directory => true,
        })
    })
}

/// Adds a tree and its parts to the objects that must stay.
pub(crate) fn keep_alive(
    store: &ObjectStore,
    digest: &Digest,
    live: &mut HashSet<Digest>,
) -> Result<(), TreesError> {
    live.insert(*digest);
    live.extend(read(store, digest)?.iter().filter_map(|(_, node)| node.digest()));
    Ok(())
}

/// Compares the runtime directory of a level with its contents; every difference is named exactly.
pub(crate) fn drift(
    home: &Home,
    store: &ObjectStore,
    slot: &str,
    contents: &Contents,
    mode: ScanMode,
    progress: &dyn Progress,
) -> Result<Vec<DriftItem>, TreesError> {
    let dir = home.level_dir(&contents.level);
    let cache = ScanCache::load(&home.root().join("cache/scan"));
    let mut items = Vec::new();
    for (name, tree) in &effective(store, contents)? {
        let failed = |source| TreesError::Scan { component: name.to_string(), source };
        let differences =
            scan(&dir.join(name.as_str()), tree, Some(&cache), mode, progress).map_err(failed)?;
        items.extend(differences.iter().filter_map(|one| item(slot, name.as_str(), tree, one)));
    }
    items.extend(strangers(&dir, slot, contents)?);
    // A cache that cannot be kept costs time at the next scan, nothing else.
    drop(cache.save());
    items.sort();
    Ok(items)
}

fn item(slot: &str, component: &str, tree: &Tree, difference: &Difference) -> Option<DriftItem> {
    let expected = match tree.get(&difference.path) {
        Some(Node::File { mode, size, digest }) => {
            format!("{:04o} {size} bytes {}", mode & 0o555, digest.short())
        }
        Some(Node::Symlink { target }) => format!("link to {target}"),
        Some(Node::Directory) => "an empty directory".to_owned(),
        None => "nothing".to_owned(),
    };
    let (kind, found) = match difference.kind {
        DifferenceKind::Missing => (DriftKind::Missing, "nothing".to_owned()),
        DifferenceKind::Extra => (DriftKind::Extra, "something".to_owned()),
        DifferenceKind::Modified => (DriftKind::Modified, "other content".to_owned()),
        DifferenceKind::Mode { found, .. } => (DriftKind::Mode, format!("{found:04o}")),
        DifferenceKind::Kind => (DriftKind::Kind, "another kind of file".to_owned()),
    };
    let path = printable(&difference.path)?;
    Some(DriftItem { slot: slot.to_owned(), component: component.to_owned(), path, kind, expected, found })
}

/// Names a part in a report even when the name found on disk could not name one.
fn printable(path: &str) -> Option<PartPath> {
    let shown: String = path.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    PartPath::new(shown).ok()
}

/// What is said of everything that belongs to a component which is not part of the level.
pub(crate) const STRANGE: &str = "a component the level does not know";

/// Lists what stands beside the components of a level, with everything in it.
fn strangers(dir: &Path, slot: &str, contents: &Contents) -> Result<Vec<DriftItem>, TreesError> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let strange = names.filter(|name| !contents.trees.iter().any(|(known, _)| known.as_str() == name));
    let mut items = Vec::new();
    for name in strange {
        let failed = |source| TreesError::Scan { component: name.clone(), source };
        let mut parts = vec![name.clone()];
        // A link is not followed: what it leads to is not part of the slot.
        if std::fs::symlink_metadata(dir.join(&name)).is_ok_and(|found| found.is_dir()) {
            let nothing = Tree::new();
            let found =
                scan(&dir.join(&name), &nothing, None, ScanMode::StatOnly, &NoProgress).map_err(failed)?;
            if !found.is_empty() {
                parts = found.into_iter().map(|one| one.path).collect();
            }
        }
        items.extend(parts.iter().filter_map(|path| printable(path)).map(|path| DriftItem {
            slot: slot.to_owned(),
            component: name.clone(),
            path,
            kind: DriftKind::Extra,
            expected: "nothing".to_owned(),
            found: STRANGE.to_owned(),
        }));
    }
    Ok(items)
}

/// Removes objects whose bytes are damaged, so that they are fetched again instead of being used again.
///
/// A part is a hard link to its object: whoever writes into the part, as root can, writes into the object.
pub(crate) fn drop_damaged(
    store: &ObjectStore,
    contents: &Contents,
    drift: &[DriftItem],
) -> Result<Vec<Digest>, TreesError> {
    let mut dropped = Vec::new();
    for (name, tree) in &effective(store, contents)? {
        let modified = |item: &&DriftItem| {
            item.component == name.as_str() && matches!(item.kind, DriftKind::Modified | DriftKind::Mode)
        };
        let suspects: Vec<_> = drift.iter().filter(modified).collect();
        if suspects.is_empty() {
            continue;
        }
        for object in suspects.iter().filter_map(|item| tree.get(item.path.as_str())?.digest()) {
            if is_damaged(store, &object) {
                dropped.push(object);
            }
        }
    }
    Ok(dropped)
}

/// Checks an object and the copy of it that executable parts are linked to; removes what is damaged.
fn is_damaged(store: &ObjectStore, digest: &Digest) -> bool {
    let plain = store.object_path(digest);
    let mut executable = plain.clone().into_os_string();
    executable.push("x");
    let twin = Path::new(&executable);
    let is_right = |path: &Path, mode: u32| {
        let bytes = std::fs::read(path).unwrap_or_default();
        let found = std::fs::metadata(path).map_or(0, |found| found.permissions().mode() & 0o7777);
        Digest::of(&bytes) == *digest && found == mode
    };
    if twin.exists() && !is_right(twin, 0o555) {
        // Made again from the plain object when it is next needed.
        drop(std::fs::remove_file(twin));
    }
    let is_damaged = plain.exists() && !is_right(&plain, 0o444);
    if is_damaged {
        drop(std::fs::remove_file(&plain));
    }
    is_damaged
}
