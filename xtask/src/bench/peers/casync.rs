//! casync: chunks of about 64 KiB.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Figures, Job, Peer, size};
use crate::bench::measure::{Cost, measure};
use crate::debian::Needed;
use crate::failure::Failure;

pub(super) const PEER: Peer = Peer {
    name: "casync, 64 KiB chunks",
    needed: Needed { package: "casync", probe: &["casync", "--version"], purpose: "comparison" },
    run,
};

const FLAGS: &[&str] = &["--without=all", "--with=symlinks", "--with=permissions", "--chunk-size=65536"];

fn run(job: &Job<'_>) -> Result<Figures, Failure> {
    make(job, job.old, "old")?;
    let build = make(job, job.new, "new")?;
    let index = job.work.join("new.caidx");
    let (have, need) = (chunks(&job.work.join("old.castr"))?, chunks(&job.work.join("new.castr"))?);
    let chunk_bytes: u64 =
        need.iter().filter(|(name, _)| !have.contains_key(*name)).map(|(_, bytes)| bytes).sum();
    let result = job.work.join("result");
    let mut extract = Command::new("casync");
    extract.arg("extract").args(FLAGS).arg(format!("--store={}", job.work.join("new.castr").display()));
    extract.arg(format!("--seed={}", job.old.display())).arg(&index).arg(&result).stdout(Stdio::null());
    let apply = measure(&mut extract)?;
    // Version 2 loses symbolic links on extraction with these flags; files are compared, links are not.
    for (_, path) in &job.matching.changed {
        if !crate::bench::matching::is_equal(&job.new.join(path), &result.join(path))? {
            return Err(Failure::Unexpected {
                what: format!("casync extracts {}", path.display()),
                found: "other bytes".to_owned(),
            });
        }
    }
    Ok(Figures { bytes: chunk_bytes + size(&index)?, build, apply })
}

fn make(job: &Job<'_>, dir: &Path, name: &str) -> Result<Cost, Failure> {
    let mut make = Command::new("casync");
    make.arg("make")
        .args(FLAGS)
        .arg(format!("--store={}", job.work.join(name).with_extension("castr").display()));
    make.arg(job.work.join(name).with_extension("caidx")).arg(dir).stdout(Stdio::null());
    measure(&mut make)
}

/// Returns the chunks of a store and their sizes.
fn chunks(store: &Path) -> Result<BTreeMap<OsString, u64>, Failure> {
    let mut chunks = BTreeMap::new();
    for dir in fs::read_dir(store).map_err(Failure::file("read", store))? {
        let dir = dir.map_err(Failure::file("read", store))?.path();
        for chunk in fs::read_dir(&dir).map_err(Failure::file("read", &dir))? {
            let chunk = chunk.map_err(Failure::file("read", &dir))?;
            chunks.insert(chunk.file_name(), size(&chunk.path())?);
        }
    }
    Ok(chunks)
}
