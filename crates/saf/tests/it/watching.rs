//! A change in a store is noticed without asking again and again.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use tender_saf::{Command, Context, SqliteStore, Store, TextStore, Transaction, Watch};

/// Waits until a watch has something to say, as a server does.
fn wait(watch: &mut Watch, store: &dyn Store) -> tender_saf::Epoch {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        assert!(Instant::now() < deadline, "the change is noticed");
        let fd = watch.as_fd();
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        let second = rustix::time::Timespec { tv_sec: 1, tv_nsec: 0 };
        poll(&mut fds, Some(&second)).unwrap();
        if let Some(epoch) = watch.changed(store).unwrap() {
            return epoch;
        }
    }
}

fn check(store: &dyn Store) {
    let (database, epoch) = store.load().unwrap();
    let mut watch = Watch::new(store, epoch).unwrap();
    assert_eq!(watch.changed(store).unwrap(), None);
    let fd = watch.as_fd();
    let quiet = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&quiet)).unwrap(), 0, "looking does not wake the one who looks");

    let context = Context { who: "ROOT".parse().unwrap() };
    let plan = Command::parse("ADDUSER BOB").unwrap().plan(&database, &context).unwrap();
    let at = jiff::Timestamp::UNIX_EPOCH;
    let transaction =
        Transaction { who: "ROOT".to_owned(), at, what: "ADDUSER BOB".to_owned(), changes: plan.changes };
    let committed = store.commit(&transaction).unwrap();
    assert_eq!(wait(&mut watch, store), committed.epoch);
    assert_eq!(watch.changed(store).unwrap(), None);
}

#[test]
fn change_in_a_sqlite_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    check(&SqliteStore::create(&dir.path().join("saf.db")).unwrap());
}

#[test]
fn change_in_a_directory_of_text_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    check(&TextStore::create(&dir.path().join("saf")).unwrap());
}
