//! `zstd --patch-from`, file by file and over a whole archive.

use std::path::Path;
use std::process::Command;

use super::{Differ, Figures, Job, Peer, file_by_file, size, tar};
use crate::bench::matching::is_equal;
use crate::bench::measure::measure;
use crate::debian::Needed;
use crate::failure::Failure;

const NEEDED: Needed = Needed { package: "zstd", probe: &["zstd", "--version"], purpose: "comparison" };

pub(super) const FILE: Peer = Peer { name: "zstd -19 --patch-from, files", needed: NEEDED, run: files };
pub(super) const TAR: Peer = Peer { name: "zstd -19 --patch-from, tar", needed: NEEDED, run: archive };

/// Returns the flag whose window holds two files.
fn window(old: &Path, new: &Path) -> Result<String, Failure> {
    let bits = u64::BITS - (size(old)? + size(new)?).leading_zeros();
    Ok(format!("--long={}", bits.clamp(27, 31)))
}

fn make(old: &Path, new: &Path, patch: &Path) -> Result<Command, Failure> {
    let mut zstd = Command::new("zstd");
    zstd.args(["-q", "-f", "-19", "-T1", &window(old, new)?]);
    zstd.arg(format!("--patch-from={}", old.display())).arg(new).arg("-o").arg(patch);
    Ok(zstd)
}

fn apply(old: &Path, result: &Path, patch: &Path) -> Result<Command, Failure> {
    let mut zstd = Command::new("zstd");
    zstd.args(["-q", "-f", "-d", "--long=31", "--memory=2048MB"]);
    zstd.arg(format!("--patch-from={}", old.display())).arg(patch).arg("-o").arg(result);
    Ok(zstd)
}

fn files(job: &Job<'_>) -> Result<Figures, Failure> {
    file_by_file(job, &Differ { make, apply })
}

fn archive(job: &Job<'_>) -> Result<Figures, Failure> {
    let old = tar(job.old, &job.work.join("old.tar"), &[])?;
    let new = tar(job.new, &job.work.join("new.tar"), &[])?;
    let (patch, result) = (job.work.join("patch"), job.work.join("result.tar"));
    let build = measure(&mut make(&old, &new, &patch)?)?;
    let cost = measure(&mut apply(&old, &result, &patch)?)?;
    if !is_equal(&new, &result)? {
        return Err(Failure::Unexpected {
            what: "zstd gives the new archive".to_owned(),
            found: "other bytes".to_owned(),
        });
    }
    Ok(Figures { bytes: size(&patch)?, build, apply: cost })
}
