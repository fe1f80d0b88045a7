//! Figures of the configuration: reading, merging and validating 200 components, beside Python's usual libraries.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use clap::Args;
use serde_json::Value;

use super::{build_example, report};
use crate::debian::{self, Needed};
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// Measures reading, merging and validating a configuration of reference size with 200 components.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Write the results into docs/benchmarks.md.
    #[arg(long)]
    write: bool,
}

/// What the peer takes.
const PEER: &[Needed] = &[
    Needed { package: "python3-yaml", probe: &["python3", "-c", "import yaml"], purpose: "the peer's YAML" },
    Needed {
        package: "python3-jsonschema",
        probe: &["python3", "-c", "import jsonschema"],
        purpose: "the peer's schemas",
    },
];

/// Reads the same files with libyaml where it is there, and validates them against the same schemas: no merging, no
/// environment, no positions.
const PEER_PROGRAM: &str = r#"
import glob, json, sys, time, yaml, jsonschema
loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
directory = sys.argv[1]
schemas = {name: json.load(open(f"{directory}/schemas/{name}.json"))
           for name in ("zowe-yaml", "server-common", "component-manifest")}
store = {schema["$id"]: schema for schema in schemas.values()}
try:
    from referencing import Registry, Resource
    registry = Registry().with_resources((i, Resource.from_contents(s)) for i, s in store.items())
    make = lambda schema: jsonschema.Draft201909Validator(schema, registry=registry)
except ImportError:
    make = lambda schema: jsonschema.Draft201909Validator(
        schema, resolver=jsonschema.RefResolver(schema["$id"], schema, store=store))
base, manifest = make(schemas["zowe-yaml"]), make(schemas["component-manifest"])
best = float("inf")
for _ in range(3):
    start = time.perf_counter()
    root = yaml.load(open(f"{directory}/zowe.yaml"), Loader=loader)
    wrong = list(base.iter_errors(root))
    for path in sorted(glob.glob(f"{directory}/runtime/components/*/manifest.yaml")):
        wrong += manifest.iter_errors(yaml.load(open(path), Loader=loader))
    best = min(best, (time.perf_counter() - start) * 1000)
print(json.dumps({"peer_ms": best, "wrong": len(wrong)}))
"#;

/// What is asked, the name of its figure, and the milliseconds it may take.
const QUESTIONS: &[(&str, &str, Option<f64>)] = &[
    ("read, merge and validate 200 components", "load_ms", Some(100.0)),
    ("the same for the first time in a process", "first_load_ms", None),
    ("the same with 200 templates", "load_with_200_templates_ms", None),
    ("environments of 200 components", "environments_of_200_components_ms", None),
];

impl Config {
    /// Measures and reports.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Failure> {
        debian::require(PEER)?;
        let directory = workspace.root().join("target/bench/config");
        let ours = line(Command::new(build_example(workspace, "tender-config", "load_bench")?).arg(&directory))?;
        let peer = line(Command::new("python3").args(["-c", PEER_PROGRAM]).arg(Path::new(&directory)))?;
        let text = table(&ours, &peer)?;
        print!("{text}");
        if self.write { report::write(workspace, "config", &text) } else { Ok(()) }
    }
}

/// Runs a program and reads the line of JSON that it prints.
fn line(command: &mut Command) -> Result<Value, Failure> {
    let output = program::output(command)?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(Failure::Ended { command: program::line(command), status: output.status });
    }
    serde_json::from_slice(&output.stdout).map_err(|_| Failure::Unexpected {
        what: format!("{} gives a line of JSON", program::line(command)),
        found: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}

/// Makes a table of the figures.
fn table(ours: &Value, peer: &Value) -> Result<String, Failure> {
    let figure = |from: &Value, key: &str| {
        from[key].as_f64().ok_or_else(|| Failure::Unexpected {
            what: format!("the measuring programs give `{key}`"),
            found: from.to_string(),
        })
    };
    let mut text = String::from("| question | ms | floor | |\n|---|---:|---:|---|\n");
    for (question, key, max) in QUESTIONS {
        let found = figure(ours, key)?;
        let (floor, verdict) = match max {
            Some(max) => (format!("{max:.0}"), if found <= *max { "reached" } else { "MISSED" }),
            None => (String::new(), ""),
        };
        writeln!(text, "| {question} | {found:.1} | {floor} | {verdict} |")
            .expect("writing to a string cannot fail");
    }
    let peer = figure(peer, "peer_ms")?;
    let ratio = peer / figure(ours, "load_ms")?;
    writeln!(text, "| Python: yaml (libyaml) and jsonschema, no merging | {peer:.1} | | {ratio:.1} times ours |")
        .expect("writing to a string cannot fail");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn table_of_figures_says_what_is_reached_and_what_the_peer_takes() {
        let ours = json!({"load_ms": 50.0, "first_load_ms": 60.0, "load_with_200_templates_ms": 70.0, "environments_of_200_components_ms": 5.0});
        let text = table(&ours, &json!({"peer_ms": 500.0})).unwrap();
        assert!(text.contains("| 50.0 | 100 | reached |") && text.contains("10.0 times ours"), "{text}");
        assert!(table(&ours, &json!({})).unwrap_err().to_string().contains("peer_ms"));
    }
}
