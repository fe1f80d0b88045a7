//! Which tickets were used.
//!
//! A used ticket is forgotten when it has run out. Should the clock then be set back, it would be good again; so it is
//! remembered until when everything forgotten ran, and nothing that runs out by then is accepted.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::TicketRefusal;
use crate::base64url;
use crate::journal::Ledger;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Line {
    /// A ticket was used that runs out then.
    Used { id: String, until_s: u64 },
    /// Used tickets were forgotten that ran out by then.
    Forgotten { until_s: u64 },
}

/// All tickets that were used and have not run out.
#[derive(Debug, Default)]
pub(super) struct Replay {
    used: HashMap<[u8; 16], u64>,
    forgotten_s: u64,
    /// The first time at which there is something to forget.
    next_s: Option<u64>,
}

impl Ledger for Replay {
    type Line = Line;

    fn take(&mut self, line: Line) {
        match line {
            Line::Used { id, until_s } => {
                // A line that is no ticket's revokes nothing that could be presented.
                let id = base64url::decode(&id).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
                if let Some(id) = id {
                    self.used.insert(id, until_s);
                    self.next_s = Some(self.next_s.map_or(until_s, |next_s| next_s.min(until_s)));
                }
            }
            Line::Forgotten { until_s } => {
                self.forgotten_s = self.forgotten_s.max(until_s);
                self.used.retain(|_, until| *until > until_s);
                self.next_s = self.used.values().min().copied();
            }
        }
    }

    fn len(&self) -> usize {
        self.used.len()
    }

    fn lines(&self) -> Vec<Line> {
        let used = self.used.iter();
        let used = used.map(|(id, until_s)| Line::Used { id: base64url::encode(id), until_s: *until_s });
        [Line::Forgotten { until_s: self.forgotten_s }].into_iter().chain(used).collect()
    }
}

impl Replay {
    /// Returns until when used tickets may have been forgotten.
    pub(super) fn forgotten_s(&self) -> u64 {
        self.forgotten_s
    }

    /// Decides whether a ticket that is otherwise good is used now, and what is written down for it.
    pub(super) fn accept(
        &self,
        id: [u8; 16],
        until_s: u64,
        now_s: u64,
        used_max: usize,
    ) -> (Result<(), TicketRefusal>, Vec<Line>) {
        if until_s <= self.forgotten_s || self.used.contains_key(&id) {
            return (Err(TicketRefusal::Used), Vec::new());
        }
        let mut lines = Vec::new();
        let mut count = self.used.len();
        // Looked for at most once in a while: the earliest to run out has waited for a quarter of what is remembered.
        let is_time = self.next_s.is_some_and(|next_s| next_s <= now_s);
        if is_time && (count >= used_max || count >= 1024) {
            let outdated = self.used.values().filter(|until| **until <= now_s);
            let (gone, last) = outdated.fold((0, 0), |(gone, last), until| (gone + 1, last.max(*until)));
            if gone * 4 >= count || count >= used_max {
                lines.push(Line::Forgotten { until_s: last });
                count -= gone;
            }
        }
        if count >= used_max {
            return (Err(TicketRefusal::Full { max: used_max }), lines);
        }
        lines.push(Line::Used { id: base64url::encode(&id), until_s });
        (Ok(()), lines)
    }
}
