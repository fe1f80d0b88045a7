//! Registrations, heartbeats and fetches of discovery, and its memory at 10 000 instances.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::Value;

use crate::bench::build_example;
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// Bytes that discovery may need for 10 000 instances.
const RESIDENT_MAX: f64 = 200.0 * 1048576.0;

/// Measures, and makes a table of it.
pub(super) fn measure(workspace: &Workspace) -> Result<String, Failure> {
    let mut bench = Command::new(build_example(workspace, "tender-mediation", "discovery_bench")?);
    let output = program::output(&mut bench)?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(Failure::Ended { command: program::line(&bench), status: output.status });
    }
    table(&String::from_utf8_lossy(&output.stdout))
}

/// Makes a table of the figures of discovery, which stand on one line of JSON.
fn table(line: &str) -> Result<String, Failure> {
    let unexpected = |what: &str| Failure::Unexpected {
        what: format!("the measuring program gives {what}"),
        found: line.trim().to_owned(),
    };
    let figures: Value = serde_json::from_str(line).map_err(|_| unexpected("one line of JSON"))?;
    let figure = |key: &str| figures[key].as_f64().ok_or_else(|| unexpected(key));
    let mib = |key: &str| figure(key).map(|bytes| format!("{:.1}", bytes / 1048576.0));
    let per_s = |key: &str| figure(key).map(|count| format!("{count:.0}"));
    let resident = figure("registered_bytes")?.max(figure("last_bytes")?);
    let reached = if resident <= RESIDENT_MAX { "reached" } else { "MISSED" };
    let rows = [
        ("memory at rest, MiB".to_owned(), mib("idle_bytes")?, String::new()),
        (format!("with {} instances, MiB", figure("instances")?), mib("registered_bytes")?, String::new()),
        (
            "after all documents were written and handed out, MiB".to_owned(),
            mib("last_bytes")?,
            format!("{:.0} | {reached}", RESIDENT_MAX / 1048576.0),
        ),
        ("registrations a second".to_owned(), per_s("registrations_per_s")?, String::new()),
        ("heartbeats a second".to_owned(), per_s("heartbeats_per_s")?, String::new()),
        ("the whole registry, fetches a second (gzip)".to_owned(), per_s("fetches_per_s")?, String::new()),
        ("changes, fetches a second (gzip; all of them)".to_owned(), per_s("deltas_per_s")?, String::new()),
        (
            "registrations a second while the whole is fetched".to_owned(),
            per_s("changes_per_s")?,
            String::new(),
        ),
        ("fetches a second meanwhile".to_owned(), per_s("fetches_while_changing_per_s")?, String::new()),
        (
            "first fetch after a change, ms".to_owned(),
            format!("{:.0}", figure("first_fetch_ms")?),
            String::new(),
        ),
        (
            "whole registry as JSON, as XML, as JSON with gzip, MiB".to_owned(),
            format!("{}, {}, {}", mib("json_bytes")?, mib("xml_bytes")?, mib("gzip_bytes")?),
            String::new(),
        ),
        (
            format!(
                "{} clients, each 5 ms after its last answer, 20 instances: fetches a second",
                figure("pollers")?
            ),
            per_s("polls_per_s")?,
            String::new(),
        ),
        ("processors that takes".to_owned(), format!("{:.2}", figure("poll_cpu")?), String::new()),
    ];
    let mut text = String::from("| what | figure | floor | |\n|---|---:|---:|---|\n");
    for (what, figure, floor) in rows {
        let floor = if floor.is_empty() { " | ".to_owned() } else { floor };
        writeln!(text, "| {what} | {figure} | {floor} |").expect("writing to a string cannot fail");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_figures_says_whether_the_memory_is_within_its_floor() {
        let keys = [
            "idle_bytes",
            "registered_bytes",
            "last_bytes",
            "registrations_per_s",
            "heartbeats_per_s",
            "fetches_per_s",
            "deltas_per_s",
            "changes_per_s",
            "fetches_while_changing_per_s",
            "first_fetch_ms",
            "gzip_bytes",
            "json_bytes",
            "xml_bytes",
            "pollers",
            "polls_per_s",
            "poll_cpu",
            "instances",
        ];
        let figures: serde_json::Map<_, _> =
            keys.iter().map(|key| ((*key).to_owned(), Value::from(300_000_000))).collect();
        let text = table(&Value::from(figures).to_string()).unwrap();
        assert!(text.contains("| 286.1 | 200 | MISSED |"), "{text}");
        assert!(table("{}").unwrap_err().to_string().contains("gives"));
    }
}
