//! Says something while a command goes on: lines for people, JSON lines for machines.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::render::Audience;

/// Writes to standard output at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    audience: Audience,
}

impl Live {
    /// Writes for this audience.
    pub(crate) fn new(audience: Audience) -> Self {
        Self { audience }
    }

    /// Writes a line for people; machines are not told.
    pub(crate) fn line(self, text: &str) -> io::Result<()> {
        if self.audience == Audience::Machines {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Writes a value as one line of JSON for machines; people are not told.
    pub(crate) fn value(self, value: &impl Serialize) -> io::Result<()> {
        if self.audience == Audience::People {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, value)?;
        writeln!(out)?;
        out.flush()
    }

    /// Says whether a person looks at a screen that can be drawn again.
    pub(crate) fn is_screen(self) -> bool {
        self.audience == Audience::People && io::stdout().is_terminal()
    }
}
