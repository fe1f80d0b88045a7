//! Both stores keep what they are given, and give it to each other.

use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;
use tender_saf::{
    Change, Command, Compiled, Context, Database, Key, SqliteStore, Store, StoreError, TextStore,
    Transaction, copy, open,
};

use crate::generate;

fn both(dir: &Path) -> [Box<dyn Store>; 2] {
    let text = TextStore::create(&dir.join("text")).unwrap();
    [Box::new(SqliteStore::create(&dir.join("saf.db")).unwrap()), Box::new(text)]
}

fn transaction(what: &str, changes: Vec<Change>) -> Transaction {
    Transaction { who: "ROOT".to_owned(), at: Timestamp::UNIX_EPOCH, what: what.to_owned(), changes }
}

/// Plans a command on what a store holds and commits it.
fn run(store: &dyn Store, command: &str) -> tender_saf::Committed {
    let (database, _) = store.load().unwrap();
    let context = Context { who: "ROOT".parse().unwrap() };
    let plan = Command::parse(command).unwrap().plan(&database, &context).unwrap();
    store.commit(&transaction(command, plan.changes)).unwrap()
}

#[test]
fn fresh_store_holds_the_initial_database() {
    let dir = tempfile::tempdir().unwrap();
    for store in both(dir.path()) {
        assert_eq!(store.load().unwrap().0, Database::initial());
        assert_eq!(open(store.path()).unwrap().epoch().unwrap(), store.epoch().unwrap());
        assert!(store.history().unwrap().is_empty());
    }
    assert!(matches!(SqliteStore::create(&dir.path().join("saf.db")), Err(StoreError::Exists { .. })));
    assert!(matches!(TextStore::create(&dir.path().join("text")), Err(StoreError::Exists { .. })));
    assert!(matches!(open(&dir.path().join("none")), Err(StoreError::Missing { .. })));
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    assert!(matches!(open(&dir.path().join("empty")), Err(StoreError::Missing { .. })));
}

#[test]
fn history_says_who_did_what_when_from_what_to_what() {
    let dir = tempfile::tempdir().unwrap();
    for store in both(dir.path()) {
        let before = store.epoch().unwrap();
        let defined = run(&*store, "RDEFINE FACILITY A.B");
        assert_eq!(defined.transaction, Some(1));
        assert_ne!(defined.epoch, before);
        assert_eq!(run(&*store, "PERMIT A.B CLASS(FACILITY) ID(ROOT)").transaction, Some(2));
        let again = run(&*store, "PERMIT A.B CLASS(FACILITY) ID(ROOT)");
        assert_eq!((again.transaction, again.epoch), (None, store.epoch().unwrap()));
        let history = store.history().unwrap();
        assert_eq!(history.len(), 2);
        assert_eq!(history[1].what, "PERMIT A.B CLASS(FACILITY) ID(ROOT)");
        assert_eq!((&*history[1].who, history[1].at), ("ROOT", Timestamp::UNIX_EPOCH));
        assert_eq!(history[0].before, None);
        assert_eq!(history[0].after, history[1].before);
        assert_eq!(history[1].key, Key::Profile("FACILITY".parse().unwrap(), "A.B".to_owned()));
    }
}

#[test]
fn change_planned_on_an_older_state_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    for store in both(dir.path()) {
        run(&*store, "RDEFINE FACILITY A.B");
        let (database, _) = store.load().unwrap();
        let context = Context { who: "ROOT".parse().unwrap() };
        let plan =
            |command: &str| Command::parse(command).unwrap().plan(&database, &context).unwrap().changes;
        let mut changes = plan("ADDUSER BOB");
        changes.extend(plan("RALTER FACILITY A.B UACC(READ)"));
        run(&*store, "PERMIT A.B CLASS(FACILITY) ID(ROOT)");
        let now = store.load().unwrap();
        let refused = store.commit(&transaction("late", changes));
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
        assert_eq!(store.load().unwrap(), now);
        // What does not touch the same record may still be committed.
        assert!(store.commit(&transaction("other", plan("ADDUSER BOB"))).is_ok());
    }
}

#[test]
fn many_writers_lose_no_change() {
    let dir = tempfile::tempdir().unwrap();
    for store in both(dir.path()) {
        let path = store.path().to_owned();
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let path = &path;
                scope.spawn(move || {
                    let store = open(path).unwrap();
                    for number in 0..5 {
                        run(&*store, &format!("ADDUSER U{thread}N{number}"));
                    }
                });
            }
        });
        let (database, _) = store.load().unwrap();
        assert_eq!(database.users.len(), 16);
        let mut numbers: Vec<u64> = store.history().unwrap().iter().map(|entry| entry.transaction).collect();
        numbers.dedup();
        assert_eq!(numbers, (1..=15).collect::<Vec<_>>());
    }
}

#[test]
fn text_interrupted_half_way_is_carried_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = TextStore::create(dir.path()).unwrap();
    run(&store, "ADDUSER BOB");
    let wanted = store.load().unwrap();
    let files: std::collections::BTreeMap<String, String> = ["users.saf", "groups.saf"]
        .map(|name| (name.to_owned(), std::fs::read_to_string(dir.path().join(name)).unwrap()))
        .into();
    // As a crash leaves it: the plan of files is written, one file is not yet.
    std::fs::write(dir.path().join(".pending"), serde_json::to_vec(&files).unwrap()).unwrap();
    let old = files["users.saf"].lines().filter(|line| !line.contains("BOB")).collect::<Vec<_>>().join("\n");
    std::fs::write(dir.path().join("users.saf"), old).unwrap();
    assert_eq!(store.load().unwrap(), wanted);
    assert!(!dir.path().join(".pending").exists());
}

#[test]
fn text_may_be_edited_by_hand_and_mistakes_are_located() {
    let dir = tempfile::tempdir().unwrap();
    let store = TextStore::create(dir.path()).unwrap();
    let epoch = store.epoch().unwrap();
    let class = dir.path().join("class-FACILITY.saf");
    std::fs::write(&class, "/* by hand */\nrdef facility a.b\npe a.b cl(facility) id(root)\n").unwrap();
    let (database, edited) = store.load().unwrap();
    assert_ne!(edited, epoch);
    assert!(database.profile(&"FACILITY".parse().unwrap(), "A.B").is_some());
    // The next commit writes it the way it always is.
    run(&store, "RALTER FACILITY A.B UACC(READ)");
    let text = std::fs::read_to_string(&class).unwrap();
    assert!(text.starts_with("RDEFINE FACILITY A.B OWNER(ROOT) UACC(READ)"), "{text}");
    std::fs::write(&class, "RDEFINE FACILITY A.B\nPERMIT A.B CLASS(FACILITY) ID(NOBODY)\n").unwrap();
    let error = store.load().unwrap_err();
    assert!(error.to_string().contains("permits NOBODY"), "{error}");
    std::fs::write(&class, "RDEFINE FACILITY A.B FOO\n").unwrap();
    let error = store.load().unwrap_err();
    assert!(error.to_string().contains("class-FACILITY.saf"), "{error}");
}

#[test]
fn sqlite_file_of_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("saf.db");
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::Format { found: 0, .. })));
    std::fs::write(&path, b"this is not a database, whatever its name says").unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::Sqlite { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Nothing is lost on the way from one kind of store to the other and back, history included.
    #[test]
    fn database_survives_both_stores(before in generate::database(), after in generate::database()) {
        let dir = tempfile::tempdir().unwrap();
        let [sqlite, text] = both(dir.path());
        for wanted in [&before, &after] {
            let (found, _) = sqlite.load().unwrap();
            let changes = found.changes_to(wanted);
            sqlite.commit(&transaction("everything", changes)).unwrap();
        }
        let history = sqlite.history().unwrap();
        copy(&*sqlite, &*text).unwrap();
        prop_assert_eq!(&text.load().unwrap().0, &after);
        prop_assert_eq!(&text.history().unwrap(), &history);
        let back = SqliteStore::create(&dir.path().join("back.db")).unwrap();
        copy(&*text, &back).unwrap();
        prop_assert_eq!(&back.load().unwrap().0, &after);
        prop_assert_eq!(&back.history().unwrap(), &history);
        // And the text also takes the same change step by step.
        let stepwise = TextStore::create(&dir.path().join("steps")).unwrap();
        for wanted in [&before, &after] {
            let (found, _) = stepwise.load().unwrap();
            stepwise.commit(&transaction("everything", found.changes_to(wanted))).unwrap();
        }
        prop_assert_eq!(&stepwise.load().unwrap().0, &after);
        let compiled = Compiled::new(&after);
        prop_assert_eq!(compiled.users().count(), after.users.len());
    }
}
