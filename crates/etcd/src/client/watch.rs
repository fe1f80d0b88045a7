//! Watches: told of every change, in order, from a revision on.

use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::metadata::MetadataValue;
use tonic_prost::ProstCodec;

use super::Client;
use super::keys::{Record, prefix_begin, prefix_end};
use crate::error::EtcdError;
use crate::message::watch::{CreateRequest, WatchAsk, WatchRequest, WatchResponse};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A key was written.
    Put(Record),
    /// A key was deleted, or its lease ended.
    Deleted {
        /// Which.
        key: Vec<u8>,
        /// In which revision.
        revision: i64,
    },
}

/// A watch under way. It ends with the connection; whoever goes on begins a new one at [`Watch::next_revision`].
#[derive(Debug)]
pub struct Watch {
    client: Client,
    connection: u64,
    answers: Streaming<WatchResponse>,
    /// Kept open: etcd ends a watch when the asking side closes.
    _ask: mpsc::Sender<WatchRequest>,
    next_revision: i64,
}

const CALL: &str = "Watch";

impl Client {
    /// Watches the keys that begin so, from a revision on.
    pub async fn watch(&self, prefix: &[u8], from_revision: i64) -> Result<Watch, EtcdError> {
        let (ask, asked) = mpsc::channel(1);
        let create = CreateRequest {
            key: prefix_begin(prefix),
            range_end: prefix_end(prefix),
            start_revision: from_revision,
            progress_notify: true,
        };
        let mut ready = self.ready(CALL).await?;
        // There is room for one, and the other end is in our hands.
        ask.try_send(WatchRequest { ask: Some(WatchAsk::Create(create)) }).ok();
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let mut request = self.request(CALL, ReceiverStream::new(asked)).await?;
        // A member that has lost the others ends the watch: it would be silent, and nobody could tell why.
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        let answers = ready.grpc.streaming(request, path, codec).await;
        let (client, connection) = (self.clone(), ready.number);
        match answers {
            Ok(answers) => {
                let answers = answers.into_inner();
                Ok(Watch { client, connection, answers, _ask: ask, next_revision: from_revision })
            }
            Err(status) => Err(client.failed(CALL, connection, status).await),
        }
    }
}

impl Watch {
    /// Waits for the next changes; never returns none.
    ///
    /// Errors: [`EtcdError::Compacted`] when changes were missed for good, otherwise as any call.
    pub async fn next(&mut self) -> Result<Vec<Change>, EtcdError> {
        loop {
            let ended = || tonic::Status::unavailable("the watch ended");
            let answer = match self.answers.message().await.and_then(|answer| answer.ok_or_else(ended)) {
                Ok(answer) => answer,
                Err(status) => return Err(self.client.failed(CALL, self.connection, status).await),
            };
            if answer.compact_revision > 0 {
                return Err(EtcdError::Compacted { revision: self.next_revision });
            }
            if answer.canceled && answer.cancel_reason.contains("no leader") {
                let status = tonic::Status::unavailable(answer.cancel_reason);
                return Err(self.client.failed(CALL, self.connection, status).await);
            }
            if answer.canceled {
                return Err(EtcdError::Refused { call: CALL, reason: answer.cancel_reason });
            }
            if answer.created {
                continue;
            }
            if let Some(header) = answer.header {
                self.next_revision = self.next_revision.max(header.revision + 1);
            }
            let changes: Vec<_> = answer
                .events
                .into_iter()
                .filter_map(|event| {
                    let kv = event.kv?;
                    Some(if event.kind == 0 {
                        Change::Put(kv.into())
                    } else {
                        Change::Deleted { key: kv.key, revision: kv.mod_revision }
                    })
                })
                .collect();
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    /// Returns the revision from which another watch would go on.
    #[must_use]
    pub fn next_revision(&self) -> i64 {
        self.next_revision
    }
}
