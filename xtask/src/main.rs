//! The developer's commands, called as `cargo xtask <command>`.
//!
//! Exit codes follow the product's table: 0 done, 8 a check failed, 12 a registry or the network did not answer,
//! 28 a program is missing, 24 wrong usage.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "talking to the developer is what xtask is for"
)]

mod bench;
mod ci;
mod compiler;
mod debian;
mod dist;
mod failure;
mod fuzz;
mod load;
mod measured;
mod processes;
mod program;
mod prove;
mod registry;
mod workspace;

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod licences;
#[cfg(test)]
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::workspace::Workspace;

/// The developer's commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything that must hold before a change is merged.
    Ci(ci::Ci),
    /// Measures bytes, CPU and memory beside the best other tools.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Builds the program as it is shipped, laid out by what it does most, into `target/dist`.
    Dist,
    /// Feeds generated input to what reads input from outside.
    Fuzz(fuzz::Fuzz),
    /// Takes real releases from PyPI and npm through a fleet of three and compares the result with the archives.
    Prove(prove::Prove),
    /// Runs another program and writes what it cost into a file.
    #[command(hide = true)]
    Measured(measured::Measured),
}

impl Command {
    fn run(self, workspace: &Workspace) -> Result<(), Failure> {
        match self {
            Self::Ci(ci) => ci.run(workspace),
            Self::Bench(bench) => bench.run(workspace),
            Self::Dist => dist::build(workspace).map(drop),
            Self::Fuzz(fuzz) => fuzz.run(workspace),
            Self::Prove(prove) => prove.run(workspace),
            Self::Measured(measured) => measured.run(),
        }
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            let code = if usage.use_stderr() { failure::USAGE } else { 0 };
            // Nothing is left to report to when the terminal is gone.
            drop(usage.print());
            return ExitCode::from(code);
        }
    };
    match arguments.command.run(&Workspace::of_this_source()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nerror: {}", failure.with_causes());
            if let Some(way_on) = failure.way_on() {
                eprintln!("  way on: {way_on}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
