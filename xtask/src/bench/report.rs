//! Tables with ratios and floors, for the terminal and for docs/benchmarks.md.

use std::fmt::Write as _;
use std::fs;

use super::matching::Matching;
use super::pairs::{PAIRS, Trees};
use super::peers::Figures;
use crate::failure::Failure;
use crate::workspace::Workspace;

/// One tool's figures.
#[derive(Debug)]
pub(crate) struct Measured {
    /// The tool.
    pub(crate) tool: &'static str,
    /// Whether it is our own.
    pub(crate) is_ours: bool,
    /// Whether it was measured in an earlier run.
    pub(crate) is_reused: bool,
    /// Its figures.
    pub(crate) figures: Figures,
}

/// What must be reached for one pair.
struct Floor {
    pair: &'static str,
    bytes_max: u64,
    build: Option<CpuFloor>,
    apply: Option<CpuFloor>,
}

/// CPU seconds that must be kept to on the machine where [`YARDSTICK`] takes as long as is said here.
///
/// Another machine is faster or slower: there the ratio of the two is what must be kept to.
#[derive(Clone, Copy)]
struct CpuFloor {
    cpu_s_max: f64,
    yardstick_cpu_s: f64,
}

/// The tool that says how fast a machine is.
const YARDSTICK: &str = "zstd -19 --patch-from, files";

const FLOORS: &[Floor] = &[
    Floor {
        pair: "native-bins",
        bytes_max: 7_000_000,
        build: Some(CpuFloor { cpu_s_max: 25.0, yardstick_cpu_s: 47.31 }),
        apply: Some(CpuFloor { cpu_s_max: 0.4, yardstick_cpu_s: 0.21 }),
    },
    Floor { pair: "wheel-scipy", bytes_max: 2_400_000, build: None, apply: None },
    Floor { pair: "npm-zowe", bytes_max: 2_700_000, build: None, apply: None },
    Floor {
        pair: "deb-stack",
        bytes_max: 15_000_000,
        build: Some(CpuFloor { cpu_s_max: 130.0, yardstick_cpu_s: 219.0 }),
        apply: Some(CpuFloor { cpu_s_max: 2.0, yardstick_cpu_s: 3.09 }),
    },
];
/// CPU seconds that applying may take for each byte of the new tree: 0.4 for 75 MB.
const APPLY_CPU_S_PER_BYTE: f64 = 0.4 / 75e6;
const PRIVATE_BYTES_MAX: u64 = 64 << 20;

/// Returns the section of one pair.
pub(crate) fn section(trees: &Trees, matching: &Matching, measured: &[Measured]) -> String {
    let mut text = format!("### {}\n\n", trees.name);
    if let Some(pair) = PAIRS.iter().find(|pair| pair.name == trees.name) {
        line(&mut text, &format!("{}.", pair.content));
    }
    let megabytes = matching.new_bytes as f64 / 1e6;
    let (changed, added) = (matching.changed.len(), matching.added.len());
    line(
        &mut text,
        &format!(
            "{} files, {megabytes:.1} MB; {changed} changed or renamed, {added} added.",
            matching.new_files
        ),
    );
    for note in trees.versions.lines().filter(|line| line.contains("instead of")) {
        line(&mut text, note);
    }
    let reused = measured.iter().filter(|measured| measured.is_reused).count();
    if reused > 0 {
        let note = "other tools are from an earlier run on the same trees: their bytes hold, their CPU seconds were \
                    measured while other work may have slowed the machine.";
        line(&mut text, &format!("{reused} {note}"));
    }
    text.push('\n');
    text.push_str(&table(measured));
    if let Some(ours) = measured.iter().find(|measured| measured.is_ours) {
        text.push_str(&floors(trees, matching, measured, &ours.figures));
    }
    text.push('\n');
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn best_bytes(measured: &[Measured]) -> Option<u64> {
    measured.iter().filter(|measured| !measured.is_ours).map(|measured| measured.figures.bytes).min()
}

fn table(measured: &[Measured]) -> String {
    let heading = "| tool | bytes | of best peer | build CPU s | build peak MB | apply CPU s | apply peak MB | apply private MB |";
    let mut text = format!("{heading}\n|---|---:|---:|---:|---:|---:|---:|---:|\n");
    let best = best_bytes(measured);
    let megabytes = |bytes: u64| format!("{:.0}", bytes as f64 / 1e6);
    for Measured { tool, figures: Figures { bytes, build, apply }, .. } in measured {
        let ratio = best.map_or_else(String::new, |best| format!("{:.2}", *bytes as f64 / best as f64));
        let (build_peak, apply_peak) = (megabytes(build.peak_bytes), megabytes(apply.peak_bytes));
        let private = megabytes(apply.private_bytes);
        writeln!(
            text,
            "| {tool} | {bytes} | {ratio} | {:.2} | {build_peak} | {:.2} | {apply_peak} | {private} |",
            build.cpu_s, apply.cpu_s
        )
        .expect("writing to a string cannot fail");
    }
    text
}

/// Says for each floor whether it is reached.
fn floors(trees: &Trees, matching: &Matching, measured: &[Measured], ours: &Figures) -> String {
    let mut text = String::from("\n");
    let mut say = |what: &str, found: f64, max: f64, unit: &str| {
        line(&mut text, &format!("- {what}: {found:.2} {unit}, floor {max:.2}: {}", verdict(found, max)));
    };
    let floor = FLOORS.iter().find(|floor| floor.pair == trees.name);
    if let Some(floor) = floor {
        say("bytes", ours.bytes as f64 / 1e6, floor.bytes_max as f64 / 1e6, "MB");
    }
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    say("apply, private memory", mebibytes(ours.apply.private_bytes), mebibytes(PRIVATE_BYTES_MAX), "MiB");
    if let Some(best) = best_bytes(measured) {
        say("bytes against the best peer", ours.bytes as f64 / best as f64, 0.9, "times");
    }
    if let Some(ostree) = measured.iter().find(|measured| measured.tool.starts_with("ostree")) {
        let peer = &ostree.figures;
        say("build CPU against ostree", ours.build.cpu_s / peer.build.cpu_s, 0.5, "times");
        let memory = ours.build.peak_bytes as f64 / peer.build.peak_bytes as f64;
        say("build memory against ostree", memory, 1.0 / 3.0, "times");
    }
    let yardstick = measured.iter().find(|measured| measured.tool == YARDSTICK);
    if let Some(zstd) = yardstick {
        say("apply CPU against zstd --patch-from", ours.apply.cpu_s / zstd.figures.apply.cpu_s, 2.0, "times");
    }
    // What was measured on another day says nothing about how fast the machine is now.
    let yardstick = yardstick.filter(|zstd| !zstd.is_reused).map(|zstd| &zstd.figures);
    if let Some(build) = floor.and_then(|floor| floor.build) {
        let beside = yardstick.map(|zstd| zstd.build.cpu_s);
        line(&mut text, &build.judged("build", ours.build.cpu_s, beside));
    }
    if let Some(apply) = floor.and_then(|floor| floor.apply) {
        let beside = yardstick.map(|zstd| zstd.apply.cpu_s);
        line(&mut text, &apply.judged("apply", ours.apply.cpu_s, beside));
    } else {
        let (found, max) = (ours.apply.cpu_s, matching.new_bytes as f64 * APPLY_CPU_S_PER_BYTE);
        line(&mut text, &format!("- apply: {found:.2} CPU s, floor {max:.2}: {}", verdict(found, max)));
    }
    text
}

fn verdict(found: f64, max: f64) -> &'static str {
    if found <= max { "reached" } else { "MISSED" }
}

impl CpuFloor {
    /// Says whether it is kept to: by the ratio to what the yardstick took beside it, or else by the seconds.
    fn judged(self, what: &str, found_s: f64, beside_s: Option<f64>) -> String {
        let Self { cpu_s_max, yardstick_cpu_s } = self;
        let Some(beside_s) = beside_s else {
            return format!(
                "- {what}: {found_s:.2} CPU s, floor {cpu_s_max:.2}: {}",
                verdict(found_s, cpu_s_max)
            );
        };
        let (found, max) = (found_s / beside_s, cpu_s_max / yardstick_cpu_s);
        format!(
            "- {what}: {found_s:.2} CPU s, {found:.2} times zstd --patch-from ({beside_s:.2}); floor {cpu_s_max:.2} where \
             that takes {yardstick_cpu_s:.2}, {max:.2} times: {}",
            verdict(found, max)
        )
    }
}

/// Replaces a section of docs/benchmarks.md between its two marks.
pub(crate) fn write(workspace: &Workspace, section: &str, text: &str) -> Result<(), Failure> {
    let path = workspace.root().join("docs/benchmarks.md");
    let page = fs::read_to_string(&path).map_err(Failure::file("read", &path))?;
    let page = replaced(&page, section, text).ok_or_else(|| Failure::Unexpected {
        what: format!("{} has the marks `{section}: begin` and `{section}: end`", path.display()),
        found: "at least one is missing".to_owned(),
    })?;
    fs::write(&path, page).map_err(Failure::file("write", &path))?;
    println!("written: {}", path.display());
    Ok(())
}

fn replaced(page: &str, section: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {section}: begin -->\n"), format!("<!-- {section}: end -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_section_keeps_the_rest_of_the_page() {
        let page = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n";
        let page = replaced(page, "x", "new\n").unwrap();
        assert_eq!(page, "a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nb\n");
        assert!(replaced(&page, "y", "new").is_none());
    }

    #[test]
    fn table_gives_the_ratio_to_the_best_peer() {
        let row = |tool, is_ours, bytes| Measured {
            tool,
            is_ours,
            is_reused: false,
            figures: Figures { bytes, ..Figures::default() },
        };
        let text = table(&[row("a", false, 200), row("b", false, 100), row("ours", true, 90)]);
        assert!(text.contains("| a | 200 | 2.00 |") && text.contains("| ours | 90 | 0.90 |"), "{text}");
    }

    #[test]
    fn seconds_of_a_slow_machine_are_judged_by_the_ratio() {
        let floor = CpuFloor { cpu_s_max: 25.0, yardstick_cpu_s: 50.0 };
        assert!(floor.judged("build", 30.0, None).ends_with("MISSED"));
        assert!(floor.judged("build", 30.0, Some(100.0)).ends_with("0.50 times: reached"));
        assert!(floor.judged("build", 60.0, Some(100.0)).ends_with("MISSED"));
        assert!(floor.judged("build", 20.0, Some(30.0)).ends_with("MISSED"), "a fast machine is no excuse");
    }
}
