//! Renews in etcd the leases of those who are heard of here.

use std::time::Duration;

use tender_etcd::{EtcdError, Renewed};
use tokio::time::{MissedTickBehavior, interval};

use super::super::Discovery;
use super::{Cluster, PAUSE};
use crate::discovery::event::Event;

/// How often it is looked who must be kept because many are silent at once: before a short lease ends.
const PRESERVATION: Duration = Duration::from_secs(1);

impl Discovery {
    pub(super) async fn renew_in_etcd(&self, cluster: &Cluster) {
        loop {
            self.0.reach.wait().await;
            let news = self.0.state.news.notified();
            let due = self.due_renewals();
            if due.is_empty() {
                news.await;
                continue;
            }
            // Why it ends is told by who follows the changes: it is the same connection.
            let ended = self.renew_on(cluster, due).await;
            if let Some((_, journal)) = self.0.state.registry().shared() {
                journal.renewals_lost();
            }
            if ended.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn due_renewals(&self) -> std::collections::BTreeSet<i64> {
        let mut locked = self.0.state.registry();
        locked.shared().map(|(_, journal)| journal.take_renewals()).unwrap_or_default()
    }

    /// Renews over one connection, for as long as it lasts.
    async fn renew_on(
        &self,
        cluster: &Cluster,
        first: std::collections::BTreeSet<i64>,
    ) -> Result<(), EtcdError> {
        let mut renewals = cluster.client.renew(&first).await?;
        loop {
            let news = self.0.state.news.notified();
            self.due_renewals().into_iter().for_each(|id| renewals.ask(id));
            tokio::select! {
                renewed = renewals.next() => self.take_renewed(renewed?),
                () = news => {}
            }
        }
    }

    fn take_renewed(&self, Renewed { id, ttl_s }: Renewed) {
        let now_ms = self.0.state.clock.now_ms();
        let told = {
            let mut locked = self.0.state.registry();
            locked
                .shared()
                .and_then(|(registry, journal)| journal.renewed(registry, id, ttl_s.is_some(), now_ms))
        };
        if let Some(told) = told {
            self.tell_shared(told);
        }
    }

    /// Keeps those who are heard of here while many of them are silent at once.
    pub(super) async fn preserve_in_etcd(&self) {
        let mut timer = interval(PRESERVATION);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_preserving = false;
        loop {
            timer.tick().await;
            let silent = {
                let mut locked = self.0.state.registry();
                let now_ms = self.0.state.clock.now_ms();
                let Some((registry, journal)) = locked.shared() else { return };
                let preserved = registry.preserved(now_ms);
                for instance in &preserved.instances {
                    journal.renew(&(instance.app.clone(), instance.id.clone()));
                }
                preserved.preserved
            };
            if (silent > 0) != is_preserving {
                is_preserving = silent > 0;
                self.tell(&Event::Preserving { silent });
            }
        }
    }
}
