//! FLUSH: everything that waits is printed.

use super::{Outcome, Verb};

pub(super) const VERB: Verb =
    Verb { names: &["FLUSH"], arguments: 0..=0, usage: "no arguments", run: |_, _| Outcome::Flush };
