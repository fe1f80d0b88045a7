//! xdelta3 with LZMA, file by file.

use std::path::Path;
use std::process::Command;

use super::{Differ, Figures, Job, Peer, file_by_file, size};
use crate::debian::Needed;
use crate::failure::Failure;

pub(super) const PEER: Peer = Peer {
    name: "xdelta3 -9 lzma, files",
    needed: Needed { package: "xdelta3", probe: &["sh", "-c", "command -v xdelta3"], purpose: "comparison" },
    run,
};

/// The smallest source window that xdelta3 takes.
const WINDOW_BYTES_MIN: u64 = 1 << 20;

/// `-D`: otherwise it unpacks gzip files by itself and gives back other bytes than it was given.
fn command(direction: &[&str], old: &Path) -> Result<Command, Failure> {
    let window = size(old)?.max(WINDOW_BYTES_MIN).to_string();
    let mut command = Command::new("xdelta3");
    command.args(direction).args(["-q", "-f", "-D", "-B", &window, "-s"]).arg(old);
    Ok(command)
}

fn make(old: &Path, new: &Path, patch: &Path) -> Result<Command, Failure> {
    let mut command = command(&["-e", "-9", "-S", "lzma"], old)?;
    command.args([new, patch]);
    Ok(command)
}

fn apply(old: &Path, result: &Path, patch: &Path) -> Result<Command, Failure> {
    let mut command = command(&["-d"], old)?;
    command.args([patch, result]);
    Ok(command)
}

fn run(job: &Job<'_>) -> Result<Figures, Failure> {
    file_by_file(job, &Differ { make, apply })
}
