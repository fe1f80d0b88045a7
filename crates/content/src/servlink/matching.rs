//! Finds for each new file the old one it most likely came from.
//!
//! In order: the same path; the same path or name when version numbers and hashes in it are masked; the same content
//! by a sketch of it, for parts whose path is gone. Matching is worth as much as the coder: one renamed library of
//! 25 MB outweighs everything else in its package.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::digest::Digest;
use crate::path::PartPath;
use crate::store::{ObjectStore, StoreError};
use crate::tree::{Node, Tree};

/// Smallest hash in a name: shorter runs of `a` to `f` are words.
const HASH_DIGITS_MIN: usize = 6;
/// Files below this are cheap to send anyway.
const SKETCH_FILE_BYTES_MIN: u64 = 1024;
const SKETCH_SHINGLE_BYTES: usize = 16;
const SKETCH_HASHES_MAX: usize = 64;
/// Of a sketch's hashes, this part must be shared.
const SKETCH_SHARED_MIN: usize = 6;

/// A regular file of the old tree with its place in the order of its parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct OldPart<'t> {
    pub(super) index: usize,
    pub(super) path: &'t PartPath,
    pub(super) size: u64,
    pub(super) digest: Digest,
    /// Whether the new tree has nothing at this path.
    pub(super) is_removed: bool,
}

/// Bytes the old tree does not have anywhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewObject<'t> {
    pub(super) path: &'t PartPath,
    pub(super) size: u64,
    pub(super) digest: Digest,
    /// What it is compared with.
    pub(super) old: Option<OldPart<'t>>,
}

/// Lists the regular files of the old tree.
pub(super) fn old_parts<'t>(from: &'t Tree, to: &Tree) -> Vec<OldPart<'t>> {
    let files = from.iter().enumerate().filter_map(|(index, (path, node))| match node {
        Node::File { size, digest, .. } => {
            let is_removed = to.get(path.as_str()).is_none();
            Some(OldPart { index, path, size: *size, digest: *digest, is_removed })
        }
        Node::Symlink { .. } | Node::Directory => None,
    });
    files.collect()
}

/// Lists the new objects in order of their first path, each with its counterpart.
pub(super) fn new_objects<'t>(
    old: &[OldPart<'t>],
    to: &'t Tree,
    store: &ObjectStore,
) -> Result<Vec<NewObject<'t>>, StoreError> {
    let mut known: HashSet<Digest> = old.iter().map(|part| part.digest).collect();
    let by_path: HashMap<&PartPath, OldPart<'t>> = old.iter().map(|part| (part.path, *part)).collect();
    let mut by_masked_path: HashMap<String, Vec<OldPart<'t>>> = HashMap::new();
    let mut by_masked_name: HashMap<String, Vec<OldPart<'t>>> = HashMap::new();
    for part in old {
        by_masked_path.entry(masked(part.path.as_str())).or_default().push(*part);
        by_masked_name.entry(masked(part.path.file_name())).or_default().push(*part);
    }
    let mut objects = Vec::new();
    for (path, node) in to.iter() {
        let Node::File { size, digest, .. } = node else { continue };
        if !known.insert(*digest) {
            continue;
        }
        let from_candidates = |found: Option<&Vec<OldPart<'t>>>| nearest(found?, *size);
        let old = by_path
            .get(path)
            .copied()
            .or_else(|| from_candidates(by_masked_path.get(&masked(path.as_str()))))
            .or_else(|| {
                let found = from_candidates(by_masked_name.get(&masked(path.file_name())))?;
                is_similar_size(found.size, *size).then_some(found)
            });
        objects.push(NewObject { path, size: *size, digest: *digest, old });
    }
    match_by_sketch(old, &mut objects, store)?;
    Ok(objects)
}

/// Picks a removed part before one that stays, and of these the one of the nearest size.
fn nearest<'t>(candidates: &[OldPart<'t>], size: u64) -> Option<OldPart<'t>> {
    candidates.iter().min_by_key(|part| (!part.is_removed, part.size.abs_diff(size), part.index)).copied()
}

fn is_similar_size(one: u64, other: u64) -> bool {
    one.max(other) <= one.min(other).saturating_mul(2).saturating_add(64)
}

/// Replaces numbers and hashes in a name, so that two versions of it read the same.
fn masked(name: &str) -> String {
    let mut mask = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let hex = rest.bytes().take_while(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b)).count();
        let is_hash = hex >= HASH_DIGITS_MIN && rest[..hex].bytes().any(|b| b.is_ascii_digit());
        let taken = if is_hash { hex } else { digits };
        if taken > 0 {
            mask.push('#');
            rest = &rest[taken..];
        } else {
            mask.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    mask
}

fn match_by_sketch<'t>(
    old: &[OldPart<'t>],
    objects: &mut [NewObject<'t>],
    store: &ObjectStore,
) -> Result<(), StoreError> {
    let is_alone = |object: &NewObject<'_>| object.old.is_none() && object.size >= SKETCH_FILE_BYTES_MIN;
    let removed: Vec<_> = old.iter().filter(|p| p.is_removed && p.size >= SKETCH_FILE_BYTES_MIN).collect();
    if removed.is_empty() || !objects.iter().any(is_alone) {
        return Ok(());
    }
    let mut parts_by_hash: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, part) in removed.iter().enumerate() {
        for hash in sketch(&store.map(&part.digest)?) {
            parts_by_hash.entry(hash).or_default().push(at);
        }
    }
    for object in objects.iter_mut().filter(|object| is_alone(object)) {
        let hashes = sketch(&store.map(&object.digest)?);
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for at in hashes.iter().filter_map(|hash| parts_by_hash.get(hash)).flatten() {
            *shared.entry(*at).or_default() += 1;
        }
        let best = shared.into_iter().max_by_key(|(at, count)| (*count, std::cmp::Reverse(*at)));
        object.old = best.filter(|(_, count)| *count >= SKETCH_SHARED_MIN).map(|(at, _)| *removed[at]);
    }
    Ok(())
}

/// Returns the smallest hashes of all runs of bytes: files that share content share some of them.
fn sketch(bytes: &[u8]) -> Vec<u64> {
    let mut smallest = std::collections::BTreeSet::new();
    let mut limit = u64::MAX;
    // Runs may start anywhere in the other file, so every offset counts.
    for run in bytes.windows(SKETCH_SHINGLE_BYTES) {
        let hash = shingle_hash(run);
        if hash < limit && smallest.insert(hash) && smallest.len() > SKETCH_HASHES_MAX {
            smallest.pop_last();
            limit = smallest.last().copied().unwrap_or(u64::MAX);
        }
    }
    smallest.into_iter().collect()
}

fn shingle_hash(run: &[u8]) -> u64 {
    let half = |at: usize| {
        let bytes: [u8; 8] = run[at..at + 8].try_into().expect("a run is sixteen bytes");
        u64::from_le_bytes(bytes)
    };
    let mixed = (half(0) ^ half(8).rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_names_of_two_versions_are_equal() {
        for (one, other) in [
            ("libopenblas-68440149.so", "libopenblas-c128ec02.so"),
            ("scipy-1.16.1.dist-info/RECORD", "scipy-1.16.3.dist-info/RECORD"),
            ("libssl.so.3.0.17", "libssl.so.3.0.9"),
        ] {
            assert_eq!(masked(one), masked(other));
        }
        assert_ne!(masked("facade.js"), masked("decade.js"));
    }

    fn objects(old: &[(&str, &[u8])], new: &[(&str, &[u8])]) -> Vec<(String, Option<String>)> {
        let dir = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(dir.path()).unwrap();
        let tree = |parts: &[(&str, &[u8])]| {
            let nodes = parts.iter().map(|(path, bytes)| {
                let digest = store.put_bytes(bytes).unwrap();
                let node = Node::File { mode: 0o644, size: bytes.len() as u64, digest };
                (PartPath::new(*path).unwrap(), node)
            });
            Tree::from_nodes(nodes.collect()).unwrap()
        };
        let (from, to) = (tree(old), tree(new));
        let old = old_parts(&from, &to);
        let found = new_objects(&old, &to, &store).unwrap();
        found.iter().map(|o| (o.path.to_string(), o.old.map(|old| old.path.to_string()))).collect()
    }

    fn check(old: &[(&str, &[u8])], new: &[(&str, &[u8])], expected: &[(&str, Option<&str>)]) {
        let expected: Vec<_> =
            expected.iter().map(|(n, o)| ((*n).to_owned(), o.map(str::to_owned))).collect();
        assert_eq!(objects(old, new), expected);
    }

    #[test]
    fn objects_are_matched_by_path_then_name_then_content() {
        let text: Vec<u8> = (0..900_u32).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let changed = [&text[..], b"more"].concat();
        check(&[("a", b"1")], &[("a", b"2")], &[("a", Some("a"))]);
        check(&[("a-1.so", b"1"), ("b", b"x")], &[("a-2.so", b"2")], &[("a-2.so", Some("a-1.so"))]);
        check(&[("x/a-1.so", b"1")], &[("y/a-2.so", b"2")], &[("y/a-2.so", Some("x/a-1.so"))]);
        check(&[("old", &text)], &[("other", &changed)], &[("other", Some("old"))]);
        check(&[("old", &text)], &[("other", &[7; 3000])], &[("other", None)]);
    }

    #[test]
    fn content_that_is_anywhere_in_old_is_no_new_object() {
        check(&[("a", b"same")], &[("b", b"same"), ("c", b"new"), ("d", b"new")], &[("c", None)]);
    }
}
