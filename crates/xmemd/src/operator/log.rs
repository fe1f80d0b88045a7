//! LOG component level: how much is printed.

use super::{Invocation, Outcome, Verb};
use crate::messages;
use crate::monitor::Monitor;
use crate::sysprint::Level;

pub(super) const VERB: Verb =
    Verb { names: &["LOG"], arguments: 2..=2, usage: "a component and a level: LOG CMS DEBUG", run };

fn run(monitor: &mut Monitor, invocation: &Invocation) -> Outcome {
    let [component, level] = &*invocation.arguments else {
        return Outcome::line(messages::ARGUMENT_COUNT, &[&"LOG", &"a component and a level"]);
    };
    if !["STC", "CMS", "CMSPC"].contains(&&**component) {
        return Outcome::line(messages::BAD_COMPONENT, &[component]);
    }
    // A level that is not known changes nothing.
    let Some(level) = Level::parse(level) else { return Outcome::line(messages::BAD_LEVEL, &[level]) };
    monitor.set_level(component, level);
    Outcome::line(messages::LOG_LEVEL, &[component, &level.as_str()])
}
