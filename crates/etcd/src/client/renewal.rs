//! Many leases kept over one connection, each when somebody says so.

use std::collections::BTreeSet;

use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic_prost::ProstCodec;

use super::Client;
use crate::error::EtcdError;
use crate::message::lease::{KeepAliveRequest, KeepAliveResponse};

const CALL: &str = "LeaseKeepAlive";

/// What became of a lease that was to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewed {
    /// Which.
    pub id: i64,
    /// It lasts so many seconds from now on; nothing when it is gone.
    pub ttl_s: Option<i64>,
}

/// A connection over which leases are renewed. It ends with the connection to the member.
#[derive(Debug)]
pub struct Renewals {
    client: Client,
    connection: u64,
    ask: mpsc::UnboundedSender<KeepAliveRequest>,
    answers: Streaming<KeepAliveResponse>,
}

impl Client {
    /// Renews these leases, and others later over the same connection.
    ///
    /// There must be at least one: etcd says nothing before it was asked for something.
    pub async fn renew(&self, first: &BTreeSet<i64>) -> Result<Renewals, EtcdError> {
        let (ask, asked) = mpsc::unbounded_channel();
        for id in first {
            // The other end is in our hands.
            ask.send(KeepAliveRequest { id: *id }).ok();
        }
        let mut ready = self.ready(CALL).await?;
        let request = self.request(CALL, UnboundedReceiverStream::new(asked)).await?;
        let path = PathAndQuery::from_static("/etcdserverpb.Lease/LeaseKeepAlive");
        let codec = ProstCodec::<KeepAliveRequest, KeepAliveResponse>::default();
        let begun = tokio::time::timeout(self.call_timeout, ready.grpc.streaming(request, path, codec)).await;
        let late = |_| Err(tonic::Status::deadline_exceeded("no answer in time"));
        match begun.unwrap_or_else(late) {
            Ok(answers) => Ok(Renewals {
                client: self.clone(),
                connection: ready.number,
                ask,
                answers: answers.into_inner(),
            }),
            Err(status) => Err(self.failed(CALL, ready.number, status).await),
        }
    }
}

impl Renewals {
    /// Asks for another lease to be renewed; the answer comes by [`Renewals::next`], or the connection has ended.
    pub fn ask(&self, id: i64) {
        self.ask.send(KeepAliveRequest { id }).ok();
    }

    /// Waits for the next answer. Dropping this before it is ready loses none.
    pub async fn next(&mut self) -> Result<Renewed, EtcdError> {
        let ended = || tonic::Status::unavailable("the connection ended");
        match self.answers.message().await.and_then(|answer| answer.ok_or_else(ended)) {
            Ok(KeepAliveResponse { id, ttl_s, .. }) => {
                Ok(Renewed { id, ttl_s: Some(ttl_s).filter(|ttl_s| *ttl_s > 0) })
            }
            Err(status) => Err(self.client.failed(CALL, self.connection, status).await),
        }
    }
}
