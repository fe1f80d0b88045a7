//! Figures of authorisation: decisions against 10 000 profiles, beside Cedar on the same questions.

use std::fmt::Write as _;
use std::process::Command;

use clap::Args;
use serde_json::Value;

use super::{build_example, report};
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// Measures decisions against 10 000 profiles, and Cedar on the same questions.
#[derive(Debug, Args)]
pub(crate) struct Saf {
    /// Write the results into docs/benchmarks.md.
    #[arg(long)]
    write: bool,
}

/// Decisions a second on one core that must be reached.
const DECISIONS_PER_S_MIN: f64 = 1e6;
/// Milliseconds that a change may take to be in force.
const COMPILE_MS_MAX: f64 = 1000.0;

impl Saf {
    /// Measures and reports.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Failure> {
        let mut bench = Command::new(build_example(workspace, "tender-saf", "saf_bench")?);
        let output = program::output(&mut bench)?;
        if !output.status.success() {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            return Err(Failure::Ended { command: program::line(&bench), status: output.status });
        }
        let text = table(&String::from_utf8_lossy(&output.stdout))?;
        print!("{text}");
        if self.write { report::write(workspace, "saf", &text) } else { Ok(()) }
    }
}

/// Makes a table of the figures, which stand on one line of JSON.
fn table(line: &str) -> Result<String, Failure> {
    let unexpected = |what: &str| Failure::Unexpected {
        what: format!("the measuring program gives {what}"),
        found: line.trim().to_owned(),
    };
    let figures: Value = serde_json::from_str(line).map_err(|_| unexpected("one line of JSON"))?;
    let figure = |key: &str| figures[key].as_f64().ok_or_else(|| unexpected(key));
    let (ours, peer) = (figure("saf_decisions_per_s")?, figure("cedar_decisions_per_s")?);
    let reached = |is_reached: bool| if is_reached { "reached" } else { "MISSED" };
    let profiles = figure("saf_profiles")?;
    let policies = figure("cedar_policies")?;
    let compile_ms = figure("saf_compile_ms")?;
    let mut text = String::from("| what | figure | floor | |\n|---|---:|---:|---|\n");
    let rows = [
        format!(
            "| decisions a second, {profiles:.0} profiles | {ours:.0} | {DECISIONS_PER_S_MIN:.0} | {} |",
            reached(ours >= DECISIONS_PER_S_MIN)
        ),
        format!("| one decision, ns | {:.0} | | |", figure("saf_decide_ns")?),
        format!(
            "| decision and handing it to the audit log, ns | {:.0} | | |",
            figure("saf_decide_and_audit_ns")?
        ),
        format!(
            "| decision and counting it, one audit entry for a thousand, ns | {:.0} | | |",
            figure("saf_decide_and_count_ns")?
        ),
        format!(
            "| compiling the database, ms | {compile_ms:.0} | {COMPILE_MS_MAX:.0} | {} |",
            reached(compile_ms <= COMPILE_MS_MAX)
        ),
        format!("| cedar-policy, decisions a second, {policies:.0} policies | {peer:.0} | | |"),
        format!("| ours against cedar-policy | {:.0} times | | |", ours / peer),
    ];
    for row in rows {
        writeln!(text, "{row}").expect("writing to a string cannot fail");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_figures_says_what_is_reached_and_how_the_peer_compares() {
        let line = r#"{"saf_profiles":10000,"saf_decisions_per_s":5000000.0,"saf_decide_ns":200.0,
            "saf_decide_and_audit_ns":900.0,"saf_decide_and_count_ns":210.0,"saf_compile_ms":1500.0,
            "cedar_decisions_per_s":50.0,"cedar_policies":39000}"#;
        let text = table(line).unwrap();
        assert!(text.contains("| 5000000 | 1000000 | reached |"), "{text}");
        assert!(text.contains("| 1500 | 1000 | MISSED |") && text.contains("100000 times"), "{text}");
        assert!(table("{}").unwrap_err().to_string().contains("saf_decisions_per_s"));
    }
}
