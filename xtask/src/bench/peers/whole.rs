//! The new tree sent whole.

use std::process::Command;

use super::{Figures, Job, Peer, size, tar, verify};
use crate::bench::measure::measure;
use crate::debian::Needed;
use crate::failure::Failure;

pub(super) const PEER: Peer = Peer {
    name: "whole, zstd -19",
    needed: Needed { package: "zstd", probe: &["zstd", "--version"], purpose: "comparison" },
    run,
};

fn run(job: &Job<'_>) -> Result<Figures, Failure> {
    let archive = tar(job.new, &job.work.join("new.tar"), &[])?;
    let packed = job.work.join("new.tar.zst");
    let build = measure(Command::new("zstd").args(["-q", "-19", "-T1", "-o"]).arg(&packed).arg(&archive))?;
    let result = job.work.join("result");
    std::fs::create_dir(&result).map_err(Failure::file("make", &result))?;
    let mut unpack = Command::new("tar");
    unpack.args(["--use-compress-program=zstd -d", "-xf"]).arg(&packed).arg("-C").arg(&result);
    let apply = measure(&mut unpack)?;
    verify(job.new, &result)?;
    Ok(Figures { bytes: size(&packed)?, build, apply })
}
