//! `cargo xtask bench xmem`: a call of the cross-memory server beside D-Bus, gRPC, varlink and bare sockets.

mod served;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde_json::Value;

use super::content::{measured_in, work_dir};
use super::report;
use crate::debian::{self, Needed};
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;
use served::{Pinned, Served};

/// Measures calls of the cross-memory server, authorised and audited, beside D-Bus, gRPC, varlink and bare sockets.
#[derive(Debug, Args)]
pub(crate) struct Xmem {
    /// Only these transports, by name.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// How long each load is kept up.
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS")]
    seconds: f64,
    /// Write the results into docs/benchmarks.md.
    #[arg(long)]
    write: bool,
}

/// What the peers need beside their crates.
const NEEDED: &[Needed] = &[
    Needed { package: "dbus-broker", probe: &["dbus-broker", "--version"], purpose: "D-Bus's fast broker" },
    Needed {
        package: "dbus-daemon",
        probe: &["dbus-daemon", "--version"],
        purpose: "a bus for the broker's launcher",
    },
    Needed {
        package: "systemd",
        probe: &["systemd-socket-activate", "--version"],
        purpose: "a listening socket for the broker",
    },
    Needed { package: "util-linux", probe: &["taskset", "--version"], purpose: "pinning to a processor" },
];

/// A transport: what it is called in the measuring program, and in the table.
struct Transport {
    name: &'static str,
    title: &'static str,
    /// It never sleeps, so it is measured where each end has a core of its own.
    spins: bool,
}

/// In the order of the table: ours, bare ones, others.
const TRANSPORTS: &[Transport] = &[
    Transport { name: "tender-ring", title: "tender, ring", spins: false },
    Transport { name: "tender-socket", title: "tender, socket", spins: false },
    Transport { name: "ring", title: "bare ring, spinning", spins: true },
    Transport { name: "seqpacket", title: "bare SEQPACKET", spins: false },
    Transport { name: "stream", title: "bare stream", spins: false },
    Transport { name: "varlink", title: "varlink (zlink)", spins: false },
    Transport { name: "grpc", title: "gRPC (tonic)", spins: false },
    Transport { name: "zbus", title: "D-Bus (zbus, dbus-broker)", spins: false },
];

/// A load.
struct Case {
    title: &'static str,
    callers: usize,
    bytes: usize,
    pinned: Pinned,
}

const CASES: &[Case] = &[
    Case { title: "one caller, 64 B, one core for both", callers: 1, bytes: 64, pinned: Pinned::Together },
    Case { title: "one caller, 64 B, a core for each", callers: 1, bytes: 64, pinned: Pinned::Apart },
    Case { title: "one caller, 64 B, not pinned", callers: 1, bytes: 64, pinned: Pinned::No },
    Case { title: "eight callers, 64 B, not pinned", callers: 8, bytes: 64, pinned: Pinned::No },
    Case { title: "one caller, 4 KiB, one core for both", callers: 1, bytes: 4096, pinned: Pinned::Together },
    Case { title: "eight callers, 4 KiB, not pinned", callers: 8, bytes: 4096, pinned: Pinned::No },
];

/// Figures of one transport under one load.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Figures {
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    calls_per_s: f64,
    cpu_us: f64,
}

/// Figures by place in `CASES` and name of the transport.
type Measured = BTreeMap<(usize, &'static str), Figures>;

impl Xmem {
    /// Measures and reports.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Failure> {
        debian::require(NEEDED)?;
        let bench = self.build(workspace)?;
        let is_chosen = |transport: &&Transport| {
            self.only.is_empty() || self.only.iter().any(|name| name == transport.name)
        };
        let mut measured = Measured::new();
        for transport in TRANSPORTS.iter().filter(is_chosen) {
            println!("    {}", transport.title);
            let fits = |case: &Case| !transport.spins || case.pinned == Pinned::Apart;
            for (at, case) in CASES.iter().enumerate().filter(|(_, case)| fits(case)) {
                let work = work_dir(workspace);
                let figures = measured_in(&work, || self.measure(workspace, &bench, &work, transport, case))?;
                measured.insert((at, transport.name), figures);
            }
        }
        let text = tables(&measured);
        print!("\n{text}");
        if self.write { report::write(workspace, "xmem", &text) } else { Ok(()) }
    }

    /// Builds the server, the command and the measuring program; returns the last.
    fn build(&self, workspace: &Workspace) -> Result<PathBuf, Failure> {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace.root());
        program::run(cargo.args([
            "build",
            "--quiet",
            "--release",
            "-p",
            "tender-cli",
            "-p",
            "tender-xmemd",
        ]))?;
        let target = workspace.target_dir().join("bench/xmem");
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace.root().join("bench/xmem")).env("CARGO_TARGET_DIR", &target);
        program::run(cargo.args(["build", "--quiet", "--release"]))?;
        Ok(target.join("release/tender-bench-xmem"))
    }

    fn measure(
        &self,
        workspace: &Workspace,
        bench: &Path,
        work: &Path,
        transport: &Transport,
        case: &Case,
    ) -> Result<Figures, Failure> {
        let served = Served::start(workspace, bench, work, transport.name, case.pinned)?;
        let mut command = case.pinned.caller(bench);
        command.args(["call", transport.name]).arg(served.place());
        command.args(["--callers", &case.callers.to_string(), "--bytes", &case.bytes.to_string()]);
        command.args(["--seconds", &self.seconds.to_string()]);
        for pid in served.processes() {
            command.args(["--server", &pid.to_string()]);
        }
        let output = program::output(command.envs(served.environment()))?;
        if !output.status.success() {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            return Err(Failure::Ended { command: program::line(&command), status: output.status });
        }
        figures(&String::from_utf8_lossy(&output.stdout))
    }
}

/// Reads the one line of JSON that the measuring program writes.
fn figures(line: &str) -> Result<Figures, Failure> {
    let unexpected = |what: &str| Failure::Unexpected {
        what: format!("the measuring program gives {what}"),
        found: line.trim().to_owned(),
    };
    let values: Value = serde_json::from_str(line).map_err(|_| unexpected("one line of JSON"))?;
    let figure = |key: &str| values[key].as_f64().ok_or_else(|| unexpected(key));
    Ok(Figures {
        p50_us: figure("p50_ns")? / 1000.0,
        p99_us: figure("p99_ns")? / 1000.0,
        p999_us: figure("p999_ns")? / 1000.0,
        calls_per_s: figure("calls_per_s")?,
        cpu_us: figure("cpu_ns_per_call")? / 1000.0,
    })
}

/// Writes a table for each load, and what must be reached.
fn tables(measured: &Measured) -> String {
    let mut text = String::new();
    for (at, case) in CASES.iter().enumerate() {
        let rows: Vec<(&Transport, Figures)> = TRANSPORTS
            .iter()
            .filter_map(|transport| Some((transport, *measured.get(&(at, transport.name))?)))
            .collect();
        if !rows.is_empty() {
            writeln!(text, "### {}\n", case.title).expect("writing to a string cannot fail");
            text.push_str(&table(&rows));
            text.push('\n');
        }
    }
    for line in floors(measured) {
        writeln!(text, "- {line}").expect("writing to a string cannot fail");
    }
    text
}

fn table(rows: &[(&Transport, Figures)]) -> String {
    let of =
        |name: &str| rows.iter().find(|(transport, _)| transport.name == name).map(|(_, figures)| *figures);
    let ratio = |figure: Option<f64>, own: f64| {
        figure.map_or("–".to_owned(), |figure| format!("{:.2}", own / figure))
    };
    let mut text = String::from(
        "| transport | p50 µs | p99 µs | p99.9 µs | calls/s | CPU µs a call | p50 of SEQPACKET | p50 of D-Bus | CPU of D-Bus |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (transport, own) in rows {
        writeln!(
            text,
            "| {} | {:.2} | {:.1} | {:.1} | {:.0} | {:.2} | {} | {} | {} |",
            transport.title,
            own.p50_us,
            own.p99_us,
            own.p999_us,
            own.calls_per_s,
            own.cpu_us,
            ratio(of("seqpacket").map(|bare| bare.p50_us), own.p50_us),
            ratio(of("zbus").map(|bus| bus.p50_us), own.p50_us),
            ratio(of("zbus").map(|bus| bus.cpu_us), own.cpu_us),
        )
        .expect("writing to a string cannot fail");
    }
    text
}

/// Says what is reached: the figures that the design asks for.
fn floors(measured: &Measured) -> Vec<String> {
    let of = |case: usize, name: &'static str| measured.get(&(case, name)).copied();
    let line = |what: &str, figure: f64, floor: f64, unit: &str, is_least: bool| {
        let is_reached = if is_least { figure >= floor } else { figure <= floor };
        let word = if is_reached { "reached" } else { "MISSED" };
        format!("{what}: {figure:.2}{unit}, floor {floor}{unit}: {word}")
    };
    let mut lines = Vec::new();
    for (case, load) in [(0, "one caller on one core"), (2, "one caller"), (3, "eight callers")] {
        if let (Some(bus), Some(ring)) = (of(case, "zbus"), of(case, "tender-ring")) {
            let what = format!("µs of D-Bus through dbus-broker against ours, {load}");
            lines.push(line(&what, bus.p50_us / ring.p50_us, 10.0, " times", true));
        }
    }
    if let (Some(bare), Some(socket)) = (of(0, "seqpacket"), of(0, "tender-socket")) {
        let what = "our socket against a bare one, no spinning, one core";
        lines.push(line(what, socket.p50_us / bare.p50_us, 1.3, " times", false));
    }
    if let Some(ring) = of(1, "tender-ring") {
        lines.push(line("ring, both sides spinning, p50", ring.p50_us, 1.0, " µs", false));
        if let Some(bare) = of(1, "ring") {
            lines.push(format!("the same against a bare ring: {:.2} times", ring.p50_us / bare.p50_us));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_give_ratios_and_say_what_is_reached() {
        let figures =
            |p50_us| Figures { p50_us, p99_us: 2.0, p999_us: 3.0, calls_per_s: 4.0, cpu_us: p50_us };
        let mut measured = Measured::new();
        measured.insert((0, "tender-ring"), figures(4.0));
        measured.insert((0, "tender-socket"), figures(9.0));
        measured.insert((0, "seqpacket"), figures(6.0));
        measured.insert((0, "zbus"), figures(48.0));
        measured.insert((1, "tender-ring"), figures(0.5));
        let text = tables(&measured);
        assert!(
            text.contains("| tender, socket | 9.00 | 2.0 | 3.0 | 4 | 9.00 | 1.50 | 0.19 | 0.19 |"),
            "{text}"
        );
        assert!(text.contains("one caller on one core: 12.00 times, floor 10 times: reached"), "{text}");
        assert!(text.contains("one core: 1.50 times, floor 1.3 times: MISSED"), "{text}");
        assert!(text.contains("p50: 0.50 µs, floor 1 µs: reached"), "{text}");
    }

    #[test]
    fn figures_of_another_line_are_refused_by_name() {
        assert!(figures("{}").unwrap_err().to_string().contains("p50_ns"));
    }
}
