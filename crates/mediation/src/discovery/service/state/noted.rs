//! What changes the registry here, done and noted for etcd in one: nothing that is seen there can come in between.

use std::collections::BTreeMap;

use super::{Held, Locked};
use crate::discovery::cluster::{Journal, Key};
use crate::discovery::instance::{Instance, Status, app_key};
use crate::discovery::registry::{Heartbeat, Refused, Registered, Registry};

fn key(app: &str, id: &str) -> Key {
    (app_key(app), id.to_owned())
}

impl Locked<'_> {
    /// Returns the registry and what etcd has and is to be told, where it is shared.
    pub(in crate::discovery::service) fn shared(&mut self) -> Option<(&mut Registry, &mut Journal)> {
        let Held { registry, journal } = &mut *self.held;
        Some((registry, journal.as_mut()?))
    }

    /// Does as [`Registry::register`].
    pub(in crate::discovery::service) fn register(&mut self, instance: Instance, now_ms: u64) -> Registered {
        let key = key(&instance.app, &instance.id);
        let registered = self.held.registry.register(instance, now_ms);
        if let Some((registry, journal)) = self.shared() {
            match registered {
                Registered::New | Registered::Replaced => journal.announced(key),
                Registered::Kept => journal.heard(registry, &key),
                Registered::Own | Registered::Full(_) => {}
            }
        }
        registered
    }

    /// Does as [`Registry::heartbeat`].
    pub(in crate::discovery::service) fn heartbeat(
        &mut self,
        app: &str,
        id: &str,
        dirty_ms: Option<u64>,
        is_replication: bool,
        now_ms: u64,
    ) -> Result<Heartbeat, Refused> {
        let answer = self.held.registry.heartbeat(app, id, dirty_ms, is_replication, now_ms)?;
        if let Some((registry, journal)) = self.shared() {
            journal.heard(registry, &key(app, id));
        }
        Ok(answer)
    }

    /// Does as [`Registry::cancel`].
    pub(in crate::discovery::service) fn cancel(
        &mut self,
        app: &str,
        id: &str,
        now_ms: u64,
    ) -> Result<(), Refused> {
        let dirty_ms = self.held.registry.get(app, id).map_or(0, |entry| entry.instance.dirty_ms);
        self.held.registry.cancel(app, id, now_ms)?;
        if let Some((_, journal)) = self.shared() {
            journal.cancelled(key(app, id), dirty_ms);
        }
        Ok(())
    }

    /// Does as [`Registry::set_status`].
    pub(in crate::discovery::service) fn set_status(
        &mut self,
        app: &str,
        id: &str,
        status: Status,
        now_ms: u64,
    ) -> Result<(), Refused> {
        self.held.registry.set_status(app, id, status, now_ms)?;
        self.ruled(app, id);
        Ok(())
    }

    /// Does as [`Registry::remove_status`].
    pub(in crate::discovery::service) fn remove_status(
        &mut self,
        app: &str,
        id: &str,
        then: Status,
        now_ms: u64,
    ) -> Result<(), Refused> {
        self.held.registry.remove_status(app, id, then, now_ms)?;
        self.ruled(app, id);
        Ok(())
    }

    /// Does as [`Registry::add_metadata`].
    pub(in crate::discovery::service) fn add_metadata(
        &mut self,
        app: &str,
        id: &str,
        more: BTreeMap<String, String>,
        now_ms: u64,
    ) -> Result<(), Refused> {
        let said = self.held.journal.is_some().then(|| more.clone());
        self.held.registry.add_metadata(app, id, more, now_ms)?;
        if let (Some((_, journal)), Some(mut said)) = (self.shared(), said) {
            said.remove("");
            journal.added(key(app, id), said);
        }
        Ok(())
    }

    /// Does as [`Registry::keep`].
    pub(in crate::discovery::service) fn keep(&mut self, instance: Instance, now_ms: u64) {
        let key = key(&instance.app, &instance.id);
        let status = |registry: &Registry| registry.get(&key.0, &key.1).map(|entry| entry.instance.status);
        let before = status(&self.held.registry);
        self.held.registry.keep(instance, now_ms);
        let after = status(&self.held.registry);
        if let Some((registry, journal)) = self.shared() {
            if before == after {
                journal.heard(registry, &key);
            } else {
                journal.announced(key);
            }
        }
    }

    /// Does as [`Registry::take_own`].
    pub(in crate::discovery::service) fn take_own(&mut self, instance: Instance, now_ms: u64) {
        let key = key(&instance.app, &instance.id);
        self.held.registry.take_own(instance, now_ms);
        if let Some((_, journal)) = self.shared() {
            journal.announced(key);
        }
    }

    /// Does as [`Registry::release`].
    pub(in crate::discovery::service) fn release(&mut self, app: &str, id: &str, now_ms: u64) {
        let dirty_ms = self.held.registry.get(app, id).map(|entry| entry.instance.dirty_ms);
        self.held.registry.release(app, id, now_ms);
        if let Some((registry, journal)) = self.shared()
            && let Some(dirty_ms) = dirty_ms.filter(|_| registry.get(app, id).is_none())
        {
            journal.cancelled(key(app, id), dirty_ms);
        }
    }

    fn ruled(&mut self, app: &str, id: &str) {
        if let Some((_, journal)) = self.shared() {
            journal.ruled(key(app, id));
        }
    }
}
