//! What was changed by hand in slot `current`: found exactly, kept for the principal, and told to it.
//!
//! ```text
//! drift of slot `current` ─► find (pure but for reading) ─► state.json ─► changes/changes.json, changes/<digest>
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tender_content::store::{ObjectStore, StoreError};
use tender_content::{Digest, Node, PartPath, Tree, durable};
use tender_package::ComponentName;
use tender_package::changes::{ChangedPart, ChangesHead, Diverged, DivergedHead};
use tender_package::manifest::content_digest;
use tender_package::report::{DriftItem, DriftKind};

use crate::home::{Home, HomeError, remove_file};
use crate::managed::ManagedState;
use crate::slots::{LevelRecord, Slot};
use crate::trees::{self, TreesError};

/// The file the principal reads.
const FILE: &str = "changes.json";

/// Says why changes cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangesError {
    /// A part is not what it was when it was looked at.
    #[error("part `{}` changed while it was looked at", path.display())]
    Moved {
        /// The part.
        path: PathBuf,
    },
    /// A file of this system could not be used.
    #[error("use the files of this system")]
    Home(#[source] HomeError),
    /// The object store failed.
    #[error("store a part that is kept")]
    Store(#[source] StoreError),
}

/// Makes the directory that the principal reads, which a system set up by an older Tender does not have.
pub(crate) fn prepare(home: &Home) -> Result<(), HomeError> {
    let dir = home.changes();
    std::fs::create_dir_all(&dir).map_err(HomeError::io("make directory", &dir))
}

/// Looks at every part of `drift` that lies in slot `current` and belongs to a managed component.
///
/// What was known before keeps the time at which it was found.
pub(crate) fn find(
    home: &Home,
    store: &ObjectStore,
    state: &ManagedState,
    record: &LevelRecord,
    drift: &[DriftItem],
    now: Timestamp,
) -> Result<ManagedState, TreesError> {
    let mut found = state.without_changes();
    let dir = home.level_dir(&record.manifest.level);
    let effective = trees::effective(store, &record.contents())?;
    let is_meant = |item: &&DriftItem| {
        item.slot == Slot::Current.word()
            && state.overrides.iter().all(|one| one.component.as_str() != item.component)
    };
    let items: Vec<&DriftItem> = drift.iter().filter(is_meant).collect();
    let names: BTreeSet<&str> = items.iter().map(|item| item.component.as_str()).collect();
    for name in names {
        let Ok(component) = ComponentName::new(name) else { continue };
        let tree = effective.iter().find(|(known, _)| *known == component).map(|(_, tree)| tree);
        let of_component: Vec<&DriftItem> =
            items.iter().copied().filter(|item| item.component == name).collect();
        let place = dir.join(name);
        let parts = match tree {
            Some(tree) => changed_parts(&place, tree, &of_component),
            None if holds_something(&place) => changed_parts(&place, &Tree::new(), &of_component),
            None => strange(&component),
        };
        if parts.is_empty() {
            continue;
        }
        let known = state.diverged.iter().find(|one| one.component == component);
        found.diverged.push(Diverged { component, since: known.map_or(now, |one| one.since), parts });
    }
    found.diverged_content = content_with(store, record, &found.diverged);
    Ok(found)
}

/// Tells whether a component that the level does not know is a directory that could be one.
fn holds_something(place: &Path) -> bool {
    std::fs::symlink_metadata(place).is_ok_and(|found| found.is_dir())
        && std::fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_some())
}

/// What has the name of a component and is none.
fn strange(component: &ComponentName) -> Vec<ChangedPart> {
    let path = PartPath::new(component.as_str()).into_iter();
    let fault =
        || Some("no component: neither part of the level nor a directory with something in it".to_owned());
    path.map(|path| ChangedPart { path, kind: DriftKind::Extra, is: None, fault: fault() }).collect()
}

fn changed_parts(dir: &Path, tree: &Tree, items: &[&DriftItem]) -> Vec<ChangedPart> {
    let mut parts: Vec<ChangedPart> = Vec::new();
    let all = paths(items.iter().copied());
    for item in items {
        if comes_with_its_parts(item, &all) {
            continue;
        }
        match parts.last_mut() {
            // Other bytes and other permissions are two differences of one part.
            Some(last) if last.path == item.path => {
                if last.kind == DriftKind::Mode {
                    last.kind = item.kind;
                }
            }
            _ => parts.push(look(dir, item, tree.get(item.path.as_str()))),
        }
    }
    parts
}

/// Lists what differs, by component and path.
fn paths<'i>(items: impl Iterator<Item = &'i DriftItem>) -> BTreeSet<(&'i str, &'i str)> {
    items.map(|item| (item.component.as_str(), item.path.as_str())).collect()
}

/// Tells whether an item is an extra directory of which the parts are among the items too.
fn comes_with_its_parts(item: &DriftItem, all: &BTreeSet<(&str, &str)>) -> bool {
    let below = format!("{}/", item.path);
    let mut after = all.range((item.component.as_str(), below.as_str())..);
    let is_below =
        |(component, path): &(&str, &str)| *component == item.component && path.starts_with(&below);
    item.kind == DriftKind::Extra && after.next().is_some_and(is_below)
}

fn look(dir: &Path, item: &DriftItem, expected: Option<&Node>) -> ChangedPart {
    let (is, fault) = match node_at(&item.path.below(dir), expected) {
        Ok(node) => (node, None),
        Err(fault) => (None, Some(fault)),
    };
    let fault = match (&is, item.kind) {
        (None, kind) if fault.is_none() && kind != DriftKind::Missing => {
            Some("nothing of this name can be found".to_owned())
        }
        (Some(node), _) => {
            let alone = Tree::from_nodes([(item.path.clone(), node.clone())].into());
            alone.err().map(|error| error.to_string())
        }
        _ => fault,
    };
    ChangedPart { path: item.path.clone(), kind: item.kind, is, fault }
}

/// Reads what stands at a path; permission bits that count nothing in a level are those of `expected`.
fn node_at(path: &Path, expected: Option<&Node>) -> Result<Option<Node>, String> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if metadata.is_symlink() {
        let target = std::fs::read_link(path).map_err(|error| error.to_string())?;
        let target = target.into_os_string().into_string();
        return target
            .map(|target| Some(Node::Symlink { target }))
            .map_err(|_| "its target is no text".into());
    }
    if metadata.is_dir() {
        let mut entries = std::fs::read_dir(path).map_err(|error| error.to_string())?;
        return match entries.next() {
            None => Ok(Some(Node::Directory)),
            Some(_) => Err("a directory with something in it, which is no part".to_owned()),
        };
    }
    if !metadata.is_file() {
        return Err("neither a file nor a link".to_owned());
    }
    let found = metadata.permissions().mode() & 0o7777;
    let mode = match expected {
        Some(Node::File { mode, .. }) if mode & 0o555 == found & 0o7555 => *mode,
        _ => found | 0o200,
    };
    let (digest, size) = digest_of(path).map_err(|error| error.to_string())?;
    Ok(Some(Node::File { mode, size, digest }))
}

fn digest_of(path: &Path) -> std::io::Result<(Digest, u64)> {
    let (mut file, mut hasher, mut size) = (File::open(path)?, blake3::Hasher::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hasher.finalize().into(), size)),
            count => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
        }
    }
}

/// Computes which content slot `current` has with its changed parts; none when no level could have it.
fn content_with(store: &ObjectStore, record: &LevelRecord, diverged: &[Diverged]) -> Option<Digest> {
    if diverged.is_empty() {
        return None;
    }
    if diverged.iter().flat_map(|one| &one.parts).any(|part| part.fault.is_some()) {
        return None;
    }
    let mut changed: BTreeMap<&ComponentName, Digest> =
        record.trees().map(|(name, digest)| (name, *digest)).collect();
    for one in diverged {
        let mut nodes = match changed.get(&one.component) {
            Some(digest) => trees::read(store, digest).ok()?.into_nodes(),
            None => BTreeMap::new(),
        };
        for part in &one.parts {
            match &part.is {
                Some(node) => nodes.insert(part.path.clone(), node.clone()),
                None => nodes.remove(&part.path),
            };
        }
        let tree = Tree::from_nodes(nodes).ok()?;
        // A component without parts is none.
        if tree.is_empty() {
            changed.remove(&one.component);
        } else {
            changed.insert(&one.component, tree.digest());
        }
    }
    Some(content_digest(changed.iter().map(|(name, digest)| (*name, digest))))
}

/// Says in short what was changed; `None` when nothing was and nothing is kept.
pub(crate) fn head(state: &ManagedState) -> Option<ChangesHead> {
    if state.diverged.is_empty() && state.exceptions.is_empty() {
        return None;
    }
    let short = |one: &Diverged| DivergedHead {
        component: one.component.clone(),
        parts: u32::try_from(one.parts.len()).unwrap_or(u32::MAX),
        since: one.since,
    };
    Some(ChangesHead {
        digest: Digest::of(&encode(state)),
        diverged: state.diverged.iter().map(short).collect(),
        exceptions: u32::try_from(state.exceptions.len()).unwrap_or(u32::MAX),
        content: state.diverged_content,
    })
}

fn encode(state: &ManagedState) -> Vec<u8> {
    serde_json::to_vec(&state.changes()).expect("names, paths and digests always become JSON")
}

/// Writes the file the principal reads, and removes contents it does not name any more.
pub(crate) fn publish(home: &Home, state: &ManagedState) -> Result<(), HomeError> {
    prepare(home)?;
    let dir = home.changes();
    let path = dir.join(FILE);
    durable::write_atomically(&path, &encode(state)).map_err(HomeError::durable(&path))?;
    let named: BTreeSet<String> = contents(state).map(|(_, _, digest)| digest.to_hex()).collect();
    for entry in std::fs::read_dir(&dir).map_err(HomeError::io("list", &dir))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != FILE && !named.contains(&name) {
            remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// Lists the files among the changed parts.
fn contents(state: &ManagedState) -> impl Iterator<Item = (&ComponentName, &PartPath, Digest)> {
    state.diverged.iter().flat_map(|one| {
        let parts = one.parts.iter();
        parts.filter_map(|part| Some((&one.component, &part.path, part.is.as_ref()?.digest()?)))
    })
}

/// Copies changed parts to where the principal can read them, and those that are kept into the object store.
///
/// A part is copied only as it was looked at; one that goes on changing fails the step.
pub(crate) fn keep(home: &Home, store: &ObjectStore, state: &ManagedState) -> Result<(), ChangesError> {
    prepare(home).map_err(ChangesError::Home)?;
    let current = home.slot_link(Slot::Current);
    let file = |component: &ComponentName, path: &PartPath| path.below(&current.join(component.as_str()));
    for (component, path, digest) in contents(state) {
        let to = home.changes().join(digest.to_hex());
        if !to.exists() {
            let bytes = read_as(&file(component, path), &digest)?;
            durable::write_atomically(&to, &bytes)
                .map_err(|error| ChangesError::Home(HomeError::durable(&to)(error)))?;
        }
    }
    for one in &state.exceptions {
        let Some(digest) = one.is.as_ref().and_then(Node::digest) else { continue };
        if !store.contains(&digest) {
            let bytes = read_as(&file(&one.component, &one.path), &digest)?;
            store.put_bytes(&bytes).map_err(ChangesError::Store)?;
        }
    }
    store.sync().map_err(ChangesError::Store)
}

fn read_as(path: &Path, digest: &Digest) -> Result<Vec<u8>, ChangesError> {
    let bytes =
        std::fs::read(path).map_err(|error| ChangesError::Home(HomeError::io("read", path)(error)))?;
    if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(ChangesError::Moved { path: path.to_owned() }) }
}

/// Keeps of `drift` what the level in `next` does not bring in the very same state.
pub(crate) fn not_brought(
    home: &Home,
    record: &LevelRecord,
    drift: Vec<DriftItem>,
    next: &dyn Fn(&str, &PartPath) -> Option<Option<Node>>,
) -> Vec<DriftItem> {
    let dir = home.level_dir(&record.manifest.level);
    let is_brought = |item: &DriftItem| {
        let path = item.path.below(&dir.join(&item.component));
        let Some(becomes) = next(&item.component, &item.path) else { return false };
        node_at(&path, becomes.as_ref())
            .is_ok_and(|is| tender_package::changes::is_same_part(is.as_ref(), becomes.as_ref()))
    };
    let all = paths(drift.iter());
    let lost: Vec<bool> =
        drift.iter().map(|item| !comes_with_its_parts(item, &all) && !is_brought(item)).collect();
    drop(all);
    drift.into_iter().zip(lost).filter(|(_, is_lost)| *is_lost).map(|(item, _)| item).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tender_content::progress::NoProgress;
    use tender_content::scan::{ScanMode, scan};

    use super::*;

    fn file(text: &str, mode: u32) -> Node {
        Node::File { mode, size: text.len() as u64, digest: Digest::of(text.as_bytes()) }
    }

    fn put(dir: &Path, name: &str, text: &str, mode: u32) {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Compares a directory with a tree of three files and looks at every part that differs.
    fn looked_at(dir: &Path) -> Vec<ChangedPart> {
        let nodes =
            [("bin/run", file("run", 0o755)), ("etc/conf", file("conf", 0o644)), ("gone", file("x", 0o644))];
        let nodes = nodes.map(|(path, node)| (PartPath::new(path).unwrap(), node));
        let tree = Tree::from_nodes(nodes.into_iter().collect()).unwrap();
        let differences = scan(dir, &tree, None, ScanMode::Full, &NoProgress).unwrap();
        let items: Vec<DriftItem> = differences
            .iter()
            .map(|one| DriftItem {
                path: PartPath::new(one.path.clone()).unwrap(),
                kind: match one.kind {
                    tender_content::scan::DifferenceKind::Missing => DriftKind::Missing,
                    tender_content::scan::DifferenceKind::Extra => DriftKind::Extra,
                    tender_content::scan::DifferenceKind::Modified => DriftKind::Modified,
                    tender_content::scan::DifferenceKind::Mode { .. } => DriftKind::Mode,
                    tender_content::scan::DifferenceKind::Kind => DriftKind::Kind,
                },
                ..crate::executor::samples::drift("current", "http", "any")
            })
            .collect();
        changed_parts(dir, &tree, &items.iter().collect::<Vec<_>>())
    }

    #[test]
    fn parts_modified_missing_extra_and_of_other_permissions_are_what_a_level_could_have() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "bin/run", "RUN", 0o555);
        put(dir.path(), "etc/conf", "conf", 0o555);
        put(dir.path(), "new/deep/part", "new", 0o644);
        symlink("run", dir.path().join("bin/link")).unwrap();
        std::fs::create_dir_all(dir.path().join("empty/inner")).unwrap();
        let parts = looked_at(dir.path());
        let found: Vec<_> = parts
            .iter()
            .map(|part| (part.path.as_str(), part.kind, part.is.clone(), part.fault.clone()))
            .collect();
        let link = Node::Symlink { target: "run".to_owned() };
        assert_eq!(
            found,
            [
                ("bin/link", DriftKind::Extra, Some(link), None),
                // The bits of the level where they mean the same.
                ("bin/run", DriftKind::Modified, Some(file("RUN", 0o755)), None),
                ("empty/inner", DriftKind::Extra, Some(Node::Directory), None),
                ("etc/conf", DriftKind::Mode, Some(file("conf", 0o755)), None),
                ("gone", DriftKind::Missing, None, None),
                ("new/deep/part", DriftKind::Extra, Some(file("new", 0o644)), None),
            ]
        );
    }

    #[test]
    fn what_no_level_could_have_is_named_with_its_fault() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "bin/run", "run", 0o4755);
        put(dir.path(), "gone", "x", 0o444);
        put(dir.path(), "etc/conf/below", "x", 0o644);
        symlink("/etc/passwd", dir.path().join("outside")).unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        let parts = looked_at(dir.path());
        let names: Vec<_> = parts.iter().map(|part| part.path.as_str()).collect();
        assert_eq!(names, ["bin/run", "etc/conf", "outside", "pipe"]);
        for part in parts {
            assert!(part.fault.is_some(), "{part:?}");
        }
    }
}
