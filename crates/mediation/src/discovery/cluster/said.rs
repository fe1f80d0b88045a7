//! What was said here of an instance and is still to be written, and what becomes of it when others write meanwhile: decided
//! without looking at anything else.

use std::collections::BTreeMap;

use crate::discovery::instance::{Instance, Status};

/// What was said here of an instance, all of it together.
///
/// With nothing in it the instance is written as it is here, to say that its heartbeats arrive here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Said {
    /// It was announced.
    pub(super) is_announced: bool,
    /// An operator's status was set or removed.
    pub(super) is_ruled: bool,
    /// What was added to its metadata.
    pub(super) metadata: BTreeMap<String, String>,
    /// It was cancelled, having last changed at this time of its own.
    pub(super) cancelled: Option<u64>,
}

impl Said {
    pub(super) fn announced() -> Self {
        Self { is_announced: true, ..Self::default() }
    }

    pub(super) fn ruled() -> Self {
        Self { is_ruled: true, ..Self::default() }
    }

    pub(super) fn added(metadata: BTreeMap<String, String>) -> Self {
        Self { metadata, ..Self::default() }
    }

    pub(super) fn cancelled(dirty_ms: u64) -> Self {
        Self { cancelled: Some(dirty_ms), ..Self::default() }
    }

    /// Adds what was said later.
    pub(super) fn and(self, later: Self) -> Self {
        if later.cancelled.is_some() {
            return later;
        }
        let mut metadata = if later.is_announced { BTreeMap::new() } else { self.metadata };
        metadata.extend(later.metadata);
        Self {
            is_announced: self.is_announced || later.is_announced,
            is_ruled: self.is_ruled || later.is_ruled,
            metadata,
            cancelled: if later.is_announced { None } else { self.cancelled },
        }
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What a change in etcd does here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// The instance becomes this; what was said here of it is done upon it and still to be written, or has nothing to add.
    Become {
        instance: Box<Instance>,
        /// What was said here counts on.
        is_still_said: bool,
    },
    /// It goes.
    Go,
    /// What is here stays, and is written.
    Stay,
}

/// Decides what it does here that another server wrote an instance.
pub(super) fn written(said: Option<&Said>, ours: Option<&Instance>, theirs: Instance) -> Effect {
    let become_theirs = |theirs| Effect::Become { instance: Box::new(theirs), is_still_said: false };
    let Some(said) = said else { return become_theirs(theirs) };
    if let Some(dirty_ms) = said.cancelled {
        // Who has changed since was started again elsewhere.
        return if theirs.dirty_ms > dirty_ms { become_theirs(theirs) } else { Effect::Stay };
    }
    let Some(ours) = ours.filter(|_| !said.is_nothing()) else { return become_theirs(theirs) };
    Effect::Become { instance: Box::new(merged(said, ours, theirs)), is_still_said: true }
}

/// Decides what it does here that an instance is gone.
pub(super) fn deleted(said: Option<&Said>, is_own: bool) -> Effect {
    match said {
        // Its cancellation is done; otherwise it lives, and was said to after what ended.
        Some(said) if said.is_announced => Effect::Stay,
        _ if is_own => Effect::Stay,
        _ => Effect::Go,
    }
}

/// Does what was said here upon what another server wrote.
fn merged(said: &Said, ours: &Instance, theirs: Instance) -> Instance {
    let (overridden, status) = if said.is_ruled {
        (ours.overridden, ours.status)
    } else if said.is_announced {
        (theirs.overridden, resolved(ours, &theirs))
    } else {
        (theirs.overridden, theirs.status)
    };
    let announced = said.is_announced && ours.dirty_ms >= theirs.dirty_ms;
    let mut merged = if announced { ours.clone() } else { theirs };
    merged.metadata.extend(said.metadata.clone());
    (merged.overridden, merged.status) = (overridden, status);
    merged
}

/// Returns the status of an instance that was announced here and ruled elsewhere.
fn resolved(ours: &Instance, theirs: &Instance) -> Status {
    match ours.status {
        Status::Down | Status::Starting => ours.status,
        _ if theirs.overridden != Status::Unknown => theirs.overridden,
        // What it said itself is not known any more: the operator's status stood in its place.
        _ if ours.overridden != Status::Unknown => theirs.status,
        _ => ours.status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::json;

    fn instance(dirty_ms: u64, status: Status) -> Instance {
        let body = format!(
            r#"{{"instance":{{"instanceId":"a","app":"svc","hostName":"h{dirty_ms}","ipAddr":"1","status":"{}",
            "dataCenterInfo":{{"name":"MyOwn"}},"metadata":{{"k":"{dirty_ms}"}},"lastDirtyTimestamp":{dirty_ms}}}}}"#,
            status.name()
        );
        json::read_instance(body.as_bytes(), 1).unwrap()
    }

    fn ruled(dirty_ms: u64, status: Status) -> Instance {
        Instance { overridden: status, ..instance(dirty_ms, status) }
    }

    fn become_of(said: &Said, ours: &Instance, theirs: Instance) -> (Instance, bool) {
        match written(Some(said), Some(ours), theirs) {
            Effect::Become { instance, is_still_said } => (*instance, is_still_said),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_others_write_counts_when_nothing_was_said_here() {
        let theirs = instance(1, Status::Down);
        let expected = Effect::Become { instance: Box::new(theirs.clone()), is_still_said: false };
        assert_eq!(written(None, Some(&instance(9, Status::Up)), theirs.clone()), expected);
        assert_eq!(written(None, None, theirs.clone()), expected);
        // That its heartbeats arrive here is said again when the next does.
        assert_eq!(written(Some(&Said::default()), Some(&instance(9, Status::Up)), theirs), expected);
    }

    #[test]
    fn newer_announcement_counts_and_the_operators_status_of_whoever_set_it() {
        let said = Said::announced();
        let (then, is_said) = become_of(&said, &instance(5, Status::Up), instance(5, Status::Down));
        assert_eq!((then.status, is_said), (Status::Up, true));
        let (then, _) = become_of(&said, &instance(5, Status::Up), instance(6, Status::Up));
        assert_eq!(then.host, "h6");
        let theirs = ruled(4, Status::OutOfService);
        let (then, _) = become_of(&said, &instance(5, Status::Up), theirs.clone());
        assert_eq!(
            (then.host.as_str(), then.status, then.overridden),
            ("h5", Status::OutOfService, Status::OutOfService)
        );
        let (then, _) = become_of(&said, &instance(5, Status::Starting), theirs.clone());
        assert_eq!((then.status, then.overridden), (Status::Starting, Status::OutOfService));
        let (then, _) = become_of(&said, &ruled(5, Status::OutOfService), instance(4, Status::Up));
        assert_eq!((then.status, then.overridden), (Status::Up, Status::Unknown));
        let (then, _) = become_of(&Said::ruled(), &ruled(5, Status::Down), theirs);
        assert_eq!((then.host.as_str(), then.status), ("h4", Status::Down));
    }

    #[test]
    fn metadata_of_both_is_kept_and_an_announcement_forgets_what_was_added_before_it() {
        let more = |key: &str| BTreeMap::from([(key.to_owned(), "v".to_owned())]);
        let (then, _) = become_of(&Said::added(more("x")), &instance(5, Status::Up), instance(6, Status::Up));
        assert_eq!(then.metadata.keys().collect::<Vec<_>>(), ["k", "x"]);
        assert_eq!(then.metadata["k"], "6");
        let said = Said::added(more("x")).and(Said::announced()).and(Said::added(more("y")));
        assert_eq!((said.metadata.contains_key("x"), said.metadata.contains_key("y")), (false, true));
    }

    #[test]
    fn cancellation_counts_until_the_instance_is_announced_anew() {
        let said = Said::announced().and(Said::cancelled(5));
        assert_eq!(written(Some(&said), None, instance(5, Status::Up)), Effect::Stay);
        assert!(matches!(written(Some(&said), None, instance(6, Status::Up)), Effect::Become { .. }));
        assert_eq!(deleted(Some(&said), false), Effect::Go);
        let again = said.and(Said::announced());
        assert_eq!((again.cancelled, deleted(Some(&again), false)), (None, Effect::Stay));
    }

    #[test]
    fn instance_that_is_gone_goes_unless_it_was_announced_since_or_is_the_servers_own() {
        assert_eq!(deleted(None, false), Effect::Go);
        assert_eq!(deleted(Some(&Said::ruled()), false), Effect::Go);
        assert_eq!(deleted(None, true), Effect::Stay);
        assert_eq!(deleted(Some(&Said::announced()), false), Effect::Stay);
    }
}
