//! How long every part takes from its start to an open port, and its memory at rest.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use crate::bench::build_tender;
use crate::failure::Failure;
use crate::load::{Served, free_ports, work_dir};
use crate::processes::{memory_bytes, pause};
use crate::workspace::Workspace;

/// For all parts together. Source: the figures that the product set itself, where others need minutes and gigabytes.
const START_MS_MAX: f64 = 1000.0;
const MEMORY_MIB_MAX: f64 = 50.0;
/// Time for a part to come to rest.
const REST: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;

/// A part, and the words that start it.
const PARTS: &[(&str, &[&str])] = &[
    ("discovery", &["discovery", "run", "--plain"]),
    ("gateway", &["gateway", "run", "--plain"]),
    ("caching service", &["cache", "run", "--plain"]),
    ("catalog", &["catalog", "run", "--plain"]),
    ("desktop", &["desktop", "run", "--plain"]),
];

/// Measures, and makes a table of it.
pub(super) fn measure(workspace: &Workspace) -> Result<String, Failure> {
    let tender = build_tender(workspace)?;
    let work = work_dir(workspace, "start")?;
    let mut text = String::from("| part | start ms | memory at rest, MiB |\n|---|---:|---:|\n");
    let (mut all_ms, mut all_mib) = (0.0, 0.0);
    // They stay up while the others start: the gateway finds discovery.
    let mut running = Vec::new();
    let (mut discovery, mut gateway) = (String::new(), String::new());
    let plugins = work.join("plugins");
    std::fs::create_dir_all(&plugins).map_err(Failure::file("create", &plugins))?;
    for (name, words) in PARTS {
        let mut starts = Vec::new();
        let mut served = None;
        for round in 0..ROUNDS {
            drop(served.take());
            let [port] = free_ports()?;
            let mut command = Command::new(&tender);
            command.args(*words).args(["--listen", &format!("127.0.0.1:{port}")]);
            match *name {
                "discovery" => discovery = format!("http://127.0.0.1:{port}/eureka"),
                "gateway" => {
                    gateway = format!("http://127.0.0.1:{port}");
                    command.args(["--discovery", &discovery]);
                }
                "catalog" => drop(command.args(["--discovery", &discovery, "--gateway", &gateway])),
                "desktop" => drop(command.args(["--gateway", &gateway, "--plugins"]).arg(&plugins)),
                _ => {}
            }
            let log = work.join(format!("{name}-{round}.log"));
            let now = Served::start(command, port, &log)?;
            starts.push(now.start_ms);
            served = Some(now);
        }
        starts.sort_by(f64::total_cmp);
        let start_ms = starts[starts.len() / 2];
        pause(REST);
        let memory_mib = match &served {
            Some(served) => memory_bytes(&served.pids())? as f64 / f64::from(1 << 20),
            None => 0.0,
        };
        running.extend(served);
        (all_ms, all_mib) = (all_ms + start_ms, all_mib + memory_mib);
        writeln!(text, "| {name} | {start_ms:.0} | {memory_mib:.1} |")
            .expect("writing to a string cannot fail");
    }
    drop(running);
    let verdict = |found: f64, max: f64| if found <= max { "reached" } else { "MISSED" };
    writeln!(
        text,
        "| all | {all_ms:.0}, floor {START_MS_MAX:.0}: {} | {all_mib:.1}, floor {MEMORY_MIB_MAX:.0}: {} |",
        verdict(all_ms, START_MS_MAX),
        verdict(all_mib, MEMORY_MIB_MAX)
    )
    .expect("writing to a string cannot fail");
    Ok(text)
}
