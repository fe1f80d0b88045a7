//! Keys: read, write, and both at once under conditions.

use super::Client;
use crate::error::EtcdError;
use crate::message::kv::{
    CompareRequest, CompareWith, DeleteRangeRequest, KeyValue, PutRequest, PutResponse, RangeRequest,
    RangeResponse, RequestKind, RequestOp, ResponseKind, TxnRequest, TxnResponse,
};

/// A key with what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: Vec<u8>,
    /// The value; empty when only keys were asked for.
    pub value: Vec<u8>,
    /// The revision of the store in which it was last changed: a number that only grows.
    pub mod_revision: i64,
    /// The lease that it ends with; 0 when it stays.
    pub lease: i64,
}

impl From<KeyValue> for Record {
    fn from(KeyValue { key, value, mod_revision, lease, .. }: KeyValue) -> Self {
        Self { key, value, mod_revision, lease }
    }
}

/// In what order keys are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By key.
    Key,
    /// Those changed longest ago first.
    OldestChange,
}

/// What a list is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The keys, no more than was asked for.
    pub records: Vec<Record>,
    /// How many there are.
    pub count: u64,
    /// The revision of the store: a watch from the next one on misses nothing.
    pub revision: i64,
}

/// A condition of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compare {
    /// The key is not there.
    Absent(Vec<u8>),
    /// The key is there.
    Present(Vec<u8>),
    /// The key was last changed in this revision.
    Unchanged(Vec<u8>, i64),
    /// The key stands for this value.
    Is(Vec<u8>, Vec<u8>),
}

/// What a transaction does when its conditions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Writes a key, under a lease or with 0 without.
    Put(Vec<u8>, Vec<u8>, i64),
    /// Deletes a key.
    Delete(Vec<u8>),
    /// Counts the keys that begin so, as they are after the steps before.
    Count(Vec<u8>),
}

/// What came of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The conditions held, and all steps were done at once; otherwise none was.
    pub succeeded: bool,
    /// The revision of the store.
    pub revision: i64,
    /// What [`Step::Count`] counted, one after the other.
    pub counts: Vec<u64>,
}

/// Returns the end of the range of all keys that begin so.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    // There is no key behind those: the range has no end.
    vec![0]
}

/// Returns the begin of that range: no key is empty, and etcd takes none for one.
pub(super) fn prefix_begin(prefix: &[u8]) -> Vec<u8> {
    if prefix.is_empty() { vec![0] } else { prefix.to_vec() }
}

impl Client {
    /// Returns a key.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Record>, EtcdError> {
        let request = RangeRequest { key: key.to_vec(), ..RangeRequest::default() };
        Ok(self.range(request).await?.records.pop())
    }

    /// Lists the first keys that begin so; `limit` 0 lists all.
    pub async fn list(&self, prefix: &[u8], limit: u32, order: Order) -> Result<Listed, EtcdError> {
        let (sort_order, sort_target) = match order {
            Order::Key => (0, 0),
            Order::OldestChange => (1, 3),
        };
        self.range(RangeRequest {
            key: prefix_begin(prefix),
            range_end: prefix_end(prefix),
            limit: i64::from(limit),
            sort_order,
            sort_target,
            ..RangeRequest::default()
        })
        .await
    }

    /// Lists all keys that begin so as they were at one moment, however many there are; `page` of them are fetched at once.
    pub async fn list_all(&self, prefix: &[u8], page: u32) -> Result<Vec<Record>, EtcdError> {
        Ok(self.snapshot(prefix, page).await?.records)
    }

    /// Lists the same, with the revision of that moment: a watch from the next one on misses nothing.
    pub async fn snapshot(&self, prefix: &[u8], page: u32) -> Result<Listed, EtcdError> {
        let mut records: Vec<Record> = Vec::new();
        let (mut key, mut revision) = (prefix_begin(prefix), 0);
        loop {
            let listed = self
                .range(RangeRequest {
                    key,
                    range_end: prefix_end(prefix),
                    limit: i64::from(page),
                    revision,
                    ..RangeRequest::default()
                })
                .await?;
            // What is written from now on is no part of the list.
            revision = if revision == 0 { listed.revision } else { revision };
            let is_last = listed.records.len() < page as usize;
            records.extend(listed.records);
            match records.last() {
                Some(last) if !is_last => key = [last.key.as_slice(), &[0]].concat(),
                _ => return Ok(Listed { count: records.len() as u64, records, revision }),
            }
        }
    }

    /// Counts the keys that begin so.
    pub async fn count(&self, prefix: &[u8]) -> Result<u64, EtcdError> {
        let request = RangeRequest {
            key: prefix_begin(prefix),
            range_end: prefix_end(prefix),
            count_only: true,
            ..RangeRequest::default()
        };
        Ok(self.range(request).await?.count)
    }

    /// Writes a key, under a lease or with 0 without; returns the revision.
    pub async fn put(&self, key: &[u8], value: &[u8], lease: i64) -> Result<i64, EtcdError> {
        let request = PutRequest { key: key.to_vec(), value: value.to_vec(), lease };
        let answer: PutResponse = self.call("Put", "/etcdserverpb.KV/Put", request).await?;
        Ok(answer.header.unwrap_or_default().revision)
    }

    /// Deletes a key; says whether it was there.
    pub async fn delete(&self, key: &[u8]) -> Result<bool, EtcdError> {
        Ok(self.delete_range(key, Vec::new()).await? > 0)
    }

    /// Deletes the keys that begin so; returns how many there were.
    pub async fn delete_prefix(&self, prefix: &[u8]) -> Result<u64, EtcdError> {
        self.delete_range(&prefix_begin(prefix), prefix_end(prefix)).await
    }

    /// Does all steps at once if all conditions hold, else nothing.
    pub async fn transact(&self, conditions: &[Compare], steps: &[Step]) -> Result<Done, EtcdError> {
        let request = TxnRequest {
            compare: conditions.iter().map(compare).collect(),
            success: steps.iter().map(operation).collect(),
            failure: Vec::new(),
        };
        let answer: TxnResponse = self.call("Txn", "/etcdserverpb.KV/Txn", request).await?;
        let counts = answer.responses.into_iter().filter_map(|response| match response.kind {
            Some(ResponseKind::Range(range)) => Some(range.count.unsigned_abs()),
            _ => None,
        });
        Ok(Done {
            succeeded: answer.succeeded,
            counts: counts.collect(),
            revision: answer.header.unwrap_or_default().revision,
        })
    }

    async fn range(&self, request: RangeRequest) -> Result<Listed, EtcdError> {
        let answer: RangeResponse = self.call_again("Range", "/etcdserverpb.KV/Range", request).await?;
        Ok(Listed {
            records: answer.kvs.into_iter().map(Record::from).collect(),
            count: answer.count.unsigned_abs(),
            revision: answer.header.unwrap_or_default().revision,
        })
    }

    async fn delete_range(&self, key: &[u8], range_end: Vec<u8>) -> Result<u64, EtcdError> {
        let request = DeleteRangeRequest { key: key.to_vec(), range_end };
        let answer: crate::message::kv::DeleteRangeResponse =
            self.call("DeleteRange", "/etcdserverpb.KV/DeleteRange", request).await?;
        Ok(answer.deleted.unsigned_abs())
    }
}

fn compare(condition: &Compare) -> CompareRequest {
    const EQUAL: i32 = 0;
    const GREATER: i32 = 1;
    const VERSION: i32 = 0;
    const MOD_REVISION: i32 = 2;
    const VALUE: i32 = 3;
    let (key, result, target, with) = match condition {
        // A key that is not there has version 0.
        Compare::Absent(key) => (key, EQUAL, VERSION, CompareWith::Version(0)),
        Compare::Present(key) => (key, GREATER, VERSION, CompareWith::Version(0)),
        Compare::Unchanged(key, revision) => (key, EQUAL, MOD_REVISION, CompareWith::ModRevision(*revision)),
        Compare::Is(key, value) => (key, EQUAL, VALUE, CompareWith::Value(value.clone())),
    };
    CompareRequest { result, target, key: key.clone(), with: Some(with) }
}

fn operation(step: &Step) -> RequestOp {
    let kind = match step.clone() {
        Step::Put(key, value, lease) => RequestKind::Put(PutRequest { key, value, lease }),
        Step::Delete(key) => RequestKind::Delete(DeleteRangeRequest { key, range_end: Vec::new() }),
        Step::Count(prefix) => RequestKind::Range(RangeRequest {
            range_end: prefix_end(&prefix),
            key: prefix_begin(&prefix),
            count_only: true,
            ..RangeRequest::default()
        }),
    };
    RequestOp { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_a_prefix_is_behind_all_that_begin_so() {
        assert_eq!(prefix_end(b"a/"), b"a0");
        assert_eq!(prefix_end(&[1, 0xff, 0xff]), [2]);
        assert_eq!(prefix_end(&[0xff]), [0], "no end");
        assert_eq!(prefix_end(b""), [0]);
    }
}
