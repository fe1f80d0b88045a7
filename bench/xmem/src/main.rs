//! Calls of one payload over several transports, measured in one way.
//!
//! `tender-bench-xmem serve TRANSPORT PLACE` answers every request with its own bytes; `tender-bench-xmem call TRANSPORT PLACE`
//! calls as long as it is told to and writes one line of JSON. The cross-memory server serves itself.

mod measure;
mod transport;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use measure::Load;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers.
    Serve {
        /// Which transport.
        transport: String,
        /// Where: a path, or what the transport calls an address.
        place: PathBuf,
    },
    /// Calls and measures.
    Call {
        /// Which transport.
        transport: String,
        /// Where.
        place: PathBuf,
        #[command(flatten)]
        load: Load,
    },
}

fn run() -> Result<(), Failure> {
    match Arguments::parse().command {
        Command::Serve { transport, place } => transport::find(&transport)?.serve(&place),
        Command::Call { transport, place, load } => {
            let figures = measure::run(transport::find(&transport)?, &place, &load)?;
            println!("{}", serde_json::to_string(&figures)?);
            Ok(())
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            let mut source = failure.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}
