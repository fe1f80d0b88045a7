//! What every store does: the same checks for each, in an empty store of its own.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use tender_cache::{Created, Entry, Eviction, Limits, Owner, Store};

/// Runs all checks; `empty` makes an empty store for a check of this name.
pub(crate) async fn hold<F: Future<Output = Arc<dyn Store>>>(empty: impl Fn(&'static str) -> F) {
    macro_rules! check {
        ($($name:ident),+ $(,)?) => {$(
            println!("{}", stringify!($name));
            $name(empty(stringify!($name)).await).await;
        )+};
    }
    check!(
        entry_is_found_as_it_was_created,
        entry_that_exists_is_not_created_again,
        entry_of_another_owner_is_not_seen,
        names_that_look_like_separators_stay_apart,
        entries_are_listed_by_key,
        many_entries_are_all_listed,
        update_replaces_what_is_there_and_adds_nothing,
        deletion_returns_what_was_there,
        deletion_of_all_leaves_other_owners,
        full_store_rejects_and_says_exists_first,
        full_store_removes_what_was_written_longest_ago,
        updated_entry_is_younger_than_one_created_after_it,
        values_of_any_text_come_back,
        one_of_many_that_create_at_once_is_first,
        many_that_create_at_once_stay_within_the_limit,
        many_that_evict_at_once_stay_near_the_limit,
        store_without_room_keeps_nothing,
    );
}

fn owner(name: &str) -> Owner {
    Owner::new(name).unwrap()
}

fn limits(entries_max: u64, eviction: Eviction) -> Limits {
    Limits { entries_max, eviction, ..Limits::default() }
}

fn entry(key: &str, value: &str) -> Entry {
    Entry::new(key, value, &Limits::default()).unwrap()
}

async fn create(store: &Arc<dyn Store>, owner_name: &str, key: &str, limits: &Limits) -> Created {
    store.create(&owner(owner_name), entry(key, "value"), limits).await.unwrap()
}

async fn keys(store: &Arc<dyn Store>, owner_name: &str) -> Vec<String> {
    store.list(&owner(owner_name)).await.unwrap().into_iter().map(|entry| entry.key).collect()
}

async fn entry_is_found_as_it_was_created(store: Arc<dyn Store>) {
    let made = entry("key", "value");
    assert_eq!(store.get(&owner("a"), "key").await.unwrap(), None);
    assert_eq!(store.create(&owner("a"), made.clone(), &Limits::default()).await.unwrap(), Created::Done);
    assert_eq!(store.get(&owner("a"), "key").await.unwrap(), Some(made));
    assert_eq!(store.count().await.unwrap(), 1);
}

async fn entry_that_exists_is_not_created_again(store: Arc<dyn Store>) {
    let first = entry("key", "first");
    store.create(&owner("a"), first.clone(), &Limits::default()).await.unwrap();
    let second = store.create(&owner("a"), entry("key", "second"), &Limits::default()).await.unwrap();
    assert_eq!(second, Created::Exists);
    assert_eq!(store.get(&owner("a"), "key").await.unwrap(), Some(first));
}

async fn entry_of_another_owner_is_not_seen(store: Arc<dyn Store>) {
    create(&store, "a", "key", &Limits::default()).await;
    assert_eq!(create(&store, "b", "key", &Limits::default()).await, Created::Done);
    assert!(store.update(&owner("a"), entry("key", "changed")).await.unwrap());
    assert_eq!(store.get(&owner("b"), "key").await.unwrap().unwrap().value, "value");
    assert_eq!(store.list(&owner("c")).await.unwrap(), []);
    assert_eq!(store.get(&owner("c"), "key").await.unwrap(), None);
}

async fn names_that_look_like_separators_stay_apart(store: Arc<dyn Store>) {
    let names = ["a", "a/b", "a%2Fb", "CN=x, SERVICE=y", "a:b", "ä"];
    for name in names {
        for key in ["b/c", "c", "*", "{x}", "\u{1f980} key"] {
            assert_eq!(create(&store, name, key, &Limits::default()).await, Created::Done, "{name} {key}");
        }
    }
    for name in names {
        assert_eq!(keys(&store, name).await.len(), 5, "{name}");
    }
    assert_eq!(store.delete_all(&owner("a")).await.unwrap(), 5);
    assert_eq!(store.count().await.unwrap(), 25);
    assert_eq!(keys(&store, "a/b").await.len(), 5);
}

async fn entries_are_listed_by_key(store: Arc<dyn Store>) {
    for key in ["b", "a", "ab", "B"] {
        create(&store, "a", key, &Limits::default()).await;
    }
    assert_eq!(keys(&store, "a").await, ["B", "a", "ab", "b"]);
}

async fn many_entries_are_all_listed(store: Arc<dyn Store>) {
    let wanted: BTreeSet<_> = (0..1100).map(|number| format!("{number:04}")).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for key in wanted.clone() {
        let store = Arc::clone(&store);
        tasks.spawn(async move { create(&store, "a", &key, &Limits::default()).await });
    }
    while let Some(created) = tasks.join_next().await {
        assert_eq!(created.unwrap(), Created::Done);
    }
    let found = keys(&store, "a").await;
    assert_eq!(found, wanted.into_iter().collect::<Vec<_>>());
}

async fn update_replaces_what_is_there_and_adds_nothing(store: Arc<dyn Store>) {
    assert!(!store.update(&owner("a"), entry("key", "value")).await.unwrap());
    assert_eq!(store.count().await.unwrap(), 0);
    create(&store, "a", "key", &Limits::default()).await;
    let changed = entry("key", "changed");
    assert!(store.update(&owner("a"), changed.clone()).await.unwrap());
    assert_eq!(store.get(&owner("a"), "key").await.unwrap(), Some(changed));
    assert_eq!(store.count().await.unwrap(), 1);
}

async fn deletion_returns_what_was_there(store: Arc<dyn Store>) {
    let made = entry("key", "value");
    assert_eq!(store.delete(&owner("a"), "key").await.unwrap(), None);
    store.create(&owner("a"), made.clone(), &Limits::default()).await.unwrap();
    assert_eq!(store.delete(&owner("b"), "key").await.unwrap(), None);
    assert_eq!(store.delete(&owner("a"), "key").await.unwrap(), Some(made));
    assert_eq!(store.get(&owner("a"), "key").await.unwrap(), None);
    assert_eq!(store.count().await.unwrap(), 0);
}

async fn deletion_of_all_leaves_other_owners(store: Arc<dyn Store>) {
    for (name, key) in [("a", "1"), ("a", "2"), ("ab", "1"), ("b", "1")] {
        create(&store, name, key, &Limits::default()).await;
    }
    assert_eq!(store.delete_all(&owner("a")).await.unwrap(), 2);
    assert_eq!(store.delete_all(&owner("a")).await.unwrap(), 0);
    assert_eq!((keys(&store, "a").await.len(), keys(&store, "ab").await.len()), (0, 1));
    assert_eq!(store.count().await.unwrap(), 2);
}

async fn full_store_rejects_and_says_exists_first(store: Arc<dyn Store>) {
    let limits = limits(2, Eviction::Reject);
    assert_eq!(create(&store, "a", "1", &limits).await, Created::Done);
    assert_eq!(create(&store, "b", "2", &limits).await, Created::Done);
    assert_eq!(create(&store, "a", "3", &limits).await, Created::Full);
    assert_eq!(create(&store, "a", "1", &limits).await, Created::Exists);
    assert!(store.update(&owner("a"), entry("1", "changed")).await.unwrap(), "an update needs no room");
    store.delete(&owner("b"), "2").await.unwrap();
    assert_eq!(create(&store, "a", "3", &limits).await, Created::Done);
    assert_eq!(store.count().await.unwrap(), 2);
}

async fn full_store_removes_what_was_written_longest_ago(store: Arc<dyn Store>) {
    let limits = limits(2, Eviction::RemoveOldest);
    for (name, key) in [("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")] {
        assert_eq!(create(&store, name, key, &limits).await, Created::Done);
    }
    assert_eq!(keys(&store, "a").await, ["3", "4"]);
    assert_eq!(keys(&store, "b").await, [""; 0]);
    assert_eq!(create(&store, "a", "3", &limits).await, Created::Exists, "it would not make room for itself");
    assert_eq!(keys(&store, "a").await, ["3", "4"]);
    assert_eq!(store.count().await.unwrap(), 2);
}

async fn updated_entry_is_younger_than_one_created_after_it(store: Arc<dyn Store>) {
    let limits = limits(2, Eviction::RemoveOldest);
    create(&store, "a", "1", &limits).await;
    create(&store, "a", "2", &limits).await;
    assert!(store.update(&owner("a"), entry("1", "changed")).await.unwrap());
    create(&store, "a", "3", &limits).await;
    assert_eq!(keys(&store, "a").await, ["1", "3"]);
}

async fn values_of_any_text_come_back(store: Arc<dyn Store>) {
    let long = "x".repeat(300_000);
    for (number, value) in ["", "\n", "1700000000000\nx", "a\0b", "{\"json\":[1]}", "ümläut \u{1f980}", &long]
        .into_iter()
        .enumerate()
    {
        let key = number.to_string();
        store.create(&owner("a"), entry(&key, value), &Limits::default()).await.unwrap();
        assert_eq!(store.get(&owner("a"), &key).await.unwrap().unwrap().value, value);
    }
}

async fn one_of_many_that_create_at_once_is_first(store: Arc<dyn Store>) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mine = entry("key", &number.to_string());
            (store.create(&owner("a"), mine, &Limits::default()).await.unwrap(), number)
        });
    }
    let outcomes = tasks.join_all().await;
    let first: Vec<_> = outcomes.iter().filter(|(created, _)| *created == Created::Done).collect();
    assert_eq!(first.len(), 1, "{outcomes:?}");
    assert_eq!(store.get(&owner("a"), "key").await.unwrap().unwrap().value, first[0].1.to_string());
}

async fn many_that_create_at_once_stay_within_the_limit(store: Arc<dyn Store>) {
    let limits = limits(5, Eviction::Reject);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { create(&store, "a", &number.to_string(), &limits).await });
    }
    let outcomes = tasks.join_all().await;
    let done = outcomes.iter().filter(|created| **created == Created::Done).count() as u64;
    assert_eq!(store.count().await.unwrap(), done, "what was acknowledged is there, and nothing else");
    // Those that came at once may all have stood back for each other; one that comes alone does not.
    assert!(done <= 5, "{outcomes:?}");
    for number in 20..25 {
        create(&store, "a", &number.to_string(), &limits).await;
    }
    assert_eq!(store.count().await.unwrap(), 5, "{outcomes:?}");
}

async fn many_that_evict_at_once_stay_near_the_limit(store: Arc<dyn Store>) {
    let limits = limits(5, Eviction::RemoveOldest);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { create(&store, "a", &number.to_string(), &limits).await });
    }
    assert!(tasks.join_all().await.iter().all(|created| *created == Created::Done));
    // The next one finds nobody beside it, and makes room for all that came at once.
    create(&store, "a", "last", &limits).await;
    assert!(store.count().await.unwrap() <= 5);
    assert!(store.get(&owner("a"), "last").await.unwrap().is_some());
}

async fn store_without_room_keeps_nothing(store: Arc<dyn Store>) {
    for eviction in [Eviction::Reject, Eviction::RemoveOldest] {
        assert_eq!(create(&store, "a", "1", &limits(0, eviction)).await, Created::Full);
    }
    assert_eq!(store.count().await.unwrap(), 0);
}
