//! In Redis: shared by all services that name the same server.
//!
//! ```text
//! {<prefix>}:order          sorted set: <owner> NUL <key>  by the number of its last change
//! {<prefix>}:changes        that number
//! {<prefix>}:of:<owner>     hash: <key>  ──►  <milliseconds since 1970> LF <value>
//! ```
//!
//! The braces keep all of it on one node of a cluster, where a script may change all at once. Redis acknowledges before it
//! is on disk and before replicas have it: what a failing server forgets is for whoever sets it up to decide.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{ClientTlsConfig, IntoConnectionInfo as _, RedisError, Script, TlsCertificates};
use tender_etcd::Tls;

use super::{Created, Store, StoreError};
use crate::entry::{Entry, Owner};
use crate::limits::{Eviction, Limits};

/// Adds an entry: 0 done, 1 exists, 2 full.
static CREATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local order, changes, of = KEYS[1], KEYS[2], KEYS[3]
        local owner, key, held, max, evicts = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
        if redis.call('HEXISTS', of, key) == 1 then return 1 end
        if max == 0 then return 2 end
        while redis.call('ZCARD', order) >= max do
            if evicts == '0' then return 2 end
            local oldest = redis.call('ZPOPMIN', order)[1]
            local at = string.find(oldest, '\0', 1, true)
            redis.call('HDEL', ARGV[6] .. string.sub(oldest, 1, at - 1), string.sub(oldest, at + 1))
        end
        redis.call('HSET', of, key, held)
        redis.call('ZADD', order, redis.call('INCR', changes), owner .. '\0' .. key)
        return 0
        ",
    )
});

/// Replaces an entry: whether there was one.
static UPDATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local order, changes, of = KEYS[1], KEYS[2], KEYS[3]
        if redis.call('HEXISTS', of, ARGV[2]) == 0 then return 0 end
        redis.call('HSET', of, ARGV[2], ARGV[3])
        redis.call('ZADD', order, redis.call('INCR', changes), ARGV[1] .. '\0' .. ARGV[2])
        return 1
        ",
    )
});

/// Removes an entry and returns it.
static DELETE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local order, of = KEYS[1], KEYS[3]
        local held = redis.call('HGET', of, ARGV[2])
        if held then
            redis.call('HDEL', of, ARGV[2])
            redis.call('ZREM', order, ARGV[1] .. '\0' .. ARGV[2])
        end
        return held
        ",
    )
});

/// Removes all entries of an owner and counts them.
static DELETE_ALL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local order, of = KEYS[1], KEYS[3]
        local keys = redis.call('HKEYS', of)
        for _, key in ipairs(keys) do redis.call('ZREM', order, ARGV[1] .. '\0' .. key) end
        redis.call('DEL', of)
        return #keys
        ",
    )
});

/// How to reach a Redis.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://HOST:PORT`, or `rediss://HOST:PORT` for TLS.
    pub url: String,
    /// Name and password, instead of those in the address.
    pub user: Option<(String, String)>,
    /// Certificates, for an address that begins with `rediss`.
    pub tls: Option<Tls>,
}

impl RedisSettings {
    /// Returns what is enough for an address that says everything.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), user: None, tls: None }
    }

    fn client(&self) -> Result<redis::Client, RedisError> {
        let mut info = self.url.as_str().into_connection_info()?;
        if let Some((name, password)) = &self.user {
            let settings = info.redis_settings().clone().set_username(name).set_password(password);
            info = info.set_redis_settings(settings);
        }
        let Some(tls) = &self.tls else { return redis::Client::open(info) };
        let own = tls.identity.clone();
        let certificates = TlsCertificates {
            client_tls: own.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key }),
            root_cert: Some(tls.authorities.clone()),
        };
        redis::Client::build_with_tls(info, certificates)
    }
}

// Neither passwords nor keys may show.
impl std::fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSettings").field("url", &without_password(&self.url)).finish_non_exhaustive()
    }
}

/// A store in Redis.
#[derive(Clone)]
pub struct RedisStore {
    connection: ConnectionManager,
    address: String,
    prefix: String,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore").field("address", &self.address).finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Connects to a server; a connection that breaks is made anew by itself.
    pub async fn connect(settings: &RedisSettings, prefix: &str) -> Result<Self, StoreError> {
        let shown = without_password(&settings.url);
        let wrong = |source: RedisError| StoreError::Redis { address: shown.clone(), source };
        let client = settings.client().map_err(wrong)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(std::time::Duration::from_secs(2)))
            .set_response_timeout(Some(std::time::Duration::from_secs(5)))
            .set_number_of_retries(2);
        let connection = client.get_connection_manager_with_config(config).await.map_err(wrong)?;
        Ok(Self { connection, address: shown, prefix: format!("{{{prefix}}}") })
    }

    fn wrong(&self, source: RedisError) -> StoreError {
        StoreError::Redis { address: self.address.clone(), source }
    }

    fn of_owner(&self, owner: &str) -> String {
        format!("{}:of:{owner}", self.prefix)
    }

    /// Runs a script with the keys that all of them have.
    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        owner: &Owner,
        arguments: &[&str],
    ) -> Result<T, StoreError> {
        let mut invocation = script.key(format!("{}:order", self.prefix));
        invocation.key(format!("{}:changes", self.prefix)).key(self.of_owner(owner.as_str()));
        invocation.arg(owner.as_str());
        for argument in arguments {
            invocation.arg(*argument);
        }
        invocation.invoke_async(&mut self.connection.clone()).await.map_err(|error| self.wrong(error))
    }

    async fn query<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, StoreError> {
        command.query_async(&mut self.connection.clone()).await.map_err(|error| self.wrong(error))
    }
}

/// Leaves out what must not show in a message.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
    format!("{scheme}://{address}")
}

fn read(key: &str, held: &str) -> Result<Entry, StoreError> {
    Entry::of_held(key, held).ok_or_else(|| StoreError::Foreign { key: key.to_owned() })
}

#[async_trait]
impl Store for RedisStore {
    async fn list(&self, owner: &Owner) -> Result<Vec<Entry>, StoreError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.of_owner(owner.as_str()));
        let mut held: Vec<(String, String)> = self.query(&command).await?;
        held.sort();
        held.iter().map(|(key, held)| read(key, held)).collect()
    }

    async fn get(&self, owner: &Owner, key: &str) -> Result<Option<Entry>, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.of_owner(owner.as_str())).arg(key);
        let held: Option<String> = self.query(&command).await?;
        held.map(|held| read(key, &held)).transpose()
    }

    async fn create(&self, owner: &Owner, entry: Entry, limits: &Limits) -> Result<Created, StoreError> {
        let (held, max) = (entry.held(), limits.entries_max.to_string());
        let evicts = if limits.eviction == Eviction::RemoveOldest { "1" } else { "0" };
        let others = self.of_owner("");
        let outcome: u8 = self.run(&CREATE, owner, &[&entry.key, &held, &max, evicts, &others]).await?;
        Ok(match outcome {
            0 => Created::Done,
            1 => Created::Exists,
            _ => Created::Full,
        })
    }

    async fn update(&self, owner: &Owner, entry: Entry) -> Result<bool, StoreError> {
        self.run(&UPDATE, owner, &[&entry.key, &entry.held()]).await
    }

    async fn delete(&self, owner: &Owner, key: &str) -> Result<Option<Entry>, StoreError> {
        let held: Option<String> = self.run(&DELETE, owner, &[key]).await?;
        held.map(|held| read(key, &held)).transpose()
    }

    async fn delete_all(&self, owner: &Owner) -> Result<u64, StoreError> {
        self.run(&DELETE_ALL, owner, &[]).await
    }

    async fn count(&self) -> Result<u64, StoreError> {
        let mut command = redis::cmd("ZCARD");
        command.arg(format!("{}:order", self.prefix));
        self.query(&command).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_of_an_address_does_not_show() {
        assert_eq!(without_password("redis://user:p@ss@host:6379/0"), "redis://host:6379/0");
        assert_eq!(without_password("redis://host"), "redis://host");
    }
}
