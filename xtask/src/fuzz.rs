//! `cargo xtask fuzz`: libFuzzer over the targets of `fuzz/`, with the stable compiler and nothing to install.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::compiler::Compiler;
use crate::debian::{self, Needed};
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// libFuzzer itself is C++.
const COMPILER: &[Needed] =
    &[Needed { package: "g++", probe: &["c++", "--version"], purpose: "building libFuzzer" }];
/// Coverage feedback as cargo-fuzz switches it on.
const INSTRUMENTATION: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// Feeds generated input to what reads input from outside.
#[derive(Debug, Args)]
pub(crate) struct Fuzz {
    /// Targets; all of them when left out.
    targets: Vec<String>,
    /// Time for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Also find wrong uses of memory; about half as fast.
    #[arg(long)]
    address_sanitizer: bool,
}

impl Fuzz {
    /// Builds the targets and runs one after the other; what was found is kept in `fuzz/corpus`.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Failure> {
        let dir = workspace.root().join("fuzz");
        let manifest = dir.join("Cargo.toml");
        let known = targets(&fs::read_to_string(&manifest).map_err(Failure::file("read", &manifest))?);
        if let Some(unknown) = self.targets.iter().find(|name| !known.contains(name)) {
            return Err(Failure::Unexpected {
                what: format!("fuzz target `{unknown}` exists"),
                found: format!("the targets are {}", known.join(", ")),
            });
        }
        debian::require(COMPILER)?;
        let chosen = if self.targets.is_empty() { known } else { self.targets.clone() };
        let programs = self.build(workspace, &chosen)?;
        for (name, program) in chosen.iter().zip(programs) {
            println!("\n==== {name}, {} s", self.seconds);
            let (corpus, artifacts) = (dir.join("corpus").join(name), dir.join("artifacts").join(name));
            for made in [&corpus, &artifacts] {
                fs::create_dir_all(made).map_err(Failure::file("make", made))?;
            }
            let mut fuzzer = Command::new(program);
            fuzzer.arg(format!("-max_total_time={}", self.seconds)).arg("-print_final_stats=1");
            fuzzer.arg("-rss_limit_mb=4096").arg(format!("-artifact_prefix={}/", artifacts.display()));
            fuzzer.arg(&corpus).args([dir.join("seeds").join(name)].iter().filter(|seeds| seeds.is_dir()));
            program::run(&mut fuzzer)?;
        }
        Ok(())
    }

    fn build(&self, workspace: &Workspace, targets: &[String]) -> Result<Vec<PathBuf>, Failure> {
        let host = Compiler::of_this_machine()?.host;
        let mut flags = INSTRUMENTATION.join(" ");
        let mut cargo = Command::new("cargo");
        if self.address_sanitizer {
            // The stable compiler has the sanitizer and asks for this word before it is used.
            cargo.env("RUSTC_BOOTSTRAP", "1");
            flags.push_str(" -Zsanitizer=address");
        }
        cargo.current_dir(workspace.root().join("fuzz")).env("RUSTFLAGS", flags);
        // With a target named, build scripts and macros are left without instrumentation.
        cargo.args(["build", "--release", "--target", &host]);
        cargo.args(targets.iter().flat_map(|name| ["--bin", name]));
        program::run(&mut cargo)?;
        let built = workspace.root().join("fuzz/target").join(host).join("release");
        Ok(targets.iter().map(|name| built.join(name)).collect())
    }
}

/// Returns the names of the `[[bin]]` tables.
fn targets(manifest: &str) -> Vec<String> {
    let tables = manifest.split("[[bin]]").skip(1);
    let name = |table: &str| {
        table.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"').map(str::to_owned))
    };
    tables.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_the_manifest_each_have_a_file() {
        let dir = Workspace::of_this_source().root().join("fuzz");
        let names = targets(&fs::read_to_string(dir.join("Cargo.toml")).unwrap());
        assert!(!names.is_empty());
        let files = fs::read_dir(dir.join("fuzz_targets")).unwrap();
        let mut found: Vec<_> = files
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        found.sort();
        let mut names = names;
        names.sort();
        assert_eq!(names, found);
    }
}
