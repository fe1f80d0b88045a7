//! Leases: what is written under one goes when nobody keeps it any more.

use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic_prost::ProstCodec;

use super::Client;
use crate::error::EtcdError;
use crate::message::lease::{
    GrantRequest, GrantResponse, KeepAliveRequest, KeepAliveResponse, RevokeRequest, RevokeResponse,
};

/// A lease that is kept as long as this value lives.
///
/// Dropped, the lease runs out after its time; [`KeptLease::revoke`] ends it at once, with all that was written under it.
#[derive(Debug)]
pub struct KeptLease {
    client: Client,
    id: i64,
    keeper: JoinHandle<EtcdError>,
}

impl Client {
    /// Takes a lease; returns its id.
    pub async fn grant(&self, ttl_s: u32) -> Result<i64, EtcdError> {
        let request = GrantRequest { ttl_s: i64::from(ttl_s), id: 0 };
        let answer: GrantResponse =
            self.call("LeaseGrant", "/etcdserverpb.Lease/LeaseGrant", request).await?;
        if answer.error.is_empty() {
            Ok(answer.id)
        } else {
            Err(EtcdError::Refused { call: "LeaseGrant", reason: answer.error })
        }
    }

    /// Takes a lease and keeps it.
    pub async fn keep(&self, ttl_s: u32) -> Result<KeptLease, EtcdError> {
        let id = self.grant(ttl_s).await?;
        let keeper = tokio::spawn(keep_on(self.clone(), id, Duration::from_secs(u64::from(ttl_s))));
        Ok(KeptLease { client: self.clone(), id, keeper })
    }
}

impl KeptLease {
    /// Returns the id, to write under it.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Waits until the lease is lost, and says how: etcd was out of reach for its whole time, or took it back.
    pub async fn lost(&mut self) -> EtcdError {
        let id = self.id;
        (&mut self.keeper).await.unwrap_or(EtcdError::LeaseGone { id })
    }

    /// Ends the lease at once.
    pub async fn revoke(self) -> Result<(), EtcdError> {
        self.keeper.abort();
        let request = RevokeRequest { id: self.id };
        let _answer: RevokeResponse =
            self.client.call("LeaseRevoke", "/etcdserverpb.Lease/LeaseRevoke", request).await?;
        Ok(())
    }
}

impl Drop for KeptLease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Keeps a lease; a member that is lost is followed by another until the lease must have run out.
async fn keep_on(client: Client, id: i64, ttl: Duration) -> EtcdError {
    let mut until = Instant::now() + ttl;
    loop {
        let error = match keep_by_one_member(&client, id, ttl, &mut until).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        if matches!(error, EtcdError::LeaseGone { .. }) || Instant::now() >= until {
            return error;
        }
        tokio::time::sleep(ttl / 20).await;
    }
}

async fn keep_by_one_member(
    client: &Client,
    id: i64,
    ttl: Duration,
    until: &mut Instant,
) -> Result<std::convert::Infallible, EtcdError> {
    const CALL: &str = "LeaseKeepAlive";
    let (ask, asked) = mpsc::channel(1);
    let lost = || EtcdError::Unreachable {
        endpoints: client.endpoints.clone(),
        source: Box::new(tonic::Status::unavailable("the connection ended")),
    };
    let mut ready = client.ready(CALL).await?;
    ask.send(KeepAliveRequest { id }).await.map_err(|_| lost())?;
    let path = PathAndQuery::from_static("/etcdserverpb.Lease/LeaseKeepAlive");
    let codec = ProstCodec::<KeepAliveRequest, KeepAliveResponse>::default();
    let answers =
        ready.grpc.streaming(client.request(CALL, ReceiverStream::new(asked)).await?, path, codec).await;
    let mut answers = match answers {
        Ok(answers) => answers.into_inner(),
        Err(status) => return Err(client.failed(CALL, ready.number, status).await),
    };
    loop {
        let sent = Instant::now();
        let silent = || Err(tonic::Status::deadline_exceeded("no answer in time"));
        match tokio::time::timeout(ttl / 3, answers.message()).await.unwrap_or_else(|_| silent()) {
            Err(status) => return Err(client.failed(CALL, ready.number, status).await),
            Ok(None) => return Err(lost()),
            // etcd answers so for a lease that it does not know.
            Ok(Some(answer)) if answer.ttl_s <= 0 => return Err(EtcdError::LeaseGone { id }),
            Ok(Some(_)) => *until = sent + ttl,
        }
        tokio::time::sleep(ttl / 3).await;
        ask.send(KeepAliveRequest { id }).await.map_err(|_| lost())?;
    }
}
