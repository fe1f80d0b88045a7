//! DISPLAY: what the server is, has and does.

use tender_xmem::code::CmsCode;

use super::{Invocation, Outcome, VERBS, Verb};
use crate::link::{Report, RootCommand};
use crate::messages;
use crate::monitor::{Monitor, rights};
use crate::services::{self, Place};

pub(super) const VERB: Verb = Verb { names: &["DISPLAY", "DIS", "D"], arguments: 0..=1, usage: OPTIONS, run };

pub(super) const LIST: Verb = Verb {
    names: &["LIST"],
    arguments: 0..=1,
    usage: OPTIONS,
    run: |monitor, invocation| show(monitor, invocation.arguments.first().map_or("SERVICES", |word| word)),
};

pub(super) const STATISTICS: Verb = Verb {
    names: &["STATISTICS", "STATS"],
    arguments: 0..=0,
    usage: "no arguments",
    run: |monitor, _| show(monitor, "STATS"),
};

const OPTIONS: &str = "at most one of CONFIG, PLUGINS, SERVICES, CLIENTS, STATS, CODES, SANDBOX, COMMANDS";

fn run(monitor: &mut Monitor, invocation: &Invocation) -> Outcome {
    show(monitor, invocation.arguments.first().map_or("CONFIG", |word| word))
}

fn show(monitor: &Monitor, what: &str) -> Outcome {
    match what {
        "CONFIG" => lines("Configuration", monitor.config_lines()),
        "PLUGINS" => lines("Plug-ins", monitor.plugin_lines()),
        "SERVICES" => lines("Services", service_lines(monitor)),
        "CODES" => {
            let codes = CmsCode::ALL.iter().map(|code| format!("  {:>3}  {}", code.number(), code.text()));
            lines("Return codes", codes.collect())
        }
        "COMMANDS" => {
            let verbs = VERBS.iter().map(|verb| format!("  {}: {}", verb.names.join(", "), verb.usage));
            lines("Commands", verbs.collect())
        }
        "CLIENTS" => Outcome::AskFront(client_lines),
        "STATS" => Outcome::AskFront(statistics_lines),
        "SANDBOX" => Outcome::AskRoot(RootCommand::Sandboxes),
        other => Outcome::line(messages::BAD_OPTION, &[&other, &OPTIONS]),
    }
}

fn heading(title: &str) -> String {
    messages::DISPLAY.with(&[&title])
}

fn lines(title: &str, more: Vec<String>) -> Outcome {
    let mut lines = vec![heading(title)];
    lines.extend(more);
    Outcome::Lines(lines, 0)
}

fn service_lines(monitor: &Monitor) -> Vec<String> {
    let built_in = services::ALL.iter().map(|service| {
        let place = match service.place {
            Place::Front => "front",
            Place::Monitor(_) => "monitor",
            Place::Router => "router",
        };
        let resource = match service.place {
            Place::Router => "ZWES.IS.<plug-in>.<service>".to_owned(),
            _ => rights::service_resource(service.name),
        };
        format!("  {:>3} {:<10} {:<8} {} {resource}", service.id, service.name, place, service.level)
    });
    let of_plugins = monitor.plugin_services().iter().map(|service| {
        let resource = rights::plugin_resource(&service.plugin, &service.service);
        format!("   64 {}.{} version {} READ {resource}", service.plugin, service.service, service.version)
    });
    built_in.chain(of_plugins).collect()
}

fn client_lines(_: &Monitor, report: &Report) -> Vec<String> {
    let mut lines = vec![heading(&format!("{} connections", report.connections.len()))];
    lines.extend(report.connections.iter().map(|found| {
        let ring = if found.has_ring { ", ring" } else { "" };
        format!(
            "  c{} uid {} pid {} {} ({}): {} calls, {} under way{ring}",
            found.id,
            found.uid,
            found.pid,
            found.program.escape_debug(),
            found.client.escape_debug(),
            found.calls,
            found.in_flight
        )
    }));
    lines
}

fn statistics_lines(monitor: &Monitor, report: &Report) -> Vec<String> {
    let (backlog, is_failing) = monitor.audit_backlog();
    let mut lines = vec![heading("Statistics")];
    lines.push(format!(
        "  {} connections, {} rings, {} calls, {} refused, {} under way",
        report.connections.len(),
        report.rings,
        report.calls,
        report.refused,
        report.in_flight
    ));
    let failing = if is_failing { ", the disk fails" } else { "" };
    lines.push(format!("  audit records that wait: {backlog}{failing}"));
    lines.extend(monitor.worker_lines());
    for (id, calls, refused, failed) in &report.services {
        let name = services::by_id(*id).map_or("?", |service| service.name);
        lines.push(format!("  {id:>3} {name:<10} {calls} calls, {refused} refused, {failed} failed"));
    }
    for (bucket, count) in report.waits.iter().enumerate().filter(|(_, count)| **count > 0) {
        lines.push(format!("  below {:>5} ms: {count}", 1_u64 << bucket));
    }
    lines
}
