use super::*;

fn store() -> (tempfile::TempDir, ObjectStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(dir.path()).unwrap();
    (dir, store)
}

#[test]
fn put_by_bytes_reader_and_file_gives_one_object() {
    let (dir, store) = store();
    let bytes = vec![7; 700_000];
    let path = dir.path().join("input");
    fs::write(&path, &bytes).unwrap();
    let digest = store.put_bytes(&bytes).unwrap();
    assert_eq!(store.put_reader(&mut &bytes[..]).unwrap(), (digest, 700_000));
    assert_eq!(store.put_file(&path).unwrap(), (digest, 700_000));
    assert_eq!(store.read(&digest).unwrap(), bytes);
    assert_eq!(*store.map(&digest).unwrap(), bytes[..]);
    store.verify(&digest).unwrap();
    assert_eq!(list(&store.tmp_dir()).unwrap(), Vec::<PathBuf>::new());
    assert_eq!(fs::metadata(store.object_path(&digest)).unwrap().mode() & 0o7777, 0o444);
}

#[test]
fn read_of_damaged_object_is_refused() {
    let (_dir, store) = store();
    let digest = store.put_bytes(b"bytes").unwrap();
    let path = store.object_path(&digest);
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"Bytes").unwrap();
    assert!(matches!(store.read(&digest), Err(StoreError::Damaged { .. })));
    assert!(matches!(store.verify(&digest), Err(StoreError::Damaged { .. })));
}

#[test]
fn put_over_object_cut_short_repairs_it() {
    let (_dir, store) = store();
    let digest = store.put_bytes(b"bytes").unwrap();
    let path = store.object_path(&digest);
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"").unwrap();
    assert!(store.contains(&digest) && !store.contains_sized(&digest, 5));
    store.put_bytes(b"bytes").unwrap();
    assert_eq!(store.read(&digest).unwrap(), b"bytes");
}

#[test]
fn read_of_missing_object_names_it() {
    let (_dir, store) = store();
    let digest = Digest::of(b"nothing");
    let error = store.read(&digest).unwrap_err();
    assert!(error.to_string().contains(&digest.to_hex()), "{error}");
    assert!(!store.contains(&digest));
}

#[test]
fn gc_keeps_the_living_and_removes_the_rest() {
    let (_dir, store) = store();
    let live = store.put_bytes(b"live").unwrap();
    let dead = store.put_bytes(b"dead").unwrap();
    store.executable(&live).unwrap();
    store.executable(&dead).unwrap();
    fs::write(store.tmp_dir().join("put.killed"), b"half").unwrap();
    let report = store.gc(&HashSet::from([live])).unwrap();
    assert_eq!(report, GcReport { kept: 1, removed: 1, temporaries: 1, freed_bytes: 12 });
    assert!(store.contains(&live) && !store.contains(&dead));
    assert_eq!(store.gc(&HashSet::from([live])).unwrap().removed, 0);
}

#[test]
fn executable_of_object_has_its_own_inode_and_mode() {
    let (_dir, store) = store();
    let digest = store.put_bytes(b"#!/bin/sh\n").unwrap();
    let path = store.executable(&digest).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o555);
    assert_eq!(fs::read(&path).unwrap(), b"#!/bin/sh\n");
    assert_eq!(store.executable(&digest).unwrap(), path);
}
