//! `cargo xtask ci`: everything that must hold before a change is merged.

use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;

use crate::debian::{self, Needed};
use crate::failure::Failure;
use crate::program;
use crate::prove::{self, Prove};
use crate::workspace::Workspace;

/// Programs that the tests drive, with the Debian packages they come in.
const TEST_PROGRAMS: &[Needed] = &[
    Needed {
        package: "curl",
        probe: &["curl", "--version"],
        purpose: "a foreign FTPS client against CSMSERVE",
    },
    Needed {
        package: "lftp",
        probe: &["lftp", "--version"],
        purpose: "a foreign FTPS client against CSMSERVE",
    },
    Needed { package: "faketime", probe: &["faketime", "--version"], purpose: "a clock in the past" },
    Needed {
        package: "python3-venv",
        probe: &["python3", "-c", "import venv, ensurepip"],
        purpose: "python-tuf, an independent reader of packages",
    },
    Needed { package: "iproute2", probe: &["ip", "-V"], purpose: "network namespaces" },
    Needed { package: "unzip", probe: &["unzip", "-v"], purpose: "unpacking wheels independently" },
    Needed { package: "nginx", probe: &["nginx", "-v"], purpose: "a real server as a component" },
    Needed {
        package: "redis-server",
        probe: &["redis-server", "--version"],
        purpose: "a real server as a component",
    },
    Needed {
        package: "etcd-server",
        probe: &["etcd", "--version"],
        purpose: "a store that several hosts share",
    },
    Needed { package: "nodejs", probe: &["node", "--version"], purpose: "a real server as a component" },
    Needed {
        package: "openssl",
        probe: &["openssl", "version"],
        purpose: "a second opinion on certificates",
    },
    Needed { package: "pax", probe: &["sh", "-c", "command -v pax"], purpose: "components in pax archives" },
    Needed {
        package: "chromium",
        probe: &["chromium", "--version"],
        purpose: "pages of the catalog and the desktop",
    },
    Needed { package: "npm", probe: &["npm", "--version"], purpose: "real releases from npm" },
];

/// What our tests say when a package registry did not answer.
const REGISTRY_WORDS: &[(&str, &str)] = &[
    ("PyPI did not give", "PyPI"),
    ("npm did not give", "npm"),
    ("the Debian archive did not answer", "Debian"),
];

/// Runs everything that must hold before a change is merged.
#[derive(Debug, Args)]
pub(crate) struct Ci {
    /// Start at this step, for instance after fixing what failed.
    #[arg(long, value_name = "STEP", value_parser = step_names())]
    from: Option<String>,
}

struct Step {
    name: &'static str,
    way_on: &'static str,
    run: fn(&Workspace) -> Result<(), Failure>,
}

/// In the order of what is cheapest to know first.
const STEPS: &[Step] = &[
    Step { name: "programs", way_on: "install what is named above", run: programs },
    Step { name: "format", way_on: "cargo fmt --all", run: format },
    Step { name: "lints", way_on: "fix what clippy names above; warnings are errors here", run: lints },
    Step {
        name: "architecture",
        way_on: "an edge is a design change: edit ARCHITECTURE.deps in the same commit and say why",
        run: architecture,
    },
    Step { name: "tests", way_on: "cargo test --workspace shows the same", run: tests },
    Step {
        name: "ring",
        way_on: "an order of loom's in which the ring of the cross-memory server fails is printed above",
        run: ring,
    },
    Step {
        name: "real releases",
        way_on: "cargo xtask prove --keep leaves everything to look at",
        run: real_releases,
    },
    Step { name: "documentation", way_on: "fix what rustdoc names above", run: documentation },
];

fn step_names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

impl Ci {
    /// Carries out the steps in order and stops at the first that fails.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut times = Vec::new();
        let is_before = |step: &&Step| self.from.as_ref().is_some_and(|from| from != step.name);
        for step in STEPS.iter().skip_while(is_before) {
            println!("\n==== {}", step.name);
            let step_begun = Instant::now();
            let result = (step.run)(workspace);
            let time = step_begun.elapsed();
            println!(
                "---- {} {} in {}",
                step.name,
                if result.is_ok() { "done" } else { "FAILED" },
                minutes(time)
            );
            result.map_err(|source| Failure::Step {
                step: step.name,
                way_on: step.way_on,
                source: Box::new(source),
            })?;
            times.push((step.name, time));
        }
        println!();
        for (name, time) in times {
            println!("{name:>16}  {}", minutes(time));
        }
        println!("{:>16}  {}", "all done", minutes(begun.elapsed()));
        Ok(())
    }
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(workspace.root()).args(arguments);
    command
}

fn programs(_: &Workspace) -> Result<(), Failure> {
    for component in ["fmt", "clippy"] {
        if !program::works(&["cargo", component, "--version"]) {
            let name = if component == "fmt" { "rustfmt" } else { component };
            return Err(Failure::Missing {
                what: vec![format!("cargo {component}")],
                install: format!("rustup component add {name}"),
            });
        }
    }
    debian::require(TEST_PROGRAMS)
}

fn format(workspace: &Workspace) -> Result<(), Failure> {
    program::run(&mut cargo(workspace, &["fmt", "--all", "--check"]))
}

fn lints(workspace: &Workspace) -> Result<(), Failure> {
    program::run(&mut cargo(workspace, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn architecture(workspace: &Workspace) -> Result<(), Failure> {
    program::run(&mut cargo(workspace, &["test", "--package", "xtask"]))
}

fn tests(workspace: &Workspace) -> Result<(), Failure> {
    let mut command = cargo(workspace, &["test", "--workspace", "--exclude", "xtask", "--no-fail-fast"]);
    let (text, result) = program::tee(&mut command)?;
    result.map_err(|failure| registry_at_fault(&text).unwrap_or(failure))
}

/// Finds out whether the only tests that failed are those whose registry was away.
fn registry_at_fault(text: &str) -> Option<Failure> {
    let failed = text.lines().filter(|line| line.starts_with("test ") && line.ends_with(" FAILED")).count();
    let mut away = text.lines().filter_map(|line| {
        REGISTRY_WORDS
            .iter()
            .find(|(words, _)| line.contains(words))
            .map(|(_, registry)| (*registry, line.trim()))
    });
    let (registry, line) = away.next()?;
    // A registry that is away explains as many failures as there are such lines, and not one more.
    (failed == 1 + away.count()).then(|| Failure::registry(registry, line))
}

/// As another user the proof cannot run; that is said, and the rest still counts.
/// Puts the ring between two processes through every order of its steps that loom finds.
fn ring(workspace: &Workspace) -> Result<(), Failure> {
    let target = workspace.target_dir().join("loom");
    let arguments = ["test", "--release", "--package", "tender-xmem", "--lib", "loom_tests"];
    let mut command = cargo(workspace, &arguments);
    program::run(command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", target))
}

fn real_releases(workspace: &Workspace) -> Result<(), Failure> {
    if let Some(obstacle) = prove::obstacle() {
        println!("    NOT RUN: {obstacle}");
        return Ok(());
    }
    Prove::in_ci().run(workspace)
}

fn documentation(workspace: &Workspace) -> Result<(), Failure> {
    let mut command = cargo(workspace, &["doc", "--workspace", "--no-deps", "--document-private-items"]);
    program::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_with_only_the_registry_away_is_told_apart() {
        let text =
            "test python ... FAILED\ntest other ... ok\n\nPyPI did not give tuf==6.0.0 in 3 attempts\n";
        let failure = registry_at_fault(text).unwrap();
        assert!(failure.to_string().starts_with("PyPI did not answer"), "{failure}");
    }

    #[test]
    fn failure_beside_an_absent_registry_stays_a_failure() {
        let text =
            "test python ... FAILED\ntest load ... FAILED\nPyPI did not give tuf==6.0.0 in 3 attempts\n";
        assert!(registry_at_fault(text).is_none());
        assert!(registry_at_fault("test load ... FAILED\n").is_none());
    }

    #[test]
    fn steps_have_distinct_names_and_a_way_on() {
        let mut names = step_names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
        assert!(STEPS.iter().all(|step| !step.way_on.is_empty()));
    }
}
