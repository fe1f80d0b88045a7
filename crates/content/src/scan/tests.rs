use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use super::*;
use crate::import::import_dir;
use crate::progress::NoProgress;
use crate::store::ObjectStore;

/// A writable directory and its tree: drift must be made by the tests.
fn setup() -> (tempfile::TempDir, Tree) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("slot");
    fs::create_dir_all(root.join("lib/deep")).unwrap();
    for name in ["a", "lib/b", "lib/deep/c", "lib-x"] {
        fs::write(root.join(name), name).unwrap();
    }
    symlink("lib/b", root.join("link")).unwrap();
    let store = ObjectStore::open(&dir.path().join("store")).unwrap();
    let tree = import_dir(&store, &root, &NoProgress).unwrap();
    (dir, tree)
}

fn check(change: impl FnOnce(&Path), expected: &[(&str, DifferenceKind)]) {
    let (dir, tree) = setup();
    let root = dir.path().join("slot");
    change(&root);
    let found = scan(&root, &tree, None, ScanMode::Full, &NoProgress).unwrap();
    let found: Vec<_> = found.iter().map(|d| (d.path.as_str(), d.kind)).collect();
    assert_eq!(found, expected);
}

#[test]
fn scan_of_unchanged_directory_finds_nothing() {
    check(|_| {}, &[]);
}

#[test]
fn scan_finds_each_kind_of_drift_exactly() {
    use DifferenceKind::{Extra, Kind, Missing, Mode, Modified};
    check(|root| fs::write(root.join("a"), "A").unwrap(), &[("a", Modified)]);
    check(|root| fs::write(root.join("a"), "longer").unwrap(), &[("a", Modified)]);
    check(|root| fs::remove_file(root.join("lib/b")).unwrap(), &[("lib/b", Missing)]);
    check(
        |root| fs::remove_dir_all(root.join("lib")).unwrap(),
        &[("lib/b", Missing), ("lib/deep/c", Missing)],
    );
    check(|root| fs::remove_dir_all(root.join("lib/deep")).unwrap(), &[("lib/deep/c", Missing)]);
    check(|root| fs::create_dir(root.join("lib/new")).unwrap(), &[("lib/new", Extra)]);
    check(|root| fs::write(root.join("lib/new"), "").unwrap(), &[("lib/new", Extra)]);
    let relink = |root: &Path| {
        fs::remove_file(root.join("link")).unwrap();
        symlink("a", root.join("link")).unwrap();
    };
    check(relink, &[("link", Modified)]);
    let swap = |root: &Path| {
        fs::remove_file(root.join("a")).unwrap();
        fs::create_dir(root.join("a")).unwrap();
    };
    check(swap, &[("a", Kind)]);
    let run = |root: &Path| fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    check(run, &[("a", Mode { expected: 0o444, found: 0o555 })]);
    let set_id =
        |root: &Path| fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o4644)).unwrap();
    check(set_id, &[("a", Mode { expected: 0o444, found: 0o4444 })]);
}

#[test]
fn scan_finds_drift_of_an_empty_directory_exactly() {
    use DifferenceKind::{Extra, Kind, Missing, Mode};
    let check = |change: fn(&Path), expected: &[(&str, DifferenceKind)]| {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("slot");
        fs::create_dir_all(root.join("spool/new")).unwrap();
        fs::write(root.join("a"), "a").unwrap();
        let store = ObjectStore::open(&dir.path().join("store")).unwrap();
        let tree = import_dir(&store, &root, &NoProgress).unwrap();
        change(&root.join("spool"));
        let found = scan(&root, &tree, None, ScanMode::Full, &NoProgress).unwrap();
        let found: Vec<_> = found.iter().map(|d| (d.path.as_str(), d.kind)).collect();
        assert_eq!(found, expected);
    };
    check(|_| {}, &[]);
    check(|spool| fs::remove_dir(spool.join("new")).unwrap(), &[("spool/new", Missing)]);
    check(|spool| fs::remove_dir_all(spool).unwrap(), &[("spool/new", Missing)]);
    check(|spool| fs::write(spool.join("new/x"), "").unwrap(), &[("spool/new/x", Extra)]);
    let file = |spool: &Path| {
        fs::remove_dir(spool.join("new")).unwrap();
        fs::write(spool.join("new"), "").unwrap();
    };
    check(file, &[("spool/new", Kind)]);
    let link = |spool: &Path| {
        fs::remove_dir_all(spool).unwrap();
        symlink("a", spool).unwrap();
    };
    check(link, &[("spool", Extra), ("spool/new", Missing)]);
    let close = |spool: &Path| {
        fs::set_permissions(spool.join("new"), fs::Permissions::from_mode(0o700)).unwrap();
    };
    check(close, &[("spool/new", Mode { expected: 0o555, found: 0o500 })]);
}

#[test]
fn scan_ignores_write_bits() {
    let read_only =
        |root: &Path| fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o444)).unwrap();
    check(read_only, &[]);
}

#[test]
fn scan_of_missing_directory_finds_every_part_missing() {
    let (dir, tree) = setup();
    let found = scan(&dir.path().join("none"), &tree, None, ScanMode::Full, &NoProgress).unwrap();
    assert_eq!(found.len(), tree.len());
    assert!(found.iter().all(|d| d.kind == DifferenceKind::Missing));
}

/// Scans until the files are older than the file system's clock tick and so remembered.
fn filled_cache(dir: &Path, tree: &Tree) -> ScanCache {
    let cache = ScanCache::load(&dir.join("cache"));
    let deadline = Instant::now() + Duration::from_secs(10);
    while cache.len() < 4 {
        assert!(Instant::now() < deadline, "nothing was remembered");
        assert_eq!(scan(&dir.join("slot"), tree, Some(&cache), ScanMode::Cached, &NoProgress).unwrap(), []);
    }
    cache
}

struct HashedBytes(std::sync::Mutex<u64>);

impl Progress for HashedBytes {
    fn begin(&self, _what: &str, total: u64) {
        *self.0.lock().unwrap() += total;
    }
    fn advance(&self, _by: u64) {}
    fn end(&self) {}
}

#[test]
fn scan_with_saved_cache_reads_only_what_changed() {
    let (dir, tree) = setup();
    filled_cache(dir.path(), &tree).save().unwrap();
    let cache = ScanCache::load(&dir.path().join("cache"));
    let hashed = HashedBytes(0.into());
    let root = dir.path().join("slot");
    assert_eq!(scan(&root, &tree, Some(&cache), ScanMode::Cached, &hashed).unwrap(), []);
    assert_eq!(*hashed.0.lock().unwrap(), 0);
    fs::write(root.join("lib/b"), "LIB/b").unwrap();
    let found = scan(&root, &tree, Some(&cache), ScanMode::Cached, &hashed).unwrap();
    assert_eq!(found, [Difference { path: "lib/b".into(), kind: DifferenceKind::Modified }]);
    assert_eq!(*hashed.0.lock().unwrap(), 5);
}

#[test]
fn scan_full_finds_what_a_lying_cache_hides() {
    let (dir, tree) = setup();
    let cache = filled_cache(dir.path(), &tree);
    let root = dir.path().join("slot");
    fs::write(root.join("a"), "A").unwrap();
    let key = StatKey::of(&fs::metadata(root.join("a")).unwrap());
    let deadline = Instant::now() + Duration::from_secs(10);
    while cache.lookup(&key).is_none() {
        assert!(Instant::now() < deadline);
        cache.remember(key, Digest::of(b"a"));
    }
    assert_eq!(scan(&root, &tree, Some(&cache), ScanMode::Cached, &NoProgress).unwrap(), []);
    cache.save().unwrap();
    let loaded = ScanCache::load(&dir.path().join("cache"));
    for cache in [cache, loaded] {
        assert_eq!(scan(&root, &tree, Some(&cache), ScanMode::Cached, &NoProgress).unwrap(), []);
        assert_eq!(scan(&root, &tree, Some(&cache), ScanMode::Full, &NoProgress).unwrap().len(), 1);
        // What was found out is remembered instead.
        assert_eq!(cache.lookup(&key), Some(Digest::of(b"A")));
        cache.save().unwrap();
        assert_eq!(ScanCache::load(&dir.path().join("cache")).lookup(&key), Some(Digest::of(b"A")));
    }
}

#[test]
fn scan_stat_only_reads_nothing() {
    let (dir, tree) = setup();
    let root = dir.path().join("slot");
    fs::write(root.join("a"), "A").unwrap();
    assert_eq!(scan(&root, &tree, None, ScanMode::StatOnly, &NoProgress).unwrap(), []);
    fs::write(root.join("a"), "AA").unwrap();
    assert_eq!(scan(&root, &tree, None, ScanMode::StatOnly, &NoProgress).unwrap().len(), 1);
}

#[test]
fn cache_that_is_damaged_is_empty() {
    let (dir, tree) = setup();
    filled_cache(dir.path(), &tree).save().unwrap();
    let path = dir.path().join("cache");
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(ScanCache::load(&path).is_empty());
    assert!(ScanCache::load(&dir.path().join("none")).is_empty());
}

#[test]
fn scan_of_many_directories_on_many_threads_finds_the_same_as_on_one() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("slot");
    for number in 0..150 {
        let directory = root.join(format!("d{}/e{number}/f", number % 7));
        fs::create_dir_all(&directory).unwrap();
        for name in ["one", "two"] {
            fs::write(directory.join(name), format!("{name} {number}")).unwrap();
        }
    }
    let store = ObjectStore::open(&dir.path().join("store")).unwrap();
    let tree = import_dir(&store, &root, &NoProgress).unwrap();
    fs::remove_dir_all(root.join("d3/e3")).unwrap();
    fs::write(root.join("d4/e4/f/one"), "of another size").unwrap();
    fs::write(root.join("d5/e5/f/extra"), "").unwrap();
    fs::create_dir_all(root.join("d6/extra/below")).unwrap();
    let found = |threads| {
        let mut differences = walk(&root, &tree, &|_, _| Bytes::Right, threads).unwrap().differences;
        differences.sort_unstable();
        differences
    };
    let alone = found(1);
    let paths: Vec<_> = alone.iter().map(|difference| difference.path.as_str()).collect();
    let expected =
        ["d3/e3/f/one", "d3/e3/f/two", "d4/e4/f/one", "d5/e5/f/extra", "d6/extra", "d6/extra/below"];
    assert_eq!(paths, expected);
    for threads in [2, 5] {
        assert_eq!(found(threads), alone);
    }
}

#[test]
fn scan_names_the_directory_that_it_cannot_look_at() {
    let (dir, tree) = setup();
    let file = dir.path().join("slot/a");
    let error = scan(&file, &tree, None, ScanMode::StatOnly, &NoProgress).unwrap_err();
    assert!(error.to_string().contains("slot/a"), "{error}");
}

#[test]
fn scan_through_a_link_compares_what_it_leads_to() {
    let (dir, tree) = setup();
    symlink("slot", dir.path().join("current")).unwrap();
    assert_eq!(scan(&dir.path().join("current"), &tree, None, ScanMode::Full, &NoProgress).unwrap(), []);
}
