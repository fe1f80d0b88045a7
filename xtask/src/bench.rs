//! `cargo xtask bench`: figures that anyone can measure again, beside those of the best other tools.

mod config;
pub(crate) mod content;
mod launcher;
mod limits;
mod local;
mod matching;
pub(crate) mod measure;
mod mediation;
mod ours;
mod pairs;
mod peers;
mod report;
mod saf;
mod service;
mod xmem;

use std::path::PathBuf;
use std::process::Command;

use clap::Subcommand;

use crate::debian::{self, Needed};
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// What fetching the pairs takes.
const REGISTRY_CLIENTS: &[Needed] = &[
    Needed {
        package: "python3-venv",
        probe: &["python3", "-c", "import venv, ensurepip"],
        purpose: "fetching from PyPI",
    },
    Needed { package: "npm", probe: &["npm", "--version"], purpose: "fetching from npm" },
    Needed { package: "apt", probe: &["apt-get", "--version"], purpose: "fetching from Debian" },
];

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Measures reading, merging and validating 200 components against Python's libraries.
    Config(config::Config),
    /// Measures servlinks against other delta tools, and drift scans and slot switches.
    Content(content::Content),
    /// Fetches the pairs of real releases and measures nothing.
    Fetch {
        /// Where to; `target/bench/pairs` when left out.
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// Measures authorisation: decisions against 10 000 profiles, beside cedar-policy.
    Saf(saf::Saf),
    /// Measures our supervisor beside supervisord, s6 and runit.
    Launcher(launcher::Launcher),
    /// Measures discovery: registrations, heartbeats, fetches and memory at 10 000 instances.
    Mediation(mediation::Mediation),
    /// Measures requisite closure over many fixes, and queries over many systems.
    #[command(visible_aliases = ["closure", "query"])]
    Service(service::Service),
    /// Measures calls of the cross-memory server beside D-Bus, gRPC, varlink and bare sockets.
    Xmem(xmem::Xmem),
}

impl Bench {
    /// Measures.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Failure> {
        match self {
            Self::Config(config) => config.run(workspace),
            Self::Content(content) => content.run(workspace),
            Self::Fetch { into } => {
                debian::require(REGISTRY_CLIENTS)?;
                let into = into.clone().unwrap_or_else(|| pairs::directory(workspace));
                for pair in pairs::PAIRS {
                    let trees = pair.fetch(&into, &venv(workspace))?;
                    println!("{}: {} and {}", pair.name, trees.old.display(), trees.new.display());
                }
                Ok(())
            }
            Self::Saf(saf) => saf.run(workspace),
            Self::Launcher(launcher) => launcher.run(workspace),
            Self::Mediation(mediation) => mediation.run(workspace),
            Self::Service(service) => service.run(workspace),
            Self::Xmem(xmem) => xmem.run(workspace),
        }
    }
}

/// Returns the Python environment that fetches wheels.
fn venv(workspace: &Workspace) -> PathBuf {
    workspace.root().join("target/bench/venv")
}

/// Builds an example of a package for measuring and returns the program.
fn build_example(workspace: &Workspace, package: &str, example: &str) -> Result<PathBuf, Failure> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace.root()).args(["build", "--quiet", "--release", "--package", package]);
    program::run(cargo.args(["--example", example]))?;
    Ok(workspace.target_dir().join("release/examples").join(example))
}

/// Builds `tender` for measuring and returns it.
fn build_tender(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace.root()).args(["build", "--quiet", "--release", "--package", "tender-cli"]);
    program::run(&mut cargo)?;
    Ok(workspace.target_dir().join("release/tender"))
}
