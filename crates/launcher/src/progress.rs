//! What a caller may want to show while something long goes on.

use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::summary::{Phase, PhaseSummary, Row};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Something is said.
    Message(Message),
    /// A phase begins, with so many components or checks.
    PhaseBegun {
        /// Which.
        phase: Phase,
        /// How many rows it will have.
        rows: usize,
    },
    /// A component or check of a phase is done.
    RowDone {
        /// Of which phase.
        phase: Phase,
        /// How it came out.
        row: Row,
    },
    /// A phase is over.
    PhaseDone(PhaseSummary),
    /// Preparing is over: the components start.
    Supervising {
        /// The HA instance.
        ha_id: String,
    },
    /// A running component changed its state.
    State {
        /// Which.
        component: String,
        /// Such as `READY`.
        state: tender_supervisor::console::State,
        /// Why.
        reason: String,
    },
}

/// Takes events; called from several threads.
pub trait Progress: Sync {
    /// Takes one event.
    fn event(&self, event: &Event);

    /// Takes a message.
    fn message(&self, id: &str, text: &str) {
        self.event(&Event::Message(Message::new(id, text)));
    }
}

/// Takes events and forgets them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: &Event) {}
}

impl<F: Fn(&Event) + Sync> Progress for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}
