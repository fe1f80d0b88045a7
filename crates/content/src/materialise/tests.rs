use std::os::unix::fs::MetadataExt;

use super::*;
use crate::import::import_dir;
use crate::progress::NoProgress;

struct Setup {
    dir: tempfile::TempDir,
    store: ObjectStore,
}

impl Setup {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(&dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tree(&self) -> Tree {
        let mut nodes = std::collections::BTreeMap::new();
        for (path, mode, bytes) in
            [("bin/run", 0o755, "#!/bin/sh\n"), ("etc/a/b/conf", 0o644, "x=1\n"), ("secret", 0o600, "s")]
        {
            let digest = self.store.put_bytes(bytes.as_bytes()).unwrap();
            let node = Node::File { mode, size: bytes.len() as u64, digest };
            nodes.insert(PartPath::new(path).unwrap(), node);
        }
        let link = Node::Symlink { target: "../bin/run".to_owned() };
        nodes.insert(PartPath::new("etc/run").unwrap(), link);
        nodes.insert(PartPath::new("var/spool/new").unwrap(), Node::Directory);
        Tree::from_nodes(nodes).unwrap()
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        for name in ["level", "again"] {
            remove_tree(&self.dir.path().join(name)).unwrap();
        }
    }
}

#[test]
fn tree_through_a_directory_is_the_same_without_write_bits() {
    let setup = Setup::new();
    let tree = setup.tree();
    let report = materialise(&setup.store, &tree, &setup.at("level")).unwrap();
    assert_eq!(report, MaterialiseReport { linked: 2, copied: 1, symlinks: 1 });
    let read_back = import_dir(&setup.store, &setup.at("level"), &NoProgress).unwrap();
    let without_write_bits = tree.into_nodes().into_iter().map(|(path, node)| match node {
        Node::File { mode, size, digest } => (path, Node::File { mode: mode & 0o555, size, digest }),
        other @ (Node::Symlink { .. } | Node::Directory) => (path, other),
    });
    assert_eq!(read_back, Tree::from_nodes(without_write_bits.collect()).unwrap());
    for directory in ["", "etc", "etc/a/b", "var/spool/new"] {
        assert_eq!(fs::metadata(setup.at("level").join(directory)).unwrap().mode() & 0o7777, 0o555);
    }
}

#[test]
fn materialise_over_existing_directory_is_refused() {
    let setup = Setup::new();
    fs::create_dir(setup.at("level")).unwrap();
    let result = materialise(&setup.store, &setup.tree(), &setup.at("level"));
    assert!(matches!(result, Err(MaterialiseError::Exists { .. })));
}

#[test]
fn materialise_after_a_killed_one_succeeds() {
    let setup = Setup::new();
    materialise(&setup.store, &setup.tree(), &setup.at("level")).unwrap();
    fs::rename(setup.at("level"), setup.at(".level.partial")).unwrap();
    materialise(&setup.store, &setup.tree(), &setup.at("level")).unwrap();
    assert!(!setup.at(".level.partial").exists());
}

#[test]
fn materialise_with_missing_object_names_the_part_and_leaves_nothing() {
    let setup = Setup::new();
    let tree = setup.tree();
    let digest = tree.get("etc/a/b/conf").unwrap().digest().unwrap();
    fs::remove_file(setup.store.object_path(&digest)).unwrap();
    let error = materialise(&setup.store, &tree, &setup.at("level")).unwrap_err();
    assert!(error.to_string().contains("etc/a/b/conf"), "{error}");
    let names: Vec<_> = fs::read_dir(setup.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["store"]);
}

#[test]
fn materialise_with_object_cut_short_is_refused() {
    let setup = Setup::new();
    let tree = setup.tree();
    let digest = tree.get("secret").unwrap().digest().unwrap();
    fs::remove_file(setup.store.object_path(&digest)).unwrap();
    fs::write(setup.store.object_path(&digest), b"").unwrap();
    let result = materialise(&setup.store, &tree, &setup.at("level"));
    assert!(matches!(result, Err(MaterialiseError::ObjectSize { path, .. }) if path == "secret"));
}

#[test]
fn components_go_side_by_side() {
    let setup = Setup::new();
    let tree = setup.tree();
    let (one, two) = (("db", &tree), ("web", &tree));
    materialise_into(&setup.store, &[one, two], &setup.at("level")).unwrap();
    assert_eq!(fs::read(setup.at("level/web/etc/run")).unwrap(), b"#!/bin/sh\n");
    assert_eq!(fs::metadata(setup.at("level/db")).unwrap().mode() & 0o777, 0o555);
    for name in ["..", "a/b", ""] {
        let result = materialise_into(&setup.store, &[(name, &tree)], &setup.at("again"));
        assert!(matches!(result, Err(MaterialiseError::ComponentName { .. })), "{name}");
    }
}

#[test]
fn remove_of_tree_twice_leaves_nothing() {
    let setup = Setup::new();
    materialise(&setup.store, &setup.tree(), &setup.at("level")).unwrap();
    remove_tree(&setup.at("level")).unwrap();
    remove_tree(&setup.at("level")).unwrap();
    assert!(!setup.at("level").exists());
    assert!(!setup.at(".level.removing").exists());
}
