//! EXPLAIN: the last refusals, or what a user may do with a service and why.

use tender_saf::{AccessLevel, Id, Subject};

use super::{Invocation, Outcome, Verb};
use crate::messages;
use crate::monitor::{Monitor, rights};
use crate::services;

pub(super) const VERB: Verb = Verb {
    names: &["EXPLAIN"],
    arguments: 0..=2,
    usage: "nothing or a number (the last refusals), or a user and a service",
    run,
};

/// Refusals that are shown when nobody says how many.
const COUNT: usize = 10;

fn run(monitor: &mut Monitor, invocation: &Invocation) -> Outcome {
    match &*invocation.arguments {
        [] => refusals(monitor, COUNT),
        [count] => match count.parse() {
            Ok(count) => refusals(monitor, count),
            Err(_) => Outcome::line(messages::ARGUMENT_COUNT, &[&"EXPLAIN", &VERB.usage]),
        },
        [user, service, ..] => decision(monitor, user, service),
    }
}

fn refusals(monitor: &Monitor, count: usize) -> Outcome {
    let mut lines = vec![messages::DISPLAY.with(&[&"Last refusals, the newest first"])];
    lines.extend(monitor.refusals().take(count).map(|record| {
        let refusal = &record.refusal;
        format!(
            "  {} c{} uid {} {}: {} {} {}: {}; {}",
            record.time,
            record.connection,
            record.uid,
            refusal.subject,
            refusal.level,
            refusal.class,
            refusal.resource,
            refusal.rule,
            if refusal.remedy.is_empty() { "nothing would give it" } else { &refusal.remedy }
        )
    }));
    if lines.len() == 1 {
        lines.push("  none".to_owned());
    }
    Outcome::Lines(lines, 0)
}

fn decision(monitor: &Monitor, user: &str, service: &str) -> Outcome {
    let (Ok(id), Some(policy)) = (user.parse::<Id>(), monitor.policy()) else {
        return Outcome::line(messages::COMMAND_REJECTED, &[&"EXPLAIN", &format!("`{user}` is no user")]);
    };
    let level = services::ALL.iter().find(|found| found.name == service).map(|found| found.level);
    let resource = match (level, service.split_once('.')) {
        (Some(_), _) => rights::service_resource(service),
        (None, Some((plugin, service))) => rights::plugin_resource(plugin, service),
        (None, None) => {
            let why = format!("there is no service {service}");
            return Outcome::line(messages::COMMAND_REJECTED, &[&"EXPLAIN", &why]);
        }
    };
    let subject = Subject::user(id);
    let mut lines = vec![messages::DISPLAY.with(&[&format!("{user} and {service}")])];
    let asked =
        [(rights::GATE.to_owned(), AccessLevel::Read), (resource, level.unwrap_or(AccessLevel::Read))];
    for (resource, level) in asked {
        let said = tender_saf::explain(
            &policy.compiled,
            &subject,
            &rights::question(rights::CLASS, &resource, level),
        );
        let answer = if said.granted { "granted" } else { "refused" };
        let remedy = said.remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
        lines.push(format!("  {resource} {level}: {answer} by {}{remedy}", said.rule));
    }
    Outcome::Lines(lines, 0)
}
