//! Figures of the mediation layer, beside those of others where there are any.

mod cache;
mod discovery;
mod gateway;
mod start;

use clap::{Args, ValueEnum};

use super::report;
use crate::debian;
use crate::failure::Failure;
use crate::load;
use crate::workspace::Workspace;

/// Measures the mediation layer.
#[derive(Debug, Args)]
pub(crate) struct Mediation {
    /// What of it; everything when left out.
    #[arg(long, value_enum)]
    part: Option<Part>,
    /// Seconds of each measurement of the gateway and the caching service.
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Write the results into docs/benchmarks.md.
    #[arg(long)]
    write: bool,
}

/// A part of the mediation layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Registrations, heartbeats, fetches and memory at 10 000 instances.
    Discovery,
    /// Requests through the gateway, beside nginx and HAProxy.
    Gateway,
    /// Entries of the caching service in each of its stores.
    Cache,
    /// How long every part takes to start, and its memory at rest.
    Start,
}

impl Mediation {
    /// Measures and reports.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Failure> {
        for part in Part::value_variants() {
            if self.part.is_some_and(|wanted| wanted != *part) {
                continue;
            }
            let (section, text) = match part {
                Part::Discovery => ("discovery", discovery::measure(workspace)?),
                Part::Gateway => {
                    debian::require(load::gateway::NEEDED)?;
                    debian::require(gateway::NEEDED)?;
                    ("gateway", gateway::measure(workspace, self.seconds)?)
                }
                Part::Cache => {
                    debian::require(cache::NEEDED)?;
                    ("cache", cache::measure(workspace, self.seconds)?)
                }
                Part::Start => ("mediation-start", start::measure(workspace)?),
            };
            print!("{text}");
            if self.write {
                report::write(workspace, section, &text)?;
            }
        }
        Ok(())
    }
}
