//! COLD and RESET(LOOKUP): taken at the start only.

use super::{Outcome, Verb};
use crate::messages;

pub(super) const VERB: Verb = Verb {
    names: &["COLD"],
    arguments: 0..=0,
    usage: "no arguments",
    run: |_, _| Outcome::line(messages::COLD_REFUSED, &[&"COLD", &"COLD"]),
};

pub(super) const RESET: Verb = Verb {
    names: &["RESET(LOOKUP)"],
    arguments: 0..=0,
    usage: "no arguments",
    run: |_, _| Outcome::line(messages::COLD_REFUSED, &[&"RESET(LOOKUP)", &"RESET(LOOKUP)"]),
};
