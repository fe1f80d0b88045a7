//! Figures of one machine: drift scans and slot switches.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::matching::Matching;
use super::measure::{Cost, measure};
use super::ours::Ours;
use super::pairs::Trees;
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// CPU seconds for a scan of 400 MB, and for looking at 10 000 files without reading them.
const FULL_CPU_S_PER_BYTE: f64 = 0.3 / 400e6;
const STAT_MS_PER_FILE: f64 = 30.0 / 10_000.0;
/// Below this, starting up is all that a look consists of.
const STAT_FILES_MIN: u64 = 1000;
const SWITCH_MS_MAX: f64 = 5.0;

/// Measures what a managed system does with a loaded tree, on the new tree of each pair.
pub(crate) fn section(workspace: &Workspace, ours: &Ours, pairs: &[Trees]) -> Result<String, Failure> {
    let mut text = String::from("### drift scans and slot switches\n\n");
    text.push_str("| tree | files | MB | scan CPU s | floor | of sha256sum | stat only ms | floor | switch ms p50 | max | floor |\n");
    text.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for trees in pairs {
        let work = super::content::work_dir(workspace);
        text.push_str(&super::content::measured_in(&work, || row(ours, trees, &work))?);
    }
    text.push('\n');
    Ok(text)
}

fn row(ours: &Ours, trees: &Trees, work: &Path) -> Result<String, Failure> {
    let at = |name: &str| work.join(name);
    program::run(ours.call("import").args([&at("store"), &trees.new, &at("tree")]))?;
    program::run(ours.call("materialise").args([&at("store"), &at("tree"), &at("level")]))?;
    let scan = measure(ours.call("scan").args([&at("level"), &at("tree")]))?;
    let peer = sha256sum(&at("level"))?;
    let stat_ms = number(ours.call("stat").args([&at("level"), &at("tree")]))?[0];
    let switch = number(ours.call("switch").args([&at("link"), &at("level"), &at("store")]))?;
    let content = Matching::of(&at("level"), &at("level"))?;
    let (files, bytes) = (content.new_files, content.new_bytes as f64);
    let stat_floor = if files < STAT_FILES_MIN {
        "–".to_owned()
    } else {
        format!("{:.1}", files as f64 * STAT_MS_PER_FILE)
    };
    let mut text = String::new();
    writeln!(
        text,
        "| {} | {files} | {:.1} | {:.2} | {:.2} | {:.2} | {stat_ms:.1} | {stat_floor} | {:.2} | {:.2} | {SWITCH_MS_MAX} |",
        trees.name,
        bytes / 1e6,
        scan.cpu_s,
        bytes * FULL_CPU_S_PER_BYTE,
        scan.cpu_s / peer.cpu_s,
        switch[0],
        switch[1],
    )
    .expect("writing to a string cannot fail");
    Ok(text)
}

/// Returns what reading and hashing everything with the usual tool costs.
fn sha256sum(dir: &Path) -> Result<Cost, Failure> {
    let mut find = Command::new("find");
    find.arg(dir).args(["-type", "f", "-exec", "sha256sum", "{}", "+"]).stdout(Stdio::null());
    measure(&mut find)
}

/// Reads numbers that the program writes, separated by blanks.
fn number(command: &mut Command) -> Result<Vec<f64>, Failure> {
    let output = program::output(command.stdout(Stdio::piped()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    if !output.status.success() || numbers.is_empty() {
        return Err(Failure::Ended { command: program::line(command), status: output.status });
    }
    Ok(numbers)
}
