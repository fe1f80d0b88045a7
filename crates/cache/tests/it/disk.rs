//! The store on disk keeps what it acknowledged, whatever happens to the process.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tender_cache::{Created, DiskStore, Entry, Limits, Owner, Store, StoreError};

const STORE: &str = "TENDER_CACHE_TEST_STORE";

/// Run in a process of its own by the test below: creates entries and says each that was acknowledged.
#[tokio::test]
async fn writer_that_is_killed() {
    let Some(path) = std::env::var_os(STORE) else { return };
    let store = Arc::new(DiskStore::open(path.as_ref()).unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let owner = Owner::new("a").unwrap();
            for number in 0.. {
                let key = format!("{task}-{number}");
                let entry = Entry::new(&key, &key, &Limits::default()).unwrap();
                let limits = Limits { entries_max: u64::MAX, ..Limits::default() };
                assert_eq!(store.create(&owner, entry, &limits).await.unwrap(), Created::Done);
                println!("acknowledged {key}");
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

#[tokio::test]
async fn entries_acknowledged_before_a_kill_are_there_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    let owner = Owner::new("a").unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "disk::writer_that_is_killed", "--nocapture"])
            .env(STORE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut keys =
            lines.filter_map(|line| line.rsplit_once("acknowledged ").map(|(_, key)| key.to_owned()));
        acknowledged.extend(keys.by_ref().take(50 + round * 13));
        writer.kill().unwrap();
        acknowledged.extend(keys);
        writer.wait().unwrap();
        assert!(acknowledged.len() >= 50, "the writer ended by itself in round {round}");
        let store = DiskStore::open(&path).unwrap();
        for key in &acknowledged {
            let entry = store.get(&owner, key).await.unwrap();
            assert_eq!(entry.map(|entry| entry.value).as_ref(), Some(key), "round {round}");
        }
        let count = store.delete_all(&owner).await.unwrap();
        assert!(count >= acknowledged.len() as u64);
        acknowledged.clear();
    }
}

/// A file system of a few pages, gone when this is dropped.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(bytes: &str) -> Self {
        let at = tempfile::tempdir().unwrap();
        let options = format!("size={bytes}");
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at.path()).status().unwrap();
        assert!(status.success(), "mounting a tmpfs needs root and CAP_SYS_ADMIN");
        Self(at)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.0.path()).status().ok();
    }
}

#[tokio::test]
async fn full_disk_refuses_and_loses_nothing_and_room_is_used_again() {
    let tmpfs = Tmpfs::mount("4m");
    let path = tmpfs.0.path().join("cache");
    let store = DiskStore::open(&path).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "values may be secrets");
    let (owner, limits) = (Owner::new("a").unwrap(), Limits::default());
    let value = "x".repeat(100_000);
    let mut acknowledged = 0;
    let error = loop {
        let entry = Entry::new(acknowledged.to_string(), &value, &limits).unwrap();
        match store.create(&owner, entry, &limits).await {
            Ok(created) => assert_eq!(created, Created::Done),
            Err(error) => break error,
        }
        acknowledged += 1;
        assert!(acknowledged < 100, "the disk has room for 40");
    };
    assert!(matches!(error, StoreError::Disk { .. }), "{error:?}");
    assert_eq!(store.list(&owner).await.unwrap().len(), acknowledged, "all that was acknowledged is there");
    assert!(acknowledged > 0);
    let more = Command::new("mount").args(["-o", "remount,size=16m"]).arg(tmpfs.0.path()).status().unwrap();
    assert!(more.success());
    let entry = Entry::new("later", &value, &limits).unwrap();
    assert_eq!(store.create(&owner, entry, &limits).await.unwrap(), Created::Done);
    assert_eq!(store.count().await.unwrap(), acknowledged as u64 + 1);
}

#[tokio::test]
async fn store_of_another_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    let first = DiskStore::open(&path).unwrap();
    let error = DiskStore::open(&path).unwrap_err();
    assert!(matches!(&error, StoreError::InUse { path: named } if *named == path), "{error}");
    drop(first);
}

#[tokio::test]
async fn file_that_is_no_store_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    std::fs::write(&path, "a text of somebody").unwrap();
    let error = DiskStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Disk { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a text of somebody");
}
