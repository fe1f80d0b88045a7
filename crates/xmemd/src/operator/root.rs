//! What only the root process can do: RELOAD, REPLACE, STOP.

use super::{Outcome, Verb};
use crate::link::RootCommand;

pub(super) const RELOAD: Verb = Verb {
    names: &["RELOAD"],
    arguments: 0..=0,
    usage: "no arguments",
    run: |_, _| Outcome::AskRoot(RootCommand::Reload),
};

pub(super) const STOP: Verb = Verb {
    names: &["STOP", "P"],
    arguments: 0..=0,
    usage: "no arguments",
    run: |_, _| Outcome::AskRoot(RootCommand::Stop),
};

pub(super) const REPLACE: Verb = Verb {
    names: &["REPLACE"],
    arguments: 0..=1,
    usage: "at most a module of the list of authorised modules",
    run: |_, invocation| Outcome::AskRoot(RootCommand::Replace(invocation.arguments.first().map(Into::into))),
};
