//! A receiver that is killed leaves nothing half visible, and the next run ends as if nothing had happened.

use std::collections::HashSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use tender_content::servlink::{ApplyLimits, apply};
use tender_content::{Digest, NoProgress, ObjectStore, Tree};

use crate::child;
use crate::setup::{Setup, gzip, program, text};

const CHILD: &str = "crash::child_applies";
const SIGKILL: i32 = 9;

fn releases(setup: &Setup) -> [Tree; 2] {
    [1, 2].map(|version| {
        let mut parts = vec![
            ("core.so".to_owned(), program(version, 200_000)),
            ("manual.gz".to_owned(), gzip(&text(version, 3000))),
        ];
        parts.extend((0..20).map(|n| (format!("share/{n}"), text(version * 31 + n, 60))));
        let parts: Vec<_> = parts.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
        setup.tree(&parts)
    })
}

#[test]
fn child_applies() {
    let Some(directory) = child::directory() else { return };
    let from = Tree::decode(&fs::read_to_string(directory.join("from")).unwrap()).unwrap();
    let store = ObjectStore::open(&directory.join("receiver")).unwrap();
    apply(&directory.join("servlink"), &from, &store, &ApplyLimits::default(), &NoProgress).unwrap();
}

/// Returns every file below `objects/`, each of which must hold what its name says.
fn whole_objects(receiver: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in fs::read_dir(receiver.join("objects")).unwrap() {
        let directory = directory.unwrap().path();
        for object in fs::read_dir(&directory).unwrap() {
            let path = object.unwrap().path();
            let name = [&directory, &path].map(|p| p.file_name().unwrap().to_str().unwrap().to_owned());
            assert_eq!(name.concat(), Digest::of(&fs::read(&path).unwrap()).to_hex());
            found.push(path);
        }
    }
    found.sort();
    found
}

fn stored(setup: &Setup, tree: &Tree) -> ObjectStore {
    let store = ObjectStore::open(&setup.at("receiver")).unwrap();
    for digest in tree.iter().filter_map(|(_, node)| node.digest()) {
        store.put_bytes(&setup.store.read(&digest).unwrap()).unwrap();
    }
    store
}

#[test]
fn apply_killed_at_any_object_leaves_whole_objects_and_the_next_run_completes() {
    let setup = Setup::new();
    let [from, to] = releases(&setup);
    setup.build(&from, &to);
    fs::write(setup.at("from"), from.encode()).unwrap();
    let receiver = setup.at("receiver");
    let new_objects: HashSet<_> = to.iter().filter_map(|(_, node)| node.digest()).collect();
    let old_objects: HashSet<_> = from.iter().filter_map(|(_, node)| node.digest()).collect();
    let steps = new_objects.difference(&old_objects).count();
    let points = (1..=steps).step_by(5).map(|n| format!("content.object:{n}"));
    for point in points.chain(["content.sync".to_owned()]) {
        let store = stored(&setup, &from);
        let before = whole_objects(&receiver);
        let killed = child::run(CHILD, setup.dir.path(), &[("TENDER_FAULT", point.clone())]);
        assert_eq!(killed.status.signal(), Some(SIGKILL), "{point}");
        let left = whole_objects(&receiver);
        assert!(before.iter().all(|path| left.contains(path)), "{point}");
        // A power cut takes what was not flushed: an object is gone or cut short.
        let lost: Vec<_> = left.iter().filter(|path| !before.contains(path)).collect();
        if let Some((gone, short)) = lost.first().zip(lost.get(1)) {
            fs::remove_file(gone).unwrap();
            fs::remove_file(short).unwrap();
            fs::write(short, b"").unwrap();
        }
        let path = setup.at("servlink");
        let made = apply(&path, &from, &store, &ApplyLimits::default(), &NoProgress).unwrap();
        assert_eq!(made, to);
        let objects = whole_objects(&receiver);
        assert!(to.iter().filter_map(|(_, n)| n.digest()).all(|d| objects.contains(&store.object_path(&d))));
        store.gc(&HashSet::new()).unwrap();
        assert_eq!(fs::read_dir(receiver.join("tmp")).unwrap().count(), 0, "{point}");
    }
}
