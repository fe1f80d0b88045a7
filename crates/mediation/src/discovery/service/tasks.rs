//! What goes on beside the answers.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Discovery;
use super::counters::Kind;
use crate::discovery::event::Event;
use crate::discovery::registry::Evicted;
use crate::discovery::statics::stamps;

/// Half of what leases of static instances and of the server itself are renewed within.
const RENEWAL: Duration = Duration::from_secs(15);

impl Discovery {
    /// Reads static definitions, registers the server itself, and takes over what others know: what clients should find from
    /// the first request on.
    pub async fn begin(&self) {
        self.read_statics().await;
        self.renew_own();
        self.read_shared().await;
        self.fetch_from_peers().await;
    }

    /// Goes on until it is dropped: ends leases, renews its own, reads static definitions again when they change,
    /// tells other servers and gateways what is new, and shares the registry with those of its cluster.
    pub async fn tasks(self) {
        tokio::join!(
            self.end_leases(),
            self.renew(),
            self.watch_statics(),
            self.tell_peers(),
            self.notify_gateways(),
            self.share_registry()
        );
    }

    async fn end_leases(&self) {
        let mut timer = interval(self.0.settings.eviction_interval);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_preserving = false;
        loop {
            timer.tick().await;
            self.0.state.forget();
            if self.0.settings.cluster.is_some() {
                // Leases end in etcd.
                continue;
            }
            let now_ms = self.0.state.clock.now_ms();
            let Evicted { instances, preserved } = self.0.state.registry().evict(now_ms);
            self.0.state.counters.add(Kind::Evictions, instances.len() as u64);
            for instance in instances {
                self.tell(&Event::Evicted { app: instance.app.clone(), id: instance.id.clone() });
            }
            if (preserved > 0) != is_preserving {
                is_preserving = preserved > 0;
                self.tell(&Event::Preserving { silent: preserved });
            }
        }
    }

    async fn renew(&self) {
        let mut timer = interval(RENEWAL);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            self.renew_own();
        }
    }

    /// Looks at the files rather than having the kernel tell of changes: their directory may lie on a file system that
    /// several hosts share.
    async fn watch_statics(&self) {
        let mut timer = interval(self.0.settings.watch_interval);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            let directories = self.0.settings.directories.clone();
            let now = tokio::task::spawn_blocking(move || stamps(&directories)).await.unwrap_or_default();
            if self.0.statics.is_other(&now) {
                self.take_statics(false).await;
            }
        }
    }
}
