//! The cross-memory server.

use std::process::ExitCode;

fn main() -> ExitCode {
    tender_xmemd::main()
}
