//! The edges between our crates are those of `ARCHITECTURE.deps`, no more and no fewer.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::workspace::Workspace;

/// Returns what cargo answers about this workspace.
fn ask_cargo(arguments: &[&str]) -> String {
    let output = Command::new("cargo")
        .args(arguments)
        .current_dir(Workspace::of_this_source().root())
        .output()
        .expect("cargo runs this test, so it can run cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// Returns name with version, and licence, of every package that is really built here.
///
/// Cargo.lock and `cargo metadata` would also name what optional features of others could bring.
pub(crate) fn packages_built() -> Vec<(String, String)> {
    let arguments = ["tree", "--workspace", "--edges", "all", "--prefix", "none"];
    let text = ask_cargo(&[&arguments[..], &["--format", "{p}|{l}"]].concat());
    // What is shown again without what it depends on ends in a mark.
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)"));
    let lines: BTreeSet<_> = lines.filter_map(|line| line.split_once('|')).collect();
    lines.into_iter().map(|(package, licence)| (package.to_owned(), licence.to_owned())).collect()
}

/// Returns the edges between our own crates, development dependencies left out.
fn edges(metadata: &Value) -> BTreeSet<String> {
    let mut edges = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            if !dependency["path"].is_null() && dependency["kind"] != "dev" {
                let (from, to) = (package["name"].as_str().unwrap(), dependency["name"].as_str().unwrap());
                edges.insert(format!("{from} -> {to}"));
            }
        }
    }
    edges
}

#[test]
fn edges_between_crates_are_those_written_down() {
    let path = Workspace::of_this_source().root().join("ARCHITECTURE.deps");
    let text = fs::read_to_string(&path).unwrap();
    let written: Vec<_> = text.lines().map(str::to_owned).collect();
    let metadata = ask_cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata = serde_json::from_str(&metadata).expect("cargo metadata writes JSON");
    let found: Vec<_> = edges(&metadata).into_iter().collect();
    assert_eq!(
        written, found,
        "ARCHITECTURE.deps (left, sorted, one edge a line) differs from cargo metadata (right)"
    );
}

#[test]
fn edges_of_metadata_leave_out_development_and_foreign_dependencies() {
    let metadata = serde_json::json!({"packages": [{"name": "a", "dependencies": [
        {"name": "b", "path": "/b", "kind": null},
        {"name": "c", "path": "/c", "kind": "dev"},
        {"name": "serde", "path": null, "kind": null},
    ]}]});
    assert_eq!(edges(&metadata).into_iter().collect::<Vec<_>>(), ["a -> b"]);
}
