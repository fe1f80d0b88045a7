//! Writes what clients said to etcd.

use std::time::Duration;

use tender_etcd::{Client, Compare, EtcdError, Step};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::Discovery;
use super::{Cluster, PAUSE};
use crate::discovery::cluster::{Answer, Order, Write};
use crate::discovery::event::{ClusterEvent, Event};

/// Instances that are written at a time; etcd makes one write to its disk of them.
const BATCH: usize = 64;
/// After which what was refused is tried again.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

impl Discovery {
    pub(super) async fn write_to_etcd(&self, cluster: &Cluster) {
        let (mut is_told, mut retry) = (false, None);
        loop {
            self.0.reach.wait().await;
            let news = self.0.state.news.notified();
            let (orders, has_refused) = {
                let mut locked = self.0.state.registry();
                let Some((registry, journal)) = locked.shared() else { return };
                (journal.take(registry, BATCH), journal.has_refused())
            };
            if orders.is_empty() {
                is_told &= has_refused;
                retry = has_refused.then(|| retry.unwrap_or_else(|| Instant::now() + REFUSED_PAUSE));
                self.wait_for_news(news, &mut retry).await;
                continue;
            }
            let (is_unreachable, refusal) = self.carry_out(&cluster.client, orders).await;
            if let Some((order, reason)) = refusal.filter(|_| !is_told) {
                let (app, id) = order.key;
                self.tell(&Event::Cluster(ClusterEvent::Refuses { app, id, reason }));
                is_told = true;
            }
            if is_unreachable {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Waits until something else is to be written, or what was refused is to be tried again.
    async fn wait_for_news(&self, news: impl Future<Output = ()>, retry: &mut Option<Instant>) {
        let Some(at) = *retry else { return news.await };
        if tokio::time::timeout_at(at, news).await.is_err() {
            *retry = None;
            if let Some((_, journal)) = self.0.state.registry().shared() {
                journal.retry_refused();
            }
        }
    }

    /// Carries orders out at once; says whether etcd could not be reached, and what it refused.
    async fn carry_out(&self, client: &Client, orders: Vec<Order>) -> (bool, Option<(Order, String)>) {
        let mut tasks = JoinSet::new();
        for order in orders {
            let client = client.clone();
            tasks.spawn(async move {
                let outcome = write(&client, &order).await;
                (order, outcome)
            });
        }
        let (mut is_unreachable, mut refusal) = (false, None);
        while let Some(ended) = tasks.join_next().await {
            let (order, outcome) = ended.expect("writing to etcd does not fail otherwise");
            let answer = match outcome {
                Ok(answer) => answer,
                Err(EtcdError::NoLease { .. }) => Answer::NoLease,
                Err(error) => {
                    is_unreachable |= error.is_unreachable();
                    if error.is_unreachable() {
                        Answer::Failed
                    } else {
                        refusal.get_or_insert_with(|| (order.clone(), error.reason()));
                        Answer::Refused
                    }
                }
            };
            if let Some((_, journal)) = self.0.state.registry().shared() {
                journal.answered(&order, answer);
            }
        }
        (is_unreachable, refusal)
    }
}

/// Writes if nobody has written since.
async fn write(client: &Client, order: &Order) -> Result<Answer, EtcdError> {
    let place = || order.place.clone();
    let condition = match order.revision {
        Some(revision) => Compare::Unchanged(place(), revision),
        None => Compare::Absent(place()),
    };
    let step = match &order.write {
        Write::Put { value, lease, ttl_s } => {
            let lease = match lease {
                Some(lease) => *lease,
                None => client.grant(u32::try_from(*ttl_s).unwrap_or(u32::MAX)).await?,
            };
            Step::Put(place(), value.clone(), lease)
        }
        Write::Delete => Step::Delete(place()),
    };
    let done = client.transact(&[condition], &[step]).await?;
    Ok(if done.succeeded { Answer::Done { revision: done.revision } } else { Answer::Conflict })
}
