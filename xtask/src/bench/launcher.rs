//! `cargo xtask bench launcher`: our supervisor beside supervisord, s6 and runit.

mod contender;
mod running;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::content::{measured_in, work_dir};
use super::{build_example, report};
use crate::debian;
use crate::failure::Failure;
use crate::workspace::Workspace;
use contender::{CONTENDERS, Contender, Service};
use running::Running;

/// Measures our supervisor beside supervisord, s6 and runit.
#[derive(Debug, Args)]
pub(crate) struct Launcher {
    /// Only these, by a part of their name.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Write the results into docs/benchmarks.md.
    #[arg(long)]
    write: bool,
}

/// Children whose supervisor's memory is measured.
const CHILDREN: [usize; 4] = [1, 20, 50, 500];
const KILLS: usize = 9;
const IDLE: Duration = Duration::from_secs(10);
const FLOOD: Duration = Duration::from_secs(5);

/// What is measured of a contender.
#[derive(Debug, Clone, Default)]
struct Figures {
    /// MiB of the supervisor's processes, for each of `CHILDREN`.
    memory_mib: [f64; CHILDREN.len()],
    /// Milliseconds until all have started, for each of `CHILDREN`.
    start_ms: [f64; CHILDREN.len()],
    /// Milliseconds from a kill to the successor's first act: median, least, most.
    restart_ms: [f64; 3],
    /// CPU milliseconds of the supervisor's processes in `IDLE`, with the most children.
    idle_cpu_ms: f64,
    /// Part of a core that they take while one child logs 50 MB/s.
    flood_cpu: f64,
    /// Megabytes a second that came through to the log meanwhile.
    flood_mb_s: f64,
    processes: usize,
}

/// A figure as a row: its name, how to get it, decimals, and what must be reached.
type Row = (&'static str, fn(&Figures) -> f64, usize, Option<f64>);

const ROWS: &[Row] = &[
    ("memory with 1 child, MiB", |f| f.memory_mib[0], 2, None),
    ("memory with 20 children, MiB", |f| f.memory_mib[1], 2, Some(6.0)),
    ("memory with 50 children, MiB", |f| f.memory_mib[2], 2, None),
    ("memory with 500 children, MiB", |f| f.memory_mib[3], 2, None),
    ("20 children started, ms", |f| f.start_ms[1], 0, Some(60.0)),
    ("500 children started, ms", |f| f.start_ms[3], 0, None),
    ("kill -9 to successor, ms, median", |f| f.restart_ms[0], 1, Some(9.0)),
    ("kill -9 to successor, ms, least", |f| f.restart_ms[1], 1, None),
    ("kill -9 to successor, ms, most", |f| f.restart_ms[2], 1, None),
    ("CPU in 10 s with 500 idle children, ms", |f| f.idle_cpu_ms, 1, None),
    ("CPU while one logs 50 MB/s, % of a core", |f| f.flood_cpu * 100.0, 1, None),
    ("of these came through, MB/s", |f| f.flood_mb_s, 1, None),
];

impl Launcher {
    /// Measures and reports.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Failure> {
        let is_chosen = |contender: &&Contender| {
            self.only.is_empty() || self.only.iter().any(|name| contender.name.contains(name.as_str()))
        };
        let chosen: Vec<&Contender> = CONTENDERS.iter().filter(is_chosen).collect();
        debian::require(&chosen.iter().filter_map(|contender| contender.needed).collect::<Vec<_>>())?;
        let ours = build_example(workspace, "tender-supervisor", "supervise")?;
        let mut measured = Vec::new();
        for contender in chosen {
            println!("    {}", contender.name);
            measured.push((contender, measure(workspace, contender, &ours)?));
        }
        let text = table(&measured);
        print!("\n{text}");
        if self.write { report::write(workspace, "launcher", &text) } else { Ok(()) }
    }
}

fn measure(workspace: &Workspace, contender: &Contender, ours: &Path) -> Result<Figures, Failure> {
    let work = work_dir(workspace);
    let mut figures = Figures::default();
    for (at, count) in CHILDREN.into_iter().enumerate() {
        measured_in(&work, || {
            let services: Vec<Service> = (0..count).map(|number| Service::sleeping(number, &work)).collect();
            let mut running = Running::start(contender, ours, &work, &services)?;
            figures.start_ms[at] = running.wait_started(count)?;
            running.settle();
            figures.memory_mib[at] = running.memory_bytes()? as f64 / f64::from(1 << 20);
            if count == 20 {
                figures.restart_ms = restarts(&running)?;
            }
            if count == CHILDREN[CHILDREN.len() - 1] {
                figures.processes = running.supervisors().len();
                figures.idle_cpu_ms = running.cpu_ms_in(IDLE)?;
            }
            Ok(())
        })?;
    }
    measured_in(&work, || {
        let mut running = Running::start(contender, ours, &work, &[Service::flooding(&work)])?;
        running.wait_started(1)?;
        running.settle();
        let before = running::size_of(&work.join("log"));
        figures.flood_cpu = running.cpu_ms_in(FLOOD)? / FLOOD.as_secs_f64() / 1000.0;
        let bytes = running::size_of(&work.join("log")).saturating_sub(before);
        figures.flood_mb_s = bytes as f64 / 1e6 / FLOOD.as_secs_f64();
        Ok(())
    })?;
    Ok(figures)
}

/// Kills children one after the other, each once, and returns median, least and most milliseconds until the next ran.
fn restarts(running: &Running) -> Result<[f64; 3], Failure> {
    let mut times = Vec::new();
    for number in 0..KILLS {
        times.push(running.kill_and_wait(number)?);
    }
    times.sort_by(f64::total_cmp);
    Ok([times[KILLS / 2], times[0], times[KILLS - 1]])
}

fn table(measured: &[(&Contender, Figures)]) -> String {
    let mut text = String::from("### launcher\n\n| |");
    for (contender, _) in measured {
        write!(text, " {} |", contender.name).expect("writing to a string cannot fail");
    }
    text.push_str(" of best peer | floor | |\n|---|");
    text.push_str(&"---:|".repeat(measured.len() + 2));
    text.push_str("---|\n");
    for (name, figure, decimals, floor) in ROWS {
        let ours = measured.iter().find(|(contender, _)| contender.is_ours).map(|(_, found)| figure(found));
        let peers =
            measured.iter().filter(|(contender, _)| !contender.is_ours).map(|(_, found)| figure(found));
        let best = peers.min_by(f64::total_cmp);
        write!(text, "| {name} |").expect("writing to a string cannot fail");
        for (_, found) in measured {
            write!(text, " {:.decimals$} |", figure(found)).expect("writing to a string cannot fail");
        }
        let ratio = match (ours, best) {
            (Some(ours), Some(best)) if best > 0.0 && !name.contains("came through") => {
                format!("{:.2}", ours / best)
            }
            _ => String::new(),
        };
        let verdict = match (ours, floor) {
            (Some(ours), Some(floor)) if ours <= *floor => "reached",
            (Some(_), Some(_)) => "MISSED",
            _ => "",
        };
        let floor = floor.map_or_else(String::new, |floor| format!("{floor:.0}"));
        writeln!(text, " {ratio} | {floor} | {verdict} |").expect("writing to a string cannot fail");
    }
    text.push('\n');
    for (contender, found) in measured {
        let processes = if found.processes == 1 { "process" } else { "processes" };
        let with = format!("{} {processes} with 500 children", found.processes);
        writeln!(text, "- {}: {}; {with}.", contender.name, contender.note).expect("a string takes it");
    }
    if let Some((_, ours)) = measured.iter().find(|(contender, _)| contender.is_ours) {
        let growth = |figures: &[f64; 4]| (figures[3] - figures[1]) / 480.0;
        writeln!(
            text,
            "- Ours grows by {:.1} KiB and {:.2} ms a child between 20 and 500 children; from 1 to 20 by {:.1} KiB.",
            growth(&ours.memory_mib) * 1024.0,
            growth(&ours.start_ms),
            (ours.memory_mib[1] - ours.memory_mib[0]) / 19.0 * 1024.0,
        )
        .expect("writing to a string cannot fail");
    }
    text
}

/// Returns the directory where a contender's children say that they have started.
fn started_dir(work: &Path) -> PathBuf {
    work.join("started")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_compares_ours_with_the_best_peer_and_the_floors() {
        let named = |is_ours: bool| CONTENDERS.iter().find(|c| c.is_ours == is_ours).unwrap();
        let figures = |memory: f64, restart: f64| Figures {
            memory_mib: [memory; 4],
            restart_ms: [restart; 3],
            ..Figures::default()
        };
        let text = table(&[(named(true), figures(2.0, 10.0)), (named(false), figures(8.0, 20.0))]);
        assert!(
            text.contains("| memory with 20 children, MiB | 2.00 | 8.00 | 0.25 | 6 | reached |"),
            "{text}"
        );
        assert!(text.contains("median | 10.0 | 20.0 | 0.50 | 9 | MISSED |"), "{text}");
    }
}
