//! bsdiff, file by file.

use std::path::Path;
use std::process::Command;

use super::{Differ, Figures, Job, Peer, file_by_file};
use crate::debian::Needed;
use crate::failure::Failure;

pub(super) const PEER: Peer = Peer {
    name: "bsdiff, files",
    // Called without arguments it prints its usage and fails; that the shell finds it is what counts.
    needed: Needed { package: "bsdiff", probe: &["sh", "-c", "command -v bsdiff"], purpose: "comparison" },
    run,
};

#[expect(clippy::unnecessary_wraps, reason = "the shape of every differ")]
fn make(old: &Path, new: &Path, patch: &Path) -> Result<Command, Failure> {
    let mut command = Command::new("bsdiff");
    command.args([old, new, patch]);
    Ok(command)
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of every differ")]
fn apply(old: &Path, result: &Path, patch: &Path) -> Result<Command, Failure> {
    let mut command = Command::new("bspatch");
    command.args([old, result, patch]);
    Ok(command)
}

fn run(job: &Job<'_>) -> Result<Figures, Failure> {
    file_by_file(job, &Differ { make, apply })
}
