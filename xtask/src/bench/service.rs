//! Figures of the principal: requisite closure and queries, measured by an example of the service crate.

use std::fmt::Write as _;
use std::process::Command;

use clap::Args;
use serde_json::Value;

use super::{build_example, report};
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// Measures requisite closure and queries over large releases and fleets.
#[derive(Debug, Args)]
pub(crate) struct Service {
    /// Write the results into docs/benchmarks.md.
    #[arg(long)]
    write: bool,
}

/// The programs that measure.
const EXAMPLES: &[&str] = &["closure_bench", "query_bench"];
/// What is asked, the name of its figure, and the milliseconds it may take.
const QUESTIONS: &[(&str, &str, f64)] = &[
    ("closure of 10 000 fixes over 100 components", "closure_10000_fixes_100_components_ms", 100.0),
    ("closure of 50 000 fixes with 200 000 requisites", "closure_50000_fixes_200000_requisites_ms", 1000.0),
    ("which of 10 000 systems miss a fix", "systems_missing_a_fix_of_10000_ms", 50.0),
];

impl Service {
    /// Measures and reports.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Failure> {
        let mut lines = Vec::new();
        for example in EXAMPLES {
            let mut bench = Command::new(build_example(workspace, "tender-service", example)?);
            let output = program::output(&mut bench)?;
            if !output.status.success() {
                eprint!("{}", String::from_utf8_lossy(&output.stderr));
                return Err(Failure::Ended { command: program::line(&bench), status: output.status });
            }
            lines.push(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = table(&lines)?;
        print!("{text}");
        if self.write { report::write(workspace, "service", &text) } else { Ok(()) }
    }
}

/// Makes a table of the figures, which stand on one line of JSON from each program.
fn table(lines: &[String]) -> Result<String, Failure> {
    let missing = |what: &str| Failure::Unexpected {
        what: format!("the measuring programs give {what}"),
        found: lines.concat().trim().to_owned(),
    };
    let mut documents: Vec<Value> = Vec::new();
    for line in lines {
        documents.push(serde_json::from_str(line).map_err(|_| missing("one line of JSON each"))?);
    }
    let mut text = String::from("| question | ms, best of five | floor | |\n|---|---:|---:|---|\n");
    for (question, key, max) in QUESTIONS {
        let found = documents.iter().find_map(|document| document[*key].as_f64());
        let found = found.ok_or_else(|| missing(key))?;
        let verdict = if found <= *max { "reached" } else { "MISSED" };
        writeln!(text, "| {question} | {found:.1} | {max:.0} | {verdict} |")
            .expect("writing to a string cannot fail");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_figures_says_what_is_reached_and_what_is_missing() {
        let lines = [
            r#"{"closure_10000_fixes_100_components_ms":11.5,"closure_50000_fixes_200000_requisites_ms":1200.0}"#,
            r#"{"systems_missing_a_fix_of_10000_ms":1.3}"#,
        ]
        .map(str::to_owned);
        let text = table(&lines).unwrap();
        assert!(text.contains("| 11.5 | 100 | reached |"), "{text}");
        assert!(text.contains("| 1200.0 | 1000 | MISSED |"), "{text}");
        assert!(table(&lines[1..]).unwrap_err().to_string().contains("closure_10000"));
    }
}
