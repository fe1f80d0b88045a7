//! Messages as they go over the wire, by service.

pub(crate) mod auth;
pub(crate) mod kv;
pub(crate) mod lease;
pub(crate) mod watch;

/// Of which state of the store an answer is.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct ResponseHeader {
    #[prost(uint64, tag = "1")]
    pub(crate) cluster_id: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) member_id: u64,
    #[prost(int64, tag = "3")]
    pub(crate) revision: i64,
    #[prost(uint64, tag = "4")]
    pub(crate) raft_term: u64,
}
