//! The state of an instance as tables.

use tender_package::{Message, Severity, Table};
use tender_supervisor::console::{ComponentStatus, InstanceStatus, State};

use super::amounts::{size, time};

/// Lines of a component's output that a table of states goes with; `tender logs` has the rest.
const OUTPUT_LINES_SHOWN: usize = 8;

/// Shows every component in a row, those that the plan left out included.
pub(crate) fn components(status: &InstanceStatus) -> Table {
    let header = ["component", "state", "pid", "uptime", "restarts", "CPU", "memory", "ports", "reason"];
    let mut table = Table::new(headline(status), &header);
    for one in &status.components {
        table.row(component(one));
    }
    for left in &status.left_out {
        let mut row = vec![left.name.clone(), "FAILED".to_owned()];
        row.extend(std::iter::repeat_n("-".to_owned(), 6));
        row.push(format!("{}: {}", left.phase, left.reason));
        table.row(row);
    }
    table
}

fn headline(status: &InstanceStatus) -> String {
    let version = status.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let ready = if status.is_ready { "ready" } else { "not ready" };
    format!(
        "{}{version}, instance {}: {ready}; launcher {} runs for {}",
        status.job_name,
        status.id,
        status.pid,
        time(status.uptime_ms)
    )
}

fn component(one: &ComponentStatus) -> [String; 9] {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let last_exit = || one.last_exit.as_ref().map(|exit| format!("ended last with {exit}"));
    let mut reason = one.reason.clone().or_else(last_exit).unwrap_or_default();
    if let Some(next_ms) = one.next_start_ms {
        let after = if reason.is_empty() { "" } else { "; " };
        reason = format!("{reason}{after}starts in {}", time(next_ms));
    }
    let ports = one.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    [
        one.name.clone(),
        word(one.state).to_owned(),
        or_dash(one.pid.map(|pid| pid.to_string())),
        or_dash(one.uptime_ms.map(time)),
        one.restarts.to_string(),
        or_dash(one.cpu_ms.map(time)),
        or_dash(one.memory_bytes.map(size)),
        if ports.is_empty() { "-".to_owned() } else { ports },
        reason,
    ]
}

/// Returns a state as it is written everywhere.
pub(crate) fn word(state: State) -> &'static str {
    match state {
        State::Stopped => "STOPPED",
        State::Waiting => "WAITING",
        State::Starting => "STARTING",
        State::Ready => "READY",
        State::Degraded => "DEGRADED",
        State::Backoff => "BACKOFF",
        State::Stopping => "STOPPING",
        State::Failed => "FAILED",
    }
}

/// Says what is not as it should be: one message for each such component, with what it printed last.
pub(crate) fn complaints(status: &InstanceStatus) -> Vec<Message> {
    let mut told = Vec::new();
    for one in &status.components {
        let severity = match one.state {
            State::Failed | State::Backoff | State::Degraded => Severity::W,
            _ => continue,
        };
        let why = one.reason.as_ref().or(one.last_exit.as_ref());
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let mut message = Message::with_id("ZWEL0052W", format!("{} is {}{why}", one.name, word(one.state)));
        message.severity = severity;
        let last = one.last_output.len().saturating_sub(OUTPUT_LINES_SHOWN);
        told.push(with_output(message, &one.last_output[last..]));
    }
    told.extend(lost_output(status));
    told.extend(left_out(status));
    told
}

/// Says whose output is being lost, and whether the instance's own journal is: nothing else would be noticed so late.
fn lost_output(status: &InstanceStatus) -> Vec<Message> {
    let of_components = status.components.iter().flat_map(|one| {
        let lost = one.conditions.iter().filter(|condition| condition.id == "ZWEL0085W");
        lost.map(|condition| Message::with_id("ZWEL0085W", format!("{}: {}", one.name, condition.text)))
    });
    let of_instance = status.conditions.iter().map(|told| Message::with_id(&told.id, told.text.clone()));
    of_components.chain(of_instance).collect()
}

/// Says which components are not run, and why: one message for each.
pub(crate) fn left_out(status: &InstanceStatus) -> Vec<Message> {
    let told = status.left_out.iter().map(|left| {
        let text = format!("{} was left out, its {} failed: {}", left.name, left.phase, left.reason);
        with_output(Message::with_id("ZWEL0052W", text), &left.output)
    });
    told.collect()
}

/// Adds the last lines a component printed, as the way on.
pub(crate) fn with_output(message: Message, lines: &[String]) -> Message {
    if lines.is_empty() {
        return message;
    }
    message.with_hint(format!("it printed last:\n            {}", lines.join("\n            ")))
}
