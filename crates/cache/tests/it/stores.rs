//! Each store holds the contract, and fails as one may when it is away.

use std::sync::Arc;

use tender_cache::{
    Created, DiskStore, Entry, EtcdStore, Limits, MemoryStore, Owner, RedisSettings, RedisStore, Store,
    StoreError,
};
use tender_etcd::{Client, Settings};

use crate::contract;
use crate::servers::Redis;
use crate::servers::etcd::Server;

#[tokio::test]
async fn store_in_memory_holds_the_contract() {
    contract::hold(|_| async { Arc::new(MemoryStore::new()) as Arc<dyn Store> }).await;
}

#[tokio::test]
async fn store_on_disk_holds_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    contract::hold(
        |name| async move { Arc::new(DiskStore::open(&at.join(name)).unwrap()) as Arc<dyn Store> },
    )
    .await;
}

#[tokio::test]
async fn store_in_etcd_holds_the_contract() {
    let server = Server::start();
    let client = etcd(&server).await;
    let client = &client;
    contract::hold(|name| async move {
        Arc::new(EtcdStore::new(client.clone(), &format!("/cache/{name}"))) as Arc<dyn Store>
    })
    .await;
}

#[tokio::test]
async fn store_in_redis_holds_the_contract() {
    let server = Redis::start();
    let settings = &RedisSettings::new(server.url());
    contract::hold(|name| async move {
        Arc::new(RedisStore::connect(settings, name).await.unwrap()) as Arc<dyn Store>
    })
    .await;
}

#[tokio::test]
async fn store_in_etcd_is_shared_and_says_so_when_etcd_is_gone() {
    let server = Server::start();
    let (one, two) =
        (EtcdStore::new(etcd(&server).await, "/cache"), EtcdStore::new(etcd(&server).await, "/cache/"));
    is_shared(&one, &two).await;
    let _away = server.kill();
    let error = one.get(&Owner::new("a").unwrap(), "key").await.unwrap_err();
    assert!(matches!(&error, StoreError::Etcd(error) if error.is_unreachable()), "{error:?}");
}

#[tokio::test]
async fn store_in_redis_is_shared_and_says_so_when_redis_is_gone() {
    let server = Redis::start();
    let settings = RedisSettings::new(server.url());
    let one = RedisStore::connect(&settings, "cache").await.unwrap();
    let two = RedisStore::connect(&settings, "cache").await.unwrap();
    is_shared(&one, &two).await;
    drop(server);
    let error = one.get(&Owner::new("a").unwrap(), "key").await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Redis { address, .. } if address.ends_with("/0") || address.contains("127.0.0.1"))
    );
    let error = RedisStore::connect(&settings, "cache").await.unwrap_err();
    assert!(matches!(error, StoreError::Redis { .. }), "{error:?}");
}

async fn etcd(server: &Server) -> Client {
    Client::connect(&Settings::new(vec![server.address()])).await.unwrap()
}

async fn is_shared(one: &dyn Store, two: &dyn Store) {
    let owner = Owner::new("a").unwrap();
    let entry = Entry::new("key", "value", &Limits::default()).unwrap();
    assert_eq!(one.create(&owner, entry.clone(), &Limits::default()).await.unwrap(), Created::Done);
    assert_eq!(two.get(&owner, "key").await.unwrap(), Some(entry.clone()));
    assert_eq!(two.create(&owner, entry, &Limits::default()).await.unwrap(), Created::Exists);
}
