//! What building takes when it is given less memory.

use std::fmt::Write as _;
use std::path::Path;

use super::measure::measure;
use super::ours::Ours;
use super::pairs::Trees;
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// Limits in MiB.
const LIMITS: &[u64] = &[64, 128, 256];

/// Measures the builder within each limit on each pair.
pub(crate) fn section(workspace: &Workspace, ours: &Ours, pairs: &[Trees]) -> Result<String, Failure> {
    let mut text = String::from("### building within a limit of memory\n\n");
    text.push_str("| pair | `--max-memory` MiB | private peak MiB | kept | bytes | build CPU s |\n");
    text.push_str("|---|---:|---:|---|---:|---:|\n");
    for trees in pairs {
        let work = super::content::work_dir(workspace);
        text.push_str(&super::content::measured_in(&work, || rows(ours, trees, &work))?);
    }
    text.push('\n');
    Ok(text)
}

fn rows(ours: &Ours, trees: &Trees, work: &Path) -> Result<String, Failure> {
    let at = |name: &str| work.join(name);
    for (dir, tree) in [(&trees.old, "old"), (&trees.new, "new")] {
        program::run(ours.call("import").args([&at("store"), dir, &at(tree)]))?;
    }
    let servlink = at("servlink");
    let mut text = String::new();
    for limit in LIMITS {
        let paths = [&at("store"), &at("old"), &at("new"), &servlink];
        let cost = measure(ours.call("build").args(paths).arg(limit.to_string()))?;
        let bytes = std::fs::metadata(&servlink).map_err(Failure::file("read", &servlink))?.len();
        let peak = cost.private_bytes as f64 / f64::from(1 << 20);
        let verdict = if peak <= *limit as f64 { "yes" } else { "NO" };
        let name = &trees.name;
        writeln!(text, "| {name} | {limit} | {peak:.1} | {verdict} | {bytes} | {:.2} |", cost.cpu_s)
            .expect("writing to a string cannot fail");
    }
    Ok(text)
}
