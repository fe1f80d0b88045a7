//! Against a real etcd.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod server;

use std::process::Command;
use std::time::Duration;

use server::Server;
use tender_etcd::{Change, Client, Compare, EtcdError, Order, Renewed, Settings, Step};

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

async fn connect(server: &Server) -> Client {
    Client::connect(&Settings::new(vec![server.address()])).await.unwrap()
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Waits until etcd answers again and returns what it has under a key; until then it cannot be reached, and nothing else.
async fn once_back(client: &Client, key: &[u8]) -> Vec<u8> {
    let back = async {
        loop {
            match client.get(key).await {
                Ok(record) => return record,
                Err(error) => assert!(error.is_unreachable(), "{error:?}"),
            }
        }
    };
    in_time("etcd is back", back).await.unwrap().value
}

#[tokio::test]
async fn keys_are_written_listed_and_deleted() {
    let server = Server::start();
    let client = connect(&server).await;
    assert_eq!(client.get(b"a").await.unwrap(), None);
    let first = client.put(b"a/1", b"one", 0).await.unwrap();
    let second = client.put(b"a/2", b"two", 0).await.unwrap();
    assert!(second > first);
    client.put(b"b", b"other", 0).await.unwrap();
    client.put(b"a/1", b"changed", 0).await.unwrap();
    let listed = client.list(b"a/", 0, Order::Key).await.unwrap();
    let values: Vec<_> = listed.records.iter().map(|record| record.value.as_slice()).collect();
    assert_eq!((values.as_slice(), listed.count), ([b"changed".as_slice(), b"two"].as_slice(), 2));
    let oldest = client.list(b"a/", 1, Order::OldestChange).await.unwrap();
    assert_eq!((oldest.records[0].key.as_slice(), oldest.count), (b"a/2".as_slice(), 2));
    assert_eq!(client.count(b"").await.unwrap(), 3);
    assert!(client.delete(b"a/1").await.unwrap() && !client.delete(b"a/1").await.unwrap());
    assert_eq!(client.delete_prefix(b"a/").await.unwrap(), 1);
}

#[tokio::test]
async fn transaction_whose_conditions_do_not_hold_does_nothing() {
    let server = Server::start();
    let client = connect(&server).await;
    let put = |key: &[u8]| Step::Put(key.to_vec(), b"value".to_vec(), 0);
    let absent = [Compare::Absent(b"a".to_vec())];
    let done = client.transact(&absent, &[put(b"a"), Step::Count(b"".to_vec())]).await.unwrap();
    assert!(done.succeeded && done.counts == [1], "{done:?}");
    let done = client.transact(&absent, &[put(b"b")]).await.unwrap();
    assert!(!done.succeeded && client.get(b"b").await.unwrap().is_none());
    let record = client.get(b"a").await.unwrap().unwrap();
    for (condition, holds) in [
        (Compare::Present(b"a".to_vec()), true),
        (Compare::Present(b"b".to_vec()), false),
        (Compare::Unchanged(b"a".to_vec(), record.mod_revision), true),
        (Compare::Unchanged(b"a".to_vec(), record.mod_revision + 1), false),
        (Compare::Is(b"a".to_vec(), b"value".to_vec()), true),
        (Compare::Is(b"a".to_vec(), b"other".to_vec()), false),
    ] {
        assert_eq!(
            client.transact(std::slice::from_ref(&condition), &[]).await.unwrap().succeeded,
            holds,
            "{condition:?}"
        );
    }
}

#[tokio::test]
async fn watch_tells_every_change_in_order_from_a_revision_on() {
    let server = Server::start();
    let client = connect(&server).await;
    let first = client.put(b"a/1", b"one", 0).await.unwrap();
    client.put(b"b", b"not watched", 0).await.unwrap();
    client.delete(b"a/1").await.unwrap();
    client.put(b"a/2", b"two", 0).await.unwrap();
    let mut watch = client.watch(b"a/", first).await.unwrap();
    let mut changes = Vec::new();
    while changes.len() < 3 {
        changes.extend(in_time("three changes", watch.next()).await.unwrap());
    }
    let told: Vec<_> = changes
        .iter()
        .map(|change| match change {
            Change::Put(record) => format!("put {}", String::from_utf8_lossy(&record.key)),
            Change::Deleted { key, .. } => format!("deleted {}", String::from_utf8_lossy(key)),
        })
        .collect();
    assert_eq!(told, ["put a/1", "deleted a/1", "put a/2"]);
    let next = watch.next_revision();
    client.put(b"a/3", b"three", 0).await.unwrap();
    let mut later = client.watch(b"a/", next).await.unwrap();
    let changes = in_time("the change after the others", later.next()).await.unwrap();
    assert!(matches!(&changes[..], [Change::Put(record)] if record.key == b"a/3"), "{changes:?}");
}

#[tokio::test]
async fn lease_that_is_kept_outlives_its_time_and_goes_at_once_when_revoked() {
    let server = Server::start();
    let client = connect(&server).await;
    let lease = client.keep(3).await.unwrap();
    client.put(b"kept", b"", lease.id()).await.unwrap();
    let left = client.grant(3).await.unwrap();
    client.put(b"left", b"", left).await.unwrap();
    let mut watch = client.watch(b"left", 0).await.unwrap();
    let gone = in_time("the lease that nobody keeps runs out", watch.next()).await.unwrap();
    assert!(matches!(&gone[..], [Change::Deleted { key, .. }] if key == b"left"));
    let mut watch = client.watch(b"kept", 0).await.unwrap();
    assert!(client.get(b"kept").await.unwrap().is_some(), "both had three seconds");
    lease.revoke().await.unwrap();
    let gone = in_time("the revoked lease takes its key along", watch.next()).await.unwrap();
    assert!(matches!(&gone[..], [Change::Deleted { .. }]));
}

#[tokio::test]
async fn lease_that_etcd_lost_is_told() {
    let server = Server::start();
    let client = connect(&server).await;
    let mut lease = client.keep(2).await.unwrap();
    let gone = server.kill();
    let error = in_time("the loss is told", lease.lost()).await;
    assert!(error.is_unreachable(), "{error:?}");
    drop(gone);
}

#[tokio::test]
async fn calls_fail_while_etcd_is_away_and_go_on_when_it_is_back() {
    let server = Server::start();
    let client = connect(&server).await;
    client.put(b"a", b"value", 0).await.unwrap();
    let address = server.address();
    let away = server.kill();
    let error = in_time("a call fails", client.get(b"a")).await.unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("127.0.0.1"), "{error:?}");
    let error = in_time("it stays away", client.put(b"a", b"", 0)).await.unwrap_err();
    let reason = format!("reach etcd at {}: Connection refused (os error 111)", address);
    assert_eq!(error.reason(), reason);
    let _server = away.restart();
    assert_eq!(once_back(&client, b"a").await, b"value");
}

#[tokio::test]
async fn member_that_is_away_is_passed_over() {
    let server = Server::start();
    let away = server::free_ports()[0];
    let endpoints = vec![format!("http://127.0.0.1:{away}"), server.address()];
    let client = Client::connect(&Settings::new(endpoints)).await.unwrap();
    for _ in 0..20 {
        in_time("the other member answers", client.put(b"a", b"value", 0)).await.unwrap();
    }
}

#[tokio::test]
async fn address_that_is_none_and_user_that_is_unknown_are_refused() {
    let none = Client::connect(&Settings::new(Vec::new())).await.unwrap_err();
    assert!(matches!(none, EtcdError::NoEndpoint));
    let wrong = Client::connect(&Settings::new(vec!["no address".to_owned()])).await.unwrap_err();
    assert!(wrong.to_string().contains("`no address`"), "{wrong}");
    let server = Server::start();
    let user = Some(("root".to_owned(), "wrong".to_owned()));
    let settings = Settings { user, ..Settings::new(vec![server.address()]) };
    let refused = Client::connect(&settings).await.unwrap_err();
    assert!(
        matches!(&refused, EtcdError::Refused { reason, .. } if reason.contains("authentication")),
        "{refused:?}"
    );
    assert!(!format!("{settings:?}").contains("wrong"));
}

#[tokio::test]
async fn leases_are_renewed_over_one_connection_and_one_that_is_gone_is_told() {
    let server = Server::start();
    let client = connect(&server).await;
    let (first, second) = (client.grant(30).await.unwrap(), client.grant(30).await.unwrap());
    let mut renewals = client.renew(&[first].into()).await.unwrap();
    assert_eq!(in_time("first", renewals.next()).await.unwrap(), Renewed { id: first, ttl_s: Some(30) });
    renewals.ask(4711);
    renewals.ask(second);
    assert_eq!(in_time("unknown", renewals.next()).await.unwrap(), Renewed { id: 4711, ttl_s: None });
    assert_eq!(in_time("second", renewals.next()).await.unwrap(), Renewed { id: second, ttl_s: Some(30) });
    let gone = client.put(b"a", b"", 4711).await.unwrap_err();
    assert!(matches!(gone, EtcdError::NoLease { .. }), "{gone:?}");
    let _gone = server.kill();
    let error = in_time("the loss is told", renewals.next()).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
}

#[tokio::test]
async fn user_is_shown_again_to_an_etcd_that_was_started_anew() {
    let server = Server::start();
    // The user must be there before anybody is asked who he is.
    for (call, body) in [
        ("auth/user/add", r#"{"name":"root","password":"secret"}"#),
        ("auth/user/grant", r#"{"user":"root","role":"root"}"#),
        ("auth/enable", "{}"),
    ] {
        let mut curl = Command::new("curl");
        curl.args(["-fsS", "-m", "30", "-d", body]).arg(format!("{}/v3/{call}", server.address()));
        assert!(curl.status().unwrap().success(), "{call}");
    }
    let user = Some(("root".to_owned(), "secret".to_owned()));
    let client = Client::new(&Settings { user, ..Settings::new(vec![server.address()]) }).unwrap();
    client.put(b"a", b"value", 0).await.unwrap();
    let stranger = connect(&server).await;
    let refused = stranger.put(b"a", b"other", 0).await.unwrap_err();
    assert!(!refused.is_unreachable(), "{refused:?}");
    // The tokens of before are forgotten.
    let _server = server.kill().restart();
    assert_eq!(once_back(&client, b"a").await, b"value");
    client.put(b"a", b"changed", 0).await.unwrap();
    let lease = client.grant(30).await.unwrap();
    let mut renewals = client.renew(&[lease].into()).await.unwrap();
    assert_eq!(in_time("renewed", renewals.next()).await.unwrap().ttl_s, Some(30));
    let mut watch = client.watch(b"a", 1).await.unwrap();
    assert_eq!(in_time("changes", watch.next()).await.unwrap().len(), 2);
}
