//! Any bytes, sealed as a servlink is: applying them ends with an answer, and what is applied is what the header says.

#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tender_content::servlink::{ApplyLimits, apply, inspect};
use tender_content::{Digest, NoProgress, Node, ObjectStore, PartPath, Tree};

const LIMITS: ApplyLimits = ApplyLimits { new_bytes_max: 1 << 24, parts_max: 10_000 };

/// One store for all runs: objects are named by their digests, so that one run cannot disturb another.
static STAGE: LazyLock<(TempDir, ObjectStore, Tree)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("the fuzzer has room for temporary files");
    let store = ObjectStore::open(&dir.path().join("store")).expect("a fresh directory takes a store");
    let base = base(&store);
    (dir, store, base)
});

/// A tree whose parts take every way through a servlink: text, a larger file, a link.
fn base(store: &ObjectStore) -> Tree {
    let lines: String = (0..400).map(|line| format!("line {line} of a part that changes\n")).collect();
    let mut nodes = BTreeMap::new();
    for (path, bytes) in [("bin/run", b"#!/bin/sh\necho one\n".as_slice()), ("text", lines.as_bytes())] {
        let digest = store.put_bytes(bytes).expect("a fresh store takes an object");
        let size = bytes.len() as u64;
        nodes.insert(PartPath::new(path).expect("a plain path"), Node::File { mode: 0o755, size, digest });
    }
    nodes.insert(PartPath::new("bin/link").expect("a plain path"), Node::Symlink { target: "run".to_owned() });
    Tree::from_nodes(nodes).expect("the paths do not meet")
}

fuzz_target!(|bytes: &[u8]| {
    let (dir, store, base) = &*STAGE;
    let path = dir.path().join("servlink");
    // The seal is right, so that what lies behind it is reached.
    fs::write(&path, [bytes, Digest::of(bytes).as_bytes()].concat()).expect("the directory takes a file");
    for from in [&Tree::new(), base] {
        let Ok(tree) = apply(&path, from, store, &LIMITS, &NoProgress) else { continue };
        let header = inspect(&path).expect("what was applied can be inspected");
        assert_eq!(tree.digest(), header.new, "the tree is not the one that the header names");
    }
});
