//! `cargo xtask measured`: what rsync calls as its remote shell, so that its receiver is measured by itself.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::bench::measure::measure_inherited;
use crate::failure::Failure;

/// Runs another program and writes what it cost into a file.
#[derive(Debug, Args)]
pub(crate) struct Measured {
    /// Where the cost is written.
    into: PathBuf,
    /// The host that a remote shell would go to; left aside.
    host: String,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Measured {
    /// Runs the program with the streams of this process.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let cost = measure_inherited(Command::new(&self.command[0]).args(&self.command[1..]))?;
        fs::write(&self.into, cost.to_line()).map_err(Failure::file("write", &self.into))
    }
}
