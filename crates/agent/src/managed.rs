//! Whether a principal has this system, and which components are taken out for emergency service.
//!
//! Local authority can always take a component out (MANAGED OFF): the principal may be out of reach when it is
//! needed most. It is recorded here, and reported at the next contact.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tender_content::Digest;
use tender_package::ComponentName;
use tender_package::changes::{Changes, Diverged, Exception};
use tender_package::report::Override;

use crate::changes;
use crate::home::{Home, HomeError, read_json, write_json};

/// What `state.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedState {
    /// Since when a principal has this system; `None` when it has not.
    pub managed: Option<ManagedBy>,
    /// Components taken out.
    pub overrides: Vec<Override>,
    /// Components of slot `current` with parts their level does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diverged: Vec<Diverged>,
    /// Identity of the content of slot `current` with those parts, when it could be that of a level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverged_content: Option<Digest>,
    /// Parts that are kept as they are, whatever level is loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
}

/// Who made this system managed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedBy {
    /// The operator at the principal.
    pub operator: String,
    /// When.
    pub since: Timestamp,
}

impl ManagedState {
    /// Reads the state; a system without one was never managed.
    pub fn read(home: &Home) -> Result<Self, HomeError> {
        Ok(read_json(&home.root().join("state.json"))?.unwrap_or_default())
    }

    pub(crate) fn write(&self, home: &Home) -> Result<(), HomeError> {
        write_json(&home.root().join("state.json"), self)?;
        changes::publish(home, self)
    }

    /// Forgets what was changed by hand: another level is in slot `current`, or it was made again.
    #[must_use]
    pub(crate) fn without_changes(&self) -> Self {
        Self { diverged: Vec::new(), diverged_content: None, ..self.clone() }
    }

    /// Returns what the principal may know of changes made here.
    #[must_use]
    pub(crate) fn changes(&self) -> Changes {
        Changes { diverged: self.diverged.clone(), exceptions: self.exceptions.clone() }
    }

    /// Tells whether `component` may be serviced on this system itself.
    #[must_use]
    pub fn is_locally_serviceable(&self, component: &ComponentName) -> bool {
        self.managed.is_none() || self.overrides.iter().any(|one| one.component == *component)
    }

    /// Returns the overrides whose time is over.
    pub fn overdue(&self, now: Timestamp) -> impl Iterator<Item = &Override> {
        self.overrides.iter().filter(move |one| one.until.is_some_and(|until| until < now))
    }
}

/// Tells whether a component of this system may be serviced locally: it is not managed, or taken out.
pub fn is_locally_serviceable(home: &Home, component: &ComponentName) -> Result<bool, HomeError> {
    Ok(ManagedState::read(home)?.is_locally_serviceable(component))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn component_of_a_managed_system_is_serviceable_only_with_an_override() {
        let http = ComponentName::new("http").unwrap();
        let mut state = ManagedState::default();
        assert!(state.is_locally_serviceable(&http));
        state.managed = Some(ManagedBy { operator: "op".to_owned(), since: Timestamp::UNIX_EPOCH });
        assert!(!state.is_locally_serviceable(&http));
        state.overrides.push(Override {
            component: http.clone(),
            since: Timestamp::UNIX_EPOCH,
            by: "op".to_owned(),
            reason: "outage".to_owned(),
            until: Some(Timestamp::UNIX_EPOCH),
        });
        assert!(state.is_locally_serviceable(&http));
        assert_eq!(state.overdue(Timestamp::now()).count(), 1);
    }
}
